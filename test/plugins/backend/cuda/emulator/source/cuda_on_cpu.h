// CUDA C++ on the processor. The threads of a block are fibers of one host thread. A thread runs until it meets a
// barrier or an operation of its warp, then the next lane of the warp does, and only when none of the warp can go on
// the next warp: a warp runs as far ahead as it can. With lanes, warps and blocks in reverse as well, a race shows as
// two results. What is undefined (a barrier that some threads do not reach, a shuffle in a branch) is told, never
// waited for.
#pragma once

#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <sys/mman.h>

#include "launch.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

#if !defined(__x86_64__) && !defined(__aarch64__)
#error "fibers are switched in assembly, which is there for x86-64 and aarch64"
#endif

namespace emulated {

// Where a suspended fiber goes on.
struct Context {
  void* stack;
  void* code;
};

}  // namespace emulated

// Suspends what runs, in *from, and goes on with `to`. The compiler knows that all registers are lost and saves what it
// needs, so that a switch costs a few instructions.
#if defined(__x86_64__)

#ifdef __AVX512F__
#define EMULATED_MORE_REGISTERS                                                                                 \
  , "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", "xmm25", "xmm26", "xmm27", \
      "xmm28", "xmm29", "xmm30", "xmm31", "k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7"
#else
#define EMULATED_MORE_REGISTERS
#endif

// 128 bytes below the stack pointer may be in use by the function that this is part of.
#define EMULATED_SWITCH(from, to)                                                                                   \
  do {                                                                                                              \
    void* emulated_from = (from);                                                                                   \
    void* emulated_to = (to);                                                                                       \
    asm volatile(                                                                                                   \
        "leaq -128(%%rsp), %%rsp\n\t"                                                                               \
        "pushq %%rbp\n\t"                                                                                           \
        "leaq 1f(%%rip), %%rax\n\t"                                                                                 \
        "movq %%rsp, (%%rdi)\n\t"                                                                                   \
        "movq %%rax, 8(%%rdi)\n\t"                                                                                  \
        "movq (%%rsi), %%rsp\n\t"                                                                                   \
        "jmpq *8(%%rsi)\n"                                                                                          \
        "1:\n\t"                                                                                                    \
        "popq %%rbp\n\t"                                                                                            \
        "leaq 128(%%rsp), %%rsp"                                                                                    \
        : "+D"(emulated_from), "+S"(emulated_to)                                                                    \
        :                                                                                                           \
        : "rax", "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "xmm0", "xmm1", "xmm2", \
          "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14",      \
          "xmm15" EMULATED_MORE_REGISTERS, "memory", "cc");                                                         \
  } while (0)

#else

#define EMULATED_SWITCH(from, to)                                                                                    \
  do {                                                                                                               \
    register void* emulated_from asm("x0") = (from);                                                                 \
    register void* emulated_to asm("x1") = (to);                                                                     \
    asm volatile(                                                                                                    \
        "stp x29, x19, [sp, #-16]!\n\t"                                                                              \
        "adr x9, 1f\n\t"                                                                                             \
        "mov x10, sp\n\t"                                                                                            \
        "stp x10, x9, [x0]\n\t"                                                                                      \
        "ldp x10, x9, [x1]\n\t"                                                                                      \
        "mov sp, x10\n\t"                                                                                            \
        "br x9\n"                                                                                                    \
        "1:\n\t"                                                                                                     \
        "ldp x29, x19, [sp], #16"                                                                                    \
        : "+r"(emulated_from), "+r"(emulated_to)                                                                     \
        :                                                                                                            \
        : "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15", "x16", "x17",    \
          "x18", "x20", "x21", "x22", "x23", "x24", "x25", "x26", "x27", "x28", "x30", "v0", "v1", "v2", "v3", "v4", \
          "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15", "v16", "v17", "v18", "v19", "v20", \
          "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29", "v30", "v31", "memory", "cc");              \
  } while (0)

#endif

// Static shared memory has a section of its own, so that it can be filled before each block.
#define EMULATED_SHARED_SECTION "emulated_shared"
extern "C" __attribute__((weak, visibility("hidden"))) char __start_emulated_shared[], __stop_emulated_shared[];

// The scheduler writes to stacks and to shared memory between the variables that AddressSanitizer guards.
#define EMULATED_UNCHECKED __attribute__((no_sanitize_address))

namespace emulated {

// A place in the source.
struct Site {
  const char* file;
  int line;
  bool operator!=(const Site& other) const {
    return line != other.line || (file != other.file && strcmp(file, other.file) != 0);
  }
};

struct Warp;

// What the lanes of a warp do together; the last of them to arrive does it for all.
struct Operation {
  const char* name;
  bool whole;  // undefined if lanes have ended, or never were
  void (*perform)(Warp& warp);
};

struct Warp {
  uint32_t first;  // thread
  uint32_t live, begun;
  uint32_t ready;       // lanes that can run
  uint32_t waiting;     // lanes at the operation
  uint32_t at_barrier;  // lanes at the block's barrier
  const Operation* operation;
  Site site;
  // What lanes give and get, in turns: a lane may begin the next operation before another has read the last one's.
  uint32_t turn;
  uint64_t word[2][32];
  uint32_t source[2][32];
  const void* operand[32];
};

struct Copy {
  void* to;
  const void* from;  // null for zeros
  uint32_t bytes, group;
};

// The asynchronous copies of a thread, in order.
struct Copies {
  Copy* list;
  uint32_t count, capacity, group;
};

struct Stack {
  char* bottom;
  char* top;
};

constexpr size_t page = 4096;
#ifdef __SANITIZE_ADDRESS__
constexpr size_t stack_bytes = 512 << 10;
#else
constexpr size_t stack_bytes = 96 << 10;
#endif

// All that is known of the block that runs.
struct Block {
  Launch launch;
  uint32_t lane;  // that runs, as threadIdx.x does
  Warp* warp;     // that it belongs to
  uint32_t warps, ended;
  Warp warp_list[maximal_threads / 32];
  Context context[maximal_threads];  // of threads that have begun
  uint32_t stack_of[maximal_threads];
  Copies copies[maximal_threads];
  Stack stacks[maximal_threads];
  uint32_t free_stacks[maximal_threads];
  uint32_t stack_count, free_count;
  Context scheduler;
  bool at_barrier;  // a thread is at the block's barrier, which is this one
  Site barrier;
  char* dynamic;
  size_t dynamic_bytes;
#ifdef __SANITIZE_ADDRESS__
  void* fake[maximal_threads];
  void* scheduler_fake;
  const void* scheduler_bottom;
  size_t scheduler_bytes;
#endif
};

static Block block;

}  // namespace emulated

static emulated::Index threadIdx, blockIdx, blockDim, gridDim;

namespace emulated {

// Tells the driver, which ends the process.
[[noreturn]] __attribute__((format(printf, 1, 2), noinline, cold)) static void undefined(const char* format, ...) {
  char what[768], text[1024];
  va_list list;
  va_start(list, format);
  vsnprintf(what, sizeof what, format, list);
  va_end(list);
  snprintf(text, sizeof text, "kernel %s, block (%u, %u, %u): %s", block.launch.kernel->name, blockIdx.x, blockIdx.y,
           blockIdx.z, what);
  block.launch.undefined(text);
  abort();
}

// Of the lanes in a mask, which is not empty, the one that runs first.
static inline uint32_t first_of(uint32_t mask) {
  return block.launch.reverse ? 31 - __builtin_clz(mask) : __builtin_ctz(mask);
}

static inline uint32_t warp_index(const Warp& warp) { return warp.first / 32; }

static inline void make_current(Warp& warp, uint32_t lane) {
  block.warp = &warp;
  block.lane = lane;
  threadIdx.x = warp.first + lane;
}

static void fiber();

// Gives the thread a free stack, on which fiber() will begin.
EMULATED_UNCHECKED __attribute__((noinline)) static void prepare(uint32_t thread) {
  if (block.free_count == 0) {
    // A page below that cannot be touched: a stack that overflows ends in a signal.
    void* memory = mmap(nullptr, stack_bytes + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED || mprotect(memory, page, PROT_NONE) != 0) {
      fprintf(stderr, "emulated CUDA: no memory for the stacks of a block's threads\n");
      abort();
    }
    char* bottom = static_cast<char*>(memory) + page;
    // The tops begin at different offsets, else all of them would have the same places in the processor's caches.
    block.stacks[block.stack_count] = {bottom, bottom + stack_bytes - block.stack_count % 61 * 272};
    block.free_stacks[block.free_count++] = block.stack_count++;
  }
  const uint32_t stack = block.stack_of[thread] = block.free_stacks[--block.free_count];
#ifdef __SANITIZE_ADDRESS__
  ASAN_UNPOISON_MEMORY_REGION(block.stacks[stack].bottom, stack_bytes);
#endif
  void** top = reinterpret_cast<void**>(block.stacks[stack].top);
#if defined(__x86_64__)
  *--top = nullptr;  // where fiber() would return to
#endif
  block.context[thread] = {top, reinterpret_cast<void*>(fiber)};
}

#ifdef __SANITIZE_ADDRESS__
EMULATED_UNCHECKED static inline void leave(void** fake, uint32_t to) {
  const Stack& stack = block.stacks[block.stack_of[to]];
  __sanitizer_start_switch_fiber(fake, stack.bottom, stack_bytes);
}
#endif

// Suspends `from`, and goes on with the thread that was made the current one.
EMULATED_UNCHECKED static inline void switch_from(uint32_t from) {
  const uint32_t to = threadIdx.x, bit = 1u << block.lane;
  if (to == from) return;
  if (__builtin_expect(!(block.warp->begun & bit), 0)) {
    block.warp->begun |= bit;
    prepare(to);
  }
#ifdef __SANITIZE_ADDRESS__
  leave(&block.fake[from], to);
#endif
  EMULATED_SWITCH(&block.context[from], &block.context[to]);
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(block.fake[threadIdx.x], nullptr, nullptr);
#endif
}

__attribute__((noinline)) static void perform(Warp& warp) {
  if (warp.operation->whole && warp.live != ~0u) {
    undefined("%s at %s:%d needs all 32 lanes, and of warp %u only those of the mask %08x are there",
              warp.operation->name, warp.site.file, warp.site.line, warp_index(warp), warp.live);
  }
  if (warp.operation->perform != nullptr) warp.operation->perform(warp);
  warp.ready = warp.waiting;
  warp.waiting = 0;
  warp.turn ^= 1;
}

[[noreturn]] __attribute__((noinline, cold)) static void stuck(const Warp& warp) {
  undefined("no progress: of warp %u, the lanes %08x are at %s at %s:%d, and %08x at block_barrier at %s:%d",
            warp_index(warp), warp.waiting, warp.operation->name, warp.site.file, warp.site.line, warp.at_barrier,
            block.barrier.file, block.barrier.line);
}

// Makes the thread that runs next the current one: a lane of the same warp if any can go on. False if all have ended.
__attribute__((noinline)) static bool choose_among_all() {
  Warp* warp = block.warp;
  for (;;) {
    if (warp->ready == 0 && warp->waiting != 0) {
      if (warp->waiting != warp->live) stuck(*warp);
      perform(*warp);
    }
    if (warp->ready != 0) {
      make_current(*warp, first_of(warp->ready));
      return true;
    }
    Warp* next = nullptr;
    for (uint32_t w = 0; w < block.warps && next == nullptr; w++) {
      Warp& candidate = block.warp_list[block.launch.reverse ? block.warps - 1 - w : w];
      if (candidate.ready != 0 || candidate.waiting != 0) next = &candidate;
    }
    if (next == nullptr) {
      if (!block.at_barrier) return false;
      if (block.ended != 0) {
        undefined("%u of %u threads have ended, and the others wait at block_barrier at %s:%d", block.ended, blockDim.x,
                  block.barrier.file, block.barrier.line);
      }
      block.at_barrier = false;
      for (uint32_t w = 0; w < block.warps; w++) {
        block.warp_list[w].ready = block.warp_list[w].at_barrier;
        block.warp_list[w].at_barrier = 0;
      }
      next = &block.warp_list[block.launch.reverse ? block.warps - 1 : 0];
    }
    warp = next;
  }
}

static inline bool choose() {
  if (__builtin_expect(block.warp->ready != 0, 1)) {
    make_current(*block.warp, first_of(block.warp->ready));
    return true;
  }
  return choose_among_all();
}

// A thread that has to wait: goes on with others until it can run.
static inline void pause() {
  const uint32_t me = threadIdx.x;
  choose();
  switch_from(me);
}

// What runs on every stack: threads, one after another, until one that has begun elsewhere is to go on.
EMULATED_UNCHECKED static void fiber() {
#ifdef __SANITIZE_ADDRESS__
  // The first of a block comes from the scheduler.
  const void* bottom;
  size_t bytes;
  __sanitizer_finish_switch_fiber(nullptr, &bottom, &bytes);
  if (block.scheduler_bottom == nullptr) block.scheduler_bottom = bottom, block.scheduler_bytes = bytes;
#endif
  for (;;) {
    const uint32_t stack = block.stack_of[threadIdx.x];
    block.launch.kernel->call(block.launch.argument);
    Warp& warp = *block.warp;
    const uint32_t bit = 1u << block.lane;
    warp.live &= ~bit;
    warp.ready &= ~bit;
    block.ended++;
    const bool more = choose();
    if (more) {
      const uint32_t next = 1u << block.lane;
      if (!(block.warp->begun & next)) {
        block.warp->begun |= next;
        block.stack_of[threadIdx.x] = stack;
        continue;
      }
    }
    block.free_stacks[block.free_count++] = stack;
#ifdef __SANITIZE_ADDRESS__
    if (more) {
      leave(nullptr, threadIdx.x);
    } else {
      __sanitizer_start_switch_fiber(nullptr, block.scheduler_bottom, block.scheduler_bytes);
    }
#endif
    Context nobody;
    EMULATED_SWITCH(&nobody, more ? &block.context[threadIdx.x] : &block.scheduler);
  }
}

// Not memset, which AddressSanitizer would check.
EMULATED_UNCHECKED static void fill_with_nan(char* from, char* to) {
  typedef uint64_t __attribute__((may_alias, aligned(1))) Word;
  for (; to - from >= 8; from += 8) *reinterpret_cast<Word*>(from) = ~0ull;
  for (; from < to; from++) *from = '\xff';
}

EMULATED_UNCHECKED static void run_block() {
  fill_with_nan(__start_emulated_shared, __stop_emulated_shared);
  fill_with_nan(block.dynamic, block.dynamic + block.launch.shared_bytes);
  const uint32_t threads = blockDim.x;
  block.warps = (threads + 31) / 32;
  block.ended = 0;
  block.at_barrier = false;
  for (uint32_t w = 0; w < block.warps; w++) {
    Warp& warp = block.warp_list[w];
    warp.first = w * 32;
    const uint32_t lanes = threads - w * 32;
    warp.live = warp.ready = lanes >= 32 ? ~0u : (1u << lanes) - 1;
    warp.begun = warp.waiting = warp.at_barrier = warp.turn = 0;
  }
  for (uint32_t t = 0; t < threads; t++) block.copies[t].count = block.copies[t].group = 0;
  Warp& warp = block.warp_list[block.launch.reverse ? block.warps - 1 : 0];
  make_current(warp, first_of(warp.ready));
  warp.begun |= 1u << block.lane;
  prepare(threadIdx.x);
#ifdef __SANITIZE_ADDRESS__
  block.scheduler_bottom = nullptr;
  leave(&block.scheduler_fake, threadIdx.x);
#endif
  EMULATED_SWITCH(&block.scheduler, &block.context[threadIdx.x]);
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(block.scheduler_fake, nullptr, nullptr);
#endif
}

static void run(const Launch& launch, uint64_t first, uint64_t last) {
  block.launch = launch;
  // Of the exact size, so that AddressSanitizer knows where it ends.
  const size_t bytes = launch.shared_bytes;
  if (bytes != block.dynamic_bytes || block.dynamic == nullptr) {
    free(block.dynamic);
    void* memory = nullptr;
    if (posix_memalign(&memory, 16, bytes == 0 ? 1 : bytes) != 0) abort();
    block.dynamic = static_cast<char*>(memory);
    block.dynamic_bytes = bytes;
  }
  gridDim = {launch.grid[0], launch.grid[1], launch.grid[2]};
  blockDim = {launch.threads, 1, 1};
  threadIdx = {0, 0, 0};
  for (uint64_t i = first; i < last; i++) {
    const uint64_t b = launch.reverse ? last - 1 - (i - first) : i;
    const uint64_t row = b / gridDim.x;
    blockIdx = {static_cast<uint32_t>(b % gridDim.x), static_cast<uint32_t>(row % gridDim.y),
                static_cast<uint32_t>(row / gridDim.y)};
    run_block();
  }
}

// Arrives at an operation of the warp, and returns when all its live lanes have.
static inline void together(const Operation& operation, const Site& site) {
  Warp& warp = *block.warp;
  if (warp.waiting == 0) {
    warp.operation = &operation;
    warp.site = site;
  } else if (__builtin_expect(warp.operation != &operation || warp.site != site, 0)) {
    undefined("lane %u of warp %u is at %s at %s:%d, and others are at %s at %s:%d", block.lane, warp_index(warp),
              operation.name, site.file, site.line, warp.operation->name, warp.site.file, warp.site.line);
  }
  const uint32_t bit = 1u << block.lane;
  warp.waiting |= bit;
  warp.ready &= ~bit;
  pause();
}

static inline bool is_shared(const void* pointer, size_t bytes) {
  const char* p = static_cast<const char*>(pointer);
  return (p >= block.dynamic && p + bytes <= block.dynamic + block.launch.shared_bytes) ||
         (p >= __start_emulated_shared && p + bytes <= __stop_emulated_shared);
}

// That `bytes` at an address are in shared memory, and aligned to as many.
template <uint32_t bytes>
static inline void need_shared(const void* pointer, const char* name, const Site& site) {
  if (__builtin_expect(!is_shared(pointer, bytes), 0)) {
    undefined("thread %u: %s at %s:%d takes an address that is not in shared memory", threadIdx.x, name, site.file,
              site.line);
  }
  if (__builtin_expect(reinterpret_cast<uintptr_t>(pointer) % bytes != 0, 0)) {
    undefined("thread %u: %s at %s:%d takes a shared address that is not aligned to %u bytes", threadIdx.x, name,
              site.file, site.line, bytes);
  }
}

__attribute__((noinline, cold)) static void grow(Copies& copies) {
  copies.capacity = copies.capacity == 0 ? 32 : copies.capacity * 2;
  copies.list = static_cast<Copy*>(realloc(copies.list, copies.capacity * sizeof(Copy)));
  if (copies.list == nullptr) abort();
}

}  // namespace emulated

#define __device__
#define __host__
#define __constant__ static const
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __align__(n) __attribute__((aligned(n)))
// CUDA allows it after __shared__ too, where C++ does not after `static`.
#define alignas(n) __attribute__((aligned(n)))
#define __shared__ static __attribute__((section(EMULATED_SHARED_SECTION), used))
#ifdef EMULATED_PROGRAM
// A program's kernels are found by __global__ and __launch_bounds__, and have entries in this section.
extern "C" __attribute__((weak, visibility("hidden"))) const emulated::Kernel* const __start_emulated_kernels[];
extern "C" __attribute__((weak, visibility("hidden"))) const emulated::Kernel* const __stop_emulated_kernels[];
extern "C" __attribute__((visibility("default"))) const emulated::Program emulated_program;
const emulated::Program emulated_program = {
    emulated::program_version, __start_emulated_kernels, __stop_emulated_kernels, emulated::run, &blockIdx, &threadIdx};
#else
#define __global__
#define __launch_bounds__(...)
#endif
// As NVRTC defines them.
#define __CUDACC__ 1
#define __CUDACC_RTC__ 1
#ifndef __CUDA_ARCH__
#define __CUDA_ARCH__ 800
#endif
