// Plain loops. Sums run in a fixed order, so the number of threads cannot change the results.
#include "toy_kernels.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace moproc::test {
namespace {

template <class T>
T* at(const Params& p, int arg) {
  return static_cast<T*>(p.buf[arg]);
}

void logits_of(const uint8_t* img, const float* weight, int64_t features, int64_t classes, float* out) {
  for (int64_t k = 0; k < classes; ++k) {
    float sum = 0;
    for (int64_t d = 0; d < features; ++d) sum += weight[k * features + d] * (static_cast<float>(img[d]) / 255.0f);
    out[k] = sum;
  }
}

void softmax(float* v, int64_t n) {
  const float top = *std::max_element(v, v + n);
  float sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += v[i] = std::exp(v[i] - top);
  for (int64_t i = 0; i < n; ++i) v[i] /= sum;
}

/// probs becomes the gradient of the sample's loss; losses (n, 3): class term, instance term, whether right.
void sample(const Params& p, int64_t n) {
  const int64_t features = p.extent[0], classes = p.extent[1];
  float* const probs = at<float>(p, kProbs) + n * classes;
  float* const losses = at<float>(p, kLosses) + n * 3;
  logits_of(at<uint8_t>(p, kImg) + n * features, at<float>(p, kPacked), features, classes, probs);
  softmax(probs, classes);
  const int64_t best = std::max_element(probs, probs + classes) - probs;
  int64_t label = at<int64_t>(p, kTarget)[n];
  float kept = 1;
  if (p.extent[2]) {
    kept = probs[label] > 1.0f / static_cast<float>(classes) ? 1.0f : 0.0f;
    if (probs[best] > *at<float>(p, kThreshold)) label = best, kept = 1;
  }
  at<int64_t>(p, kTargetNew)[n] = label;
  at<float>(p, kKept)[n] = kept;
  const uint8_t* const key = at<uint8_t>(p, kAug) + at<int64_t>(p, kOrder)[n] * features;
  losses[0] = -kept * std::log(probs[label]);
  losses[1] = static_cast<float>(key[n % features]) * 0.01f * static_cast<float>(n + 1);
  losses[2] = kept * static_cast<float>(best == label);
  probs[label] -= 1;
  for (int64_t k = 0; k < classes; ++k) probs[k] *= kept;
}

void sum_groups(const Params& p) {
  const int64_t n = p.rows / p.groups;
  float finite = 1;
  for (int64_t g = 0; g < p.groups; ++g) {
    float cls = 0, inst = 0, right = 0, kept = 0;
    for (int64_t i = g * n; i < (g + 1) * n; ++i) {
      const float* const l = at<float>(p, kLosses) + i * 3;
      cls += l[0], inst += l[1], right += l[2], kept += at<float>(p, kKept)[i];
    }
    at<float>(p, kClsOut)[g] = cls /= std::max(1.0f, kept);
    at<float>(p, kInstOut)[g] = inst /= static_cast<float>(n);
    at<float>(p, kLossOut)[g] = cls + *at<float>(p, kWInst) * inst;
    at<float>(p, kCorrectOut)[g] = right;
    at<float>(p, kClean)[g] = kept;
    if (!std::isfinite(at<float>(p, kLossOut)[g])) finite = 0;
  }
  *at<float>(p, kFinite) = finite;
  if (finite != 0) *at<int64_t>(p, kPointer) += p.rows;
}

void update_class(const Params& p, int64_t k) {
  if (*at<float>(p, kFinite) == 0) return;
  const int64_t features = p.extent[0], classes = p.extent[1];
  for (int64_t d = 0; d < features; ++d) {
    float g = 0;
    for (int64_t n = 0; n < p.rows; ++n)
      g += at<float>(p, kProbs)[n * classes + k] * static_cast<float>(at<uint8_t>(p, kImg)[n * features + d]) / 255.0f;
    float& w = at<float>(p, kWeight)[k * features + d];
    float& v = at<float>(p, kVelocity)[k * features + d];
    v = *at<float>(p, kMomentum) * v + (g / static_cast<float>(p.rows) + *at<float>(p, kDecay) * w);
    w -= *at<float>(p, kLr) * v;
    at<float>(p, kPacked)[k * features + d] = w;
  }
}

}  // namespace

void toy_step(const Params& p, const Task& t) {
  for (int64_t i = t.begin; i < t.end; ++i) {
    if (t.phase == 0) sample(p, i);
    else if (t.phase == 1) sum_groups(p);
    else update_class(p, i);
  }
}

void toy_ema(const Params& p, const Task& t) {
  const float m = *at<float>(p, 2);
  for (int64_t i = t.begin * p.extent[0]; i < t.end * p.extent[0]; ++i)
    at<float>(p, 0)[i] = m * at<float>(p, 0)[i] + (1 - m) * at<float>(p, 1)[i];
}

void toy_pack(const Params& p, const Task& t) {
  const int64_t n = p.extent[0];
  std::copy(at<float>(p, 0) + t.begin * n, at<float>(p, 0) + t.end * n, at<float>(p, 1) + t.begin * n);
}

void toy_evaluate(const Params& p, const Task&) {
  const int64_t features = p.extent[0], classes = p.extent[1];
  float one = 0, five = 0;
  for (int64_t n = 0; n < p.rows; ++n) {
    float* const logits = at<float>(p, 4) + n * classes;
    logits_of(at<uint8_t>(p, 0) + n * features, at<float>(p, 3), features, classes, logits);
    const float own = logits[at<int64_t>(p, 1)[n]];
    const int64_t above = std::count_if(logits, logits + classes, [&](float v) { return v > own; });
    one += at<float>(p, 2)[n] * static_cast<float>(above < 1);
    five += at<float>(p, 2)[n] * static_cast<float>(above < 5);
  }
  *at<float>(p, 5) = one;
  *at<float>(p, 6) = five;
}

void toy_nan(const Params& p, const Task&) { at<float>(p, 0)[3] = std::numeric_limits<float>::quiet_NaN(); }

}  // namespace moproc::test
