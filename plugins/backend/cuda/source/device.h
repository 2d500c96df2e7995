// The GPU of this process, as the kernels' host functions see it: they check their arguments, and launch. Everything is
// put into one stream, in which it happens in this order, while the processor goes on.
#pragma once

#include <cstdint>

#include "buffer.h"

namespace kasosei {

struct Grid {
  int64_t x, y = 1, z = 1;
};

struct Launch {
  Grid blocks;
  int threads;
  // Bytes of dynamic shared memory of a block.
  int shared = 0;
};

// Launches a kernel by its name. A grid without blocks launches nothing.
void launch(const char* kernel, const Launch& shape, const void* arguments);

// Launches the kernel of a struct of arguments, which is its only parameter: host and device share the declaration.
template <typename Arguments>
inline void launch(const Launch& shape, const Arguments& arguments) {
  launch(Arguments::kernel, shape, &arguments);
}

inline int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Memory for the time of a call: what is launched afterwards may take it over, since the stream keeps the order.
class Scratch {
 public:
  explicit Scratch(int64_t bytes);
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  template <typename T>
  T* as() const {
    return reinterpret_cast<T*>(address);
  }

 private:
  int64_t handle;
  void* address;
};

// Brings a list of the caller to the device, without waiting: the result is valid for kernels launched in this call.
const void* upload(const void* data, int64_t bytes);
template <typename T>
inline const T* upload(const List<T>& list) {
  return static_cast<const T*>(upload(list.data, list.size * static_cast<int64_t>(sizeof(T))));
}

// Copies from the device, and waits for it: everything that was launched before is then done.
void download(void* to, const void* from, int64_t bytes);

void fill_zero(void* to, int64_t bytes);
void copy(void* to, const void* from, int64_t bytes);

// Counts a piece of work that was put into the stream: the functions above do; products of a library are counted by us.
void work_queued();

// How many multiprocessors the device has, and the shared memory that a block can have, in bytes.
int multiprocessors();
int64_t largest_shared();

}  // namespace kasosei
