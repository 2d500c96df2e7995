// Our declarations of NVIDIA's libraries against its headers: compiles if they agree. Compiled once for each header that
// is found, with the macro that names it.
#include <type_traits>

// Before the headers, whose macros give some functions the name of a later version.
#include "driver.h"
#if defined(CHECK_NVRTC)
#include "nvrtc-functions.h"

#include <nvrtc.h>
#elif defined(CHECK_CUBLASLT)
#include "cublaslt-functions.h"

#include <cublasLt.h>
#else
#include <cuda.h>
#endif

namespace {

// Whether two types are passed alike and mean the same. Enumerations are numbers to us, and handles pointers to
// something that nobody looks into.
template <typename Ours, typename Theirs>
constexpr bool alike() {
  if constexpr (std::is_pointer_v<Ours> && std::is_pointer_v<Theirs>) {
    using To = std::remove_pointer_t<Ours>;
    using There = std::remove_pointer_t<Theirs>;
    if constexpr (std::is_const_v<To> != std::is_const_v<There>) return false;
    else if constexpr (std::is_class_v<To> || std::is_class_v<There>)
      return (std::is_class_v<To> || std::is_void_v<To>) && (std::is_class_v<There> || std::is_void_v<There>);
    else return alike<std::remove_const_t<To>, std::remove_const_t<There>>();
  } else if constexpr (std::is_enum_v<Theirs>) {
    return sizeof(Ours) == sizeof(Theirs) && (std::is_enum_v<Ours> || std::is_integral_v<Ours>);
  } else if constexpr (std::is_integral_v<Ours> && std::is_integral_v<Theirs>) {
    return sizeof(Ours) == sizeof(Theirs) && std::is_signed_v<Ours> == std::is_signed_v<Theirs>;
  } else {
    return std::is_same_v<Ours, Theirs>;
  }
}

template <typename Ours, typename Theirs>
struct Agree : std::false_type {};
template <typename R, typename... P, typename S, typename... Q>
  requires(sizeof...(P) == sizeof...(Q))
struct Agree<R (*)(P...), S (*)(Q...)> : std::bool_constant<alike<R, S>() && (alike<P, Q>() && ...)> {};

static_assert(!Agree<int (*)(int*), int (*)(const int*)>::value && !Agree<int (*)(int), int (*)(long)>::value);
static_assert(!Agree<int (*)(void*), int (*)(void**)>::value && !Agree<int (*)(int), int (*)(int, int)>::value);

constexpr bool equal(const char* a, const char* b) {
  while (*a != 0 && *a == *b) a++, b++;
  return *a == *b;
}

// A function that the loader finds by our name is that of their declaration: no macro gives it another.
#define TEXT(name) #name
#define EXPANDED(name) TEXT(name)
#define SAME_FUNCTION(name, ...)                                                                     \
  static_assert(Agree<int (*)(__VA_ARGS__), decltype(&::name)>::value, "the parameters of " #name); \
  static_assert(equal(#name, EXPANDED(name)), #name " is declared under another name");
#define SAME_NUMBER(ours, theirs) \
  static_assert(static_cast<long long>(ours) == static_cast<long long>(theirs), #theirs)

using namespace kasosei;

#if defined(CHECK_NVRTC)

using nvrtc::Program;
KASOSEI_NVRTC(SAME_FUNCTION)
static_assert(Agree<decltype(nvrtc::Functions::nvrtcGetErrorString), decltype(&::nvrtcGetErrorString)>::value);
SAME_NUMBER(0, NVRTC_SUCCESS);

#elif defined(CHECK_CUBLASLT)

using namespace cublaslt;
KASOSEI_CUBLASLT(SAME_FUNCTION)
static_assert(Agree<decltype(Functions::cublasLtGetVersion), decltype(&::cublasLtGetVersion)>::value);

static_assert(sizeof(Algorithm) == sizeof(cublasLtMatmulAlgo_t) && alignof(Algorithm) == alignof(cublasLtMatmulAlgo_t));
static_assert(sizeof(Choice) == sizeof(cublasLtMatmulHeuristicResult_t));
SAME_NUMBER(offsetof(Choice, algorithm), offsetof(cublasLtMatmulHeuristicResult_t, algo));
SAME_NUMBER(offsetof(Choice, workspace), offsetof(cublasLtMatmulHeuristicResult_t, workspaceSize));
SAME_NUMBER(offsetof(Choice, status), offsetof(cublasLtMatmulHeuristicResult_t, state));
SAME_NUMBER(offsetof(Choice, waves), offsetof(cublasLtMatmulHeuristicResult_t, wavesCount));
static_assert(alike<decltype(Choice::workspace), decltype(cublasLtMatmulHeuristicResult_t::workspaceSize)>());
static_assert(alike<decltype(Choice::waves), decltype(cublasLtMatmulHeuristicResult_t::wavesCount)>());

SAME_NUMBER(float32_data, CUDA_R_32F);
SAME_NUMBER(bfloat16_data, CUDA_R_16BF);
SAME_NUMBER(float32_sums, CUBLAS_COMPUTE_32F);
SAME_NUMBER(float32_sums_of_tf32, CUBLAS_COMPUTE_32F_FAST_TF32);
SAME_NUMBER(transpose_a, CUBLASLT_MATMUL_DESC_TRANSA);
SAME_NUMBER(transpose_b, CUBLASLT_MATMUL_DESC_TRANSB);
SAME_NUMBER(epilogue_kind, CUBLASLT_MATMUL_DESC_EPILOGUE);
SAME_NUMBER(bias_pointer, CUBLASLT_MATMUL_DESC_BIAS_POINTER);
SAME_NUMBER(batch_count, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT);
SAME_NUMBER(batch_step, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET);
SAME_NUMBER(most_workspace, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES);
SAME_NUMBER(reduction_schemes, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK);
SAME_NUMBER(alignment_a + 0, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES);
SAME_NUMBER(alignment_a + 1, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES);
SAME_NUMBER(alignment_a + 2, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES);
SAME_NUMBER(alignment_a + 3, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES);
SAME_NUMBER(schemes_of_fixed_order,
            CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE | CUBLASLT_REDUCTION_SCHEME_OUTPUT_TYPE);
SAME_NUMBER(transposed, CUBLAS_OP_T);
SAME_NUMBER(no_epilogue, CUBLASLT_EPILOGUE_DEFAULT);
SAME_NUMBER(bias_epilogue, CUBLASLT_EPILOGUE_BIAS);
SAME_NUMBER(succeeded, CUBLAS_STATUS_SUCCESS);
SAME_NUMBER(allocation_failed, CUBLAS_STATUS_ALLOC_FAILED);
SAME_NUMBER(invalid_value, CUBLAS_STATUS_INVALID_VALUE);
SAME_NUMBER(arch_mismatch, CUBLAS_STATUS_ARCH_MISMATCH);
SAME_NUMBER(not_supported, CUBLAS_STATUS_NOT_SUPPORTED);
// What attributes are set by.
static_assert(sizeof(transposed) == sizeof(cublasOperation_t) && sizeof(bias_epilogue) == sizeof(uint32_t));

#else

KASOSEI_DRIVER(SAME_FUNCTION)

static_assert(sizeof(DeviceAddress) == sizeof(CUdeviceptr));
SAME_NUMBER(success, CUDA_SUCCESS);
SAME_NUMBER(out_of_memory, CUDA_ERROR_OUT_OF_MEMORY);
SAME_NUMBER(stub_library, CUDA_ERROR_STUB_LIBRARY);
SAME_NUMBER(not_ready, CUDA_ERROR_NOT_READY);
SAME_NUMBER(illegal_address, CUDA_ERROR_ILLEGAL_ADDRESS);
SAME_NUMBER(launch_timeout, CUDA_ERROR_LAUNCH_TIMEOUT);
SAME_NUMBER(hardware_stack_error, CUDA_ERROR_HARDWARE_STACK_ERROR);
SAME_NUMBER(launch_failed, CUDA_ERROR_LAUNCH_FAILED);
SAME_NUMBER(attribute_multiprocessors, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
SAME_NUMBER(attribute_capability_major, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR);
SAME_NUMBER(attribute_capability_minor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
SAME_NUMBER(attribute_largest_shared, CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN);
SAME_NUMBER(attribute_clock, CU_DEVICE_ATTRIBUTE_CLOCK_RATE);
SAME_NUMBER(attribute_memory_clock, CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE);
SAME_NUMBER(attribute_bus_width, CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH);
SAME_NUMBER(function_largest_dynamic_shared, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES);
SAME_NUMBER(stream_non_blocking, CU_STREAM_NON_BLOCKING);
SAME_NUMBER(event_without_time, CU_EVENT_DISABLE_TIMING);
SAME_NUMBER(option_error_log, CU_JIT_ERROR_LOG_BUFFER);
SAME_NUMBER(option_error_log_bytes, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES);

#endif

}  // namespace
