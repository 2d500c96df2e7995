// Softmax cross-entropy, and InfoNCE as SimCSE uses it (Gao, Yao and Chen 2021, equation 1), each with its gradient.
#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels.h"
#include "threads.h"

namespace native {
namespace {

// −log softmax(row)[label]; `row` becomes scale · (softmax(row) − one at the label).
double cross_entropy(float* row, int64_t classes, int64_t label, float scale) {
  float largest = row[0];
  for (int64_t c = 1; c < classes; c++) largest = row[c] > largest ? row[c] : largest;
  const double chosen = row[label];
  double sum = 0;
  for_lanes(classes, [&](int64_t c, auto count) {
    Floats e = exponential(load_some(row + c, count) - largest);
    store_some(row + c, e, count);
    if (count < lanes) e = load_some(row + c, count);
    sum += sum_lanes(e);
  });
  const float share_of_all = static_cast<float>(scale / sum);
  for_lanes(classes, [&](int64_t c, auto count) { store_some(row + c, load_some(row + c, count) * share_of_all, count); });
  row[label] -= scale;
  return std::log(sum) + largest - chosen;
}

// The norm below which a vector is divided by this instead, as in PyTorch's cosine similarity.
constexpr double smallest_norm = 1e-8;

double normalise(const float* from, int64_t size, float* to) {
  double squares = 0;
  for (int64_t i = 0; i < size; i++) squares += static_cast<double>(from[i]) * from[i];
  const double norm = std::max(std::sqrt(squares), smallest_norm);
  for (int64_t i = 0; i < size; i++) to[i] = static_cast<float>(from[i] / norm);
  return norm;
}

// The gradient of x from that of x / |x|, in place.
void through_normalisation(float* gradient, const float* unit, int64_t size, double norm) {
  double along = 0;
  for (int64_t i = 0; i < size; i++) along += static_cast<double>(gradient[i]) * unit[i];
  for (int64_t i = 0; i < size; i++) gradient[i] = static_cast<float>((gradient[i] - unit[i] * along) / norm);
}

}  // namespace

void softmax_cross_entropy(In logits, List<int32_t> labels, Out loss, Out gradient) {
  const int64_t rows = labels.size;
  expect(rows > 0 && logits.size % rows == 0, "as many labels as rows of logits were expected");
  const int64_t classes = logits.size / rows;
  expect_below(labels, classes, "labels");
  expect_size(loss, 1, "loss");
  expect_size(gradient, logits.size, "gradient");
  std::vector<double> losses(rows);
  share(rows, 16 * logits.size, [&](int64_t n) {
    float* row = gradient.data + n * classes;
    std::copy_n(logits.data + n * classes, classes, row);
    losses[n] = cross_entropy(row, classes, labels[n], 1.0f / rows);
  });
  double total = 0;
  for (double value : losses) total += value;
  loss.data[0] = static_cast<float>(total / rows);
}

void info_nce(In z1, In z2, double temperature, int64_t rows, Out loss, Out gradient1, Out gradient2) {
  expect(rows > 0 && z1.size % rows == 0 && z1.size > 0, "z1 is not of so many rows");
  const int64_t size = z1.size / rows;
  expect_size(z2, z1.size, "z2");
  expect_size(loss, 1, "loss");
  expect_size(gradient1, z1.size, "the gradient of z1");
  expect_size(gradient2, z1.size, "the gradient of z2");
  const float inverse = static_cast<float>(1 / temperature);
  std::vector<float> unit1(z1.size), unit2(z1.size), similarities(rows * rows);
  std::vector<double> norm1(rows), norm2(rows);
  share(rows, 8 * z1.size, [&](int64_t n) {
    norm1[n] = normalise(z1.data + n * size, size, &unit1[n * size]);
    norm2[n] = normalise(z2.data + n * size, size, &unit2[n * size]);
  });
  const Matrix first{unit1.data(), size, 1}, second{unit2.data(), size, 1};
  multiply({.m = rows, .n = rows, .k = size, .a = first, .b = second.transposed(), .c = similarities.data(),
            .stride = rows});
  double total = 0;
  for (int64_t n = 0; n < rows; n++) {
    float* row = &similarities[n * rows];
    for (int64_t j = 0; j < rows; j++) row[j] *= inverse;
    total += cross_entropy(row, rows, n, 1.0f / rows);
    for (int64_t j = 0; j < rows; j++) row[j] *= inverse;
  }
  loss.data[0] = static_cast<float>(total / rows);
  const Matrix gradient{similarities.data(), rows, 1};
  multiply({.m = rows, .n = size, .k = rows, .a = gradient, .b = second, .c = gradient1.data, .stride = size});
  multiply({.m = rows, .n = size, .k = rows, .a = gradient.transposed(), .b = first, .c = gradient2.data,
            .stride = size});
  share(rows, 8 * z1.size, [&](int64_t n) {
    through_normalisation(gradient1.data + n * size, &unit1[n * size], size, norm1[n]);
    through_normalisation(gradient2.data + n * size, &unit2[n * size], size, norm2[n]);
  });
}

}  // namespace native
