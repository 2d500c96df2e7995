#include "heap.h"

#include <stdexcept>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
// Under AddressSanitizer, memory that is not allocated is poisoned, so that an access beyond a tensor is detected.
#define ASAN_POISON_MEMORY_REGION(address, size)
#define ASAN_UNPOISON_MEMORY_REGION(address, size)
#endif

namespace kasosei {
namespace {

// Blocks begin at multiples of this, so that vectors do not straddle cache lines.
constexpr int64_t alignment = 256;

constexpr int slot_bits = 24;

int64_t round_up(int64_t size, int64_t multiple) { return (size + multiple - 1) / multiple * multiple; }

}  // namespace

void Heap::add_region(int64_t bytes) {
  const int64_t least = round_up(bytes, int64_t{1} << 21);
  int64_t size = least > source.region_bytes ? least : source.region_bytes;
  char* start = reserve(size);
  // What is left may still be enough for this tensor.
  if (start == nullptr && size > least) start = reserve(size = least);
  if (start == nullptr) throw source.none_left(least);
  ASAN_POISON_MEMORY_REGION(start, size);
  blocks.emplace(start, Block{size, static_cast<int64_t>(regions.size()), true});
  regions.push_back({start, size, {{size, start}}});
}

char* Heap::reserve(int64_t bytes) {
  char* start = source.reserve(bytes);
  if (start == nullptr && give_back_regions()) start = source.reserve(bytes);
  return start;
}

bool Heap::give_back_regions() {
  if (source.give_back == nullptr) return false;
  bool any = false;
  for (Region& region : regions) {
    if (region.bytes == 0 || !region.available.count({region.bytes, region.start})) continue;
    const auto [start, bytes, available] = std::exchange(region, {nullptr, 0, {}});
    blocks.erase(start);
    any = true;
    source.give_back(start, bytes);
  }
  return any;
}

char* Heap::room_for(int64_t bytes) {
  // The oldest region with room: memory that was already in use is reused before any that never was.
  for (const Region& region : regions)
    if (const auto block = region.available.lower_bound({bytes, nullptr}); block != region.available.end())
      return block->second;
  add_region(bytes);
  return regions.back().start;
}

Handle Heap::allocate(Type type, int64_t size) {
  if (size < 0 || size > (int64_t{1} << 40)) throw std::invalid_argument("expected a tensor of 0 to 2^40 numbers");
  const int64_t bytes = round_up(size > 0 ? size * bytes_of(type) : 1, alignment);
  char* data = room_for(bytes);
  Block& block = blocks.at(data);
  auto& available = regions[block.region].available;
  available.erase({block.bytes, data});
  if (block.bytes > bytes) {
    blocks.emplace(data + bytes, Block{block.bytes - bytes, block.region, true});
    available.emplace(block.bytes - bytes, data + bytes);
    block.bytes = bytes;
  }
  block.free = false;
  in_use += bytes;
  ASAN_UNPOISON_MEMORY_REGION(data, size * bytes_of(type));

  uint32_t index;
  if (vacant.empty()) {
    if (slots.size() >> slot_bits) throw OutOfMemory("out of handles for tensors");
    index = slots.size();
    slots.emplace_back();
  } else {
    index = vacant.back();
    vacant.pop_back();
  }
  Slot& slot = slots[index];
  slot.allocation = {data, size, type, block.region, regions[block.region].start};
  slot.bytes = bytes;
  slot.live = true;
  slot.generation = (slot.generation + 1) & 0xfffffff;
  return (static_cast<Handle>(slot.generation) << slot_bits) | index;
}

const Heap::Slot& Heap::slot_of(Handle handle) const {
  const uint64_t index = handle & ((1 << slot_bits) - 1);
  if (handle < 0 || index >= slots.size() || !slots[index].live || slots[index].generation != handle >> slot_bits)
    throw std::invalid_argument("expected a live tensor, found one that was disposed of or never allocated");
  return slots[index];
}

const Allocation& Heap::find(Handle handle) const { return slot_of(handle).allocation; }

void Heap::release(Handle handle) {
  Slot& slot = const_cast<Slot&>(slot_of(handle));
  slot.live = false;
  vacant.push_back(handle & ((1 << slot_bits) - 1));
  in_use -= slot.bytes;
  ASAN_POISON_MEMORY_REGION(slot.allocation.data, slot.bytes);

  auto block = blocks.find(slot.allocation.data);
  auto& available = regions[block->second.region].available;
  block->second.free = true;
  const auto join = [&](auto low, auto high) {
    if (!low->second.free || !high->second.free || low->second.region != high->second.region) return low;
    available.erase({low->second.bytes, low->first});
    available.erase({high->second.bytes, high->first});
    low->second.bytes += high->second.bytes;
    blocks.erase(high);
    return low;
  };
  if (const auto after = std::next(block); after != blocks.end()) join(block, after);
  if (block != blocks.begin()) {
    const auto before = std::prev(block);
    if (before->second.free && before->second.region == block->second.region) block = join(before, block);
  }
  available.emplace(block->second.bytes, block->first);
}

}  // namespace kasosei
