// libcuda.so.1 for machines without a GPU. Memory is the processor's, a module is kernels that g++ compiled, and a
// stream is a queue: what is put into it is done only when something waits for it, so that a host program that reads or
// reuses memory too early computes with other numbers. Every call is checked. What the real driver refuses is refused
// with its number; what it would take and do something undefined with is told, and ends the process with status 86.
#include <dlfcn.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cinttypes>
#include <cstdarg>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <thread>

#include "launch.h"
#include "program.h"
#include "settings.h"

#define API extern "C" __attribute__((visibility("default")))

namespace {

using namespace emulated;

enum Result : int {
  success = 0,
  invalid_value = 1,
  out_of_memory = 2,
  not_initialized = 3,
  no_device = 100,
  invalid_device = 101,
  invalid_image = 200,
  invalid_context = 201,
  no_binary_for_gpu = 209,
  invalid_ptx = 218,
  unsupported_ptx_version = 222,
  invalid_handle = 400,
  not_found = 500,
  not_ready = 600,
  unknown = 999,
};

struct ErrorText {
  int code;
  const char* name;
  const char* text;
};

const ErrorText error_texts[] = {
    {0, "CUDA_SUCCESS", "no error"},
    {1, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
    {2, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    {3, "CUDA_ERROR_NOT_INITIALIZED", "initialization error"},
    {34, "CUDA_ERROR_STUB_LIBRARY", "CUDA driver is a stub library"},
    {46, "CUDA_ERROR_DEVICE_UNAVAILABLE", "CUDA-capable device(s) is/are busy or unavailable"},
    {100, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"},
    {101, "CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"},
    {200, "CUDA_ERROR_INVALID_IMAGE", "device kernel image is invalid"},
    {201, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context"},
    {209, "CUDA_ERROR_NO_BINARY_FOR_GPU", "no kernel image is available for execution on the device"},
    {218, "CUDA_ERROR_INVALID_PTX", "a PTX JIT compilation failed"},
    {222, "CUDA_ERROR_UNSUPPORTED_PTX_VERSION", "the provided PTX was compiled with an unsupported toolchain."},
    {400, "CUDA_ERROR_INVALID_HANDLE", "invalid resource handle"},
    {500, "CUDA_ERROR_NOT_FOUND", "named symbol not found"},
    {600, "CUDA_ERROR_NOT_READY", "device not ready"},
    {700, "CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered"},
    {701, "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES", "too many resources requested for launch"},
    {702, "CUDA_ERROR_LAUNCH_TIMEOUT", "the launch timed out and was terminated"},
    {714, "CUDA_ERROR_HARDWARE_STACK_ERROR", "hardware stack error"},
    {715, "CUDA_ERROR_ILLEGAL_INSTRUCTION", "an illegal instruction was encountered"},
    {716, "CUDA_ERROR_MISALIGNED_ADDRESS", "misaligned address"},
    {717, "CUDA_ERROR_INVALID_ADDRESS_SPACE", "operation not supported on global/shared address space"},
    {718, "CUDA_ERROR_INVALID_PC", "invalid program counter"},
    {719, "CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"},
    {802, "CUDA_ERROR_SYSTEM_NOT_READY", "system not yet initialized"},
    {999, "CUDA_ERROR_UNKNOWN", "unknown error"},
};

const ErrorText* error_text(int code) {
  for (const ErrorText& e : error_texts) {
    if (e.code == code) return &e;
  }
  return nullptr;
}

// After these, every call fails with the same until the process ends.
bool is_sticky(int code) { return code == 700 || code == 702 || (code >= 714 && code <= 719); }

using Handle = uintptr_t;
using Pointer = uint64_t;

struct Stream;

struct Moment {
  std::shared_ptr<Stream> stream;
  uint64_t sequence;
};

struct Work {
  enum Kind { launch, copy, set_bytes, set_words, wait, external };
  explicit Work(Kind k) : kind(k) {}
  Kind kind;
  // launch
  std::vector<char> argument = {};  // or what was staged of pageable memory
  size_t kernel = 0;                // of the module's
  std::shared_ptr<struct Module> module = {};
  Launch shape = {};
  // copy, set
  void* to = nullptr;
  const void* from = nullptr;
  uint64_t bytes = 0;
  bool to_host = false;
  uint32_t value = 0;
  Moment moment = {};
  // external
  void (*run)(void*) = nullptr;
  void* data = nullptr;
};

struct Stream {
  int device = 0;
  bool blocking = true;  // waits for the default stream, and it for this one
  std::deque<Work> queue;
  uint64_t issued = 0, done = 0;
};

struct Event {
  int device = 0;
  Moment moment = {};
  bool asked = false;  // by cuEventQuery, and was told that it is not ready
};

// The libraries of a program: as many copies as there are threads that run blocks.
struct Module {
  int device = 0;
  std::string library;
  std::vector<void*> opened;
  std::vector<const Program*> programs;
  ~Module() {
    for (void* library : opened) dlclose(library);
  }
};

struct Function {
  std::shared_ptr<Module> module;
  size_t kernel;  // of the module's
  uint32_t dynamic_limit = 48 << 10;
};

struct Allocation {
  size_t bytes;
  int device;
};

struct Device {
  int retained = 0;
  uint64_t used = 0, peak = 0;
  std::shared_ptr<Stream> default_stream;
};

constexpr int maximal_devices = 16;
constexpr uint64_t granule = 512;

struct Settings {
  bool reverse = false, lazy = true, sanitize = false, dry = false;
  uint64_t memory = 1ull << 30;
  int capability = 90, driver = 12100, devices = 1, threads = 1;
  uint64_t fail_in = 0;
  int fail_code = unknown;
  int products = 4;  // of cuBLASLt, by their place among product_kinds
};

const char* const product_kinds[] = {"none", "refused", "rounded", "plain", "all"};

// Never destroyed: threads of the host program may outlive main.
struct Driver {
  std::recursive_mutex mutex;
  Settings settings;
  bool initialized = false;
  int sticky = 0;
  Handle next_handle = 0x5000'0000'0000;
  Device devices[maximal_devices];
  std::map<Handle, std::shared_ptr<Stream>> streams;
  std::map<Handle, Event> events;
  std::map<Handle, std::shared_ptr<Module>> modules;
  std::map<Handle, Function> functions;
  std::map<Pointer, Allocation> allocations;
  std::map<Pointer, uint64_t> freed;
  std::map<Pointer, Allocation> pinned;
  std::map<std::string, uint64_t> calls, launches;
  uint64_t to_device = 0, to_host = 0, on_device = 0, staged = 0, abandoned = 0;
  std::string report;
};

Driver& driver = *new Driver;
thread_local int current = -1;  // device of the current context

const char* call_name = "";

[[noreturn]] __attribute__((format(printf, 1, 2))) void misuse(const char* format, ...) {
  va_list list;
  va_start(list, format);
  fflush(stdout);
  fprintf(stderr, "emulated CUDA: ");
  vfprintf(stderr, format, list);
  fprintf(stderr, "\n");
  fflush(stderr);
  _exit(86);
}

[[noreturn]] void undefined_in_kernel(const char* message) { misuse("%s", message); }

// ---- settings

bool set(const std::string& key, const std::string& value) {
  Settings& s = driver.settings;
  char* end = nullptr;
  const unsigned long long number = strtoull(value.c_str(), &end, 10);
  const bool numeric = !value.empty() && isdigit(static_cast<unsigned char>(value[0])) && *end == 0;
  const auto flag = [&](bool& to) { return (value == "0" || value == "1") && (to = value == "1", true); };
  const auto range = [&](int& to, int low, int high) {
    return numeric && number >= static_cast<unsigned>(low) && number <= static_cast<unsigned>(high) &&
           (to = static_cast<int>(number), true);
  };
  if (key == "order") return (value == "forward" || value == "reverse") && (s.reverse = value == "reverse", true);
  if (key == "lazy") return flag(s.lazy);
  if (key == "sanitize") return flag(s.sanitize);
  if (key == "dry") return flag(s.dry);
  if (key == "memory") return numeric && (s.memory = number, true);
  if (key == "capability") return range(s.capability, 10, 999);
  if (key == "driver") return range(s.driver, 1000, 99999);
  if (key == "devices") return range(s.devices, 0, maximal_devices);
  if (key == "threads") return range(s.threads, 1, 64);
  if (key == "products") {
    for (int kind = 0; kind < 5; kind++)
      if (value == product_kinds[kind]) return s.products = kind, true;
    return false;
  }
  if (key == "nvrtc") return numeric;  // that of libnvrtc
  if (key == "fail") {
    s.fail_code = unknown;
    driver.sticky = 0;
    s.fail_in = number;
    if (*end == ':') s.fail_code = atoi(end + 1);
    return end != value.c_str() && (*end == 0 || (*end == ':' && error_text(s.fail_code) != nullptr));
  }
  if (key == "reset" && value == "1") {
    driver.calls.clear();
    driver.launches.clear();
    driver.to_device = driver.to_host = driver.on_device = driver.staged = driver.abandoned = 0;
    for (Device& device : driver.devices) device.peak = device.used;
    return true;
  }
  return false;
}

// As the driver reads CUDA_VISIBLE_DEVICES: numbers of devices, up to the first that is none.
int visible_devices() {
  const char* list = getenv("CUDA_VISIBLE_DEVICES");
  if (list == nullptr) return maximal_devices;
  int visible = 0;
  for (char* end = nullptr;; list = end + 1) {
    const long number = strtol(list, &end, 10);
    if (end == list || number < 0 || number >= driver.settings.devices) break;
    visible++;
    if (*end != ',') break;
  }
  return visible;
}

struct AtLoad {
  AtLoad() {
    if (!read_settings(environment_settings(), set)) {
      misuse("KASOSEI_EMULATED_CUDA=\"%s\" has a setting that there is not", environment_settings());
    }
    driver.settings.devices = std::min(driver.settings.devices, visible_devices());
  }
} at_load;

// ---- running what is queued

void run_until(Stream& stream, uint64_t sequence);

// What a host thread runs, for the message if it does something that the processor does not survive.
struct Running {
  const char* kernel;
  const Program* program;
};
thread_local Running running = {};

constexpr int fatal_signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL};
struct sigaction earlier_actions[4];

void fault(int signal, siginfo_t* info, void*) {
  if (running.program == nullptr) {
    // Not a kernel's: it happens again, to whoever waited for it before.
    for (int i = 0; i < 4; i++) sigaction(fatal_signals[i], &earlier_actions[i], nullptr);
    return;
  }
  const Index& block = *running.program->block;
  char text[256];
  const int length =
      snprintf(text, sizeof text,
               "emulated CUDA: kernel %s, block (%u, %u, %u), thread %u: signal %d at address %p; "
               "KASOSEI_EMULATED_CUDA=sanitize=1 may say more\n",
               running.kernel, block.x, block.y, block.z, running.program->thread->x, signal, info->si_addr);
  if (write(2, text, static_cast<size_t>(length)) < 0) _exit(87);
  _exit(86);
}

// Gives this host thread a stack for the signals that end a kernel.
void take_signal_stack(stack_t* earlier) {
  constexpr size_t bytes = 64 << 10;
  static thread_local const std::unique_ptr<char[]> memory(new char[bytes]);
  stack_t stack = {};
  stack.ss_sp = memory.get();
  stack.ss_size = bytes;
  sigaltstack(&stack, earlier);
}

// While it lives, this host thread runs a kernel.
class Watch {
 public:
  Watch(const char* kernel, const Program* program) {
    take_signal_stack(&earlier);
    running = {kernel, program};
  }
  ~Watch() {
    running = {};
    sigaltstack(&earlier, nullptr);
  }

 private:
  stack_t earlier = {};
};

void run_launch(const Work& work) {
  Launch launch = work.shape;
  launch.argument = work.argument.data();
  launch.reverse = driver.settings.reverse;
  launch.undefined = undefined_in_kernel;
  const uint64_t blocks = uint64_t{launch.grid[0]} * launch.grid[1] * launch.grid[2];
  const std::vector<const Program*>& programs = work.module->programs;
  const uint64_t parts = std::min<uint64_t>(programs.size(), blocks);
  std::vector<std::thread> threads;
  const auto part = [&](uint64_t p) {
    Launch own = launch;
    own.kernel = programs[p]->first[work.kernel];
    const Watch watch(own.kernel->name, programs[p]);
    programs[p]->run(own, blocks * p / parts, blocks * (p + 1) / parts);
  };
  // AddressSanitizer tells of them itself.
  const bool watched = !driver.settings.sanitize;
  struct sigaction action = {};
  action.sa_sigaction = fault;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  for (int i = 0; watched && i < 4; i++) sigaction(fatal_signals[i], &action, &earlier_actions[i]);
  for (uint64_t p = 1; p < parts; p++) threads.emplace_back(part, p);
  part(0);
  for (std::thread& thread : threads) thread.join();
  for (int i = 0; watched && i < 4; i++) sigaction(fatal_signals[i], &earlier_actions[i], nullptr);
}

void run_work(const Work& work) {
  const bool writes_device = work.kind == Work::launch || work.kind == Work::set_bytes ||
                             work.kind == Work::set_words || (work.kind == Work::copy && !work.to_host);
  if (driver.settings.dry && writes_device) return;
  switch (work.kind) {
    case Work::launch: run_launch(work); break;
    case Work::copy: memcpy(work.to, work.from != nullptr ? work.from : work.argument.data(), work.bytes); break;
    case Work::set_bytes: memset(work.to, static_cast<int>(work.value), work.bytes); break;
    case Work::set_words:
      for (uint64_t i = 0; i < work.bytes / 4; i++) static_cast<uint32_t*>(work.to)[i] = work.value;
      break;
    case Work::wait: run_until(*work.moment.stream, work.moment.sequence); break;
    case Work::external: work.run(work.data); break;
  }
}

void run_until(Stream& stream, uint64_t sequence) {
  while (stream.done < sequence) {
    const Work work = std::move(stream.queue.front());
    stream.queue.pop_front();
    run_work(work);
    stream.done++;
  }
}

void run_all(Stream& stream) { run_until(stream, stream.issued); }

template <class Visit>
void for_each_stream(int device, Visit&& visit) {
  for (auto& [handle, stream] : driver.streams) {
    if (stream->device == device) visit(stream);
  }
  if (driver.devices[device].default_stream != nullptr) visit(driver.devices[device].default_stream);
}

void run_device(int device) {
  for_each_stream(device, [](const std::shared_ptr<Stream>& stream) { run_all(*stream); });
}

void push(Stream& stream, Work work) {
  stream.queue.push_back(std::move(work));
  stream.issued++;
}

void wait_for(Stream& stream, const Moment& moment) {
  Work work{Work::wait};
  work.moment = moment;
  push(stream, std::move(work));
}

void enqueue(const std::shared_ptr<Stream>& stream, Work work) {
  const std::shared_ptr<Stream>& base = driver.devices[stream->device].default_stream;
  if (stream == base) {
    for_each_stream(stream->device, [&](const std::shared_ptr<Stream>& other) {
      if (other != base && other->blocking) wait_for(*stream, {other, other->issued});
    });
  } else if (stream->blocking && base->done < base->issued) {
    wait_for(*stream, {base, base->issued});
  }
  push(*stream, std::move(work));
  if (!driver.settings.lazy) run_all(*stream);
}

// ---- calls

enum Need { nothing, initialization, context };
enum Effect { acts, releases };

// A call: counted, made to fail if it is its turn, and checked. What releases something does so even if it is made to
// fail: then its result is that of earlier work.
template <class Body>
int call(const char* name, Need need, Effect effect, Body&& body) {
  const std::lock_guard<std::recursive_mutex> lock(driver.mutex);
  call_name = name;
  driver.calls[name]++;
  int failure = driver.sticky;
  if (driver.settings.fail_in != 0 && --driver.settings.fail_in == 0) {
    failure = driver.settings.fail_code;
    if (is_sticky(failure)) driver.sticky = failure;
  }
  if (failure != 0 && effect == acts) return failure;
  if (need != nothing && !driver.initialized) return not_initialized;
  if (need == context && (current < 0 || driver.devices[current].retained == 0)) return invalid_context;
  const int result = body();
  return failure != 0 ? failure : result;
}

template <class T>
T& live(std::map<Handle, T>& objects, Handle handle, const char* what) {
  const auto found = objects.find(handle);
  if (found == objects.end()) {
    misuse("%s: the %s %#" PRIxPTR " is none, or was destroyed", call_name, what, handle);
  }
  return found->second;
}

std::shared_ptr<Stream> stream_of(Handle handle) {
  if (handle == 0) return driver.devices[current].default_stream;
  return live(driver.streams, handle, "stream");
}

template <class Map>
auto range_at(Map& ranges, Pointer at) {
  auto next = ranges.upper_bound(at);
  return next == ranges.begin() ? ranges.end() : std::prev(next);
}

uint64_t bytes_of(uint64_t range) { return range; }
uint64_t bytes_of(const Allocation& range) { return range.bytes; }

template <class Map>
bool is_in(Map& ranges, Pointer at) {
  const auto found = range_at(ranges, at);
  return found != ranges.end() && at - found->first < bytes_of(found->second);
}

// That `bytes` from a device pointer on are of one living allocation of the device.
void need_device(Pointer at, uint64_t bytes, int device, const char* role) {
  const auto found = range_at(driver.allocations, at);
  if (found == driver.allocations.end() || at - found->first >= found->second.bytes) {
    misuse("%s: the %s %#" PRIx64 " is %s", call_name, role, at,
           is_in(driver.freed, at) ? "in memory that was freed" : "not in device memory");
  }
  const uint64_t left = found->second.bytes - (at - found->first);
  if (bytes > left) {
    misuse("%s: the %s has %" PRIu64 " bytes left in its allocation of %zu, and %" PRIu64 " are asked", call_name, role,
           left, found->second.bytes, bytes);
  }
  if (found->second.device != device) misuse("%s: the %s is memory of another device", call_name, role);
}

// Whether host memory is pinned; undefined if it is only in part.
bool is_pinned(const void* memory, uint64_t bytes) {
  const Pointer at = reinterpret_cast<Pointer>(memory);
  const auto found = range_at(driver.pinned, at + (bytes == 0 ? 0 : bytes - 1));
  if (found == driver.pinned.end() || at >= found->first + found->second.bytes) return false;
  if (at < found->first || at + bytes > found->first + found->second.bytes) {
    misuse("%s: %" PRIu64 " bytes of host memory at %p are pinned only in part", call_name, bytes, memory);
  }
  return true;
}

template <class T>
Handle give(std::map<Handle, T>& objects, T object) {
  driver.next_handle += 64;
  objects.emplace(driver.next_handle, std::move(object));
  return driver.next_handle;
}

}  // namespace

API int cuInit(unsigned flags) {
  return call("cuInit", nothing, acts, [&]() -> int {
    if (flags != 0) return invalid_value;
    if (driver.settings.devices == 0) return no_device;
    driver.initialized = true;
    return success;
  });
}

API int cuDriverGetVersion(int* version) {
  return call("cuDriverGetVersion", nothing, acts, [&]() -> int {
    if (version == nullptr) return invalid_value;
    *version = driver.settings.driver;
    return success;
  });
}

API int cuGetErrorName(int code, const char** name) {
  const ErrorText* found = error_text(code);
  *name = found == nullptr ? nullptr : found->name;
  return found == nullptr ? invalid_value : success;
}

API int cuGetErrorString(int code, const char** text) {
  const ErrorText* found = error_text(code);
  *text = found == nullptr ? nullptr : found->text;
  return found == nullptr ? invalid_value : success;
}

API int cuDeviceGetCount(int* count) {
  return call("cuDeviceGetCount", initialization, acts, [&]() -> int {
    if (count == nullptr) return invalid_value;
    *count = driver.settings.devices;
    return success;
  });
}

API int cuDeviceGet(int* device, int ordinal) {
  return call("cuDeviceGet", initialization, acts, [&]() -> int {
    if (device == nullptr) return invalid_value;
    if (ordinal < 0 || ordinal >= driver.settings.devices) return invalid_device;
    *device = ordinal;
    return success;
  });
}

namespace {
bool is_device(int device) { return device >= 0 && device < driver.settings.devices; }
}  // namespace

API int cuDeviceGetName(char* name, int bytes, int device) {
  return call("cuDeviceGetName", initialization, acts, [&]() -> int {
    if (!is_device(device)) return invalid_device;
    if (name == nullptr || bytes <= 0) return invalid_value;
    snprintf(name, static_cast<size_t>(bytes), "emulated CUDA device");
    return success;
  });
}

API int cuDeviceTotalMem_v2(size_t* bytes, int device) {
  return call("cuDeviceTotalMem_v2", initialization, acts, [&]() -> int {
    if (!is_device(device)) return invalid_device;
    if (bytes == nullptr) return invalid_value;
    *bytes = driver.settings.memory;
    return success;
  });
}

namespace {

// The most dynamic shared memory that a kernel can ask for, by capability.
int opt_in_bytes(int capability) {
  switch (capability) {
    case 80:
    case 87: return 163 << 10;
    case 86:
    case 89:
    case 120:
    case 121: return 99 << 10;
    default: return capability >= 90 ? 227 << 10 : 96 << 10;
  }
}

bool attribute_of(int attribute, int& value) {
  const int capability = driver.settings.capability;
  switch (attribute) {
    case 1:
    case 2:
    case 3: value = 1024; return true;        // MAX_THREADS_PER_BLOCK, MAX_BLOCK_DIM_X, Y
    case 4: value = 64; return true;          // MAX_BLOCK_DIM_Z
    case 5: value = 2147483647; return true;  // MAX_GRID_DIM_X
    case 6:
    case 7: value = 65535; return true;     // MAX_GRID_DIM_Y, Z
    case 8: value = 48 << 10; return true;  // MAX_SHARED_MEMORY_PER_BLOCK
    case 9: value = 64 << 10; return true;  // TOTAL_CONSTANT_MEMORY
    case 10: value = 32; return true;       // WARP_SIZE
    case 12:
    case 82: value = 65536; return true;    // MAX_REGISTERS_PER_BLOCK, PER_MULTIPROCESSOR
    case 13: value = 1000000; return true;  // CLOCK_RATE, kHz
    case 16: value = 4; return true;        // MULTIPROCESSOR_COUNT
    case 18:
    case 32:
    case 83: value = 0; return true;  // INTEGRATED, ECC_ENABLED, MANAGED_MEMORY
    case 19:
    case 31:
    case 41:
    case 115: value = 1; return true;  // CAN_MAP_HOST_MEMORY, CONCURRENT_KERNELS, UVA, POOLS
    case 20:
    case 33:
    case 34:
    case 50: value = 0; return true;        // COMPUTE_MODE, PCI_*
    case 36: value = 1000000; return true;  // MEMORY_CLOCK_RATE, kHz
    case 37: value = 128; return true;      // GLOBAL_MEMORY_BUS_WIDTH
    case 38: value = 4 << 20; return true;  // L2_CACHE_SIZE
    case 39: value = capability == 86 || capability == 89 || capability >= 120 ? 1536 : 2048; return true;
    case 40: value = 2; return true;                                // ASYNC_ENGINE_COUNT
    case 75: value = capability / 10; return true;                  // COMPUTE_CAPABILITY_MAJOR
    case 76: value = capability % 10; return true;                  // COMPUTE_CAPABILITY_MINOR
    case 81: value = opt_in_bytes(capability) + 1024; return true;  // MAX_SHARED_MEMORY_PER_MULTIPROCESSOR
    case 97: value = opt_in_bytes(capability); return true;         // MAX_SHARED_MEMORY_PER_BLOCK_OPTIN
    case 106: value = 32; return true;                              // MAX_BLOCKS_PER_MULTIPROCESSOR
    case 111: value = 1024; return true;                            // RESERVED_SHARED_MEMORY_PER_BLOCK
    default: return false;
  }
}

}  // namespace

API int cuDeviceGetAttribute(int* value, int attribute, int device) {
  return call("cuDeviceGetAttribute", initialization, acts, [&]() -> int {
    if (!is_device(device)) return invalid_device;
    if (value == nullptr) return invalid_value;
    if (!attribute_of(attribute, *value)) {
      fprintf(stderr, "emulated CUDA: the device attribute %d is not emulated\n", attribute);
      return invalid_value;
    }
    return success;
  });
}

// ---- contexts: the primary one of each device

namespace {

constexpr Handle context_base = 0x4000'0000'0000;

int device_of_context(Handle handle) {
  const Handle device = (handle - context_base) / 64;
  if (handle < context_base || device >= maximal_devices || driver.devices[device].retained == 0) {
    misuse("%s: the context %#" PRIxPTR " is none, or was released", call_name, handle);
  }
  return static_cast<int>(device);
}

bool sanitizes() { return dlsym(RTLD_DEFAULT, "__asan_init") != nullptr; }

// At high addresses, as those of a GPU are: two small numbers that lie beside each other in a kernel's argument are then
// not taken for an address. AddressSanitizer's allocator, which guards the ends, takes high ones too.
void* reserve_memory(size_t bytes) {
  void* memory = nullptr;
  if (sanitizes()) return posix_memalign(&memory, 256, bytes) == 0 ? memory : nullptr;
  memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return memory == MAP_FAILED ? nullptr : memory;
}

void return_memory(Pointer memory, size_t bytes) {
  if (sanitizes()) free(reinterpret_cast<void*>(memory));
  else munmap(reinterpret_cast<void*>(memory), bytes);
}

void free_memory(std::map<Pointer, Allocation>::iterator found) {
  Device& device = driver.devices[found->second.device];
  device.used -= (found->second.bytes + granule - 1) / granule * granule;
  driver.freed[found->first] = found->second.bytes;
  return_memory(found->first, found->second.bytes);
  driver.allocations.erase(found);
}

// What a context still had ends with it.
void abandon(int device) {
  run_device(device);
  const auto drop = [&](auto& objects, auto&& device_of) {
    for (auto o = objects.begin(); o != objects.end();) {
      if (device_of(o->second) != device) {
        ++o;
        continue;
      }
      driver.abandoned++;
      o = objects.erase(o);
    }
  };
  for (auto a = driver.allocations.begin(); a != driver.allocations.end();) {
    const auto found = a++;
    if (found->second.device != device) continue;
    driver.abandoned++;
    free_memory(found);
  }
  for (auto p = driver.pinned.begin(); p != driver.pinned.end();) {
    if (p->second.device == device) free(reinterpret_cast<void*>(p->first));
    ++p;
  }
  drop(driver.pinned, [](const Allocation& a) { return a.device; });
  drop(driver.streams, [](const std::shared_ptr<Stream>& s) { return s->device; });
  drop(driver.events, [](const Event& e) { return e.device; });
  for (auto f = driver.functions.begin(); f != driver.functions.end();) {
    f = f->second.module->device == device ? driver.functions.erase(f) : std::next(f);
  }
  drop(driver.modules, [](const std::shared_ptr<Module>& m) { return m->device; });
  driver.devices[device].default_stream = nullptr;
}

}  // namespace

API int cuDevicePrimaryCtxRetain(Handle* handle, int device) {
  return call("cuDevicePrimaryCtxRetain", initialization, acts, [&]() -> int {
    if (handle == nullptr) return invalid_value;
    if (!is_device(device)) return invalid_device;
    Device& own = driver.devices[device];
    if (own.retained++ == 0) {
      own.default_stream = std::make_shared<Stream>();
      own.default_stream->device = device;
    }
    *handle = context_base + static_cast<Handle>(device) * 64;
    return success;
  });
}

API int cuDevicePrimaryCtxRelease_v2(int device) {
  return call("cuDevicePrimaryCtxRelease_v2", initialization, releases, [&]() -> int {
    if (!is_device(device)) return invalid_device;
    if (driver.devices[device].retained == 0) return invalid_context;
    if (driver.devices[device].retained == 1) abandon(device);
    driver.devices[device].retained--;
    return success;
  });
}

API int cuCtxSetCurrent(Handle handle) {
  return call("cuCtxSetCurrent", initialization, acts, [&]() -> int {
    current = handle == 0 ? -1 : device_of_context(handle);
    // AddressSanitizer stumbles over one that begins or ends between two words, as that of a runtime may, when an
    // exception is thrown.
    if (driver.settings.sanitize) take_signal_stack(nullptr);
    return success;
  });
}

// ---- streams and events

API int cuStreamCreate(Handle* handle, unsigned flags) {
  return call("cuStreamCreate", context, acts, [&]() -> int {
    if (handle == nullptr || flags > 1) return invalid_value;
    auto stream = std::make_shared<Stream>();
    stream->device = current;
    stream->blocking = flags == 0;
    *handle = give(driver.streams, std::move(stream));
    return success;
  });
}

API int cuStreamDestroy_v2(Handle handle) {
  return call("cuStreamDestroy_v2", context, releases, [&]() -> int {
    if (handle == 0) return invalid_handle;
    run_all(*stream_of(handle));
    driver.streams.erase(handle);
    return success;
  });
}

API int cuStreamSynchronize(Handle handle) {
  return call("cuStreamSynchronize", context, acts, [&]() -> int {
    const std::shared_ptr<Stream> stream = stream_of(handle);
    run_all(*stream);
    return success;
  });
}

API int cuStreamWaitEvent(Handle handle, Handle event, unsigned flags) {
  return call("cuStreamWaitEvent", context, acts, [&]() -> int {
    if (flags > 1) return invalid_value;
    const std::shared_ptr<Stream> stream = stream_of(handle);
    const Event& e = live(driver.events, event, "event");
    // An event that was never recorded is no reason to wait.
    if (e.moment.stream == nullptr) return success;
    Work work{Work::wait};
    work.moment = e.moment;
    enqueue(stream, std::move(work));
    return success;
  });
}

API int cuEventCreate(Handle* handle, unsigned flags) {
  return call("cuEventCreate", context, acts, [&]() -> int {
    if (handle == nullptr || flags > 7) return invalid_value;
    Event event;
    event.device = current;
    *handle = give(driver.events, std::move(event));
    return success;
  });
}

API int cuEventDestroy_v2(Handle handle) {
  return call("cuEventDestroy_v2", context, releases, [&]() -> int {
    live(driver.events, handle, "event");
    driver.events.erase(handle);
    return success;
  });
}

API int cuEventRecord(Handle handle, Handle stream_handle) {
  return call("cuEventRecord", context, acts, [&]() -> int {
    const std::shared_ptr<Stream> stream = stream_of(stream_handle);
    Event& event = live(driver.events, handle, "event");
    if (event.device != stream->device) return invalid_handle;
    event.moment = {stream, stream->issued};
    event.asked = false;
    return success;
  });
}

API int cuEventSynchronize(Handle handle) {
  return call("cuEventSynchronize", context, acts, [&]() -> int {
    const Moment moment = live(driver.events, handle, "event").moment;
    if (moment.stream != nullptr) run_until(*moment.stream, moment.sequence);
    return success;
  });
}

// Not ready when first asked, and the next time it is: whoever asks again and again gets on.
API int cuEventQuery(Handle handle) {
  return call("cuEventQuery", context, acts, [&]() -> int {
    Event& event = live(driver.events, handle, "event");
    if (event.moment.stream == nullptr || event.moment.stream->done >= event.moment.sequence) return success;
    if (!event.asked) {
      event.asked = true;
      return not_ready;
    }
    const Moment moment = event.moment;
    run_until(*moment.stream, moment.sequence);
    return success;
  });
}

// ---- memory

API int cuMemAlloc_v2(Pointer* pointer, size_t bytes) {
  return call("cuMemAlloc_v2", context, acts, [&]() -> int {
    if (pointer == nullptr || bytes == 0) return invalid_value;
    Device& device = driver.devices[current];
    const uint64_t rounded = (uint64_t{bytes} + granule - 1) / granule * granule;
    if (rounded < bytes || rounded > driver.settings.memory || device.used > driver.settings.memory - rounded) {
      return out_of_memory;
    }
    void* memory = reserve_memory(bytes);
    if (memory == nullptr) return out_of_memory;
    // New pages are zeros, and take no memory of the host until they are written.
    if (!driver.settings.dry) memset(memory, 0xff, bytes);
    const Pointer at = reinterpret_cast<Pointer>(memory);
    // What lay here before is gone for good.
    for (auto f = driver.freed.lower_bound(at); f != driver.freed.end() && f->first < at + bytes;) {
      f = driver.freed.erase(f);
    }
    const auto before = range_at(driver.freed, at);
    if (before != driver.freed.end() && before->first + before->second > at) before->second = at - before->first;
    driver.allocations[at] = {bytes, current};
    device.used += rounded;
    device.peak = std::max(device.peak, device.used);
    *pointer = at;
    return success;
  });
}

// Whether the real one waits for work that uses the memory is not documented for all versions.
API int cuMemFree_v2(Pointer pointer) {
  return call("cuMemFree_v2", context, releases, [&]() -> int {
    if (pointer == 0) return success;
    const auto found = driver.allocations.find(pointer);
    if (found == driver.allocations.end()) return invalid_value;
    const auto is_inside = [&](const void* at) {
      const Pointer address = reinterpret_cast<Pointer>(at);
      return address >= pointer && address - pointer < found->second.bytes;
    };
    for_each_stream(found->second.device, [&](const std::shared_ptr<Stream>& stream) {
      for (const Work& work : stream->queue) {
        bool uses = is_inside(work.to) || is_inside(work.from);
        for (size_t at = 0; work.kind == Work::launch && at + 8 <= work.argument.size(); at += 8) {
          const void* word;
          memcpy(&word, &work.argument[at], 8);
          uses = uses || is_inside(word);
        }
        if (uses) misuse("cuMemFree_v2: work that has not ended uses the memory");
      }
    });
    run_device(found->second.device);
    free_memory(found);
    return success;
  });
}

API int cuMemGetInfo_v2(size_t* free_bytes, size_t* total) {
  return call("cuMemGetInfo_v2", context, acts, [&]() -> int {
    if (free_bytes == nullptr || total == nullptr) return invalid_value;
    const uint64_t used = driver.devices[current].used;
    *total = driver.settings.memory;
    *free_bytes = used > driver.settings.memory ? 0 : driver.settings.memory - used;
    return success;
  });
}

API int cuMemHostAlloc(void** pointer, size_t bytes, unsigned flags) {
  return call("cuMemHostAlloc", context, acts, [&]() -> int {
    if (pointer == nullptr || bytes == 0 || flags > 7) return invalid_value;
    if (posix_memalign(pointer, 4096, bytes) != 0) return out_of_memory;
    memset(*pointer, 0xff, bytes);
    driver.pinned[reinterpret_cast<Pointer>(*pointer)] = {bytes, current};
    return success;
  });
}

API int cuMemFreeHost(void* pointer) {
  return call("cuMemFreeHost", context, releases, [&]() -> int {
    const auto found = driver.pinned.find(reinterpret_cast<Pointer>(pointer));
    if (found == driver.pinned.end()) return invalid_value;
    const char* begin = static_cast<const char*>(pointer);
    const char* end = begin + found->second.bytes;
    for (int device = 0; device < driver.settings.devices; device++) {
      for_each_stream(device, [&](const std::shared_ptr<Stream>& stream) {
        for (const Work& work : stream->queue) {
          if (work.kind != Work::copy) continue;
          for (const void* side : {static_cast<const void*>(work.to), work.from}) {
            if (side >= begin && side < end) misuse("cuMemFreeHost: a copy that has not ended uses the pinned memory");
          }
        }
      });
    }
    free(pointer);
    driver.pinned.erase(found);
    return success;
  });
}

API int cuMemcpyHtoDAsync_v2(Pointer to, const void* from, size_t bytes, Handle handle) {
  return call("cuMemcpyHtoDAsync_v2", context, acts, [&]() -> int {
    const std::shared_ptr<Stream> stream = stream_of(handle);
    if (bytes == 0) return success;
    need_device(to, bytes, stream->device, "destination");
    Work work{Work::copy};
    work.to = reinterpret_cast<void*>(to);
    work.bytes = bytes;
    driver.to_device += bytes;
    if (is_pinned(from, bytes)) {
      work.from = from;
    } else {
      // The driver reads pageable memory before it returns.
      work.argument.assign(static_cast<const char*>(from), static_cast<const char*>(from) + bytes);
      driver.staged += bytes;
    }
    enqueue(stream, std::move(work));
    return success;
  });
}

API int cuMemcpyDtoHAsync_v2(void* to, Pointer from, size_t bytes, Handle handle) {
  return call("cuMemcpyDtoHAsync_v2", context, acts, [&]() -> int {
    const std::shared_ptr<Stream> stream = stream_of(handle);
    if (bytes == 0) return success;
    need_device(from, bytes, stream->device, "source");
    Work work{Work::copy};
    work.to = to;
    work.from = reinterpret_cast<const void*>(from);
    work.bytes = bytes;
    work.to_host = true;
    driver.to_host += bytes;
    const bool pinned = is_pinned(to, bytes);
    enqueue(stream, std::move(work));
    if (!pinned) {
      // To pageable memory, the driver returns when the copy has ended.
      driver.staged += bytes;
      run_all(*stream);
    }
    return success;
  });
}

API int cuMemcpyDtoDAsync_v2(Pointer to, Pointer from, size_t bytes, Handle handle) {
  return call("cuMemcpyDtoDAsync_v2", context, acts, [&]() -> int {
    const std::shared_ptr<Stream> stream = stream_of(handle);
    if (bytes == 0) return success;
    need_device(to, bytes, stream->device, "destination");
    need_device(from, bytes, stream->device, "source");
    if (to < from + bytes && from < to + bytes) misuse("cuMemcpyDtoDAsync_v2: source and destination overlap");
    Work work{Work::copy};
    work.to = reinterpret_cast<void*>(to);
    work.from = reinterpret_cast<const void*>(from);
    work.bytes = bytes;
    driver.on_device += bytes;
    enqueue(stream, std::move(work));
    return success;
  });
}

API int cuMemsetD8Async(Pointer to, unsigned char value, size_t count, Handle handle) {
  return call("cuMemsetD8Async", context, acts, [&]() -> int {
    const std::shared_ptr<Stream> stream = stream_of(handle);
    if (count == 0) return success;
    need_device(to, count, stream->device, "destination");
    Work work{Work::set_bytes};
    work.to = reinterpret_cast<void*>(to);
    work.bytes = count;
    work.value = value;
    enqueue(stream, std::move(work));
    return success;
  });
}

API int cuMemsetD32Async(Pointer to, unsigned value, size_t count, Handle handle) {
  return call("cuMemsetD32Async", context, acts, [&]() -> int {
    const std::shared_ptr<Stream> stream = stream_of(handle);
    if (to % 4 != 0) return invalid_value;
    if (count == 0) return success;
    need_device(to, uint64_t{count} * 4, stream->device, "destination");
    Work work{Work::set_words};
    work.to = reinterpret_cast<void*>(to);
    work.bytes = uint64_t{count} * 4;
    work.value = value;
    enqueue(stream, std::move(work));
    return success;
  });
}

// ---- modules

namespace {

// Opens the library for each thread that runs blocks, since the block that runs is in its variables: where it is open
// already, as a copy.
bool open_programs(Module& module, std::string& problem) {
  for (int thread = 0; thread < driver.settings.threads; thread++) {
    std::string path = module.library;
    void* opened = dlopen(path.c_str(), RTLD_NOW | RTLD_NOLOAD);
    const bool copied = opened != nullptr;
    if (copied) {
      dlclose(opened);
      std::string content;
      path += ".XXXXXX";
      const int file = mkstemp(&path[0]);
      if (file >= 0) close(file);
      if (file < 0 || !read_file(module.library, content) || !write_file(path, content)) {
        problem = "no copy of " + module.library + " can be made";
        if (file >= 0) unlink(path.c_str());
        return false;
      }
    }
    opened = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (opened == nullptr) problem = dlerror();
    if (copied) unlink(path.c_str());
    if (opened == nullptr) return false;
    module.opened.push_back(opened);
    const auto* program = static_cast<const Program*>(dlsym(opened, "emulated_program"));
    if (program == nullptr || program->version != program_version) {
      problem = path + " was built for another emulator";
      return false;
    }
    module.programs.push_back(program);
  }
  return true;
}

}  // namespace

API int cuModuleLoadDataEx(Handle* handle, const void* image, unsigned count, const int* options, void** values) {
  return call("cuModuleLoadDataEx", context, acts, [&]() -> int {
    if (handle == nullptr || image == nullptr) return invalid_value;
    const auto refuse = [&](int code, const std::string& why) {
      char* buffer = nullptr;
      size_t bytes = 0;
      for (unsigned i = 0; i < count; i++) {
        if (options[i] == 5) buffer = static_cast<char*>(values[i]);          // CU_JIT_ERROR_LOG_BUFFER
        if (options[i] == 6) bytes = reinterpret_cast<uintptr_t>(values[i]);  // …_SIZE_BYTES
      }
      if (buffer != nullptr && bytes != 0) snprintf(buffer, bytes, "%s", why.c_str());
      return code;
    };
    ProgramText program;
    if (!read_program(static_cast<const char*>(image), program)) {
      return refuse(invalid_image, "not a program for the emulated driver");
    }
    if (program.real ? program.nvrtc / 1000 > driver.settings.driver / 1000 : program.nvrtc > driver.settings.driver) {
      return refuse(unsupported_ptx_version, "Unsupported .version; the driver is older than the compiler");
    }
    const int capability = driver.settings.capability, wanted = program.architecture;
    if (program.real ? wanted / 10 != capability / 10 || wanted > capability : wanted > capability) {
      return refuse(no_binary_for_gpu, "the program is for another architecture");
    }
    if (driver.settings.sanitize && dlsym(RTLD_DEFAULT, "__asan_init") == nullptr) {
      misuse("sanitize=1 needs AddressSanitizer in the process: LD_PRELOAD=$(g++ -print-file-name=libasan.so)");
    }
    std::string log;
    auto module = std::make_shared<Module>();
    module->device = current;
    module->library = build_program(program, driver.settings.sanitize, log);
    if (module->library.empty()) return refuse(invalid_ptx, log);
    if (!open_programs(*module, log)) {
      fprintf(stderr, "emulated CUDA: %s\n", log.c_str());
      return refuse(invalid_image, log);
    }
    *handle = give(driver.modules, std::move(module));
    return success;
  });
}

API int cuModuleUnload(Handle handle) {
  return call("cuModuleUnload", context, releases, [&]() -> int {
    const std::shared_ptr<Module> module = live(driver.modules, handle, "module");
    // What was launched of it is done first.
    run_device(module->device);
    for (auto f = driver.functions.begin(); f != driver.functions.end();) {
      f = f->second.module == module ? driver.functions.erase(f) : std::next(f);
    }
    driver.modules.erase(handle);
    return success;
  });
}

API int cuModuleGetFunction(Handle* handle, Handle module_handle, const char* name) {
  return call("cuModuleGetFunction", context, acts, [&]() -> int {
    if (handle == nullptr || name == nullptr) return invalid_value;
    const std::shared_ptr<Module>& module = live(driver.modules, module_handle, "module");
    const Program& program = *module->programs[0];
    for (const Kernel* const* kernel = program.first; kernel != program.last; kernel++) {
      if (strcmp((*kernel)->name, name) != 0) continue;
      const size_t index = static_cast<size_t>(kernel - program.first);
      for (const auto& [known, function] : driver.functions) {
        if (function.module == module && function.kernel == index) return *handle = known, success;
      }
      *handle = give(driver.functions, Function{module, index});
      return success;
    }
    return not_found;
  });
}

API int cuFuncSetAttribute(Handle handle, int attribute, int value) {
  return call("cuFuncSetAttribute", context, acts, [&]() -> int {
    Function& function = live(driver.functions, handle, "function");
    if (attribute == 9) return value >= -1 && value <= 100 ? success : invalid_value;  // the preferred carve-out
    if (attribute != 8) return invalid_value;                                          // MAX_DYNAMIC_SHARED_SIZE_BYTES
    if (value < 0 || value > opt_in_bytes(driver.settings.capability)) return invalid_value;
    function.dynamic_limit = static_cast<uint32_t>(value);
    return success;
  });
}

API int cuLaunchKernel(Handle handle, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
                       unsigned block_y, unsigned block_z, unsigned shared_bytes, Handle stream_handle,
                       void** arguments, void** extra) {
  return call("cuLaunchKernel", context, acts, [&]() -> int {
    const Function& function = live(driver.functions, handle, "function");
    const std::shared_ptr<Stream> stream = stream_of(stream_handle);
    const Kernel& kernel = *function.module->programs[0]->first[function.kernel];
    if (function.module->device != stream->device) return invalid_handle;
    if (grid_x == 0 || grid_y == 0 || grid_z == 0 || block_x == 0 || block_y == 0 || block_z == 0) return invalid_value;
    if (grid_x > 2147483647u || grid_y > 65535 || grid_z > 65535) return invalid_value;
    if (block_y != 1 || block_z != 1) misuse("cuLaunchKernel: %s: blocks of one dimension are emulated", kernel.name);
    if (block_x > maximal_threads || (kernel.bound != 0 && block_x > kernel.bound)) return invalid_value;
    if (shared_bytes > function.dynamic_limit) return invalid_value;
    if (kernel.argument_bytes > 4096) misuse("cuLaunchKernel: %s takes more than 4096 bytes of arguments", kernel.name);
    const void* argument = nullptr;
    if (extra != nullptr) {
      size_t bytes = 0;
      for (void** e = extra; *e != nullptr; e += 2) {
        if (*e == reinterpret_cast<void*>(1)) argument = e[1];
        if (*e == reinterpret_cast<void*>(2)) bytes = *static_cast<size_t*>(e[1]);
      }
      if (arguments != nullptr) return invalid_value;
      if (bytes != kernel.argument_bytes) {
        misuse("cuLaunchKernel: %s takes %zu bytes of arguments, and %zu are given", kernel.name, kernel.argument_bytes,
               bytes);
      }
    } else if (arguments != nullptr) {
      argument = arguments[0];
    }
    if (argument == nullptr) return invalid_value;
    Work work{Work::launch};
    work.argument.assign(static_cast<const char*>(argument),
                         static_cast<const char*>(argument) + kernel.argument_bytes);
    for (size_t at = 0; at + 8 <= kernel.argument_bytes; at += 8) {
      Pointer word;
      memcpy(&word, &work.argument[at], 8);
      if (is_in(driver.freed, word) && !is_in(driver.allocations, word)) {
        misuse("cuLaunchKernel: %s: at byte %zu of its argument is a pointer into memory that was freed", kernel.name,
               at);
      }
    }
    work.kernel = function.kernel;
    work.module = function.module;
    work.shape.grid[0] = grid_x;
    work.shape.grid[1] = grid_y;
    work.shape.grid[2] = grid_z;
    work.shape.threads = block_x;
    work.shape.shared_bytes = shared_bytes;
    driver.launches[kernel.name]++;
    enqueue(stream, std::move(work));
    return success;
  });
}

// ---- for the emulated cuBLASLt

// Counts a call, which fails if it is its turn or there is no current context.
API int emulated_cuda_call(const char* name, int is_release) {
  return call(name, context, is_release != 0 ? releases : acts, [] { return success; });
}

// Whether nothing is computed.
API int emulated_cuda_dry() {
  const std::lock_guard<std::recursive_mutex> lock(driver.mutex);
  return driver.settings.dry;
}

// Which products there are: 0 none, 1 none, but an algorithm is found for all, 2 those of float32 rounded to TF32, 3 those
// without bias, 4 all.
API int emulated_cuda_products() {
  const std::lock_guard<std::recursive_mutex> lock(driver.mutex);
  return driver.settings.products;
}

API void emulated_cuda_enqueue(Handle stream, void (*run)(void*), void* data, const char* name) {
  const std::lock_guard<std::recursive_mutex> lock(driver.mutex);
  call_name = name;
  if (current < 0) misuse("%s: there is no current context", name);
  Work work{Work::external};
  work.run = run;
  work.data = data;
  driver.launches[name]++;
  enqueue(stream_of(stream), std::move(work));
}

API void emulated_cuda_need_device(Pointer at, uint64_t bytes, const char* name, const char* role) {
  const std::lock_guard<std::recursive_mutex> lock(driver.mutex);
  call_name = name;
  if (current < 0) misuse("%s: there is no current context", name);
  need_device(at, bytes, current, role);
}

// ---- for tests

// 0, or 1 if there is no such setting.
API int emulated_cuda_control(const char* pairs) {
  const std::lock_guard<std::recursive_mutex> lock(driver.mutex);
  return read_settings(pairs, set) ? 0 : 1;
}

// A JSON text, good until the next call.
API const char* emulated_cuda_counts() {
  const std::lock_guard<std::recursive_mutex> lock(driver.mutex);
  const auto table = [](const std::map<std::string, uint64_t>& counts) {
    std::string text;
    for (const auto& [name, count] : counts) {
      text += (text.empty() ? "\"" : ",\"") + name + "\":" + std::to_string(count);
    }
    return "{" + text + "}";
  };
  uint64_t contexts = 0, used = 0, peak = 0;
  for (const Device& device : driver.devices) {
    contexts += device.retained > 0;
    used += device.used;
    peak += device.peak;
  }
  driver.report = "{\"calls\":" + table(driver.calls) + ",\"launches\":" + table(driver.launches) + ",\"bytes\":" +
                  table({{"toDevice", driver.to_device},
                         {"toHost", driver.to_host},
                         {"onDevice", driver.on_device},
                         {"staged", driver.staged}}) +
                  ",\"live\":" +
                  table({{"allocations", driver.allocations.size()},
                         {"streams", driver.streams.size()},
                         {"events", driver.events.size()},
                         {"modules", driver.modules.size()},
                         {"contexts", contexts},
                         {"pinned", driver.pinned.size()}}) +
                  ",\"abandoned\":" + std::to_string(driver.abandoned) + ",\"usedBytes\":" + std::to_string(used) +
                  ",\"peakBytes\":" + std::to_string(peak) + "}";
  return driver.report.c_str();
}
