// The addon's exports: memory behind handles, threads, and the kernels, which are bound in their own files.
#include "binding.h"
#include "threads.h"
#include "vector.h"

#include <cstring>

namespace kasosei {

Heap heap;
const Binding* Binding::first = nullptr;

namespace {

int64_t allocate(int64_t type, int64_t size) {
  expect(type <= static_cast<int64_t>(Type::bool8), "expected the type float32, int32 or bool");
  return heap.allocate(static_cast<Type>(type), size);
}
EXPORT(allocate, "allocate")

void release(int64_t handle) { heap.release(handle); }
EXPORT(release, "release")

double bytes_in_use() { return static_cast<double>(heap.bytes_in_use()); }
EXPORT(bytes_in_use, "bytesInUse")

void set_threads(int64_t count) {
  expect(count >= 1 && count <= 1024, "expected 1 to 1024 threads");
  set_thread_count(static_cast<int>(count));
}
EXPORT(set_threads, "setThreads")

// write(handle, values): values is a typed array of the tensor's type and size.
napi_value write(napi_env env, napi_callback_info info) {
  return guarded(env, [&]() -> napi_value {
    size_t count = 2;
    napi_value values[2];
    check(napi_get_cb_info(env, info, &count, values, nullptr, nullptr), "a call");
    const Allocation& to = heap.find(Argument<int64_t>::from(env, values[0]));
    napi_typedarray_type type;
    size_t length;
    void* data;
    check(napi_get_typedarray_info(env, values[1], &type, &length, &data, nullptr, nullptr), "a typed array");
    const bool fits = to.type == Type::float32 ? type == napi_float32_array
                      : to.type == Type::int32 ? type == napi_int32_array
                                               : type == napi_uint8_array;
    expect(fits && static_cast<int64_t>(length) == to.size, "expected a typed array of the tensor's type and size");
    std::memcpy(to.data, data, length * bytes_of(to.type));
    return nullptr;
  });
}

// region(handle): the ArrayBuffer of the region of memory that contains the tensor, which is never freed, and
// offset(handle): the offset of its first byte there. With them a tensor can be read without a copy.
napi_value region(napi_env env, napi_callback_info info) {
  return guarded(env, [&]() -> napi_value {
    size_t count = 1;
    napi_value argument, buffer;
    check(napi_get_cb_info(env, info, &count, &argument, nullptr, nullptr), "a call");
    const Allocation& allocation = heap.find(Argument<int64_t>::from(env, argument));
    const Heap::Region& found = heap.region(allocation.region);
    check(napi_create_external_arraybuffer(env, found.start, found.bytes, nullptr, nullptr, &buffer),
          "a runtime that can share external memory");
    return buffer;
  });
}
int64_t region_of(int64_t handle) { return heap.find(handle).region; }
EXPORT(region_of, "regionOf")

int64_t offset(int64_t handle) {
  const Allocation& allocation = heap.find(handle);
  return allocation.data - allocation.region_start;
}
EXPORT(offset, "offset")

napi_value instruction_set(napi_env env, napi_callback_info) {
  napi_value text;
  napi_create_string_utf8(env, instructions, NAPI_AUTO_LENGTH, &text);
  return text;
}

napi_value initialise(napi_env env, napi_value exports) {
  define(env, exports, "write", write);
  define(env, exports, "region", region);
  define(env, exports, "instructions", instruction_set);
  for (const Binding* binding = Binding::first; binding != nullptr; binding = binding->next)
    define(env, exports, binding->name, binding->callback);
  return exports;
}

}  // namespace
}  // namespace kasosei

extern "C" __attribute__((visibility("default"))) napi_value napi_register_module_v1(napi_env env, napi_value exports) {
  return kasosei::initialise(env, exports);
}
