// Tensors as bfloat16 numbers, for products in that precision. A copy is written by the kernel that writes the tensor,
// where products usually follow, or else made when a product first needs it; it is given up when something else writes the
// tensor, or the tensor is released. Those of weights are brought up to date by each update of AdamW.
#pragma once

#include <cstdint>
#include <optional>

#include "buffer.h"
#include "memory.h"
#include "precision.h"

namespace kasosei {

// The copy of a tensor [rows, columns], made if there is none; null if it is empty, or its rows cannot be read 16 bytes at a
// time.
const uint16_t* rounded_copy(In x, int64_t columns);

// The copy that an update of the weight has to write too, or null.
uint16_t* copy_to_update(const float* weight);

// For a kernel that is about to write a tensor [rows, columns], and writes its copy too if there is one: only in bfloat16,
// and if its rows can be written 16 bytes at a time.
class RoundedOutput {
 public:
  RoundedOutput(Precision precision, In tensor, int64_t columns);
  ~RoundedOutput();
  RoundedOutput(const RoundedOutput&) = delete;
  RoundedOutput& operator=(const RoundedOutput&) = delete;
  // Null if there is none.
  uint16_t* data() const;
  // After the launch.
  void written();

 private:
  const float* tensor;
  std::optional<Handle> handle;
};

}  // namespace kasosei
