// Settings as `key=value` pairs separated by spaces.
#pragma once

#include <cstdlib>
#include <string>

namespace emulated {

/** Calls `set(key, value)`, both strings, for each pair; false at the first that it refuses or that is none. */
template <class Set>
bool read_settings(const char* text, Set&& set) {
  const std::string all = text == nullptr ? "" : text;
  for (size_t at = 0; at < all.size();) {
    const size_t end = all.find(' ', at) == std::string::npos ? all.size() : all.find(' ', at);
    const std::string pair = all.substr(at, end - at);
    at = end + 1;
    if (pair.empty()) continue;
    const size_t equals = pair.find('=');
    if (equals == std::string::npos || !set(pair.substr(0, equals), pair.substr(equals + 1))) return false;
  }
  return true;
}

inline const char* environment_settings() { return getenv("KASOSEI_EMULATED_CUDA"); }

}  // namespace emulated
