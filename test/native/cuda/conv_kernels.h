// Shapes, fused bodies and references for the tests of the convolution templates. References are naive sums in f64 over
// operands rounded as the kernel stores them; sums and moments are checked against the stored result.
#pragma once

#include "cuda/conv_dgrad.cuh"
#include "cuda/conv_fprop.cuh"
#include "cuda/conv_wgrad.cuh"
#include "cuda/pack_conv.cuh"

#include "native/cuda/harness.h"
#include "native/each_tap.h"

namespace moproc::test {

template <int c, int h, int w, int o, int r, int stride, int pad, int cw = c>
struct Shape {
  static constexpr int C = c, WEIGHT_CHANNELS = cw, H = h, W = w, OUT = o, R = r, S = r, STRIDE = stride, PAD = pad;
  static constexpr int P = (h + 2 * pad - r) / stride + 1, Q = (w + 2 * pad - r) / stride + 1;
};
template <int bm, int bn, int bk, int stages, int threads>
struct Tiles {
  static constexpr int TILE_ROWS = bm, TILE_COLUMNS = bn, STAGE_TERMS = bk, STAGES = stages, THREADS = threads;
};
/// Tiles of the path for sm_90a; without it, the same on the other path.
template <int bm, int bn, int stages, int workers>
struct HopperTiles : Tiles<bm, bn, 64, stages, workers> {
  static constexpr int HOPPER_WORKERS = workers, HOPPER_STAGES = stages, HOPPER_BLOCKS = 1;
};

/// The type of an element in the kernel's bodies and in the test's tensors.
template <class O>
using Body = std::conditional_t<O::bytes == 2, bf16, float>;
template <class O>
using Stored = std::conditional_t<O::bytes == 2, Half, float>;

/// Operands: buffer B as it is, or max(x * group_channel(B + 1) + group_channel(B + 2), 0), or x * channel(B + 1) +
/// row_channel(B + 2). The third is not 0 for x = 0, nor is the second, so that padding shows.
enum class Pre { Plain, AffineRelu, Row };
template <class O, int C, int B, Pre pre>
struct Operand {
  static constexpr int buffer = pre == Pre::Plain ? B : -1;
  static MOPROC_INLINE Vec load(const Params& p, const At& i, int lanes) {
    const Vec x = full<Body<O>, C>(p, B, i, lanes);
    if constexpr (pre == Pre::Row)
      return fma(x, channel<float>(p, B + 1, i, lanes), row_channel<float, C>(p, B + 2, i, lanes));
    return max(fma(x, group_channel<float, C>(p, B + 1, i, lanes), group_channel<float, C>(p, B + 2, i, lanes)),
               Vec(0.0f));
  }
};

/// Results: as they are; or where the aux tensor is positive, with sums of the stored value and of it times aux; or
/// plus a value of the row, with the sum of squares and moments. Buffers from B: y, aux, sum, sum, mean, M2.
enum class Post { Plain, MaskSums, Moments };
template <class O, int C, int B, Post post>
struct Result {
  static constexpr int sums = post == Post::Plain ? 0 : post == Post::MaskSums ? 2 : 1;
  static constexpr int sum_buffer[] = {post == Post::Plain ? -1 : B + 2, B + 3};
  static constexpr int operand_words = post == Post::MaskSums ? O::bytes * 2 : 0;
  static constexpr int mean_buffer = post == Post::Moments ? B + 4 : -1;
  static constexpr int m2_buffer = post == Post::Moments ? B + 5 : -1;
  static MOPROC_INLINE Vec store(const Params& p, const At& i, int lanes, Vec y, Vec* sum) {
    Vec v = y;
    if constexpr (post == Post::MaskSums) v = select(full<float, C>(p, B + 1, i, lanes) > Vec(0.0f), y, Vec(0.0f));
    if constexpr (post == Post::Moments) v = y + row_channel<float, C>(p, B + 1, i, lanes);
    put<Body<O>, C>(p, B, i, lanes, v);
    if constexpr (O::bytes == 2) v = rounded<bf16>(v);
    if constexpr (post == Post::MaskSums) sum[0] = v, sum[1] = v * full<float, C>(p, B + 1, i, lanes);
    if constexpr (post == Post::Moments) sum[0] = v * v;
    return v;
  }
};

template <class S, class T, class O, Pre pre, Post post>
struct FpropKernel : S, T {
  using Operand = O;
  using X = test::Operand<O, S::C, 0, pre>;
  static constexpr int W_BUFFER = 3;
  using Y = Result<O, S::OUT, 4, post>;
};
template <class S, class T, class O, Pre pre, Post post>
struct DgradKernel : S, T {
  using Operand = O;
  using Dy = test::Operand<O, S::OUT, 0, pre>;
  static constexpr int W_BUFFER = 3;
  using Y = Result<O, S::C, 4, post>;
};
template <class S, class T, class O, Pre pre_dy, Pre pre_x>
struct WgradKernel : S, T {
  using Operand = O;
  using Dy = test::Operand<O, S::OUT, 0, pre_dy>;
  using X = test::Operand<O, S::C, 3, pre_x>;
  static constexpr int DW_BUFFER = 6;
};
template <class S, class O>
struct PackKernel : S {
  using Operand = O;
  static constexpr int W_BUFFER = 0, PACKED_BUFFER = 1, THREADS = 128;
};

/// What a product makes of an operand's value: bf16, or tf32 with its low bits.
template <class O>
double seen(float x) {
  if constexpr (O::bytes == 2) return static_cast<float>(Half(x));
  else if constexpr (O::products == 1) return std::bit_cast<float>(to_tf32(x));
  else return x;
}
/// Relative error of one product: bf16 and tf32 products are exact in f32, split operands lose 2^-22.
template <class O>
constexpr double product_error = O::products == 3 ? 1e-6 : 0;

/// An (n, pixels, c) operand with its partners in the prologue, and its value after it as the product sees it. Of
/// `channels` stored ones, those from `used` on are zero (the image).
template <class O>
struct Source {
  Tensor<Stored<O>> x;
  Tensor<float> a, b;
  std::vector<double> seen;
  Source(int64_t n, int64_t pixels, int64_t c, int64_t used, int64_t groups, Pre pre, Random& random)
      : x(n * pixels * c, [&](int64_t i) { return i % c < used ? random.uniform() : 0.0f; }),
        a(groups * c, random.floats(0.5f, 1.5f)),
        b(n * c, random.floats(0.25f, 1)),
        seen(static_cast<size_t>(n * pixels * c)) {
    for (int64_t i = 0; i < x.size(); ++i) {
      const int64_t group = i / c / pixels / (n / groups), gc = group * c + i % c;
      const float v = x[i];
      float y = v;
      if (pre == Pre::AffineRelu) y = std::max(std::fma(v, a[gc], b[gc]), 0.0f);
      if (pre == Pre::Row) y = std::fma(v, a[i % c], b[i / c / pixels * c + i % c]);
      seen[static_cast<size_t>(i)] = test::seen<O>(y);
    }
  }
  void add(Launch& l) { l.arg(x).arg(a).arg(b); }
};

// From here on sizes and kernels are values, because only the kernels need one function per shape.

struct Sizes {
  int64_t c, weight_channels, h, w, out, r, s, stride, pad, p, q;
  int64_t x_pixels() const { return h * w; }
  int64_t y_pixels() const { return p * q; }
  int64_t weights() const { return out * r * s * weight_channels; }
};
template <class S>
constexpr Sizes sizes = {S::C, S::WEIGHT_CHANNELS, S::H, S::W, S::OUT, S::R, S::S, S::STRIDE, S::PAD, S::P, S::Q};

/// A kernel and what its launch needs: threads, bytes of shared memory, rows of a tile, blocks of columns, partials per
/// channel.
struct Kernel {
  void (*entry)(const Params&);
  int threads;
  int64_t shared, tile_rows, blocks, partials;
};
template <class K, class F>
Kernel kernel(void (*entry)(const Params&)) {
  return {entry, Path<K>::threads, F::Memory::bytes, K::TILE_ROWS, F::blocks_n, partial_values<typename K::Y>};
}

/// pack_conv_fprop, and the elements that it makes per output channel.
struct Pack {
  void (*entry)(const Params&);
  int threads;
  int64_t columns;
};
template <class S, class O, class K = PackKernel<S, O>>
Pack pack() {
  return {pack_conv_fprop<K>, K::THREADS, ConvShape<K>::columns};
}

/// Weights (OUT, R, S, WEIGHT_CHANNELS) in f32, what the product sees of them, and the packed copy made by
/// pack_conv_fprop.
template <class O>
struct Weights {
  Tensor<float> w;
  Tensor<Stored<O>> packed;
  std::vector<double> seen;
  Weights(const Sizes& d, const Pack& pack, Random& random)
      : w(d.weights(), random.floats()), packed(d.out * pack.columns) {
    for (int64_t i = 0; i < w.size(); ++i) seen.push_back(test::seen<O>(w[i]));
    Launch(pack.entry, 1, 1, {ceil_of(packed.size() / 8, pack.threads)}).threads(pack.threads).arg(w).arg(packed).run();
  }
};

/// Buffers of an epilogue and the check of what it left there.
template <class O>
struct Output {
  Post post;
  Tensor<Stored<O>> y;
  Tensor<float> aux, sum, sum2, mean, m2;
  Output(Post of, int64_t n, int64_t c, int64_t groups, Random& random)
      : post(of), y(n), aux(n, random.floats()), sum(groups * c), sum2(groups * c), mean(groups * c), m2(groups * c) {}
  void add(Launch& l) { l.arg(y).arg(aux).arg(sum).arg(sum2).arg(mean).arg(m2); }

  /// `raw`: exact results; `size`: the sum of their products' absolute values, which bounds the error of an f32 sum.
  void check(const std::vector<double>& raw, const std::vector<double>& size, int64_t c, int64_t images,
             int64_t groups) const {
    const int64_t total = y.size(), per_group = total / groups, image = total / images;
    std::vector<double> first(raw.size());
    for (int64_t i = 0; i < total; ++i) {
      double v = raw[i];
      if (post == Post::MaskSums) v = aux[i] > 0 ? v : 0;
      if (post == Post::Moments) v += aux[i / image * c + i % c];
      const double error = (2e-6 + product_error<O>)*size[i] + 1e-6 * std::fabs(v);
      const double stored = O::bytes == 2 ? 0x1.01p-8 * std::fabs(v) : 0;
      if (!(std::fabs(static_cast<float>(y[i]) - v) <= error + stored))
        return void(note(false, "result", static_cast<int>(i), show(static_cast<float>(y[i])) + " is not " + show(v)));
    }
    check_sums(c, per_group, groups);
  }

 private:
  void check_sums(int64_t c, int64_t per_group, int64_t groups) const {
    std::vector<double> s1(groups * c), s2(groups * c), a1(groups * c), a2(groups * c), spread(groups * c);
    const double n = static_cast<double>(per_group / c);
    for (int64_t i = 0; i < y.size(); ++i) {
      const int64_t gc = i / per_group * c + i % c;
      const double v = static_cast<float>(y[i]), w = v * (post == Post::MaskSums ? aux[i] : v);
      s1[gc] += v, s2[gc] += w, a1[gc] += std::fabs(v), a2[gc] += std::fabs(w);
    }
    for (int64_t i = 0; i < y.size(); ++i) {
      const int64_t gc = i / per_group * c + i % c;
      const double d = static_cast<float>(y[i]) - s1[gc] / n;
      spread[gc] += d * d;
    }
    const auto near = [&](const char* what, const Tensor<float>& got, const std::vector<double>& want,
                          const std::vector<double>& scale, double error = 1e-6) {
      for (int64_t i = 0; i < got.size(); ++i)
        if (!(std::fabs(got[i] - want[i]) <= error * scale[i]))
          return void(note(false, what, static_cast<int>(i), show(got[i]) + " is not " + show(want[i])));
    };
    if (post == Post::MaskSums) near("sum", sum, s1, a1), near("sum of products", sum2, s2, a2);
    if (post != Post::Moments) return;
    near("sum of squares", sum, s2, a2);
    near("M2", m2, spread, spread, 4e-6);
    for (auto& x : s1) x /= n;
    for (auto& x : a1) x /= n;
    near("mean", mean, s1, a1);
  }
};

template <class O>
void check_fprop(const Sizes& d, const Kernel& k, const Pack& pack, int64_t combining, Pre pre, Post post,
                 int64_t images, int64_t groups, int64_t run) {
  Random random(17);
  Source<O> x(images, d.x_pixels(), d.c, d.weight_channels, groups, pre, random);
  Weights<O> w(d, pack, random);
  const int64_t tiles = ceil_of(images / groups * d.y_pixels(), k.tile_rows), runs = ceil_of(tiles, run);
  Output<O> o(post, images * d.y_pixels() * d.out, d.out, groups, random);
  std::vector<int64_t> tasks{groups * runs * k.blocks};
  if (post != Post::Plain) tasks.push_back(combining);
  Launch l(k.entry, images, groups, tasks);
  l.threads(k.threads);
  x.add(l);
  l.arg(w.packed);
  o.add(l);
  l.extent({run}).shared(k.shared).workspace(4 * groups * runs * k.partials * padded_channels(d.out)).run();
  std::vector<double> raw(o.y.size()), size(o.y.size());
  each_tap(d, images, [&](int64_t from, int64_t tap, int64_t to) {
    for (int64_t n = 0; n < d.out; ++n)
      for (int64_t c = 0; c < d.weight_channels; ++c) {
        const double term = x.seen[from * d.c + c] * w.seen[(n * d.r * d.s + tap) * d.weight_channels + c];
        raw[to * d.out + n] += term, size[to * d.out + n] += std::fabs(term);
      }
  });
  o.check(raw, size, d.out, images, groups);
}
template <class S, class T, class O, Pre pre, Post post>
void check_fprop(int64_t images, int64_t groups, int64_t run) {
  using K = FpropKernel<S, T, O, pre, post>;
  check_fprop<O>(sizes<S>, kernel<K, FpropShape<K>>(conv_fprop<K>), pack<S, O>(),
                 combine_tasks<typename K::Y, S::OUT>(groups), pre, post, images, groups, run);
}

/// `cells`: of the result that a tile's rows cover, per image.
template <class O>
void check_dgrad(const Sizes& d, const Kernel& k, const Pack& pack, int64_t cells, int64_t combining, Pre pre,
                 Post post, int64_t images, int64_t groups, int64_t run) {
  Random random(18);
  Source<O> dy(images, d.y_pixels(), d.out, d.out, groups, pre, random);
  Weights<O> w(d, pack, random);
  const int64_t tiles = ceil_of(images / groups * cells, k.tile_rows), runs = ceil_of(tiles, run);
  Output<O> o(post, images * d.x_pixels() * d.c, d.c, groups, random);
  std::vector<int64_t> tasks{groups * runs * k.blocks};
  if (post != Post::Plain) tasks.push_back(combining);
  Launch l(k.entry, images, groups, tasks);
  l.threads(k.threads);
  dy.add(l);
  l.arg(w.packed);
  o.add(l);
  l.extent({run}).shared(k.shared).workspace(4 * groups * runs * k.partials * padded_channels(d.c)).run();
  std::vector<double> raw(o.y.size()), size(o.y.size());
  each_tap(d, images, [&](int64_t to, int64_t tap, int64_t from) {
    for (int64_t n = 0; n < d.out; ++n)
      for (int64_t c = 0; c < d.c; ++c) {
        const double term = dy.seen[from * d.out + n] * w.seen[(n * d.r * d.s + tap) * d.c + c];
        raw[to * d.c + c] += term, size[to * d.c + c] += std::fabs(term);
      }
  });
  o.check(raw, size, d.c, images, groups);
}
template <class S, class T, class O, Pre pre, Post post>
void check_dgrad(int64_t images, int64_t groups, int64_t run) {
  using K = DgradKernel<S, T, O, pre, post>;
  using D = DgradShape<K>;
  check_dgrad<O>(sizes<S>, kernel<K, D>(conv_dgrad<K>), pack<S, O>(), D::cells,
                 combine_tasks<typename K::Y, S::C>(groups), pre, post, images, groups, run);
}

/// `tiles`: of the result; `elements`: of it, as the workspace holds them.
template <class O>
void check_wgrad(const Sizes& d, void (*entry)(const Params&), int threads, int64_t shared, int64_t tiles,
                 int64_t elements, Pre pre_dy, Pre pre_x, int64_t images, int64_t groups, int64_t splits) {
  Random random(19);
  Source<O> dy(images, d.y_pixels(), d.out, d.out, groups, pre_dy, random);
  Source<O> x(images, d.x_pixels(), d.c, d.weight_channels, groups, pre_x, random);
  Tensor<float> dw(d.weights());
  const int64_t parts = groups * splits;
  std::vector<int64_t> tasks{parts * tiles};
  if (parts > 1) tasks.push_back(ceil_of(elements, 128));
  Launch l(entry, images, groups, tasks);
  l.threads(threads);
  dy.add(l);
  x.add(l);
  l.arg(dw).extent({splits}).shared(shared).workspace(parts > 1 ? parts * elements * 4 : 0).run();
  std::vector<double> raw(dw.size()), size(dw.size());
  each_tap(d, images, [&](int64_t at_x, int64_t tap, int64_t at_y) {
    for (int64_t n = 0; n < d.out; ++n)
      for (int64_t c = 0; c < d.weight_channels; ++c) {
        const double term = dy.seen[at_y * d.out + n] * x.seen[at_x * d.c + c];
        const int64_t at = (n * d.r * d.s + tap) * d.weight_channels + c;
        raw[at] += term, size[at] += std::fabs(term);
      }
  });
  for (int64_t i = 0; i < dw.size(); ++i)
    if (!(std::fabs(dw[i] - raw[i]) <= (2e-6 + product_error<O>)*size[i]))
      return void(note(false, "dw", static_cast<int>(i), show(dw[i]) + " is not " + show(raw[i])));
}
template <class S, class T, class O, Pre pre_dy, Pre pre_x>
void check_wgrad(int64_t images, int64_t groups, int64_t splits) {
  using K = WgradKernel<S, T, O, pre_dy, pre_x>;
  using G = WgradShape<K>;
  check_wgrad<O>(sizes<S>, conv_wgrad<K>, Path<K>::threads, G::Memory::bytes, G::blocks_m * G::blocks_n, G::size,
                 pre_dy, pre_x, images, groups, splits);
}

}  // namespace moproc::test
