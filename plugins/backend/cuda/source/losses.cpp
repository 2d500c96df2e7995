// Softmax cross-entropy, with its gradient.
#include "loss-arguments.h"

#include "binding.h"
#include "device.h"
#include "loss-shapes.h"

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

}  // namespace kasosei
