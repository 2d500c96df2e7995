// Softmax cross-entropy, and InfoNCE as SimCSE uses it (Gao, Yao and Chen 2021, equation 1), each with its gradient.
#include <algorithm>
#include <cmath>
#include <vector>

#include "binding.h"
#include "elementary.h"
#include "gemm.h"
#include "loss-shapes.h"
#include "threads.h"

namespace kasosei {
namespace {

// −log softmax(row)[label]; overwrites `row` with scale · (softmax(row) − one-hot(label)).
double cross_entropy(float* row, int64_t classes, int64_t label, float scale) {
  const float largest = largest_of(row, classes);
  const double chosen = row[label];
  double sum = 0;
  for_lanes(classes, [&](int64_t c, auto count) {
    Floats e = exponential(load_some(row + c, count) - largest);
    store_some(row + c, e, count);
    if (count < lanes) e = load_some(row + c, count);
    sum += sum_lanes(e);
  });
  const float factor = static_cast<float>(scale / sum);
  for_lanes(classes, [&](int64_t c, auto count) { store_some(row + c, load_some(row + c, count) * factor, count); });
  row[label] -= scale;
  return std::log(sum) + largest - chosen;
}

// Smaller norms are replaced by this one, as in PyTorch's cosine similarity.
constexpr double smallest_norm = 1e-8;

double normalise(const float* from, int64_t size, float* to) {
  double squares = 0;
  for (int64_t i = 0; i < size; i++) squares += static_cast<double>(from[i]) * from[i];
  const double norm = std::max(std::sqrt(squares), smallest_norm);
  for (int64_t i = 0; i < size; i++) to[i] = static_cast<float>(from[i] / norm);
  return norm;
}

// The gradient with respect to x from that with respect to x / |x|, in place.
void through_normalisation(float* gradient, const float* unit, int64_t size, double norm) {
  double along = 0;
  for (int64_t i = 0; i < size; i++) along += static_cast<double>(gradient[i]) * unit[i];
  for (int64_t i = 0; i < size; i++) gradient[i] = static_cast<float>((gradient[i] - unit[i] * along) / norm);
}

}  // namespace

// The mean of −log softmax(logits)[label], and its gradient with respect to the logits.
void softmax_cross_entropy(In logits_NC, List<int32_t> labels_N, Out loss, Out d_logits_NC) {
  const int64_t rows = labels_N.size, classes = cross_entropy_classes(logits_NC, labels_N, loss, d_logits_NC);
  std::vector<double> losses(rows);
  parallel_for(rows, 16 * logits_NC.size, [&](int64_t n) {
    float* row = d_logits_NC.data + n * classes;
    std::copy_n(logits_NC.data + n * classes, classes, row);
    losses[n] = cross_entropy(row, classes, labels_N[n], 1.0f / rows);
  });
  double total = 0;
  for (double value : losses) total += value;
  loss.data[0] = static_cast<float>(total / rows);
}
EXPORT(softmax_cross_entropy, "softmaxCrossEntropy")

// The mean over i of −log softmax_j(cos(z1ᵢ, z2ⱼ) / temperature)[i], and its gradients.
void info_nce(In z1_ND, In z2_ND, double temperature, int64_t rows, Out loss, Out dz1_ND, Out dz2_ND) {
  const int64_t size = info_nce_width(z1_ND, z2_ND, rows, loss, dz1_ND, dz2_ND);
  const float inverse_temperature = static_cast<float>(1 / temperature);
  std::vector<float> unit1(z1_ND.size), unit2(z1_ND.size), similarities(rows * rows);
  std::vector<double> norm1(rows), norm2(rows);
  parallel_for(rows, 8 * z1_ND.size, [&](int64_t n) {
    norm1[n] = normalise(z1_ND.data + n * size, size, &unit1[n * size]);
    norm2[n] = normalise(z2_ND.data + n * size, size, &unit2[n * size]);
  });
  const Matrix first{unit1.data(), size, 1}, second{unit2.data(), size, 1};
  multiply({.m = rows, .n = rows, .k = size, .a = first, .b = second.transposed(), .c = similarities.data(),
            .stride = rows});
  double total = 0;
  for (int64_t n = 0; n < rows; n++) {
    float* row = &similarities[n * rows];
    for (int64_t j = 0; j < rows; j++) row[j] *= inverse_temperature;
    total += cross_entropy(row, rows, n, 1.0f / rows);
    for (int64_t j = 0; j < rows; j++) row[j] *= inverse_temperature;
  }
  loss.data[0] = static_cast<float>(total / rows);
  const Matrix d_cosines{similarities.data(), rows, 1};
  multiply({.m = rows, .n = size, .k = rows, .a = d_cosines, .b = second, .c = dz1_ND.data, .stride = size});
  multiply({.m = rows, .n = size, .k = rows, .a = d_cosines.transposed(), .b = first, .c = dz2_ND.data,
            .stride = size});
  parallel_for(rows, 8 * z1_ND.size, [&](int64_t n) {
    through_normalisation(dz1_ND.data + n * size, &unit1[n * size], size, norm1[n]);
    through_normalisation(dz2_ND.data + n * size, &unit2[n * size], size, norm2[n]);
  });
}
EXPORT(info_nce, "infoNCE")

}  // namespace kasosei
