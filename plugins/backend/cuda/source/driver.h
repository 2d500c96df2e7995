// The part of the driver's API that is used: libcuda, which comes with every driver. Its declarations are those of
// NVIDIA's documentation; handles are opaque, and addresses of the device are numbers as wide as pointers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace kasosei {

using DeviceAddress = uint64_t;
struct ContextObject;
struct StreamObject;
struct EventObject;
struct ModuleObject;
struct FunctionObject;
using Context = ContextObject*;
using Stream = StreamObject*;
using Event = EventObject*;
using Module = ModuleObject*;
using Function = FunctionObject*;

// Results and attributes by their numbers in cuda.h.
constexpr int success = 0, out_of_memory = 2, stub_library = 34, not_ready = 600;
// How kernels fail: the first two of these, and all from hardware_stack_error to launch_failed. Every later call then fails
// with the same.
constexpr int illegal_address = 700, launch_timeout = 702, hardware_stack_error = 714, launch_failed = 719;
constexpr int attribute_multiprocessors = 16, attribute_capability_major = 75, attribute_capability_minor = 76,
              attribute_largest_shared = 97, attribute_clock = 13, attribute_memory_clock = 36, attribute_bus_width = 37;
constexpr int function_largest_dynamic_shared = 8;
constexpr int stream_non_blocking = 1;
constexpr int event_without_time = 2;
constexpr int option_error_log = 5, option_error_log_bytes = 6;

#define KASOSEI_DRIVER(FUNCTION)                                                                              \
  FUNCTION(cuInit, unsigned flags)                                                                            \
  FUNCTION(cuDriverGetVersion, int* version)                                                                  \
  FUNCTION(cuGetErrorName, int result, const char** name)                                                     \
  FUNCTION(cuGetErrorString, int result, const char** text)                                                   \
  FUNCTION(cuDeviceGetCount, int* count)                                                                      \
  FUNCTION(cuDeviceGet, int* device, int ordinal)                                                             \
  FUNCTION(cuDeviceGetName, char* name, int length, int device)                                               \
  FUNCTION(cuDeviceGetAttribute, int* value, int attribute, int device)                                       \
  FUNCTION(cuDeviceTotalMem_v2, size_t* bytes, int device)                                                    \
  FUNCTION(cuDevicePrimaryCtxRetain, Context* context, int device)                                            \
  FUNCTION(cuDevicePrimaryCtxRelease_v2, int device)                                                          \
  FUNCTION(cuCtxSetCurrent, Context context)                                                                  \
  FUNCTION(cuStreamCreate, Stream* stream, unsigned flags)                                                    \
  FUNCTION(cuStreamDestroy_v2, Stream stream)                                                                 \
  FUNCTION(cuStreamSynchronize, Stream stream)                                                                \
  FUNCTION(cuStreamWaitEvent, Stream stream, Event event, unsigned flags)                                     \
  FUNCTION(cuEventCreate, Event* event, unsigned flags)                                                       \
  FUNCTION(cuEventDestroy_v2, Event event)                                                                    \
  FUNCTION(cuEventRecord, Event event, Stream stream)                                                         \
  FUNCTION(cuEventQuery, Event event)                                                                         \
  FUNCTION(cuEventSynchronize, Event event)                                                                   \
  FUNCTION(cuMemAlloc_v2, DeviceAddress* address, size_t bytes)                                               \
  FUNCTION(cuMemFree_v2, DeviceAddress address)                                                               \
  FUNCTION(cuMemGetInfo_v2, size_t* available, size_t* total)                                                 \
  FUNCTION(cuMemHostAlloc, void** pointer, size_t bytes, unsigned flags)                                      \
  FUNCTION(cuMemFreeHost, void* pointer)                                                                      \
  FUNCTION(cuMemcpyHtoDAsync_v2, DeviceAddress to, const void* from, size_t bytes, Stream stream)             \
  FUNCTION(cuMemcpyDtoHAsync_v2, void* to, DeviceAddress from, size_t bytes, Stream stream)                   \
  FUNCTION(cuMemcpyDtoDAsync_v2, DeviceAddress to, DeviceAddress from, size_t bytes, Stream stream)           \
  FUNCTION(cuMemsetD8Async, DeviceAddress to, unsigned char value, size_t bytes, Stream stream)               \
  FUNCTION(cuModuleLoadDataEx, Module* module, const void* image, unsigned options, int* names, void** values) \
  FUNCTION(cuModuleUnload, Module module)                                                                     \
  FUNCTION(cuModuleGetFunction, Function* function, Module module, const char* name)                          \
  FUNCTION(cuFuncSetAttribute, Function function, int attribute, int value)                                   \
  FUNCTION(cuLaunchKernel, Function function, unsigned grid_x, unsigned grid_y, unsigned grid_z,              \
           unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared, Stream stream,              \
           void** parameters, void** extra)

struct Driver {
#define KASOSEI_POINTER(name, ...) int (*name)(__VA_ARGS__);
  KASOSEI_DRIVER(KASOSEI_POINTER)
#undef KASOSEI_POINTER
};

// Valid once the device is started.
extern Driver driver;

// That everything is put into.
Stream stream();

// Throws DeviceFailure unless a call of the driver succeeded: what was being done, the driver's name and words for it,
// and what else there is to say. Its code is the driver's name.
void require(int result, const std::string& doing, const std::string& more = "");

}  // namespace kasosei
