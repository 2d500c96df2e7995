// The part of NVRTC's interface that is used. Its declarations are those of NVIDIA's documentation, the same in all
// versions since 11.2.
#pragma once

#include <cstddef>

namespace kasosei::nvrtc {

struct ProgramObject;
using Program = ProgramObject*;

#define KASOSEI_NVRTC(FUNCTION)                                                                                       \
  FUNCTION(nvrtcVersion, int* major, int* minor)                                                                      \
  FUNCTION(nvrtcGetNumSupportedArchs, int* count)                                                                     \
  FUNCTION(nvrtcGetSupportedArchs, int* capabilities)                                                                 \
  FUNCTION(nvrtcCreateProgram, Program* program, const char* source, const char* name, int headers,                   \
           const char* const* texts, const char* const* names)                                                        \
  FUNCTION(nvrtcDestroyProgram, Program* program)                                                                     \
  FUNCTION(nvrtcCompileProgram, Program program, int options, const char* const* given)                               \
  FUNCTION(nvrtcGetProgramLogSize, Program program, size_t* bytes)                                                    \
  FUNCTION(nvrtcGetProgramLog, Program program, char* log)                                                            \
  FUNCTION(nvrtcGetPTXSize, Program program, size_t* bytes)                                                           \
  FUNCTION(nvrtcGetPTX, Program program, char* ptx)                                                                   \
  FUNCTION(nvrtcGetCUBINSize, Program program, size_t* bytes)                                                         \
  FUNCTION(nvrtcGetCUBIN, Program program, char* cubin)

struct Functions {
#define KASOSEI_POINTER(name, ...) int (*name)(__VA_ARGS__);
  KASOSEI_NVRTC(KASOSEI_POINTER)
#undef KASOSEI_POINTER
  const char* (*nvrtcGetErrorString)(int result);
};

}  // namespace kasosei::nvrtc
