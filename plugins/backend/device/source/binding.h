// Between Node-API and the kernels: arguments become buffers, lists and numbers by the types of a kernel's parameters,
// and C++ exceptions become exceptions of the caller. A kernel is its function, and one line below it:
// EXPORT(function, "nameInJavaScript"). What it computes is documented by the definition of that name in its op's file
// or, if there is none or the arguments differ, above the function. Outputs must not overlap inputs unless documented.
// Shapes: T tokens, R queries, H features, N rows, V rows of a table, U of them that are given, I inputs and O outputs
// of a linear layer.
#pragma once

#define NAPI_VERSION 8
#include <node_api.h>

#include <array>
#include <exception>
#include <limits>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "buffer.h"
#include "memory.h"
#include "precision.h"

namespace kasosei {

inline void check(napi_status status, const char* expected) {
  if (status != napi_ok) throw std::invalid_argument(std::string("expected ") + expected);
}

template <typename T>
constexpr Type type_of() {
  using Number = std::remove_const_t<T>;
  if constexpr (std::is_same_v<Number, float>) return Type::float32;
  else if constexpr (std::is_same_v<Number, int32_t>) return Type::int32;
  else if constexpr (std::is_same_v<Number, double>) return Type::float64;
  else return Type::bool8;
}

template <typename T>
constexpr napi_typedarray_type list_type_of() {
  if constexpr (std::is_same_v<T, double>) return napi_float64_array;
  else if constexpr (std::is_same_v<T, int32_t>) return napi_int32_array;
  else return napi_uint8_array;
}

template <typename T>
List<T> list_from(napi_env env, napi_value value) {
  napi_typedarray_type type;
  size_t length;
  void* data;
  check(napi_get_typedarray_info(env, value, &type, &length, &data, nullptr, nullptr), "a typed array");
  if (type != list_type_of<T>()) throw std::invalid_argument("expected a typed array of another type");
  return {static_cast<const T*>(data), static_cast<int64_t>(length)};
}

// The memory of a typed array of a tensor's type and size.
inline void* bytes_of(napi_env env, napi_value value, const Allocation& tensor) {
  napi_typedarray_type type;
  size_t length;
  void* data;
  check(napi_get_typedarray_info(env, value, &type, &length, &data, nullptr, nullptr), "a typed array");
  const bool fits = tensor.type == Type::float32   ? type == napi_float32_array
                    : tensor.type == Type::int32   ? type == napi_int32_array
                    : tensor.type == Type::float64 ? type == napi_float64_array
                                                   : type == napi_uint8_array;
  if (!fits || static_cast<int64_t>(length) != tensor.size)
    throw std::invalid_argument("expected a typed array of the tensor's type and size");
  return data;
}

inline std::string text_from(napi_env env, napi_value value) {
  size_t length;
  check(napi_get_value_string_utf8(env, value, nullptr, 0, &length), "a text");
  std::string text(length, '\0');
  check(napi_get_value_string_utf8(env, value, text.data(), length + 1, &length), "a text");
  return text;
}

inline std::vector<std::string> texts_from(napi_env env, napi_value list) {
  uint32_t count;
  check(napi_get_array_length(env, list, &count), "a list of texts");
  std::vector<std::string> texts;
  for (uint32_t i = 0; i < count; i++) {
    napi_value item;
    check(napi_get_element(env, list, i, &item), "a list of texts");
    texts.push_back(text_from(env, item));
  }
  return texts;
}

// The arguments of a function that converts them itself.
template <size_t expected>
std::array<napi_value, expected> arguments_of(napi_env env, napi_callback_info info) {
  size_t count = expected;
  std::array<napi_value, expected> values;
  check(napi_get_cb_info(env, info, &count, values.data(), nullptr, nullptr), "a call");
  if (count != expected)
    throw std::invalid_argument("expected " + std::to_string(expected) + " arguments, found " + std::to_string(count));
  return values;
}

// Converts an argument to the type of a kernel's parameter.
template <typename T>
struct Argument;

template <>
struct Argument<double> {
  static double from(napi_env env, napi_value value) {
    double number;
    check(napi_get_value_double(env, value, &number), "a number");
    return number;
  }
};

inline int64_t whole_number(double number) {
  const int64_t whole = static_cast<int64_t>(number >= 0 && number <= 9007199254740991.0 ? number : -1);
  if (whole < 0 || static_cast<double>(whole) != number) throw std::invalid_argument("expected an integer from 0");
  return whole;
}

template <>
struct Argument<int64_t> {
  static int64_t from(napi_env env, napi_value value) { return whole_number(Argument<double>::from(env, value)); }
};

template <>
struct Argument<bool> {
  static bool from(napi_env env, napi_value value) {
    bool yes;
    check(napi_get_value_bool(env, value, &yes), "true or false");
    return yes;
  }
};

template <>
struct Argument<Precision> {
  static Precision from(napi_env env, napi_value value) {
    const int64_t number = Argument<int64_t>::from(env, value);
    if (number > static_cast<int64_t>(Precision::bfloat16)) throw std::invalid_argument("expected a precision, 0 to 2");
    return static_cast<Precision>(number);
  }
};

// The memory of a tensor, by its handle, which may also be a number in a list.
template <typename T>
Buffer<T> buffer_of(double handle) {
  const Allocation& found = heap.find(whole_number(handle));
  if (found.type != type_of<T>()) throw std::invalid_argument("expected a tensor of another type");
  return {reinterpret_cast<T*>(found.data), found.size};
}

// A tensor, given by its handle.
template <typename T>
struct Argument<Buffer<T>> {
  static Buffer<T> from(napi_env env, napi_value value) {
    const Buffer<T> buffer = buffer_of<T>(Argument<double>::from(env, value));
    if constexpr (!std::is_const_v<T>) content_changes(buffer.data);
    return buffer;
  }
};

template <typename T>
struct Argument<List<T>> {
  static List<T> from(napi_env env, napi_value value) { return list_from<T>(env, value); }
};

inline napi_value to_value(napi_env env, double number) {
  napi_value value;
  napi_create_double(env, number, &value);
  return value;
}

inline napi_value to_value(napi_env env, const std::string& text) {
  napi_value value;
  napi_create_string_utf8(env, text.data(), text.size(), &value);
  return value;
}

// Runs `body`, whose exceptions become TypeErrors or RangeErrors.
template <typename Body>
napi_value guarded(napi_env env, const Body& body) {
  struct Ending {
    ~Ending() { call_ended(); }
  } ending;
  try {
    return body();
  } catch (const OutOfMemory& error) {
    napi_throw_range_error(env, "OUT_OF_MEMORY", error.what());
  } catch (const DeviceFailure& error) {
    napi_throw_error(env, error.code, error.what());
  } catch (const std::bad_alloc&) {
    napi_throw_range_error(env, nullptr, "out of memory");
  } catch (const std::out_of_range& error) {
    napi_throw_range_error(env, nullptr, error.what());
  } catch (const std::exception& error) {
    napi_throw_type_error(env, nullptr, error.what());
  }
  return nullptr;
}

template <typename Result, typename... Parameters, size_t... index>
napi_value call(napi_env env, napi_callback_info info, Result (*kernel)(Parameters...), std::index_sequence<index...>) {
  return guarded(env, [&]() -> napi_value {
    const auto values = arguments_of<sizeof...(Parameters)>(env, info);
    if constexpr (std::is_void_v<Result>) {
      kernel(Argument<Parameters>::from(env, values[index])...);
      return nullptr;
    } else {
      return to_value(env, static_cast<double>(kernel(Argument<Parameters>::from(env, values[index])...)));
    }
  });
}

template <auto kernel>
struct Callback;
template <typename Result, typename... Parameters, Result (*kernel)(Parameters...)>
struct Callback<kernel> {
  static napi_value run(napi_env env, napi_callback_info info) {
    return call(env, info, kernel, std::index_sequence_for<Parameters...>{});
  }
};

inline void define(napi_env env, napi_value exports, const char* name, napi_callback callback) {
  napi_value function;
  napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, nullptr, &function);
  napi_set_named_property(env, exports, name, function);
}

// A function that the addon exports. The bindings of all files are linked into one list, in no particular order, before
// the addon is initialised; `first` is constant-initialised, so it is ready before any of them is constructed.
struct Binding {
  const char* name;
  napi_callback callback;
  const Binding* next;
  static const Binding* first;
  Binding(const char* name, napi_callback callback) : name(name), callback(callback), next(first) { first = this; }
};

// A function of Node-API itself.
#define EXPORT_AS_IS(function, name) static const Binding function##_binding(name, function);

#define EXPORT(function, name) static const Binding function##_binding(name, Callback<function>::run);

}  // namespace kasosei
