#include "blas.h"

#include <array>
#include <cmath>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "binding.h"
#include "cublaslt-functions.h"
#include "device.h"
#include "driver.h"
#include "library.h"

namespace kasosei {
namespace {

using namespace cublaslt;

constexpr uint64_t largest_workspace = uint64_t{32} << 20;

struct Library : Functions {
  LibraryHandle handle = nullptr;
};
// Not destroyed at the end of the process: the driver may have ended before.
const Library* library = nullptr;

// By their numbers.
std::string status_in_words(int status) {
  const char* name = [&] {
    switch (status) {
      case 1: return "CUBLAS_STATUS_NOT_INITIALIZED";
      case 3: return "CUBLAS_STATUS_ALLOC_FAILED";
      case 7: return "CUBLAS_STATUS_INVALID_VALUE";
      case 8: return "CUBLAS_STATUS_ARCH_MISMATCH";
      case 11: return "CUBLAS_STATUS_MAPPING_ERROR";
      case 13: return "CUBLAS_STATUS_EXECUTION_FAILED";
      case 14: return "CUBLAS_STATUS_INTERNAL_ERROR";
      case 15: return "CUBLAS_STATUS_NOT_SUPPORTED";
      case 16: return "CUBLAS_STATUS_LICENSE_ERROR";
      default: return "status";
    }
  }();
  return std::string(name) + " (" + std::to_string(status) + ")";
}

std::string in_words(const Product& p) {
  const char* precisions[] = {"float32", "tf32", "bfloat16"};
  const auto factor = [](int64_t rows, int64_t columns, const Factor& x) {
    return "[" + std::to_string(rows) + ", " + std::to_string(columns) + "]" + (x.transposed ? ", transposed" : "");
  };
  return std::string("a ") + precisions[static_cast<int>(p.precision)] + " product of " + factor(p.m, p.k, p.a) +
         " and " + factor(p.k, p.n, p.b) + (p.batch == 1 ? "" : ", " + std::to_string(p.batch) + " times");
}

DeviceFailure failure(const std::string& doing, int status) {
  return DeviceFailure(doing + ": " + status_in_words(status),
                       status == allocation_failed ? "OUT_OF_MEMORY" : "DEVICE_FAILURE");
}

void require(int status, const char* call, const Product& p) {
  if (status != succeeded) throw failure(std::string(call) + " failed for " + in_words(p), status);
}

// An object of the library.
template <int (*Functions::*destroy)(void*)>
struct Owned {
  void* object = nullptr;
  Owned() = default;
  ~Owned() {
    if (object != nullptr) (library->*destroy)(object);
  }
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;
};

// How a product is computed. The library's matrices are column after column: it computes Cᵀ = op(B)ᵀ op(A)ᵀ, whose rows
// are our columns, so that its bias, one number a row, is ours.
struct Plan {
  Owned<&Functions::cublasLtMatmulDescDestroy> description;
  Owned<&Functions::cublasLtMatrixLayoutDestroy> a, b, c;
  // Whether the library has an algorithm, and one that adds the bias.
  bool found = false, with_bias = false;
  Algorithm algorithm;
  size_t workspace = 0;
};

// What an algorithm is chosen by.
using Key = std::array<int64_t, 12>;
auto& plans = *new std::map<Key, Plan>;
// Lengths of texts make many shapes. If there are more, plans are made anew, and will be the same.
constexpr size_t most_plans = 4096;

const void* data_of(const Factor& x, Precision precision) {
  return precision == Precision::bfloat16 ? static_cast<const void*>(x.rounded) : x.data;
}

// The largest power of two up to 256 that divides an address.
uint32_t alignment_of(const void* address) {
  const uintptr_t bits = reinterpret_cast<uintptr_t>(address) | 256;
  return static_cast<uint32_t>(bits & -bits);
}

Key key_of(const Product& p) {
  const auto packed = [](const void* address) { return static_cast<int64_t>(alignment_of(address)); };
  const int64_t alignments = packed(data_of(p.a, p.precision)) | packed(data_of(p.b, p.precision)) << 9 |
                             packed(p.c) << 18 | (p.bias == nullptr ? 0 : packed(p.bias) << 27);
  const int64_t flags = static_cast<int64_t>(p.precision) << 2 | p.a.transposed << 1 | p.b.transposed;
  return {p.m, p.n, p.k, p.batch, p.a.stride, p.b.stride, p.stride, p.a.step, p.b.step, p.step, flags, alignments};
}

template <typename Value>
void describe(const Plan& plan, DescriptionAttribute attribute, Value value, const Product& p) {
  require(library->cublasLtMatmulDescSetAttribute(plan.description.object, attribute, &value, sizeof value),
          "cublasLtMatmulDescSetAttribute", p);
}

Layout layout_of(DataType type, int64_t rows, int64_t columns, int64_t stride, int64_t step, const Product& p) {
  Layout layout = nullptr;
  require(library->cublasLtMatrixLayoutCreate(&layout, type, rows, columns, stride), "cublasLtMatrixLayoutCreate", p);
  if (p.batch == 1) return layout;
  const int32_t count = static_cast<int32_t>(p.batch);
  const auto set = [&](LayoutAttribute attribute, const auto& value) {
    return library->cublasLtMatrixLayoutSetAttribute(layout, attribute, &value, sizeof value);
  };
  const int first = set(batch_count, count), status = first == succeeded ? set(batch_step, step) : first;
  if (status != succeeded) library->cublasLtMatrixLayoutDestroy(layout);
  require(status, "cublasLtMatrixLayoutSetAttribute", p);
  return layout;
}

// Of a factor [rows, columns]: a matrix in memory, row after row, is its transpose, column after column.
Layout layout_of(const Factor& x, int64_t rows, int64_t columns, const Product& p) {
  const DataType type = p.precision == Precision::bfloat16 ? bfloat16_data : float32_data;
  return layout_of(type, x.transposed ? rows : columns, x.transposed ? columns : rows, x.stride, x.step, p);
}

// The library's first choice, if it has one.
void choose(Plan& plan, const Product& p) {
  Owned<&Functions::cublasLtMatmulPreferenceDestroy> preference;
  require(library->cublasLtMatmulPreferenceCreate(&preference.object), "cublasLtMatmulPreferenceCreate", p);
  const auto prefer = [&](int attribute, auto value) {
    require(library->cublasLtMatmulPreferenceSetAttribute(
                preference.object, static_cast<PreferenceAttribute>(attribute), &value, sizeof value),
            "cublasLtMatmulPreferenceSetAttribute", p);
  };
  prefer(most_workspace, largest_workspace);
  prefer(reduction_schemes, schemes_of_fixed_order);
  // Of the library's A, B, C and D.
  const void* addresses[] = {data_of(p.b, p.precision), data_of(p.a, p.precision), p.c, p.c};
  for (int i = 0; i < 4; i++) prefer(alignment_a + i, alignment_of(addresses[i]));
  Choice choice;
  int found = 0;
  const int status = library->cublasLtMatmulAlgoGetHeuristic(library->handle, plan.description.object, plan.a.object,
                                                             plan.b.object, plan.c.object, plan.c.object,
                                                             preference.object, 1, &choice, &found);
  // Versions differ in how they say that they have none.
  if (status == not_supported || status == invalid_value || status == arch_mismatch) return;
  require(status, "cublasLtMatmulAlgoGetHeuristic", p);
  if (found == 0) return;
  if (choice.status != succeeded) return;
  plan.found = true;
  plan.algorithm = choice.algorithm;
  plan.workspace = choice.workspace;
}

void make(Plan& plan, const Product& p) {
  const ComputeType compute = p.precision == Precision::tensor_float32 ? float32_sums_of_tf32 : float32_sums;
  require(library->cublasLtMatmulDescCreate(&plan.description.object, compute, float32_data),
          "cublasLtMatmulDescCreate", p);
  if (p.b.transposed) describe(plan, transpose_a, transposed, p);
  if (p.a.transposed) describe(plan, transpose_b, transposed, p);
  plan.a.object = layout_of(p.b, p.k, p.n, p);
  plan.b.object = layout_of(p.a, p.m, p.k, p);
  plan.c.object = layout_of(float32_data, p.n, p.m, p.stride, p.step, p);
  if (p.bias != nullptr) {
    describe(plan, epilogue_kind, bias_epilogue, p);
    describe(plan, bias_pointer, p.bias, p);
    choose(plan, p);
    plan.with_bias = plan.found;
    if (plan.found) return;
    describe(plan, epilogue_kind, no_epilogue, p);
  }
  choose(plan, p);
}

Plan& plan_for(const Product& p) {
  const Key key = key_of(p);
  const auto known = plans.find(key);
  if (known != plans.end()) return known->second;
  if (plans.size() == most_plans) plans.clear();
  Plan& plan = plans[key];
  try {
    make(plan, p);
  } catch (...) {
    plans.erase(key);
    throw;
  }
  return plan;
}

// Multiplies small matrices in each precision: a library that is older than the GPU may have no kernels for it, and tells
// only when one is launched. Throws DeviceFailure unless the products are right.
void try_out() {
  constexpr int64_t n = 64;
  // Exact in float32; rounded to TF32 or bfloat16, it is 1.
  const std::vector<float> numbers(n * n, 1 + 0x1p-12f);
  const std::vector<uint16_t> ones(n * n, 0x3f80);
  std::vector<float> results(n * n);
  const int64_t bytes = n * n * static_cast<int64_t>(sizeof(float));
  const Scratch x(bytes), rounded(bytes / 2), y(bytes);
  write_bytes(x.as<void>(), numbers.data(), bytes);
  write_bytes(rounded.as<void>(), ones.data(), bytes / 2);
  const Factor factor{.data = x.as<float>(), .stride = n, .rounded = rounded.as<uint16_t>()};
  for (const Precision precision : {Precision::float32, Precision::tensor_float32, Precision::bfloat16}) {
    const Product p{.m = n, .n = n, .k = n, .a = factor, .b = factor, .c = y.as<float>(), .stride = n,
                    .precision = precision};
    bool with_bias;
    if (!multiply_by_blas(p, with_bias)) throw DeviceFailure("it has no algorithm for " + in_words(p));
    download(results.data(), p.c, bytes);
    const float exact = n * numbers[0] * numbers[0], of_ones = n;
    const auto is_right = [&](float result) {
      const bool is_exact = std::abs(result - exact) < 0x1p-10f, is_rounded = result == of_ones;
      if (precision == Precision::float32) return is_exact;
      // What may be rounded to TF32 may also be exact.
      return is_rounded || (precision == Precision::tensor_float32 && is_exact);
    };
    for (const float result : results)
      if (!is_right(result))
        throw DeviceFailure("it computes " + in_words(p) + " wrongly: " + std::to_string(result) + " instead of " +
                            std::to_string(precision == Precision::float32 ? exact : of_ones));
  }
}

// blasVersion(library): as it numbers it. Uses no GPU.
napi_value blas_version(napi_env env, napi_callback_info info) {
  return guarded(env, [&]() -> napi_value {
    const auto [given] = arguments_of<1>(env, info);
    const std::string path = text_from(env, given);
    size_t (*version)() = nullptr;
    find_function(open_library(path), path, "cublasLtGetVersion", version);
    return to_value(env, static_cast<double>(version()));
  });
}
EXPORT_AS_IS(blas_version, "blasVersion")

// openBlas(library): products by it from now on, if it computes on this GPU. Its version.
napi_value open_blas(napi_env env, napi_callback_info info) {
  return guarded(env, [&]() -> napi_value {
    const auto [given] = arguments_of<1>(env, info);
    const std::string path = text_from(env, given);
    void* file = open_library(path);
    Library found;
#define KASOSEI_FIND(name, ...) find_function(file, path, #name, found.name);
    KASOSEI_CUBLASLT(KASOSEI_FIND)
#undef KASOSEI_FIND
    find_function(file, path, "cublasLtGetVersion", found.cublasLtGetVersion);
    const int status = found.cublasLtCreate(&found.handle);
    if (status != succeeded) throw failure("starting " + path, status);
    stop_blas();
    library = new Library(found);
    try {
      try_out();
      heap.give_back_regions();
    } catch (const DeviceFailure& error) {
      stop_blas();
      throw DeviceFailure("trying " + path + ": " + error.what(), error.code);
    } catch (...) {
      stop_blas();
      throw;
    }
    return to_value(env, static_cast<double>(library->cublasLtGetVersion()));
  });
}
EXPORT_AS_IS(open_blas, "openBlas")

}  // namespace

bool has_blas() { return library != nullptr; }

void stop_blas() {
  plans.clear();
  if (library == nullptr) return;
  library->cublasLtDestroy(library->handle);
  delete library;
  library = nullptr;
}

bool multiply_by_blas(const Product& p, bool& with_bias) {
  Plan& plan = plan_for(p);
  if (!plan.found) return false;
  with_bias = plan.with_bias;
  if (with_bias) describe(plan, bias_pointer, p.bias, p);
  std::optional<Scratch> workspace;
  if (plan.workspace > 0) workspace.emplace(static_cast<int64_t>(plan.workspace));
  const float one = 1, beta = p.add ? 1 : 0;
  const auto multiply = [&] {
    return library->cublasLtMatmul(library->handle, plan.description.object, &one, data_of(p.b, p.precision),
                                   plan.a.object, data_of(p.a, p.precision), plan.b.object, &beta, p.c, plan.c.object,
                                   p.c, plan.c.object, &plan.algorithm, workspace ? workspace->as<void>() : nullptr,
                                   plan.workspace, stream());
  };
  int status = multiply();
  // A kernel takes memory of its own when it is first used.
  if (status == allocation_failed && heap.give_back_regions()) status = multiply();
  if (status == not_supported || status == arch_mismatch) {
    // It refuses what it chose itself: for this product each time.
    plan.found = false;
    return false;
  }
  require(status, "cublasLtMatmul", p);
  work_queued();
  return true;
}

}  // namespace kasosei
