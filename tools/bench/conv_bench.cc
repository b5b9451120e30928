// Measures the speed of the convolution templates on the shapes of ResNet-50 at 224 x 224, in f32, in bf16 and, in
// bf16, by AMX. Other
// processes may use the machine, too, so the same run also measures a loop of multiply-adds of the type. Compare the
// ratio of the two, not the speed.
//   conv_bench [threads [f32|bf16|amx [part of a name]]]
// plain: neither prologue nor epilogue. fused: those of a training step (prologue: affine + relu, or batch_norm's
// gradient; epilogue: moments, or relu's mask and two sums).
#include <time.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include "cpu/conv_dgrad.hpp"
#include "cpu/conv_fprop.hpp"
#include "cpu/conv_wgrad.hpp"
#if defined(__AMX_BF16__)
#include "cpu/amx.h"
#endif

namespace {
using namespace moproc;

#include "conv_shapes.inc"

// Buffers: 0 operand x, 1-4 the other operands of its prologue, 5 weights, 6 result, 7 operand of the epilogue, 8-9
// sums, 10 second operand, 11-12 the other operands of its prologue.
enum class Pre { Plain, AffineRelu, NormGrad };
template <class T, int C, int B, Pre pre>
struct Operand {
  static constexpr int buffer = pre == Pre::Plain ? B : -1;
  using stored = T;
  static MOPROC_INLINE Vec load(const Params& p, const At& i, int lanes) {
    const Vec x = stream<T, C>(p, B, i, lanes);
    const Vec a = group_channel<float, C>(p, 1, i, lanes), b = group_channel<float, C>(p, 2, i, lanes);
    if (pre == Pre::AffineRelu) return max(fma(x, a, b), Vec(0.0f));
    return fma(x, a, fma(stream<T, C>(p, 3, i, lanes), b, group_channel<float, C>(p, 4, i, lanes)));
  }
};
enum class Post { Plain, Moments, MaskSums };
template <class T, int C, Post post>
struct Result {
  static constexpr int sums = post == Post::MaskSums ? 2 : 0;
  static constexpr int sum_buffer[] = {8, 9};
  static constexpr int mean_buffer = post == Post::Moments ? 8 : -1;
  static constexpr int m2_buffer = post == Post::Moments ? 9 : -1;
  static MOPROC_INLINE void prefetch(const Params& p, const At& i, int channels) {
    if (post == Post::MaskSums) moproc::prefetch<T, C, 0>(p, 7, i, channels);
    moproc::prefetch<T, C, 1>(p, 6, i, channels);
  }
  static MOPROC_INLINE Vec store(const Params& p, const At& i, int lanes, Vec y, Vec* sum) {
    Vec v = rounded<T>(y);
    if constexpr (post == Post::MaskSums) {
      const Vec aux = full<T, C>(p, 7, i, lanes);
      const Vec a = group_channel<float, C>(p, 1, i, lanes), b = group_channel<float, C>(p, 2, i, lanes);
      v = select(fma(aux, a, b) > Vec(0.0f), v, Vec(0.0f));
      sum[0] = v;
      sum[1] = v * aux;
    }
    put<T, C>(p, 6, i, lanes, v);
    return v;
  }
};

template <class S>
using Stored = typename S::Element::stored;
template <class S, bool fused>
struct Fprop : S {
  static constexpr const char* name = fused ? "fprop fused" : "fprop";
  static constexpr int64_t x = int64_t{S::H} * S::W * S::C, y = int64_t{S::P} * S::Q * S::OUT, dx = 0;
  using X = Operand<Stored<S>, S::C, 0, fused ? Pre::AffineRelu : Pre::Plain>;
  static constexpr int W_BUFFER = 5;
  using Y = Result<Stored<S>, S::OUT, fused ? Post::Moments : Post::Plain>;
  static constexpr CpuEntry entry() { return conv_fprop<Fprop>; }
  static constexpr LaunchSize size = S::launch[fused ? 2 : 0];
};
template <class S, bool fused>
struct Dgrad : S {
  static constexpr const char* name = fused ? "dgrad fused" : "dgrad";
  static constexpr int64_t x = int64_t{S::P} * S::Q * S::OUT, y = int64_t{S::H} * S::W * S::C, dx = 0;
  using Dy = Operand<Stored<S>, S::OUT, 0, fused ? Pre::NormGrad : Pre::Plain>;
  static constexpr int W_BUFFER = 5;
  using Y = Result<Stored<S>, S::C, fused ? Post::MaskSums : Post::Plain>;
  static constexpr CpuEntry entry() { return conv_dgrad<Dgrad>; }
  static constexpr LaunchSize size = S::launch[fused ? 1 : 0];
};
template <class S, bool fused>
struct Wgrad : S {
  static constexpr const char* name = fused ? "wgrad fused" : "wgrad";
  static constexpr int64_t x = int64_t{S::P} * S::Q * S::OUT, y = 0, dx = int64_t{S::H} * S::W * S::C;
  using Dy = Operand<Stored<S>, S::OUT, 0, fused ? Pre::NormGrad : Pre::Plain>;
  using X = Operand<Stored<S>, S::C, 10, fused ? Pre::AffineRelu : Pre::Plain>;
  static constexpr int DW_BUFFER = 5;
  static constexpr CpuEntry entry() { return conv_wgrad<Wgrad>; }
  static constexpr LaunchSize size = S::launch[0];
};

struct Free {
  void operator()(void* p) const { std::free(p); }
};
using Memory = std::unique_ptr<float, Free>;
Memory floats(int64_t n) {
  const size_t bytes = (static_cast<size_t>(n) * 4 + 4096) / 64 * 64;
  float* p = static_cast<float*>(std::aligned_alloc(64, bytes));
  for (size_t i = 0; i < bytes / 4; ++i) p[i] = static_cast<float>((i * 2654435761u >> 8) & 255) / 256 - 0.5f;
  return Memory(p);
}

/// Seconds of CPU time of this process per thread, because other processes may use the cores. With BENCH_WALL set,
/// seconds of wall time.
double now(int threads) {
  static const bool wall = std::getenv("BENCH_WALL") != nullptr;
  timespec t;
  clock_gettime(wall ? CLOCK_MONOTONIC : CLOCK_PROCESS_CPUTIME_ID, &t);
  return (static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec)) / (wall ? 1 : threads);
}

#if defined(__AVX512F__)
/// GFLOP/s of one core that does nothing but products of tiles.
double tile_peak() {
  double best = 0;
  alignas(64) static const float zeros[256] = {};
  const TileMode mode(16);
  for (int rep = 0; rep < 6; ++rep) {
    sums_zero();
    tile_load<kA>(zeros, 16), tile_load<kA + 1>(zeros, 16), tile_load<kB>(zeros, 16), tile_load<kB + 1>(zeros, 16);
    const double start = now(1);
    constexpr int n = 10000;
    for (int k = 0; k < n; ++k) sums_mac<2, 2>();
    best = std::max(best, 4 * 16.0 * 16 * 64 * n / (now(1) - start) * 1e-9);
  }
  return best;
}
#endif

/// GFLOP/s of one core that does nothing but multiply-adds of the type on registers.
template <class E>
double peak() {
#if defined(__AVX512F__)
  if constexpr (E::tiles) return tile_peak();
#endif
  double best = 0;
  for (int rep = 0; rep < 6; ++rep) {
    Vec a[10], more[10];  // enough chains for the latency of both types; GCC keeps no longer array in registers
    const Vec b(1.000001f), c(0.9999f);
    const double start = now(1);
    constexpr int n = 50000;
    const auto step = [&](Vec& v) __attribute__((always_inline)) {
#if defined(__AVX512BF16__)
      if constexpr (E::per_word == 2) asm volatile("vdpbf16ps %1, %2, %0" : "+v"(v.r) : "v"(b.r), "v"(c.r));
      else asm volatile("vfmadd231ps %1, %2, %0" : "+v"(v.r) : "v"(b.r), "v"(c.r));
#elif defined(__AVX512F__)
      asm volatile("vfmadd231ps %1, %2, %0" : "+v"(v.r) : "v"(b.r), "v"(c.r));
#else
      asm volatile("vfmadd231ps %1, %2, %0" : "+x"(v.r) : "x"(b.r), "x"(c.r));
#endif
    };
    for (int k = 0; k < n; ++k) {
#pragma GCC unroll 10
      for (Vec& v : a) step(v);
#if defined(__AVX512F__)
#pragma GCC unroll 10
      for (Vec& v : more) step(v);
#endif
    }
#if defined(__AVX512BF16__)
    constexpr int per_word = E::per_word;
#else
    constexpr int per_word = 1;  // bf16 is multiplied by FMAs
#endif
    constexpr int chains = Vec::registers == 32 ? 20 : 10;
    best = std::max(best, 2.0 * chains * Vec::width * per_word * n / (now(1) - start) * 1e-9);
  }
  return best;
}

struct Totals {
  double seconds = 0, flops = 0, peak_seconds = 0;
};

template <class Case, class K>
void measure(int threads, Totals& total) {
  const int64_t n = Case::images, small = 4096;
  const int64_t weights = int64_t{K::R} * K::S * ((K::C + 15) / 16 * 16) * ((K::OUT + 15) / 16 * 16);
  std::vector<Memory> all;
  const int64_t sizes[] = {n * K::x, small,    small, n * K::x, small,    weights,
                           n * K::y, n * K::y, small, small,    n * K::dx};
  for (const int64_t size : sizes) all.push_back(floats(size));
  std::vector<void*> buf;
  for (Memory& m : all) buf.push_back(m.get());
  const Memory workspace = floats(K::size.workspace / 4);
  std::vector<Memory> scratch;
  for (int i = 0; i < threads; ++i) scratch.push_back(floats(K::size.scratch / 4));
  Params p{};
  p.buf = buf.data(), p.rows = n, p.groups = 1, p.workspace = workspace.get();
  const auto run = [&] {
    for (int phase = 0; phase < 2; ++phase) {
      const int64_t tasks = K::size.tasks[phase];
      if (threads == 1) {
        K::entry()(p, Task{phase, 0, tasks, scratch[0].get()});
        continue;
      }
      std::atomic<int64_t> next = 0;
      const auto work = [&](int id) {
        for (int64_t i; (i = next++) < tasks;) K::entry()(p, Task{phase, i, i + 1, scratch[id].get()});
      };
      std::vector<std::thread> pool;
      for (int i = 1; i < threads; ++i) pool.emplace_back(work, i);
      work(0);
      for (std::thread& t : pool) t.join();
    }
  };
  const double fma = peak<typename K::Element>(), flops = 2.0 * n * K::P * K::Q * K::OUT * K::C * K::R * K::S;
  double best = 1e9, spent = 0;
  run();
  for (int i = 0; i < 3 || (i < 40 && spent < 0.25); ++i) {
    const double start = now(threads);
    run();
    const double s = now(threads) - start;
    best = std::min(best, s), spent += s;
  }
  const double speed = flops / best * 1e-9 / threads;
  std::printf("%-20s %-12s %7.2f ms %6.1f GFLOP/s per core, %3.0f%% of %.0f\n", Case::name, K::name, best * 1e3, speed,
              100 * speed / fma, fma);
  std::fflush(stdout);
  total.seconds += Case::count * best / static_cast<double>(n);
  total.flops += Case::count * flops / static_cast<double>(n);
  total.peak_seconds += Case::count * flops / static_cast<double>(n) / (fma * 1e9) / threads;
}

#ifndef BENCH_KERNELS
#define BENCH_KERNELS 63
#endif
template <class Case, int index>
void measure_all(int threads, Totals (&total)[6]) {
  if constexpr (BENCH_KERNELS & 1) measure<Case, Fprop<typename Case::FpropWithoutSums, false>>(threads, total[0]);
  if constexpr (BENCH_KERNELS & 2) measure<Case, Fprop<typename Case::Fprop, true>>(threads, total[1]);
  if constexpr (index > 0) {  // no gradient of the images is needed
    if constexpr (BENCH_KERNELS & 4) measure<Case, Dgrad<typename Case::Dgrad, false>>(threads, total[2]);
    if constexpr (BENCH_KERNELS & 8) measure<Case, Dgrad<typename Case::Dgrad, true>>(threads, total[3]);
  }
  if constexpr (BENCH_KERNELS & 16) measure<Case, Wgrad<typename Case::Wgrad, false>>(threads, total[4]);
  if constexpr (BENCH_KERNELS & 32) measure<Case, Wgrad<typename Case::Wgrad, true>>(threads, total[5]);
}

}  // namespace

int main(int argc, char** argv) {
  const int threads = argc > 1 ? std::atoi(argv[1]) : 1;
  const char* const type = argc > 2 ? argv[2] : "f32";
  const char* const part = argc > 3 ? argv[3] : "";
  const bool bf16 = std::strcmp(type, "bf16") == 0, amx = std::strcmp(type, "amx") == 0;
  if (threads < 1 || (!bf16 && !amx && std::strcmp(type, "f32") != 0)) {
    std::fprintf(stderr, "conv_bench: expected a positive number of threads and f32, bf16 or amx, not %s %s\n", argv[1],
                 type);
    return 2;
  }
#if defined(__AMX_BF16__)
  if (amx && !has_amx()) return std::fputs("conv_bench: the kernel does not allow AMX\n", stderr), 2;
#define AMX_CASE(i) \
  if (amx) measure_all<AmxCase##i, i>(threads, total)
#else
  if (amx) return std::fputs("conv_bench: this program was built on a machine without AMX\n", stderr), 2;
#define AMX_CASE(i)
#endif
  Totals total[6];
#define CASE(i)                                             \
  if (std::strstr(Case##i::name, part)) {                   \
    AMX_CASE(i);                                            \
    if (bf16) measure_all<Bf16Case##i, i>(threads, total);  \
    else if (!amx) measure_all<Case##i, i>(threads, total); \
  }
  ALL_CASES
#undef CASE
  const char* const names[] = {"fprop", "fprop fused", "dgrad", "dgrad fused", "wgrad", "wgrad fused"};
  Totals plain, fused;
  for (int k = 0; k < 6; ++k) {
    const Totals& t = total[k];
    if (t.seconds == 0) continue;
    std::printf("%-12s all layers: %6.2f ms per image, %6.1f GFLOP/s per core, %3.0f%% of the peak\n", names[k],
                t.seconds * 1e3, t.flops / t.seconds * 1e-9 / threads, 100 * t.peak_seconds / t.seconds);
    Totals& sum = k % 2 ? fused : plain;
    sum.seconds += t.seconds, sum.peak_seconds += t.peak_seconds;
  }
  for (const Totals* t : {&plain, &fused})
    if (t->seconds > 0)
      std::printf("forward and backward, %s: %.1f ms per image on %d thread(s), %.0f%% of the peak\n",
                  t == &plain ? "plain" : "fused", t->seconds * 1e3, threads, 100 * t->peak_seconds / t->seconds);
  return 0;
}
