// The device of this process: found, started, and its memory and stream.
#include "device.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <vector>

#include "binding.h"
#include "blas.h"
#include "driver.h"
#include "library.h"
#include "product-arguments.h"
#include "transfers.h"

namespace kasosei {

Driver driver;

void require(int result, const std::string& doing, const std::string& more) {
  if (result == success) return;
  if (result == stub_library)
    // None of its functions does anything, not even those that name errors.
    throw DeviceFailure(doing + ": what was found is the toolkit's library for the linker, and no driver",
                        "CUDA_ERROR_STUB_LIBRARY");
  const char *name = nullptr, *text = nullptr;
  driver.cuGetErrorName(result, &name);
  driver.cuGetErrorString(result, &text);
  // Told by whatever call comes next.
  const bool by_kernel = result == illegal_address || result == launch_timeout ||
                         (result >= hardware_stack_error && result <= launch_failed);
  throw DeviceFailure(doing + ": " + (name == nullptr ? "error " + std::to_string(result) : name) +
                          (text == nullptr ? "" : std::string(" (") + text + ")") +
                          (by_kernel ? ", by something that was launched before: with CUDA_LAUNCH_BLOCKING=1 in the "
                                       "environment, the message names the kernel"
                                     : "") +
                          (more.empty() ? "" : ": " + more),
                      name == nullptr ? "DEVICE_FAILURE" : name);
}

namespace {

// A part of pinned memory through which lists and small tensors go to the device: the processor writes it, a copy of the
// stream reads it. Before a part is written again, the copies of its last use must have happened.
struct RingPart {
  Event used = nullptr;
  bool waits = false;
};
constexpr int64_t part_bytes = int64_t{2} << 20;
constexpr int parts = 4;
// Longer lists of a call get memory of their own: what a call has brought to the ring stays there until it ends.
constexpr int64_t longest_list = part_bytes / 4;

struct State {
  int device = 0;
  bool started = false;
  Context context = nullptr;
  Stream stream = nullptr;
  Module module = nullptr;
  std::map<std::string, Function> functions;
  std::map<Function, int> shared;
  int multiprocessors = 0, largest_shared = 0;
  char* pinned = nullptr;
  DeviceAddress mirror = 0;
  RingPart ring[parts];
  int part = 0;
  int64_t used = 0;
  int64_t queued = 0, reserved = 0, most_reserved = 0;
  // Lists of this call that were too long for the ring.
  std::vector<Handle> long_lists;
};
State& state = *new State;
// Whether `find` has chosen a device.
bool found = false;

// Less than this is left to best fit; larger tensors get regions of their own.
constexpr int64_t region_bytes = int64_t{128} << 20;

std::string mebibytes(int64_t bytes) { return std::to_string((bytes + (1 << 20) - 1) >> 20) + " MiB"; }

// Null if the device has no more.
char* new_memory(int64_t bytes) {
  DeviceAddress address = 0;
  const int result = driver.cuMemAlloc_v2(&address, bytes);
  if (result == out_of_memory) return nullptr;
  require(result, "reserving " + mebibytes(bytes) + " of the GPU's memory");
  return reinterpret_cast<char*>(address);
}

char* reserve(int64_t bytes) {
  char* const start = new_memory(bytes);
  if (start == nullptr) return nullptr;
  state.reserved += bytes;
  state.most_reserved = std::max(state.most_reserved, state.reserved);
  return start;
}

void give_back(char* start, int64_t bytes) {
  // Also if the driver then reports that earlier work has failed.
  state.reserved -= bytes;
  // What was launched may still use it, and drivers need not wait before they free it.
  driver.cuStreamSynchronize(state.stream);
  require(driver.cuMemFree_v2(reinterpret_cast<DeviceAddress>(start)), "giving memory of the GPU back");
}

OutOfMemory none_left(int64_t bytes) {
  size_t available = 0, total = 0;
  driver.cuMemGetInfo_v2(&available, &total);
  return OutOfMemory("out of GPU memory: " + mebibytes(bytes) + " wanted, " + mebibytes(available) + " of " +
                     mebibytes(total) + " free, " + mebibytes(heap.bytes_in_use()) + " in use here");
}

void expect_started() { expect(state.started, "expected a device that was started"); }

// Room in the pinned ring for at most a part.
int64_t ring_offset(int64_t bytes) {
  if (state.used + bytes > part_bytes) {
    RingPart& full = state.ring[state.part];
    RingPart& next = state.ring[(state.part + 1) % parts];
    require(driver.cuEventRecord(full.used, state.stream), "recording an event");
    full.waits = true;
    // Only then is it the part that is written: nothing is changed before if one of the calls fails.
    if (next.waits) require(driver.cuEventSynchronize(next.used), "waiting for the GPU");
    next.waits = false;
    state.part = (state.part + 1) % parts;
    state.used = 0;
  }
  const int64_t offset = state.part * part_bytes + state.used;
  state.used += (bytes + 255) / 256 * 256;
  return offset;
}

void send(DeviceAddress to, const void* from, int64_t bytes) {
  // In pieces through the ring: when the driver reads memory that is not pinned depends on the machine, and where GPU and
  // processor share their page tables, it may be after the call.
  for (int64_t at = 0; at < bytes; at += part_bytes) {
    const int64_t size = std::min(bytes - at, part_bytes);
    char* staged = state.pinned + ring_offset(size);
    std::memcpy(staged, static_cast<const char*>(from) + at, size);
    require(driver.cuMemcpyHtoDAsync_v2(to + at, staged, size, state.stream), "copying to the GPU");
    work_queued();
  }
}

DeviceAddress address_of(const void* pointer) { return reinterpret_cast<DeviceAddress>(pointer); }

Function function_of(const char* kernel) {
  const auto found = state.functions.find(kernel);
  if (found != state.functions.end()) return found->second;
  expect(state.module != nullptr, "expected kernels that were loaded");
  Function function = nullptr;
  require(driver.cuModuleGetFunction(&function, state.module, kernel), std::string("finding the kernel ") + kernel);
  state.functions.emplace(kernel, function);
  return function;
}

constexpr int shared_without_asking = 48 << 10;

}  // namespace

Heap heap({region_bytes, reserve, give_back, none_left});

void work_queued() { state.queued++; }

void launch(const char* kernel, const Launch& shape, const void* arguments) {
  const auto& [x, y, z] = shape.blocks;
  if (x == 0 || y == 0 || z == 0) return;
  if (x > 0x7fffffff || y > 65535 || z > 65535)
    throw std::invalid_argument(std::string(kernel) + ": the tensors are too large for one launch");
  const Function function = function_of(kernel);
  if (shape.shared > shared_without_asking && state.shared[function] < shape.shared) {
    require(driver.cuFuncSetAttribute(function, function_largest_dynamic_shared, shape.shared),
            std::string(kernel) + ": asking for " + std::to_string(shape.shared) + " bytes of shared memory");
    state.shared[function] = shape.shared;
  }
  void* parameters[] = {const_cast<void*>(arguments)};
  const auto put = [&] {
    return driver.cuLaunchKernel(function, x, y, z, shape.threads, 1, 1, shape.shared, state.stream, parameters, nullptr);
  };
  int result = put();
  // A kernel takes memory of its own when it is first launched.
  if (result == out_of_memory && heap.give_back_regions()) result = put();
  require(result, std::string("launching the kernel ") + kernel);
  work_queued();
}

Scratch::Scratch(int64_t bytes)
    : handle(heap.allocate(Type::bool8, bytes)), address(heap.find(handle).data) {}
Scratch::~Scratch() { heap.release(handle); }

const void* upload(const void* data, int64_t bytes) {
  if (bytes == 0) return nullptr;
  if (bytes > longest_list) {
    state.long_lists.push_back(heap.allocate(Type::bool8, bytes));
    const void* room = heap.find(state.long_lists.back()).data;
    send(address_of(room), data, bytes);
    return room;
  }
  const int64_t offset = ring_offset(bytes);
  std::memcpy(state.pinned + offset, data, bytes);
  const DeviceAddress to = state.mirror + offset;
  require(driver.cuMemcpyHtoDAsync_v2(to, state.pinned + offset, bytes, state.stream), "copying to the GPU");
  work_queued();
  return reinterpret_cast<const void*>(to);
}

void call_ended() {
  for (const Handle list : state.long_lists) heap.release(list);
  state.long_lists.clear();
}

void download(void* to, const void* from, int64_t bytes) {
  if (bytes == 0) return;
  require(driver.cuMemcpyDtoHAsync_v2(to, address_of(from), bytes, state.stream), "copying from the GPU");
  work_queued();
  require(driver.cuStreamSynchronize(state.stream), "waiting for the GPU");
}

void write_bytes(void* to, const void* from, int64_t bytes) {
  if (bytes > 0) send(address_of(to), from, bytes);
}

void fill_zero(void* to, int64_t bytes) {
  if (bytes == 0) return;
  require(driver.cuMemsetD8Async(address_of(to), 0, bytes, state.stream), "filling memory of the GPU");
  work_queued();
}

void copy(void* to, const void* from, int64_t bytes) {
  if (bytes == 0) return;
  require(driver.cuMemcpyDtoDAsync_v2(address_of(to), address_of(from), bytes, state.stream), "copying on the GPU");
  work_queued();
}

int multiprocessors() { return state.multiprocessors; }
int64_t largest_shared() { return state.largest_shared; }
Stream stream() { return state.stream; }

namespace {

int attribute(int number) {
  int value;
  require(driver.cuDeviceGetAttribute(&value, number, state.device), "asking the driver about the GPU");
  return value;
}

// 0 if the driver does not tell, as of some GPUs that share the processor's memory.
int attribute_if_known(int number) {
  int value = 0;
  return driver.cuDeviceGetAttribute(&value, number, state.device) == success ? value : 0;
}

// find(library) → [name, capability, driver, memory, multiprocessors, clock, bandwidth]: the driver, and the first GPU that
// it shows this process.
napi_value find(napi_env env, napi_callback_info info) {
  return guarded(env, [&]() -> napi_value {
    const auto [given] = arguments_of<1>(env, info);
    const std::string path = text_from(env, given);
    void* library = open_library(path);
#define KASOSEI_FIND(name, ...) find_function(library, path, #name, driver.name);
    KASOSEI_DRIVER(KASOSEI_FIND)
#undef KASOSEI_FIND
    // As nvidia-smi counts GPUs, by which jobs are given theirs.
    setenv("CUDA_DEVICE_ORDER", "PCI_BUS_ID", 0);
    require(driver.cuInit(0), "starting the driver");
    int version, count;
    require(driver.cuDriverGetVersion(&version), "asking for the driver's version");
    require(driver.cuDeviceGetCount(&count), "counting GPUs");
    if (count == 0) throw DeviceFailure("the driver shows no GPU", "CUDA_ERROR_NO_DEVICE");
    require(driver.cuDeviceGet(&state.device, 0), "choosing the GPU");
    char name[256] = {};
    require(driver.cuDeviceGetName(name, sizeof name - 1, state.device), "asking for the GPU's name");
    const int capability = 10 * attribute(attribute_capability_major) + attribute(attribute_capability_minor);
    size_t total;
    require(driver.cuDeviceTotalMem_v2(&total, state.device), "asking for the GPU's memory");
    found = true;
    napi_value result;
    napi_create_array(env, &result);
    // Of the processors in Hz, and of the memory in bytes/s: it transfers twice in each cycle. From kHz, and bits.
    const double clock = 1e3 * attribute_if_known(attribute_clock);
    const double bandwidth =
        2e3 * attribute_if_known(attribute_memory_clock) * attribute_if_known(attribute_bus_width) / 8;
    const napi_value items[] = {to_value(env, std::string(name)),
                                to_value(env, double(capability)),
                                to_value(env, double(version)),
                                to_value(env, double(total)),
                                to_value(env, double(attribute(attribute_multiprocessors))),
                                to_value(env, clock),
                                to_value(env, bandwidth)};
    for (uint32_t i = 0; i < 7; i++) napi_set_element(env, result, i, items[i]);
    return result;
  });
}
EXPORT_AS_IS(find, "find")

// Ends what was started. No tensor may be left.
void stop() {
  expect(heap.bytes_in_use() == 0, "expected a device without tensors");
  // What is given back may still be in use.
  if (state.stream != nullptr) driver.cuStreamSynchronize(state.stream);
  stop_blas();
  stop_transfers();
  // All regions are free. Each is gone also if the driver reports an earlier failure.
  for (bool left = true; left;) try {
      left = heap.give_back_regions();
    } catch (const DeviceFailure&) {
    }
  if (state.module != nullptr) driver.cuModuleUnload(state.module);
  for (RingPart& part : state.ring)
    if (part.used != nullptr) driver.cuEventDestroy_v2(part.used);
  if (state.mirror != 0) driver.cuMemFree_v2(state.mirror);
  if (state.stream != nullptr) driver.cuStreamDestroy_v2(state.stream);
  if (state.pinned != nullptr) driver.cuMemFreeHost(state.pinned);
  if (state.context != nullptr) {
    driver.cuCtxSetCurrent(nullptr);
    driver.cuDevicePrimaryCtxRelease_v2(state.device);
  }
  const int device = state.device;
  state = State{};
  state.device = device;
}
EXPORT(stop, "stop")

// Makes what every launch needs, or nothing.
void start() {
  expect(found, "expected a GPU that was found");
  if (state.started) {
    // Other code in the process may have chosen another one since.
    return require(driver.cuCtxSetCurrent(state.context), "choosing the GPU's context");
  }
  try {
    state.multiprocessors = attribute(attribute_multiprocessors);
    state.largest_shared = attribute(attribute_largest_shared);
    require(driver.cuDevicePrimaryCtxRetain(&state.context, state.device), "starting the GPU");
    require(driver.cuCtxSetCurrent(state.context), "choosing the GPU's context");
    require(driver.cuStreamCreate(&state.stream, stream_non_blocking), "making a stream");
    void* pinned = nullptr;
    require(driver.cuMemHostAlloc(&pinned, parts * part_bytes, 0), "pinning " + mebibytes(parts * part_bytes));
    state.pinned = static_cast<char*>(pinned);
    char* const mirror = new_memory(parts * part_bytes);
    if (mirror == nullptr) throw none_left(parts * part_bytes);
    state.mirror = address_of(mirror);
    for (RingPart& part : state.ring) require(driver.cuEventCreate(&part.used, event_without_time), "making an event");
    state.started = true;
  } catch (...) {
    stop();
    throw;
  }
}
EXPORT(start, "start")

// Launches the simplest kernel: some drivers look at an image only when they need it.
void try_kernels() {
  constexpr int64_t n = 8;
  const float numbers[n] = {0, 1, -2, 3.140625f, 1e30f, 1.00390625f, 1.01171875f, -0.5f};
  // Rounded to nearest, ties to even.
  const uint16_t expected[n] = {0, 0x3f80, 0xc000, 0x4049, 0x714a, 0x3f80, 0x3f82, 0xbf00};
  uint16_t found[n];
  const Scratch x(sizeof numbers), y(sizeof found);
  write_bytes(x.as<void>(), numbers, sizeof numbers);
  launch({.blocks = {1}, .threads = 256},
         RoundMatrix{.x = x.as<float>(), .batch = 1, .rows = 1, .columns = n, .x_row = n, .x_step = 0,
                     .y = y.as<uint16_t>(), .y_row = n, .vectors = true});
  download(found, y.as<void>(), sizeof found);
  if (!std::equal(found, found + n, expected)) throw DeviceFailure("trying the kernels: one of them computes wrongly");
}

void unload() {
  if (state.module != nullptr) driver.cuModuleUnload(state.module);
  state.module = nullptr;
  state.functions.clear();
  state.shared.clear();
}

// load(image): the kernels, as PTX or a cubin. If they cannot be used, there are none afterwards.
napi_value load(napi_env env, napi_callback_info info) {
  return guarded(env, [&]() -> napi_value {
    const auto [given] = arguments_of<1>(env, info);
    const List<uint8_t> list = list_from<uint8_t>(env, given);
    // As the driver wants it, wherever the caller's bytes lie: aligned, and PTX with a 0 behind it.
    const std::string image(reinterpret_cast<const char*>(list.data), list.size);
    expect_started();
    unload();
    char log[4096] = {};
    int names[] = {option_error_log, option_error_log_bytes};
    void* values[] = {log, reinterpret_cast<void*>(sizeof log - 1)};
    const int result = driver.cuModuleLoadDataEx(&state.module, image.c_str(), 2, names, values);
    if (result != success) state.module = nullptr;
    require(result, "loading the kernels", log);
    try {
      try_kernels();
      heap.give_back_regions();
    } catch (...) {
      unload();
      throw;
    }
    return nullptr;
  });
}
EXPORT_AS_IS(load, "load")

// read(handle, values): fills a typed array of the tensor's type and size, after all that was launched before.
napi_value read(napi_env env, napi_callback_info info) {
  return guarded(env, [&]() -> napi_value {
    const auto [handle, values] = arguments_of<2>(env, info);
    const Allocation& from = heap.find(Argument<int64_t>::from(env, handle));
    download(bytes_of(env, values, from), from.data, from.size * bytes_of(from.type));
    return nullptr;
  });
}
EXPORT_AS_IS(read, "read")

// counts(): how much work was put into the stream so far, and the most bytes that tensors have reserved.
napi_value counts(napi_env env, napi_callback_info) {
  return guarded(env, [&]() -> napi_value {
    napi_value result;
    napi_create_array(env, &result);
    napi_set_element(env, result, 0, to_value(env, double(state.queued)));
    napi_set_element(env, result, 1, to_value(env, double(state.most_reserved)));
    return result;
  });
}
EXPORT_AS_IS(counts, "counts")

// Pinned memory that the caller sees too: a copy into it is several times as fast as into other memory.
struct Window {
  void* start = nullptr;
  int64_t bytes = 0;
  napi_ref buffer = nullptr;
};
Window& window = *new Window;

napi_value window_of(napi_env env, int64_t bytes) {
  napi_value buffer;
  if (bytes > window.bytes) {
    if (window.buffer != nullptr) {
      // What is left of the old one must not be reached any more.
      napi_get_reference_value(env, window.buffer, &buffer);
      napi_detach_arraybuffer(env, buffer);
      napi_delete_reference(env, window.buffer);
      driver.cuMemFreeHost(window.start);
      window = Window{};
    }
    // Larger than needed, so that a model's tensors ask for few.
    const int64_t size = std::max(bytes + bytes / 4, int64_t{1} << 20);
    void* start = nullptr;
    require(driver.cuMemHostAlloc(&start, size, 0), "pinning " + std::to_string(size) + " bytes of memory");
    check(napi_create_external_arraybuffer(env, start, size, nullptr, nullptr, &buffer),
          "a runtime that can share external memory");
    check(napi_create_reference(env, buffer, 1, &window.buffer), "a reference");
    window.start = start;
    window.bytes = size;
    return buffer;
  }
  check(napi_get_reference_value(env, window.buffer, &buffer), "a reference");
  return buffer;
}

// borrow(handle): an ArrayBuffer whose first bytes are the tensor's, until the next call of this function.
napi_value borrow(napi_env env, napi_callback_info info) {
  return guarded(env, [&]() -> napi_value {
    const auto [handle] = arguments_of<1>(env, info);
    const Allocation& from = heap.find(Argument<int64_t>::from(env, handle));
    const int64_t bytes = from.size * bytes_of(from.type);
    const napi_value buffer = window_of(env, std::max<int64_t>(1, bytes));
    download(window.start, from.data, bytes);
    return buffer;
  });
}
EXPORT_AS_IS(borrow, "borrow")

}  // namespace
}  // namespace kasosei
