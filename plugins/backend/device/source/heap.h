// The memory of tensors. Regions come from the device, and are returned only when it has no more and they are free.
// Blocks are allocated by best fit in the first region with room, and merged with free neighbours on release: batches of
// every size share the same memory.
#pragma once

#include <cstdint>
#include <map>
#include <new>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace kasosei {

enum class Type : uint8_t { float32, int32, bool8, float64 };
constexpr int64_t bytes_of(Type type) { return type == Type::bool8 ? 1 : type == Type::float64 ? 8 : 4; }

// A tensor's memory, as the caller refers to it. The upper part counts the uses of a slot in the table, so a released
// handle is never mistaken for the next one of its slot. Below 2⁵³, since it is passed as a double.
using Handle = int64_t;

struct Allocation {
  char* data = nullptr;
  int64_t size = 0;  // numbers
  Type type = Type::float32;
  // The region that contains it.
  int64_t region = 0;
  char* region_start = nullptr;
};

// The device has no more memory: how much was wanted, and what there is.
class OutOfMemory : public std::bad_alloc {
 public:
  explicit OutOfMemory(std::string text) : text(std::move(text)) {}
  const char* what() const noexcept override { return text.c_str(); }

 private:
  std::string text;
};

// The device itself fails, whatever the arguments were.
class DeviceFailure : public std::runtime_error {
 public:
  explicit DeviceFailure(const std::string& text, const char* code = "DEVICE_FAILURE")
      : std::runtime_error(text), code(code) {}
  // By which a program knows what kind of failure it is: the `code` of the caller's exception. Static.
  const char* code;
};

// Where regions come from.
struct Source {
  // The least size of a region; a larger tensor gets its own.
  int64_t region_bytes;
  // At least `bytes`; null if there is no more.
  char* (*reserve)(int64_t bytes);
  // Null if regions are never given back. It is then gone, also if this throws.
  void (*give_back)(char* start, int64_t bytes);
  // The error after a reservation of `bytes` failed.
  OutOfMemory (*none_left)(int64_t bytes);
};

class Heap {
 public:
  explicit Heap(const Source& source) : source(source) {}

  // Throws OutOfMemory if the device provides no more memory.
  Handle allocate(Type type, int64_t size);
  // Both throw std::invalid_argument for a handle that is not live.
  void release(Handle handle);
  const Allocation& find(Handle handle) const;

  // Gives regions without tensors back to the device. Whether there was one.
  bool give_back_regions();

  struct Region {
    char* start;
    int64_t bytes;
    std::set<std::pair<int64_t, char*>> available;  // smallest first, then lowest address
  };
  const Region& region(int64_t index) const { return regions[index]; }
  int64_t bytes_in_use() const { return in_use; }

 private:
  struct Slot {
    Allocation allocation;
    int64_t bytes = 0;
    uint32_t generation = 0;
    bool live = false;
  };
  struct Block {
    int64_t bytes, region;
    bool free;
  };
  Source source;
  std::vector<Region> regions;  // those that were given back have no bytes
  std::map<char*, Block> blocks;                 // by address, neighbours next to each other
  std::vector<Slot> slots;
  std::vector<uint32_t> vacant;
  int64_t in_use = 0;

  void add_region(int64_t bytes);
  // Null if the device has no room for it, also without the regions that are free.
  char* reserve(int64_t bytes);
  // The start of a free block of at least `bytes`.
  char* room_for(int64_t bytes);
  const Slot& slot_of(Handle handle) const;
};

}  // namespace kasosei
