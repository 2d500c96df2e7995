// The memory of tensors. Regions come from the system and are never returned. Blocks are allocated by best fit in the
// first region with room, and merged with free neighbours on release: batches of every size share the same memory.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <utility>
#include <vector>

namespace kasosei {

enum class Type : uint8_t { float32, int32, bool8 };
constexpr int64_t bytes_of(Type type) { return type == Type::bool8 ? 1 : 4; }

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

class Heap {
 public:
  // Throws std::bad_alloc if the system provides no more memory.
  Handle allocate(Type type, int64_t size);
  // Both throw std::invalid_argument for a handle that is not live.
  void release(Handle handle);
  const Allocation& find(Handle handle) const;

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
  std::vector<Region> regions;
  std::map<char*, Block> blocks;                 // by address, neighbours next to each other
  std::vector<Slot> slots;
  std::vector<uint32_t> vacant;
  int64_t in_use = 0;

  void add_region(int64_t bytes);
  // The start of a free block of at least `bytes`.
  char* room_for(int64_t bytes);
  const Slot& slot_of(Handle handle) const;
};

}  // namespace kasosei
