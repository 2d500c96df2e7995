// What every addon exports: memory behind handles, and the functions that are bound in their own files.
#include "binding.h"
#include "memory.h"

namespace kasosei {

const Binding* Binding::first = nullptr;

namespace {

int64_t allocate(int64_t type, int64_t size) {
  expect(type <= static_cast<int64_t>(Type::float64), "expected the type float32, int32, bool or float64");
  return heap.allocate(static_cast<Type>(type), size);
}
EXPORT(allocate, "allocate")

void release(int64_t handle) {
  content_changes(heap.find(handle).data);
  heap.release(handle);
}
EXPORT(release, "release")

double bytes_in_use() { return static_cast<double>(heap.bytes_in_use()); }
EXPORT(bytes_in_use, "bytesInUse")

// write(handle, values): values is a typed array of the tensor's type and size.
napi_value write(napi_env env, napi_callback_info info) {
  return guarded(env, [&]() -> napi_value {
    const auto [handle, values] = arguments_of<2>(env, info);
    const Allocation& to = heap.find(Argument<int64_t>::from(env, handle));
    content_changes(to.data);
    write_bytes(to.data, bytes_of(env, values, to), to.size * bytes_of(to.type));
    return nullptr;
  });
}
EXPORT_AS_IS(write, "write")

}  // namespace
}  // namespace kasosei

extern "C" __attribute__((visibility("default"))) napi_value napi_register_module_v1(napi_env env, napi_value exports) {
  for (const kasosei::Binding* binding = kasosei::Binding::first; binding != nullptr; binding = binding->next)
    kasosei::define(env, exports, binding->name, binding->callback);
  return exports;
}
