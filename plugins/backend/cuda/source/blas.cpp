#include "blas.h"

#include <dlfcn.h>

#include <array>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>

#include "device.h"

namespace kasosei {
namespace {

// The interface of cublasLt.h, as far as it is used. Its numbers and layouts are the same in all versions since 11.
using Status = int;
constexpr Status success = 0, not_supported = 15;
using Handle = void*;
using Description = void*;
using Layout = void*;
using Preference = void*;

struct Algorithm {
  uint64_t data[8];
};
struct Choice {
  Algorithm algorithm;
  size_t workspace;
  Status status;
  float waves;
  int reserved[4];
};

enum DataType : int { float32_data = 0, bfloat16_data = 14 };
enum ComputeType : int { float32_sums = 68, float32_sums_of_tf32 = 77 };
enum DescriptionAttribute : int { transpose_a = 3, transpose_b = 4, epilogue_kind = 7, bias_pointer = 8 };
enum LayoutAttribute : int { batch_count = 5, batch_step = 6 };
enum PreferenceAttribute : int { most_workspace = 1, reduction_schemes = 3, alignment_a = 5 };
constexpr int32_t transposed = 1, bias_epilogue = 4;
// Sums over k that are divided: parts are added in a fixed order if they are kept in the workspace; in place (1), the
// order is that in which the blocks end.
constexpr uint32_t schemes_of_fixed_order = 2 | 4;
constexpr uint64_t largest_workspace = uint64_t{32} << 20;

std::string name_of(Status status) {
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

void check(Status status, const char* call, const char* what) {
  if (status != success)
    throw std::runtime_error(std::string(call) + " failed for " + what + ": " + name_of(status));
}

class Library {
 public:
  explicit Library(const char* path) : file(dlopen(path, RTLD_NOW | RTLD_LOCAL)) {
    if (file == nullptr) throw std::runtime_error(dlerror());
    try {
      find(get_version, "cublasLtGetVersion");
      find(create, "cublasLtCreate");
      find(destroy, "cublasLtDestroy");
      find(create_description, "cublasLtMatmulDescCreate");
      find(destroy_description, "cublasLtMatmulDescDestroy");
      find(set_description, "cublasLtMatmulDescSetAttribute");
      find(create_layout, "cublasLtMatrixLayoutCreate");
      find(destroy_layout, "cublasLtMatrixLayoutDestroy");
      find(set_layout, "cublasLtMatrixLayoutSetAttribute");
      find(create_preference, "cublasLtMatmulPreferenceCreate");
      find(destroy_preference, "cublasLtMatmulPreferenceDestroy");
      find(set_preference, "cublasLtMatmulPreferenceSetAttribute");
      find(choose, "cublasLtMatmulAlgoGetHeuristic");
      find(multiply, "cublasLtMatmul");
      check(create(&handle), "cublasLtCreate", path);
    } catch (...) {
      dlclose(file);
      throw;
    }
  }
  // The library stays loaded: it may have threads and hooks at the end of the process.
  ~Library() { destroy(handle); }
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;

  Handle handle = nullptr;
  size_t (*get_version)();
  Status (*create)(Handle*);
  Status (*destroy)(Handle);
  Status (*create_description)(Description*, ComputeType, DataType);
  Status (*destroy_description)(Description);
  Status (*set_description)(Description, DescriptionAttribute, const void*, size_t);
  Status (*create_layout)(Layout*, DataType, uint64_t rows, uint64_t columns, int64_t stride);
  Status (*destroy_layout)(Layout);
  Status (*set_layout)(Layout, LayoutAttribute, const void*, size_t);
  Status (*create_preference)(Preference*);
  Status (*destroy_preference)(Preference);
  Status (*set_preference)(Preference, PreferenceAttribute, const void*, size_t);
  Status (*choose)(Handle, Description, Layout a, Layout b, Layout c, Layout d, Preference, int wanted, Choice*,
                   int* found);
  Status (*multiply)(Handle, Description, const void* alpha, const void* a, Layout, const void* b, Layout,
                     const void* beta, const void* c, Layout, void* d, Layout, const Algorithm*, void* workspace,
                     size_t bytes, void* stream);

 private:
  void* file;
  template <typename Function>
  void find(Function& function, const char* name) {
    function = reinterpret_cast<Function>(dlsym(file, name));
    if (function == nullptr) throw std::runtime_error(dlerror());
  }
};

std::optional<Library> library;

// An object of the library, destroyed with its owner.
template <Status (*Library::*destroy)(void*)>
class Owned {
 public:
  Owned() = default;
  ~Owned() {
    if (object != nullptr) (*library.*destroy)(object);
  }
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;
  void* object = nullptr;
};

// How a product is computed. The library's matrices are column after column: it computes Cᵀ = op(B)ᵀ op(A)ᵀ, whose rows
// are our columns, so that its bias, one number a row, is ours.
struct Plan {
  Owned<&Library::destroy_description> description;
  Owned<&Library::destroy_layout> a, b, c;
  // None if the library has no algorithm.
  bool found = false;
  bool with_bias = false;
  Algorithm algorithm;
  size_t workspace = 0;
};

// What an algorithm is chosen by.
using Key = std::array<int64_t, 16>;
std::map<Key, Plan> plans;
// Lengths of texts make many shapes. Plans are made anew, and the same, when there are more.
constexpr size_t most_plans = 4096;

const void* data_of(const Factor& x, Precision precision) {
  return precision == Precision::bfloat16 ? static_cast<const void*>(x.rounded) : x.data;
}

// The largest power of two up to 16 that divides an address.
uint32_t alignment_of(const void* address) {
  const uintptr_t bits = reinterpret_cast<uintptr_t>(address) | 16;
  return static_cast<uint32_t>(bits & -bits);
}

Key key_of(const Product& p) {
  const auto packed = [](const void* address) { return static_cast<int64_t>(alignment_of(address)); };
  const int64_t alignments = packed(data_of(p.a, p.precision)) | packed(data_of(p.b, p.precision)) << 8 |
                             packed(p.c) << 16 | (p.bias == nullptr ? 0 : packed(p.bias) << 24);
  const int64_t flags = static_cast<int64_t>(p.precision) << 2 | p.a.transposed << 1 | p.b.transposed;
  return {p.m, p.n, p.k, p.batch, p.a.stride, p.b.stride, p.stride, p.a.step, p.b.step, p.step, flags, alignments};
}

template <typename Value>
void set_epilogue(Plan& plan, DescriptionAttribute attribute, Value value, const Product& p) {
  check(library->set_description(plan.description.object, attribute, &value, sizeof value),
        "cublasLtMatmulDescSetAttribute", in_words(p).c_str());
}

void describe(Plan& plan, const Product& p) {
  const std::string words = in_words(p);
  const DataType data = p.precision == Precision::bfloat16 ? bfloat16_data : float32_data;
  const ComputeType compute = p.precision == Precision::tensor_float32 ? float32_sums_of_tf32 : float32_sums;
  const auto layout = [&](void*& object, DataType type, int64_t rows, int64_t columns, int64_t stride, int64_t step) {
    check(library->create_layout(&object, type, rows, columns, stride), "cublasLtMatrixLayoutCreate", words.c_str());
    if (p.batch == 1) return;
    const int32_t count = static_cast<int32_t>(p.batch);
    check(library->set_layout(object, batch_count, &count, sizeof count), "cublasLtMatrixLayoutSetAttribute",
          words.c_str());
    check(library->set_layout(object, batch_step, &step, sizeof step), "cublasLtMatrixLayoutSetAttribute",
          words.c_str());
  };
  // A matrix in memory, row after row, is its transpose, column after column.
  const auto factor = [&](void*& object, int64_t rows, int64_t columns, const Factor& x) {
    layout(object, data, x.transposed ? rows : columns, x.transposed ? columns : rows, x.stride, x.step);
  };
  check(library->create_description(&plan.description.object, compute, float32_data), "cublasLtMatmulDescCreate",
        words.c_str());
  if (p.b.transposed) set_epilogue(plan, transpose_a, transposed, p);
  if (p.a.transposed) set_epilogue(plan, transpose_b, transposed, p);
  factor(plan.a.object, p.k, p.n, p.b);
  factor(plan.b.object, p.m, p.k, p.a);
  layout(plan.c.object, float32_data, p.n, p.m, p.stride, p.step);
}

// Chooses the algorithm that the library takes for the best, for the plan's description.
void choose(Plan& plan, const Product& p) {
  const std::string words = in_words(p);
  Owned<&Library::destroy_preference> preference;
  check(library->create_preference(&preference.object), "cublasLtMatmulPreferenceCreate", words.c_str());
  const auto prefer = [&](int attribute, auto value) {
    check(library->set_preference(preference.object, static_cast<PreferenceAttribute>(attribute), &value, sizeof value),
          "cublasLtMatmulPreferenceSetAttribute", words.c_str());
  };
  prefer(most_workspace, largest_workspace);
  prefer(reduction_schemes, schemes_of_fixed_order);
  // Of A, B, C and D.
  const void* addresses[] = {data_of(p.b, p.precision), data_of(p.a, p.precision), p.c, p.c};
  for (int i = 0; i < 4; i++) prefer(alignment_a + i, alignment_of(addresses[i]));
  Choice choice;
  int found = 0;
  const Status status = library->choose(library->handle, plan.description.object, plan.a.object, plan.b.object,
                                        plan.c.object, plan.c.object, preference.object, 1, &choice, &found);
  if (status == not_supported || (status == success && found == 0)) return;
  check(status, "cublasLtMatmulAlgoGetHeuristic", words.c_str());
  if (choice.status != success) return;
  plan.found = true;
  plan.algorithm = choice.algorithm;
  plan.workspace = choice.workspace;
}

const Plan& plan_for(const Product& p) {
  const Key key = key_of(p);
  const auto known = plans.find(key);
  if (known != plans.end()) return known->second;
  if (plans.size() == most_plans) plans.clear();
  Plan& plan = plans[key];
  try {
    describe(plan, p);
    if (p.bias != nullptr) {
      set_epilogue(plan, epilogue_kind, bias_epilogue, p);
      set_epilogue(plan, bias_pointer, p.bias, p);
      choose(plan, p);
      plan.with_bias = plan.found;
      if (!plan.found) set_epilogue(plan, epilogue_kind, int32_t{1}, p);
    }
    if (!plan.found) choose(plan, p);
  } catch (...) {
    plans.erase(key);
    throw;
  }
  return plan;
}

}  // namespace

void open_blas(const char* path) {
  close_blas();
  library.emplace(path);
}

void close_blas() {
  plans.clear();
  library.reset();
}

int64_t blas_version() { return library ? static_cast<int64_t>(library->get_version()) : 0; }

bool multiply_by_blas(const Product& p, bool& with_bias) {
  if (!library) return false;
  const Plan& plan = plan_for(p);
  if (!plan.found) return false;
  with_bias = plan.with_bias;
  if (with_bias) {
    check(library->set_description(plan.description.object, bias_pointer, &p.bias, sizeof p.bias),
          "cublasLtMatmulDescSetAttribute", "a bias");
  }
  std::optional<Scratch> workspace;
  if (plan.workspace > 0) workspace.emplace(plan.workspace);
  const float one = 1, beta = p.add ? 1 : 0;
  const Status status = library->multiply(
      library->handle, plan.description.object, &one, data_of(p.b, p.precision), plan.a.object,
      data_of(p.a, p.precision), plan.b.object, &beta, p.c, plan.c.object, p.c, plan.c.object, &plan.algorithm,
      workspace ? workspace->as<void>() : nullptr, plan.workspace, stream());
  if (status != success) check(status, "cublasLtMatmul", in_words(p).c_str());
  return true;
}

}  // namespace kasosei
