// The process has one pool of threads. Work is divided by results, never by the terms of a sum, so no bit depends on
// the number of threads.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <new>

namespace kasosei {

// The number of threads that compute, including the calling one. It changes only on the thread that calls kernels, so
// between two of them.
int thread_count();
void set_thread_count(int count);

using Task = void (*)(const void* body, int64_t item);
void run_tasks(int64_t count, Task task, const void* body);

// Less work than this, in numbers touched or multiplications, is done before a second thread has started.
constexpr int64_t least_parallel_work = 1 << 14;

// Calls body(i) for i from 0 to count − 1, in any order, on several threads if `work`, the total, is large enough.
template <typename Body>
inline void parallel_for(int64_t count, int64_t work, const Body& body) {
  if (work < least_parallel_work || count < 2 || thread_count() == 1) {
    for (int64_t i = 0; i < count; i++) body(i);
    return;
  }
  run_tasks(
      count, [](const void* erased, int64_t i) { (*static_cast<const Body*>(erased))(i); }, &body);
}

// Calls body(first, end) for contiguous pieces of 0 … size − 1, where each number takes `work`.
template <typename Body>
inline void parallel_for_ranges(int64_t size, int64_t work, const Body& body) {
  constexpr int64_t grain = 64;
  const int64_t pieces = size * work < least_parallel_work ? 1 : 4 * thread_count();
  const int64_t length = ((size + pieces - 1) / pieces + grain - 1) / grain * grain;
  if (size == 0) return;
  parallel_for((size + length - 1) / length, size * work, [&](int64_t piece) {
    const int64_t first = piece * length;
    body(first, first + length < size ? first + length : size);
  });
}

// Temporary memory: grows to the largest size requested, and is kept for later requests.
class Scratch {
 public:
  Scratch() = default;
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() { std::free(memory); }
  float* floats(int64_t count) {
    if (count > size) {
      std::free(memory);
      size = 0;
      memory = static_cast<float*>(std::aligned_alloc(64, (count * sizeof(float) + 127) / 64 * 64));
      if (memory == nullptr) throw std::bad_alloc();
      size = count;
    }
    return memory;
  }

 private:
  float* memory = nullptr;
  int64_t size = 0;
};

}  // namespace kasosei
