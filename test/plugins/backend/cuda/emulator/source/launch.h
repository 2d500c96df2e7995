// What a built program of kernels and the driver that loads it agree on.
#pragma once

#include <cstddef>
#include <cstdint>

namespace emulated {

constexpr uint32_t maximal_threads = 1024;

struct Kernel {
  const char* name;
  void (*call)(const void* argument);
  size_t argument_bytes;
  uint32_t bound;  // of __launch_bounds__; 0 without one
};

struct Launch {
  const Kernel* kernel;
  const void* argument;
  uint32_t grid[3];
  uint32_t threads;
  uint32_t shared_bytes;  // of dynamic shared memory
  bool reverse;           // blocks, warps and lanes from the last to the first
  // Told what is wrong with the kernel; does not return.
  void (*undefined)(const char* message);
};

struct Index {
  uint32_t x, y, z;
};

// The symbol `emulated_program` of a built program. It runs one launch at a time: another host thread takes another
// copy of the library.
struct Program {
  uint32_t version;
  const Kernel* const* first;  // kernels, up to `last`
  const Kernel* const* last;
  // Blocks [first, last) of the grid, counted along x, then y, then z.
  void (*run)(const Launch& launch, uint64_t first, uint64_t last);
  // Which ones run now.
  const Index* block;
  const Index* thread;
};

constexpr uint32_t program_version = 1;

}  // namespace emulated
