// Digests of tensors, so that a change of one is seen without bringing it to the processor.
#include "digest-arguments.h"

#include "binding.h"
#include "grid.h"

namespace kasosei {
namespace {

DigestedTensor words_of(double handle, int64_t first_block) {
  const Allocation& found = heap.find(whole_number(handle));
  expect(found.type == Type::float32 || found.type == Type::int32, "expected tensors of float32 or int32 numbers");
  return {reinterpret_cast<const uint32_t*>(found.data), found.size, first_block};
}

}  // namespace

// digests[i]: 64 bits that are no number, of the words of the tensor i and their order.
void digests_of(List<double> tensors, Buffer<double> digests) {
  expect_size(digests, tensors.size, "the digests");
  if (tensors.size == 0) return;
  std::vector<DigestedTensor> all;
  all.reserve(tensors.size);
  int64_t blocks = 0;
  for (int64_t i = 0; i < tensors.size; i++) {
    all.push_back(words_of(tensors[i], blocks));
    blocks += divide_up(divide_up(all.back().count, 2), DigestedTensor::pairs_in_a_block);
  }
  const Scratch parts(blocks * sizeof(uint64_t));
  const DigestedTensor* list = upload(all);
  const int32_t count = static_cast<int32_t>(all.size());
  launch({.blocks = {blocks}, .threads = DigestBlocks::threads}, DigestBlocks{list, count, parts.as<uint64_t>()});
  launch({.blocks = {count}, .threads = AddDigests::threads},
         AddDigests{list, count, blocks, parts.as<uint64_t>(), reinterpret_cast<uint64_t*>(digests.data)});
}
EXPORT(digests_of, "digests")

}  // namespace kasosei
