// The memory of the processor, which the caller can read in place; threads, and the instructions that kernels use.
#include <sys/mman.h>

#include <cstring>

#include "binding.h"
#include "threads.h"
#include "vector.h"

namespace kasosei {
namespace {

char* reserve(int64_t bytes) {
  void* start = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (start == MAP_FAILED) return nullptr;
#if defined(MADV_HUGEPAGE)
  // Fewer page-table entries to look up; if the system refuses, everything still works.
  madvise(start, bytes, MADV_HUGEPAGE);
#endif
  return static_cast<char*>(start);
}

OutOfMemory none_left(int64_t bytes) {
  return OutOfMemory("out of memory for tensors: the system has no " + std::to_string(bytes) + " bytes more");
}

// Address space, of which untouched pages take no memory.
constexpr int64_t region_bytes = int64_t{1} << 30;

}  // namespace

// Regions are never given back, since the caller may still see them.
Heap heap({region_bytes, reserve, nullptr, none_left});

void content_changes(const void*) {}
void call_ended() {}

void write_bytes(void* to, const void* from, int64_t bytes) { std::memcpy(to, from, bytes); }

namespace {

// region(handle): the ArrayBuffer of the region of memory that contains the tensor, which is never freed, and
// offset(handle): the offset of its first byte there. With them a tensor can be read without a copy.
napi_value region(napi_env env, napi_callback_info info) {
  return guarded(env, [&]() -> napi_value {
    const auto [handle] = arguments_of<1>(env, info);
    const Allocation& allocation = heap.find(Argument<int64_t>::from(env, handle));
    const Heap::Region& found = heap.region(allocation.region);
    napi_value buffer;
    check(napi_create_external_arraybuffer(env, found.start, found.bytes, nullptr, nullptr, &buffer),
          "a runtime that can share external memory");
    return buffer;
  });
}
EXPORT_AS_IS(region, "region")

int64_t region_of(int64_t handle) { return heap.find(handle).region; }
EXPORT(region_of, "regionOf")

int64_t offset(int64_t handle) {
  const Allocation& allocation = heap.find(handle);
  return allocation.data - allocation.region_start;
}
EXPORT(offset, "offset")

void set_threads(int64_t count) {
  expect(count >= 1 && count <= 1024, "expected 1 to 1024 threads");
  set_thread_count(static_cast<int>(count));
}
EXPORT(set_threads, "setThreads")

napi_value instruction_set(napi_env env, napi_callback_info) { return to_value(env, std::string(instructions)); }
EXPORT_AS_IS(instruction_set, "instructions")

}  // namespace
}  // namespace kasosei
