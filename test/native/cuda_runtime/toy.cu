// The toy plan's kernels for CUDA, with the CPU's arithmetic in the CPU's order, so that results are the same
// bits; and a few that are here to test launches: several phases, shared memory, a bad address. A task is a
// block of 32 threads.
#include "cuda/params.cuh"

using namespace moproc;

#define TOY_KERNEL extern "C" __global__ void __launch_bounds__(32)

namespace {

// Arguments of toy_step, as in toy_kernels.h.
enum StepArg {
  kImg,
  kAug,
  kTarget,
  kOrder,
  kLr,
  kMomentum,
  kDecay,
  kThreshold,
  kWInst,
  kPacked,
  kWeight,
  kVelocity,
  kPointer,
  kProbs,
  kLosses,
  kLossOut,
  kClsOut,
  kInstOut,
  kCorrectOut,
  kFinite,
  kTargetNew,
  kKept,
  kClean
};

MOPROC_INLINE float logit(const unsigned char* img, const float* weight, int64_t features) {
  float sum = 0;
  for (int64_t d = 0; d < features; ++d) sum += weight[d] * (static_cast<float>(img[d]) / 255.0f);
  return sum;
}

MOPROC_INLINE int64_t largest(const float* v, int64_t n) {
  int64_t best = 0;
  for (int64_t i = 1; i < n; ++i)
    if (v[i] > v[best]) best = i;
  return best;
}

MOPROC_INLINE void softmax(float* v, int64_t n) {
  const float top = v[largest(v, n)];
  float sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += v[i] = expf(v[i] - top);
  for (int64_t i = 0; i < n; ++i) v[i] /= sum;
}

MOPROC_INLINE void sample(const Params& p, int64_t n) {
  const int64_t features = p.extent[0], classes = p.extent[1];
  float* const probs = out<float>(p, kProbs) + n * classes;
  float* const losses = out<float>(p, kLosses) + n * 3;
  for (int64_t k = threadIdx.x; k < classes; k += blockDim.x)
    probs[k] = logit(in<unsigned char>(p, kImg) + n * features, in<float>(p, kPacked) + k * features, features);
  __syncthreads();
  if (threadIdx.x != 0) return;
  softmax(probs, classes);
  const int64_t best = largest(probs, classes);
  int64_t label = in<int64_t>(p, kTarget)[n];
  float kept = 1;
  if (p.extent[2]) {
    kept = probs[label] > 1.0f / static_cast<float>(classes) ? 1.0f : 0.0f;
    if (probs[best] > *in<float>(p, kThreshold)) label = best, kept = 1;
  }
  out<int64_t>(p, kTargetNew)[n] = label;
  out<float>(p, kKept)[n] = kept;
  const unsigned char* const key = in<unsigned char>(p, kAug) + in<int64_t>(p, kOrder)[n] * features;
  losses[0] = -kept * logf(probs[label]);
  losses[1] = static_cast<float>(key[n % features]) * 0.01f * static_cast<float>(n + 1);
  losses[2] = kept * static_cast<float>(best == label);
  probs[label] -= 1;
  for (int64_t k = 0; k < classes; ++k) probs[k] *= kept;
}

MOPROC_INLINE void sum_groups(const Params& p) {
  if (threadIdx.x != 0) return;
  const int64_t n = p.rows / p.groups;
  float finite = 1;
  for (int64_t g = 0; g < p.groups; ++g) {
    float cls = 0, inst = 0, right = 0, kept = 0;
    for (int64_t i = g * n; i < (g + 1) * n; ++i) {
      const float* const l = in<float>(p, kLosses) + i * 3;
      cls += l[0], inst += l[1], right += l[2], kept += in<float>(p, kKept)[i];
    }
    out<float>(p, kClsOut)[g] = cls /= kept > 1.0f ? kept : 1.0f;
    out<float>(p, kInstOut)[g] = inst /= static_cast<float>(n);
    out<float>(p, kLossOut)[g] = cls + *in<float>(p, kWInst) * inst;
    out<float>(p, kCorrectOut)[g] = right;
    out<float>(p, kClean)[g] = kept;
    if (in<float>(p, kLossOut)[g] - in<float>(p, kLossOut)[g] != 0) finite = 0;  // NaN or infinity
  }
  *out<float>(p, kFinite) = finite;
  if (finite != 0) *out<int64_t>(p, kPointer) += p.rows;
}

MOPROC_INLINE void update_class(const Params& p, int64_t k) {
  if (*in<float>(p, kFinite) == 0) return;
  const int64_t features = p.extent[0], classes = p.extent[1];
  for (int64_t d = threadIdx.x; d < features; d += blockDim.x) {
    float g = 0;
    for (int64_t n = 0; n < p.rows; ++n)
      g += in<float>(p, kProbs)[n * classes + k] * static_cast<float>(in<unsigned char>(p, kImg)[n * features + d]) /
           255.0f;
    float& w = out<float>(p, kWeight)[k * features + d];
    float& v = out<float>(p, kVelocity)[k * features + d];
    v = *in<float>(p, kMomentum) * v + (g / static_cast<float>(p.rows) + *in<float>(p, kDecay) * w);
    w -= *in<float>(p, kLr) * v;
    out<float>(p, kPacked)[k * features + d] = w;
  }
}

}  // namespace

TOY_KERNEL toy_step(const __grid_constant__ Params p) {
  if (p.phase == 0) sample(p, blockIdx.x);
  else if (p.phase == 1) sum_groups(p);
  else update_class(p, blockIdx.x);
}

TOY_KERNEL toy_ema(const __grid_constant__ Params p) {
  const float m = *in<float>(p, 2);
  for (int64_t i = threadIdx.x; i < p.extent[0]; i += blockDim.x) {
    const int64_t at = blockIdx.x * p.extent[0] + i;
    out<float>(p, 0)[at] = m * out<float>(p, 0)[at] + (1 - m) * in<float>(p, 1)[at];
  }
}

TOY_KERNEL toy_pack(const __grid_constant__ Params p) {
  for (int64_t i = threadIdx.x; i < p.extent[0]; i += blockDim.x)
    out<float>(p, 1)[blockIdx.x * p.extent[0] + i] = in<float>(p, 0)[blockIdx.x * p.extent[0] + i];
}

TOY_KERNEL toy_evaluate(const __grid_constant__ Params p) {
  if (threadIdx.x != 0) return;
  const int64_t features = p.extent[0], classes = p.extent[1];
  float one = 0, five = 0;
  for (int64_t n = 0; n < p.rows; ++n) {
    float* const logits = out<float>(p, 4) + n * classes;
    for (int64_t k = 0; k < classes; ++k)
      logits[k] = logit(in<unsigned char>(p, 0) + n * features, in<float>(p, 3) + k * features, features);
    int above = 0;
    for (int64_t k = 0; k < classes; ++k) above += logits[k] > logits[in<int64_t>(p, 1)[n]];
    one += in<float>(p, 2)[n] * static_cast<float>(above < 1);
    five += in<float>(p, 2)[n] * static_cast<float>(above < 5);
  }
  *out<float>(p, 5) = one;
  *out<float>(p, 6) = five;
}

TOY_KERNEL toy_nan(const __grid_constant__ Params p) {
  if (threadIdx.x == 0) out<float>(p, 0)[3] = logf(-1.0f);
}

// {x, scale, y}: y = x * scale * scalars[0]; extent: elements a block.
TOY_KERNEL toy_scale(const __grid_constant__ Params p) {
  for (int64_t i = threadIdx.x; i < p.extent[0]; i += blockDim.x) {
    const int64_t at = blockIdx.x * p.extent[0] + i;
    out<float>(p, 2)[at] = in<float>(p, 0)[at] * *in<float>(p, 1) * p.scalars[0];
  }
}

// {x, total, sums}: phase 0: the sum of a block's elements, in order, to the workspace, by way of the end of a
// large shared memory; phase 2 (phase 1 has no blocks): total = the sum of these, sums += total. extent:
// elements a block, blocks, floats of shared memory, elements of sums.
TOY_KERNEL toy_total(const __grid_constant__ Params p) {
  float* const partial = static_cast<float*>(p.workspace);
  if (p.phase == 0) {
    float* const part = reinterpret_cast<float*>(shared_memory) + p.extent[2] - 32;
    part[threadIdx.x] = 0;
    const float* const x = in<float>(p, 0) + blockIdx.x * p.extent[0];
    for (int64_t i = threadIdx.x; i < p.extent[0]; i += 32) part[threadIdx.x] += x[i];
    __syncthreads();
    if (threadIdx.x != 0) return;
    partial[blockIdx.x] = 0;
    for (int i = 0; i < 32; ++i) partial[blockIdx.x] += part[i];
  } else if (p.phase == 2 && threadIdx.x == 0) {
    float total = 0;
    for (int64_t i = 0; i < p.extent[1]; ++i) total += partial[i];
    *out<float>(p, 1) = total;
    for (int64_t i = 0; i < p.extent[3]; ++i) out<float>(p, 2)[i] += total;
  }
}

// {out}: writes behind element extent[0], its arena's last.
TOY_KERNEL toy_wild(const __grid_constant__ Params p) { out<float>(p, 0)[p.extent[0] + threadIdx.x] = 1; }
