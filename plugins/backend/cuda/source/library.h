// Libraries that are looked for at run time: nothing of CUDA is needed to build.
#pragma once

#include <dlfcn.h>

#include <cstdlib>
#include <string>

#include "heap.h"

namespace kasosei {

// Takes out of this process's environment what makes libraries compute other numbers, or by other algorithms, than they
// are asked for. Results are keyed by what they are asked for.
inline void forget_overrides() {
  for (const char* name : {"NVIDIA_TF32_OVERRIDE", "CUBLAS_EMULATE_SINGLE_PRECISION", "CUBLAS_EMULATION_STRATEGY",
                           "CUBLASLT_HEURISTICS_LUT_FILE", "CUBLASLT_DISABLE_CPU_INSTRUCTIONS_MASK",
                           "NVRTC_APPEND_FLAGS"})
    unsetenv(name);
}

// Opens a library, which then stays open. Throws DeviceFailure LIBRARY_NOT_LOADED with the loader's reason.
inline void* open_library(const std::string& path) {
  forget_overrides();
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    const char* reason = dlerror();
    throw DeviceFailure(path + " does not load" + (reason == nullptr ? "" : std::string(" (") + reason + ")"),
                        "LIBRARY_NOT_LOADED");
  }
  return library;
}

// Its function of that name. Throws DeviceFailure LIBRARY_TOO_OLD if that version of the library has none.
template <typename Function>
inline void find_function(void* library, const std::string& path, const char* name, Function& function) {
  function = reinterpret_cast<Function>(dlsym(library, name));
  if (function == nullptr) throw DeviceFailure(path + " is too old: it has no " + name, "LIBRARY_TOO_OLD");
}

}  // namespace kasosei
