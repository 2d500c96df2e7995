// The memory of tensors. Regions come from the system and are kept; inside the first one with room, blocks are handed out
// by the best fit, and joined with their neighbours when they come back: batches of every size go through the same memory.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <utility>
#include <vector>

namespace native {

enum class Type : uint8_t { float32, int32, bool8 };
constexpr int64_t bytes_of(Type type) { return type == Type::bool8 ? 1 : 4; }

// A tensor's memory, as the caller knows it. The upper part counts the uses of a slot in the table, so a handle that
// was released is never mistaken for the next one of its slot. Below 2⁵³: it travels as a double.
using Handle = int64_t;

struct Allocation {
  char* data = nullptr;
  int64_t size = 0;  // numbers
  Type type = Type::float32;
  // Of the region that it lies in.
  int64_t region = 0;
  char* region_start = nullptr;
};

class Heap {
 public:
  // Throws std::bad_alloc where the system gives no more.
  Handle allocate(Type type, int64_t size);
  // Both throw std::invalid_argument for a handle that is not live.
  void release(Handle handle);
  const Allocation& find(Handle handle) const;

  struct Region {
    char* start;
    int64_t bytes;
    std::set<std::pair<int64_t, char*>> available;  // the smallest first, then the lowest
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
  std::vector<Region> regions;
  std::map<char*, Block> blocks;                 // by address, neighbours next to each other
  std::vector<Slot> slots;
  std::vector<uint32_t> vacant;
  int64_t in_use = 0;

  void add_region(int64_t bytes);
  // The start of a free block of at least so many bytes.
  char* room_for(int64_t bytes);
  const Slot& slot_of(Handle handle) const;
};

}  // namespace native
