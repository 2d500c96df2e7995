// Softmax cross-entropy, and InfoNCE as SimCSE uses it (Gao, Yao and Chen 2021, equation 1), each with its gradient.
#include "loss-arguments.h"

#include "binding.h"
#include "device.h"
#include "loss-shapes.h"
#include "products.h"

namespace kasosei {
namespace {

void mean_of(const double* losses, int64_t rows, Out loss) {
  launch({.blocks = {1}, .threads = MeanLoss::threads}, MeanLoss{losses, loss.data, rows});
}

}  // namespace

// The mean of −log softmax(logits)[label], and its gradient with respect to the logits.
void softmax_cross_entropy(In logits_NC, List<int32_t> labels_N, Out loss, Out d_logits_NC) {
  const int64_t rows = labels_N.size, classes = cross_entropy_classes(logits_NC, labels_N, loss, d_logits_NC);
  const Scratch losses(rows * static_cast<int64_t>(sizeof(double)));
  launch({.blocks = {rows}, .threads = CrossEntropy::threads},
         CrossEntropy{logits_NC.data, upload(labels_N), d_logits_NC.data, losses.as<double>(), classes, 1, 1.0f / rows});
  mean_of(losses.as<double>(), rows, loss);
}
EXPORT(softmax_cross_entropy, "softmaxCrossEntropy")

// The mean over i of −log softmax_j(cos(z1ᵢ, z2ⱼ) / temperature)[i], and its gradients.
void info_nce(In z1_ND, In z2_ND, double temperature, int64_t rows, Out loss, Out dz1_ND, Out dz2_ND) {
  const int64_t width = info_nce_width(z1_ND, z2_ND, rows, loss, dz1_ND, dz2_ND);
  const int64_t numbers = rows * width;
  const Scratch scratch(3 * rows * static_cast<int64_t>(sizeof(double)) +
                        (2 * numbers + rows * rows) * static_cast<int64_t>(sizeof(float)));
  double* const lengths = scratch.as<double>();
  double* const losses = lengths + 2 * rows;
  float* const units = reinterpret_cast<float*>(losses + rows);
  float* const similarities = units + 2 * numbers;
  launch({.blocks = {2 * rows}, .threads = NormaliseRows::threads},
         NormaliseRows{z1_ND.data, z2_ND.data, units, lengths, rows, width});
  const Factor first{.data = units, .stride = width}, second{.data = units + numbers, .stride = width};
  const Factor second_transposed{.data = second.data, .stride = width, .transposed = true};
  multiply({.m = rows, .n = rows, .k = width, .a = first, .b = second_transposed, .c = similarities, .stride = rows});
  launch({.blocks = {rows}, .threads = CrossEntropy::threads},
         CrossEntropy{similarities, nullptr, similarities, losses, rows, static_cast<float>(1 / temperature),
                      1.0f / rows});
  mean_of(losses, rows, loss);
  const Factor d_cosines{.data = similarities, .stride = rows};
  const Factor d_cosines_transposed{.data = similarities, .stride = rows, .transposed = true};
  multiply({.m = rows, .n = width, .k = rows, .a = d_cosines, .b = second, .c = dz1_ND.data, .stride = width});
  multiply({.m = rows, .n = width, .k = rows, .a = d_cosines_transposed, .b = first, .c = dz2_ND.data, .stride = width});
  launch({.blocks = {2 * rows}, .threads = ThroughNormalisation::threads},
         ThroughNormalisation{dz1_ND.data, dz2_ND.data, units, lengths, rows, width});
}
EXPORT(info_nce, "infoNCE")

}  // namespace kasosei
