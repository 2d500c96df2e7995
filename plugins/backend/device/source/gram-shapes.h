// What the arguments of Gram matrices say, checked: the same on every device.
#pragma once

#include "buffer.h"

namespace kasosei {

// N samples, whose tokens are packed: rows offsets[i] … offsets[i + 1] − 1 of the inputs and of the output gradients.
struct Samples {
  int64_t count, tokens, inputs, outputs;
  List<int32_t> offsets;
  // Of Gram matrices one after another, [M, N, N], the one that is written: all of it is.
  double* gram;
  Samples(In input_TI, In output_gradient_TO, const List<int32_t>& sample_offsets, Buffer<double> grams, int64_t at)
      : offsets(sample_offsets) {
    expect(offsets.size > 1, "expected at least one sample");
    count = offsets.size - 1;
    tokens = offsets[count];
    expect_offsets(offsets, tokens);
    expect(grams.size % (count * count) == 0, "expected Gram matrices of all samples");
    expect(at < grams.size / (count * count), "expected room for the Gram matrix");
    gram = grams.data + at * count * count;
    expect(tokens == 0 || (input_TI.size % tokens == 0 && output_gradient_TO.size % tokens == 0),
           "expected rows of equal length");
    inputs = tokens == 0 ? 0 : input_TI.size / tokens;
    outputs = tokens == 0 ? 0 : output_gradient_TO.size / tokens;
  }
  int64_t length(int64_t i) const { return offsets[i + 1] - offsets[i]; }
};

// The samples of x, or of x ∘ factor if factor is not empty.
inline Samples samples_of_sums(In x_TD, In factor_TD, const List<int32_t>& offsets, Buffer<double> grams, int64_t at) {
  Samples samples(x_TD, x_TD, offsets, grams, at);
  if (factor_TD.size > 0) expect_size(factor_TD, x_TD.size, "the factor");
  return samples;
}

}  // namespace kasosei
