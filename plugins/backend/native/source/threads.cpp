#include "threads.h"

#include <atomic>
#include <exception>
#include <thread>

#include "vector.h"

namespace kasosei {
namespace {

inline void pause() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// The item of a word that gives out none.
constexpr uint64_t closed = 0xffffffff;

// The calling thread does every item that no other thread has begun, and at the end waits only for those that others
// have: a thread that is not awake yet, or whose core is busy with something else, delays nothing.
struct Pool {
  // Both belong to the thread that starts jobs, and change only between them.
  int count = 1;
  int started = 0;

  // How many of the started threads take part. The others sleep until this changes: they are not woken by jobs.
  alignas(64) std::atomic<int> active{0};

  // The job, and in one word its number (upper half) and its next item. An item belongs to the thread that increments
  // the word; the increment fails if the job has changed meanwhile, so the fields that were read belong to the job.
  // While the fields change, the word is closed: it names an item beyond the last of any job.
  std::atomic<Task> task{nullptr};
  std::atomic<const void*> body{nullptr};
  std::atomic<int64_t> items{0};
  alignas(64) std::atomic<uint64_t> ticket{0};
  alignas(64) std::atomic<int64_t> done{0};
  alignas(64) std::atomic<uint32_t> job{0};
  std::exception_ptr failure;
  std::atomic_flag failed = ATOMIC_FLAG_INIT;

  void run() {
    for (;;) {
      uint64_t taken = ticket.load(std::memory_order_acquire);
      const Task function = task.load(std::memory_order_relaxed);
      const void* argument = body.load(std::memory_order_relaxed);
      const int64_t item = taken & closed;
      if (item >= items.load(std::memory_order_acquire)) return;
      if (!ticket.compare_exchange_weak(taken, taken + 1, std::memory_order_acq_rel)) continue;
      try {
        function(argument, item);
      } catch (...) {
        if (!failed.test_and_set()) failure = std::current_exception();
      }
      done.fetch_add(1, std::memory_order_release);
    }
  }

  // Spins for some 50 µs after each job, since the next one usually comes sooner.
  void work(int index) {
    constexpr int patience = 2000;
    uint32_t seen = 0;
    for (;;) {
      for (int now = active.load(std::memory_order_relaxed); index >= now;
           now = active.load(std::memory_order_relaxed)) {
        active.wait(now, std::memory_order_relaxed);
      }
      for (int i = 0; i < patience && job.load(std::memory_order_acquire) == seen; i++) pause();
      job.wait(seen, std::memory_order_acquire);
      seen = job.load(std::memory_order_acquire);
      if (index < active.load(std::memory_order_relaxed)) run();
    }
  }
};

// Never destroyed, since its threads run until the process ends.
Pool& pool = *new Pool;

}  // namespace

int thread_count() { return pool.count; }

void set_thread_count(int count) {
  pool.count = count;
  pool.active.store(count - 1, std::memory_order_relaxed);
  pool.active.notify_all();
  for (; pool.started + 1 < count; pool.started++) {
    std::thread([index = pool.started] { pool.work(index); }).detach();
  }
}

void run_tasks(int64_t count, Task task, const void* body) {
  // The previous job is complete here: all its items are done. A thread may have read the word and not yet the number of
  // items, which may be larger now: closing the word first makes its increment fail.
  const uint32_t number = pool.job.load(std::memory_order_relaxed) + 1;
  pool.ticket.store(static_cast<uint64_t>(number) << 32 | closed, std::memory_order_relaxed);
  pool.done.store(0, std::memory_order_relaxed);
  pool.task.store(task, std::memory_order_relaxed);
  pool.body.store(body, std::memory_order_relaxed);
  pool.items.store(count, std::memory_order_release);
  pool.ticket.store(static_cast<uint64_t>(number) << 32, std::memory_order_release);
  pool.job.store(number, std::memory_order_release);
  pool.job.notify_all();
  pool.run();
  for (int i = 0; pool.done.load(std::memory_order_acquire) < count; i++) {
    if (i < 10000) pause();
    else std::this_thread::yield();
  }
  if (pool.failed.test()) {
    pool.failed.clear();
    std::rethrow_exception(std::exchange(pool.failure, nullptr));
  }
}

}  // namespace kasosei
