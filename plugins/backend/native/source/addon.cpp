// What the addon exports: memory by handles, threads, and the table of kernels.
#include "binding.h"
#include "kernels.h"
#include "threads.h"

#include <cstring>

namespace native {

Heap heap;

namespace {

int64_t allocate(int64_t type, int64_t size) {
  expect(type <= static_cast<int64_t>(Type::bool8), "a type of numbers");
  return heap.allocate(static_cast<Type>(type), size);
}
void release(int64_t handle) { heap.release(handle); }
double bytes_in_use() { return static_cast<double>(heap.bytes_in_use()); }

void set_threads(int64_t count) {
  expect(count >= 1 && count <= 1024, "1 to 1024 threads");
  set_thread_count(static_cast<int>(count));
}

// write(handle, values): a typed array of as many bytes.
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
    expect(fits && static_cast<int64_t>(length) == to.size, "as many numbers of the tensor's type were expected");
    std::memcpy(to.data, data, length * bytes_of(to.type));
    return nullptr;
  });
}

// region(handle): the ArrayBuffer of the region of memory that the tensor lies in, which is never freed, and
// offset(handle): that of its first byte there. So a tensor can be read without a copy.
napi_value region(napi_env env, napi_callback_info info) {
  return guarded(env, [&]() -> napi_value {
    size_t count = 1;
    napi_value argument, buffer;
    check(napi_get_cb_info(env, info, &count, &argument, nullptr, nullptr), "a call");
    const Allocation& allocation = heap.find(Argument<int64_t>::from(env, argument));
    const Heap::Region& found = heap.region(allocation.region);
    check(napi_create_external_arraybuffer(env, found.start, found.bytes, nullptr, nullptr, &buffer),
          "a runtime that can look at foreign memory");
    return buffer;
  });
}
int64_t region_of(int64_t handle) { return heap.find(handle).region; }
int64_t offset(int64_t handle) {
  const Allocation& allocation = heap.find(handle);
  return allocation.data - allocation.region_start;
}

napi_value instruction_set(napi_env env, napi_callback_info) {
  napi_value text;
  napi_create_string_utf8(env, instructions, NAPI_AUTO_LENGTH, &text);
  return text;
}

napi_value initialise(napi_env env, napi_value exports) {
  bind<allocate>(env, exports, "allocate");
  bind<release>(env, exports, "release");
  bind<bytes_in_use>(env, exports, "bytesInUse");
  bind<set_threads>(env, exports, "setThreads");
  bind<region_of>(env, exports, "regionOf");
  bind<offset>(env, exports, "offset");
  define(env, exports, "write", write);
  define(env, exports, "region", region);
  define(env, exports, "instructions", instruction_set);

  bind<matmul>(env, exports, "matmul");
  bind<linear>(env, exports, "linear");
  bind<linear_gelu>(env, exports, "linearGelu");
  bind<linear_input_gradient>(env, exports, "linearInputGradient");
  bind<linear_parameter_gradients>(env, exports, "linearParameterGradients");
  bind<add>(env, exports, "add");
  bind<subtract>(env, exports, "subtract");
  bind<multiply_elements>(env, exports, "multiply");
  bind<fill>(env, exports, "fill");
  bind<dropout>(env, exports, "dropout");
  bind<transpose_matrix>(env, exports, "transpose");
  bind<layer_norm>(env, exports, "layerNorm");
  bind<residual_norm>(env, exports, "residualNorm");
  bind<layer_norm_input_gradient>(env, exports, "layerNormInputGradient");
  bind<layer_norm_parameter_gradients>(env, exports, "layerNormParameterGradients");
  bind<attention>(env, exports, "attention");
  bind<attention_gradient>(env, exports, "attentionGradient");
  bind<softmax_cross_entropy>(env, exports, "softmaxCrossEntropy");
  bind<info_nce>(env, exports, "infoNCE");
  bind<gather_rows>(env, exports, "gatherRows");
  bind<sum_into_rows>(env, exports, "sumIntoRows");
  bind<spread_rows>(env, exports, "spreadRows");
  bind<sum_of_squares>(env, exports, "sumOfSquares");
  bind<adamw>(env, exports, "adamw");
  bind<adamw_rows>(env, exports, "adamwRows");
  bind<mark_active_rows>(env, exports, "markActiveRows");
  bind<gram_by_tokens>(env, exports, "gramByTokens");
  bind<gram_directly>(env, exports, "gramDirectly");
  bind<gram_of_sums>(env, exports, "gramOfSums");
  return exports;
}

}  // namespace
}  // namespace native

extern "C" __attribute__((visibility("default"))) napi_value napi_register_module_v1(napi_env env, napi_value exports) {
  return native::initialise(env, exports);
}
