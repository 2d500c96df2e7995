// What the kernels of an update are given: lists over all parameters, in which a tensor is its handle. Everything is
// checked before anything is touched.
#pragma once

#include <vector>

#include "binding.h"

namespace kasosei {

// A tensor of which the norm is taken, and the numbers in a row of it.
struct Measured {
  In x;
  int64_t width;
};

// The tensors of a list of [handle, width of a row] each.
inline std::vector<Measured> measured_of(const List<double>& list) {
  expect(list.size % 2 == 0, "expected the handle and the width of each gradient");
  std::vector<Measured> all;
  all.reserve(list.size / 2);
  for (int64_t i = 0; i < list.size; i += 2) {
    const Measured each{buffer_of<const float>(list[i]), whole_number(list[i + 1])};
    expect(each.x.size == 0 || (each.width > 0 && each.x.size % each.width == 0),
           "expected gradients to consist of rows of the given width");
    all.push_back(each);
  }
  return all;
}

// The tensors of one number each in a list of handles.
inline std::vector<const float*> numbers_of(const List<double>& list) {
  std::vector<const float*> all;
  all.reserve(list.size);
  for (int64_t i = 0; i < list.size; i++) {
    const In number = buffer_of<const float>(list[i]);
    expect_size(number, 1, "a watched tensor");
    all.push_back(number.data);
  }
  return all;
}

// The update of one parameter.
struct ParameterUpdate {
  Out theta;
  // Of all rows or, if it is sparse, of rows `ids_U`, distinct and ascending.
  In gradient;
  Out m, v;
  bool sparse;
  // 1 for rows that ever had a gradient; none if the gradient is dense.
  Buffer<uint8_t> active_V;
  List<int32_t> ids_U;
  double step, decay;

  // The numbers in a row of a parameter whose gradient is sparse.
  int64_t width() const { return theta.size / active_V.size; }
};

// The updates in a list of 9 numbers each: θ, gradient, m, v, active rows (−1: the gradient is dense), the first of its
// ids in `ids`, how many there are, step size, decay.
inline std::vector<ParameterUpdate> parameter_updates(const List<double>& list, const List<int32_t>& ids) {
  constexpr int64_t numbers = 9;
  expect(list.size % numbers == 0, "expected 9 numbers for each parameter");
  std::vector<ParameterUpdate> all;
  all.reserve(list.size / numbers);
  for (int64_t i = 0; i < list.size; i += numbers) {
    ParameterUpdate each{
        buffer_of<float>(list[i]),     buffer_of<const float>(list[i + 1]), buffer_of<float>(list[i + 2]),
        buffer_of<float>(list[i + 3]), list[i + 4] != -1,                   {nullptr, 0},
        {nullptr, 0},                  list[i + 7],                         list[i + 8]};
    expect_size(each.m, each.theta.size, "m");
    expect_size(each.v, each.theta.size, "v");
    if (!each.sparse) {
      expect_size(each.gradient, each.theta.size, "the gradient");
    } else {
      each.active_V = buffer_of<uint8_t>(list[i + 4]);
      const int64_t rows = each.active_V.size, first = whole_number(list[i + 5]), count = whole_number(list[i + 6]);
      expect(rows > 0 && each.theta.size % rows == 0, "expected a mark for each row");
      expect(first <= ids.size && count <= ids.size - first, "expected the ids of the rows in the list of ids");
      each.ids_U = {ids.data + first, count};
      expect_size(each.gradient, count * each.width(), "the gradient's rows");
      expect_below(each.ids_U, rows, "ids");
      for (int64_t n = 1; n < count; n++) expect(each.ids_U[n - 1] < each.ids_U[n], "expected ids that ascend");
      expect(each.decay == 0, "expected no weight decay, which would change every row");
    }
    all.push_back(each);
  }
  return all;
}

// What all parameters are updated with: [largest norm, β₁, β₂, ε], and the norm of their gradients.
struct AdamWSettings {
  double largest, beta1, beta2, epsilon;
};

inline AdamWSettings adamw_settings(const List<double>& list) {
  expect(list.size == 4, "expected 4 coefficients of AdamW");
  return {list[0], list[1], list[2], list[3]};
}

// The factor of gradients of this norm: as `clippingScale` of global-norm.ts.
inline double clipping_scale(double norm, double largest) {
  const double scale = largest / (norm + 1e-6);
  return scale < 1 ? scale : 1;
}

// The numbers in a row of moments, of which there are as many as marks.
inline int64_t marked_width(In m_VH, In v_VH, const Buffer<uint8_t>& active_V) {
  expect(active_V.size > 0 && m_VH.size % active_V.size == 0, "expected a mark for each row");
  expect_size(v_VH, m_VH.size, "v");
  return m_VH.size / active_V.size;
}

}  // namespace kasosei
