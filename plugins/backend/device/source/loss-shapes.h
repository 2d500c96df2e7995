// The arguments of losses, checked.
#pragma once

#include "buffer.h"

namespace kasosei {

// The number of classes.
inline int64_t cross_entropy_classes(In logits_NC, const List<int32_t>& labels_N, Out loss, Out d_logits_NC) {
  const int64_t rows = labels_N.size;
  expect(rows > 0 && logits_NC.size % rows == 0, "expected at least one label, and one for each row of logits");
  const int64_t classes = logits_NC.size / rows;
  expect_below(labels_N, classes, "labels");
  expect_size(loss, 1, "loss");
  expect_size(d_logits_NC, logits_NC.size, "the gradient of the logits");
  return classes;
}

// The size of a vector.
inline int64_t info_nce_width(In z1_ND, In z2_ND, int64_t rows, Out loss, Out dz1_ND, Out dz2_ND) {
  expect(rows > 0 && z1_ND.size % rows == 0 && z1_ND.size > 0, "expected z1 with that number of rows, at least one");
  expect_size(z2_ND, z1_ND.size, "z2");
  expect_size(loss, 1, "loss");
  expect_size(dz1_ND, z1_ND.size, "the gradient of z1");
  expect_size(dz2_ND, z1_ND.size, "the gradient of z2");
  return z1_ND.size / rows;
}

}  // namespace kasosei
