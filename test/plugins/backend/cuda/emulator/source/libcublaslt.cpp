// libcublasLt.so.12 for machines without a GPU: products on the processor, as work of a stream of the emulated driver,
// with sums in float32. What it takes is less than what the real one does: matrices in column order, float32 and
// bfloat16.
#include <dlfcn.h>
#include <unistd.h>

#include <algorithm>
#include <cinttypes>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <set>
#include <type_traits>
#include <vector>

#define API extern "C" __attribute__((visibility("default")))

namespace {

enum Status : int {
  success = 0,
  not_initialized = 1,
  alloc_failed = 3,
  invalid_value = 7,
  execution_failed = 13,
  not_supported = 15,
};

enum DataType : int { r_32f = 0, r_16bf = 14, same_type = -1 };
enum ComputeType : int { compute_32f = 68, compute_32f_pedantic = 69, compute_32f_fast_tf32 = 77 };
enum Epilogue : uint32_t { epilogue_default = 1, epilogue_bias = 4 };

constexpr uint64_t wanted_workspace = 1 << 20;

[[noreturn]] __attribute__((format(printf, 1, 2))) void misuse(const char* format, ...) {
  va_list list;
  va_start(list, format);
  fflush(stdout);
  fprintf(stderr, "emulated cuBLASLt: ");
  vfprintf(stderr, format, list);
  fprintf(stderr, "\n");
  fflush(stderr);
  _exit(86);
}

// What the emulated driver gives.
struct Driver {
  int (*call)(const char* name, int releases);
  int (*products)();
  int (*dry)();
  void (*enqueue)(uintptr_t stream, void (*run)(void*), void* data, const char* name);
  void (*need_device)(uint64_t at, uint64_t bytes, const char* name, const char* role);
  bool found;
};

const Driver& driver() {
  static const Driver d = [] {
    Driver own{};
    // Found by its name, if it is in the process.
    void* library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
    if (library == nullptr) return own;
    const auto find = [&](auto& to, const char* name) {
      to = reinterpret_cast<std::remove_reference_t<decltype(to)>>(dlsym(library, name));
    };
    find(own.call, "emulated_cuda_call");
    find(own.products, "emulated_cuda_products");
    find(own.dry, "emulated_cuda_dry");
    find(own.enqueue, "emulated_cuda_enqueue");
    find(own.need_device, "emulated_cuda_need_device");
    own.found = own.call != nullptr && own.products != nullptr && own.dry != nullptr && own.enqueue != nullptr &&
                own.need_device != nullptr;
    return own;
  }();
  return d;
}

struct Description {
  int compute = compute_32f, scale = r_32f, transposed_a = 0, transposed_b = 0, bias_type = same_type;
  uint32_t epilogue = epilogue_default;
  uint64_t bias = 0;
  int64_t bias_stride = 0;
};

struct Layout {
  int type = r_32f;
  uint64_t rows = 0, columns = 0;
  int64_t leading = 0, stride = 0;
  int32_t batch = 1;

  uint64_t element() const { return type == r_32f ? 4 : 2; }
  uint64_t bytes() const {
    return (static_cast<uint64_t>(batch - 1) * stride + (columns - 1) * leading + rows) * element();
  }
};

struct Preference {
  uint64_t workspace = 0;
  uint32_t alignment[4] = {256, 256, 256, 256};
};

struct Algorithm {
  uint64_t problem, workspace, alignment[4], unused[2];
};
static_assert(sizeof(Algorithm) == 64);

struct HeuristicResult {
  Algorithm algorithm;
  size_t workspace;
  int state;
  float waves;
  int reserved[4];
};

std::mutex& mutex = *new std::mutex;
template <class T>
std::set<T*>& living() {
  static std::set<T*>& objects = *new std::set<T*>;
  return objects;
}

// Of those that the driver is told to have.
enum Products : int { none, refused, rounded, plain, all };

// What the environment tells of TF32: it counts more than what the program does.
enum Override { as_told, never, always };

struct Context {
  Override tf32 = as_told;
};

template <class T>
T& live(T* object, const char* what) {
  const std::lock_guard<std::mutex> lock(mutex);
  if (living<T>().count(object) == 0) misuse("the %s %p is none, or was destroyed", what, static_cast<void*>(object));
  return *object;
}

template <class T>
T* make() {
  T* object = new T;
  const std::lock_guard<std::mutex> lock(mutex);
  living<T>().insert(object);
  return object;
}

template <class T>
int destroy(T* object, const char* name, const char* what) {
  if (object == nullptr) return success;
  live(object, what);
  const int failure = driver().found ? driver().call(name, 1) : 0;
  const std::lock_guard<std::mutex> lock(mutex);
  living<T>().erase(object);
  delete object;
  return failure == 0 ? success : execution_failed;
}

bool fails(const char* name) { return driver().found && driver().call(name, 0) != 0; }

template <class T>
int put(T& to, const void* from, size_t bytes) {
  if (from == nullptr || bytes != sizeof to) return invalid_value;
  memcpy(&to, from, bytes);
  return success;
}

bool is_type(int type) { return type == r_32f || type == r_16bf; }

// Whether a product can be made of these; its size in `size` as m, n, k.
int check(const Description& d, const Layout& a, const Layout& b, const Layout& c, const Layout& result,
          uint64_t (&size)[3]) {
  for (const Layout* l : {&a, &b, &c, &result}) {
    if (l->rows == 0 || l->columns == 0 || l->batch < 1 || l->leading < static_cast<int64_t>(l->rows)) {
      return invalid_value;
    }
    if (l->batch != result.batch) return invalid_value;
    if (l->batch > 1 && l->stride < 0) return invalid_value;
  }
  const uint64_t m = d.transposed_a ? a.columns : a.rows, k = d.transposed_a ? a.rows : a.columns;
  const uint64_t n = d.transposed_b ? b.rows : b.columns;
  if ((d.transposed_b ? b.columns : b.rows) != k || result.rows != m || result.columns != n || c.rows != m ||
      c.columns != n || c.type != result.type) {
    return invalid_value;
  }
  if (a.type != b.type || d.scale != r_32f) return not_supported;
  if (a.type == r_32f && result.type != r_32f) return not_supported;
  if (d.compute == compute_32f_fast_tf32 && a.type != r_32f) return not_supported;
  const int bias = d.bias_type == same_type ? result.type : d.bias_type;
  if (d.epilogue == epilogue_bias && bias != result.type) return not_supported;
  size[0] = m, size[1] = n, size[2] = k;
  return success;
}

uint64_t problem_of(const Description& d, const Layout& a, const Layout& b, const Layout& c, const Layout& result) {
  uint64_t hash = 0xcbf29ce484222325ull;
  const auto add = [&](uint64_t x) { hash = (hash ^ x) * 0x9e3779b97f4a7c15ull, hash ^= hash >> 29; };
  for (const int x : {d.compute, d.transposed_a, d.transposed_b, static_cast<int>(d.epilogue)}) add(x);
  for (const Layout* l : {&a, &b, &c, &result}) {
    for (const uint64_t x :
         {uint64_t(l->type), l->rows, l->columns, uint64_t(l->leading), uint64_t(l->stride), uint64_t(l->batch)}) {
      add(x);
    }
  }
  return hash;
}

float from_bf16(uint16_t bits) {
  const uint32_t word = uint32_t{bits} << 16;
  float x;
  memcpy(&x, &word, 4);
  return x;
}

uint16_t to_bf16(float x) {
  uint32_t bits;
  memcpy(&bits, &x, 4);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return 0x7fff;
  return static_cast<uint16_t>((bits + 0x7fffu + (bits >> 16 & 1)) >> 16);
}

float round_to_tf32(float x) {
  uint32_t bits;
  memcpy(&bits, &x, 4);
  if ((bits & 0x7f800000u) != 0x7f800000u) bits = (bits + 0x1000u) & 0xffffe000u;
  memcpy(&x, &bits, 4);
  return x;
}

constexpr uint64_t tile_m = 32, tile_n = 4;
typedef float Vector __attribute__((vector_size(32)));

struct Product {
  Description description;
  Layout a, b, c, d;
  uint64_t m, n, k;
  float alpha, beta;
  const char *a_at, *b_at, *c_at;
  char* d_at;
  char* workspace;
  uint64_t workspace_bytes;
};

float load(const char* base, int type, uint64_t i) {
  if (type == r_32f) {
    float x;
    memcpy(&x, base + i * 4, 4);
    return x;
  }
  uint16_t x;
  memcpy(&x, base + i * 2, 2);
  return from_bf16(x);
}

// op(x) of one batch as panels of `width` rows, [rows / width][depth][width], zeros beyond the end.
void pack(const Product& p, const Layout& l, const char* base, bool transposed, uint64_t rows, uint64_t width,
          std::vector<float>& to) {
  const uint64_t panels = (rows + width - 1) / width;
  to.assign(panels * width * p.k, 0.0f);
  for (uint64_t r = 0; r < rows; r++) {
    float* panel = &to[r / width * width * p.k + r % width];
    for (uint64_t q = 0; q < p.k; q++) {
      const uint64_t at = transposed ? r * l.leading + q : q * l.leading + r;
      const float x = load(base, l.type, at);
      panel[q * width] = p.description.compute == compute_32f_fast_tf32 ? round_to_tf32(x) : x;
    }
  }
}

void run(const Product& p) {
  if (p.workspace_bytes != 0) memset(p.workspace, 0xff, p.workspace_bytes);
  std::vector<float> a, b;
  for (int32_t batch = 0; batch < p.d.batch; batch++) {
    const auto base = [&](const char* at, const Layout& l) { return at + batch * l.stride * l.element(); };
    pack(p, p.a, base(p.a_at, p.a), p.description.transposed_a != 0, p.m, tile_m, a);
    pack(p, p.b, base(p.b_at, p.b), p.description.transposed_b == 0, p.n, tile_n, b);
    const char* before = base(p.c_at, p.c);
    char* result = p.d_at + batch * p.d.stride * p.d.element();
    const char* bias =
        reinterpret_cast<const char*>(p.description.bias) + batch * p.description.bias_stride * p.d.element();
    for (uint64_t j = 0; j < p.n; j += tile_n) {
      for (uint64_t i = 0; i < p.m; i += tile_m) {
        Vector sum[tile_n][tile_m / 8] = {};
        const float* left = &a[i * p.k];
        const float* right = &b[j * p.k];
        for (uint64_t q = 0; q < p.k; q++) {
          for (uint64_t v = 0; v < tile_m / 8; v++) {
            Vector x;
            memcpy(&x, left + q * tile_m + v * 8, sizeof x);
            for (uint64_t c = 0; c < tile_n; c++) sum[c][v] += x * right[q * tile_n + c];
          }
        }
        for (uint64_t c = 0; c < tile_n && j + c < p.n; c++) {
          for (uint64_t r = 0; r < tile_m && i + r < p.m; r++) {
            float x = p.alpha * sum[c][r / 8][r % 8];
            if (p.beta != 0) x += p.beta * load(before, p.c.type, (j + c) * p.c.leading + i + r);
            if (p.description.epilogue == epilogue_bias) x += load(bias, p.d.type, i + r);
            const uint64_t at = (j + c) * p.d.leading + i + r;
            if (p.d.type == r_32f) {
              memcpy(result + at * 4, &x, 4);
            } else {
              const uint16_t rounded = to_bf16(x);
              memcpy(result + at * 2, &rounded, 2);
            }
          }
        }
      }
    }
  }
}

}  // namespace

API size_t cublasLtGetVersion() { return 120400; }

API int cublasLtCreate(Context** handle) {
  if (handle == nullptr) return invalid_value;
  if (!driver().found || fails("cublasLtCreate")) return not_initialized;
  *handle = make<Context>();
  const char* const given = getenv("NVIDIA_TF32_OVERRIDE");
  (*handle)->tf32 = given == nullptr ? as_told : strcmp(given, "0") == 0 ? never : always;
  return success;
}

API int cublasLtDestroy(Context* handle) { return destroy(handle, "cublasLtDestroy", "handle"); }

API int cublasLtMatmulDescCreate(Description** handle, int compute, int scale) {
  if (handle == nullptr) return invalid_value;
  if (compute != compute_32f && compute != compute_32f_pedantic && compute != compute_32f_fast_tf32)
    return not_supported;
  if (fails("cublasLtMatmulDescCreate")) return alloc_failed;
  *handle = make<Description>();
  (*handle)->compute = compute;
  (*handle)->scale = scale;
  return success;
}

API int cublasLtMatmulDescDestroy(Description* handle) {
  return destroy(handle, "cublasLtMatmulDescDestroy", "operation's description");
}

API int cublasLtMatmulDescSetAttribute(Description* handle, int attribute, const void* value, size_t bytes) {
  Description& d = live(handle, "operation's description");
  int32_t number = 0;
  switch (attribute) {
    case 2:  // POINTER_MODE: the host's
      if (const int status = put(number, value, bytes)) return status;
      return number == 0 ? success : not_supported;
    case 3:
    case 4:  // TRANSA, TRANSB
      if (const int status = put(number, value, bytes)) return status;
      if (number < 0 || number > 1) return invalid_value;
      (attribute == 3 ? d.transposed_a : d.transposed_b) = number;
      return success;
    case 7: {  // EPILOGUE
      uint32_t epilogue = 0;
      if (const int status = put(epilogue, value, bytes)) return status;
      if (epilogue != epilogue_default && epilogue != epilogue_bias) return not_supported;
      d.epilogue = epilogue;
      return success;
    }
    case 8: return put(d.bias, value, bytes);          // BIAS_POINTER
    case 10: return put(d.bias_stride, value, bytes);  // BIAS_BATCH_STRIDE
    case 26:                                           // BIAS_DATA_TYPE
      if (const int status = put(number, value, bytes)) return status;
      d.bias_type = number;
      return is_type(number) || number == same_type ? success : not_supported;
    default: return not_supported;
  }
}

API int cublasLtMatrixLayoutCreate(Layout** handle, int type, uint64_t rows, uint64_t columns, int64_t leading) {
  if (handle == nullptr) return invalid_value;
  if (!is_type(type)) return not_supported;
  if (fails("cublasLtMatrixLayoutCreate")) return alloc_failed;
  *handle = make<Layout>();
  (*handle)->type = type;
  (*handle)->rows = rows;
  (*handle)->columns = columns;
  (*handle)->leading = leading;
  return success;
}

API int cublasLtMatrixLayoutDestroy(Layout* handle) {
  return destroy(handle, "cublasLtMatrixLayoutDestroy", "matrix's layout");
}

API int cublasLtMatrixLayoutSetAttribute(Layout* handle, int attribute, const void* value, size_t bytes) {
  Layout& l = live(handle, "matrix's layout");
  switch (attribute) {
    case 1: {  // ORDER: by columns
      int32_t order = 0;
      if (const int status = put(order, value, bytes)) return status;
      return order == 0 ? success : not_supported;
    }
    case 2: return put(l.rows, value, bytes);     // ROWS
    case 3: return put(l.columns, value, bytes);  // COLS
    case 4: return put(l.leading, value, bytes);  // LD
    case 5: return put(l.batch, value, bytes);    // BATCH_COUNT
    case 6: return put(l.stride, value, bytes);   // STRIDED_BATCH_OFFSET, elements
    default: return not_supported;
  }
}

API int cublasLtMatmulPreferenceCreate(Preference** handle) {
  if (handle == nullptr) return invalid_value;
  if (fails("cublasLtMatmulPreferenceCreate")) return alloc_failed;
  *handle = make<Preference>();
  return success;
}

API int cublasLtMatmulPreferenceDestroy(Preference* handle) {
  return destroy(handle, "cublasLtMatmulPreferenceDestroy", "preference");
}

API int cublasLtMatmulPreferenceSetAttribute(Preference* handle, int attribute, const void* value, size_t bytes) {
  Preference& p = live(handle, "preference");
  uint32_t number = 0;
  switch (attribute) {
    case 1: return put(p.workspace, value, bytes);  // MAX_WORKSPACE_BYTES
    case 3: return put(number, value, bytes);       // REDUCTION_SCHEME_MASK: there is one algorithm, without splits
    case 5:
    case 6:
    case 7:
    case 8:  // MIN_ALIGNMENT_A_BYTES, B, C, D
      return put(p.alignment[attribute - 5], value, bytes);
    default: return not_supported;
  }
}

API int cublasLtMatmulAlgoGetHeuristic(Context* handle, const Description* description, const Layout* a,
                                       const Layout* b, const Layout* c, const Layout* d, Preference* preference,
                                       int wanted, HeuristicResult* results, int* found) {
  live(handle, "handle");
  const Description& operation = live(const_cast<Description*>(description), "operation's description");
  const auto layout = [](const Layout* l) -> const Layout& { return live(const_cast<Layout*>(l), "matrix's layout"); };
  const Preference& p = live(preference, "preference");
  if (wanted < 1 || results == nullptr || found == nullptr) return invalid_value;
  *found = 0;
  if (fails("cublasLtMatmulAlgoGetHeuristic")) return execution_failed;
  uint64_t size[3];
  if (const int status = check(operation, layout(a), layout(b), layout(c), layout(d), size)) return status;
  const int products = driver().products();
  if (products == none || (products == plain && operation.epilogue == epilogue_bias)) return not_supported;
  HeuristicResult& result = results[0];
  result = {};
  result.algorithm.problem = problem_of(operation, *a, *b, *c, *d);
  result.algorithm.workspace = result.workspace = p.workspace >= wanted_workspace ? wanted_workspace : 0;
  for (int i = 0; i < 4; i++) result.algorithm.alignment[i] = p.alignment[i];
  result.waves = 1;
  *found = 1;
  return success;
}

API int cublasLtMatmul(Context* handle, const Description* description, const void* alpha, const void* a_at,
                       const Layout* a, const void* b_at, const Layout* b, const void* beta, const void* c_at,
                       const Layout* c, void* d_at, const Layout* d, const Algorithm* algorithm, void* workspace,
                       size_t workspace_bytes, uintptr_t stream) {
  const Override tf32 = live(handle, "handle").tf32;
  Product p;
  p.description = live(const_cast<Description*>(description), "operation's description");
  const auto layout = [](const Layout* l) -> const Layout& { return live(const_cast<Layout*>(l), "matrix's layout"); };
  p.a = layout(a), p.b = layout(b), p.c = layout(c), p.d = layout(d);
  if (alpha == nullptr || beta == nullptr) return invalid_value;
  if (fails("cublasLtMatmul")) return execution_failed;
  uint64_t size[3];
  if (const int status = check(p.description, p.a, p.b, p.c, p.d, size)) return status;
  p.m = size[0], p.n = size[1], p.k = size[2];
  memcpy(&p.alpha, alpha, 4);
  memcpy(&p.beta, beta, 4);
  p.a_at = static_cast<const char*>(a_at), p.b_at = static_cast<const char*>(b_at);
  p.c_at = static_cast<const char*>(c_at), p.d_at = static_cast<char*>(d_at);
  p.workspace = static_cast<char*>(workspace);
  p.workspace_bytes = 0;
  if (algorithm != nullptr) {
    if (algorithm->problem != problem_of(p.description, p.a, p.b, p.c, p.d)) return invalid_value;
    if (algorithm->workspace > workspace_bytes) return invalid_value;
    p.workspace_bytes = algorithm->workspace;
    const void* at[4] = {a_at, b_at, c_at, d_at};
    for (int i = 0; i < 4; i++) {
      if (reinterpret_cast<uintptr_t>(at[i]) % algorithm->alignment[i] != 0) return not_supported;
    }
  }
  const auto need = [](const void* at, uint64_t bytes, const char* role) {
    driver().need_device(reinterpret_cast<uint64_t>(at), bytes, "cublasLtMatmul", role);
  };
  need(a_at, p.a.bytes(), "matrix A");
  need(b_at, p.b.bytes(), "matrix B");
  if (p.beta != 0) need(c_at, p.c.bytes(), "matrix C");
  need(d_at, p.d.bytes(), "matrix D");
  if (p.description.epilogue == epilogue_bias) {
    const uint64_t bytes = p.m + static_cast<uint64_t>(p.d.batch - 1) * p.description.bias_stride;
    need(reinterpret_cast<const void*>(p.description.bias), bytes * p.d.element(), "bias");
  }
  if (p.workspace_bytes != 0) {
    need(workspace, p.workspace_bytes, "workspace");
    if (reinterpret_cast<uintptr_t>(workspace) % 256 != 0) misuse("the workspace is not aligned to 256 bytes");
  }
  const auto overlaps = [&](const void* at, uint64_t bytes) {
    return static_cast<const char*>(at) < p.d_at + p.d.bytes() && p.d_at < static_cast<const char*>(at) + bytes;
  };
  if (overlaps(a_at, p.a.bytes()) || overlaps(b_at, p.b.bytes())) misuse("cublasLtMatmul: D overlaps A or B");
  if (p.beta != 0 && overlaps(c_at, p.c.bytes()) &&
      (c_at != d_at || p.c.leading != p.d.leading || p.c.stride != p.d.stride)) {
    misuse("cublasLtMatmul: D overlaps C and is not the same matrix");
  }
  if (driver().products() == refused) return not_supported;
  if (p.a.type == r_32f && tf32 != as_told)
    p.description.compute = tf32 == always ? compute_32f_fast_tf32 : compute_32f;
  if (p.a.type == r_32f && driver().products() == rounded) p.description.compute = compute_32f_fast_tf32;
  driver().enqueue(
      stream,
      [](void* data) {
        if (!driver().dry()) run(*static_cast<Product*>(data));
        delete static_cast<Product*>(data);
      },
      new Product(p), "cublasLtMatmul");
  return success;
}
