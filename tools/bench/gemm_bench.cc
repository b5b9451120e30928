// Measures the GFLOP/s of the matmul template on one thread, for the products of a ResNet-50 MoPro step at batch 16 and
// for some square matrices. Build:
//   g++ -std=c++20 -O3 -march=x86-64-v4 -mprefer-vector-width=512 -ffp-contract=off -fno-math-errno
//       -fno-trapping-math -I kernels tools/bench/gemm_bench.cc
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "cpu/matmul.hpp"

namespace {
using namespace moproc;

template <int TRANSPOSE_A_, int TRANSPOSE_B_, int N_>
struct Plain {
  static constexpr int TRANSPOSE_A = TRANSPOSE_A_, TRANSPOSE_B = TRANSPOSE_B_, N = N_;
  struct A {
    static constexpr int buffer = 0;
    using stored = float;
  };
  struct B {
    static constexpr int buffer = 1;
    using stored = float;
  };
  struct Y {
    static constexpr int sums = 0;
    static constexpr int sum_buffer[] = {-1};
    static constexpr int mean_buffer = -1, m2_buffer = -1;
    static MOPROC_INLINE Vec store(const Params& p, const At& i, int lanes, Vec y, Vec*) {
      put<float, N>(p, 2, i, lanes, y);
      return y;
    }
  };
};

struct Free {
  void operator()(void* p) const { std::free(p); }
};
void* aligned(int64_t bytes) { return std::aligned_alloc(64, static_cast<size_t>((bytes + 63) / 64 * 64)); }

template <int TRANSPOSE_A, int TRANSPOSE_B, int N>
void measure(const char* what, int64_t m, int64_t k) {
  std::vector<float> a(static_cast<size_t>(m * k), 0.5f), b(static_cast<size_t>(k * N), 0.25f),
      y(static_cast<size_t>(m * N));
  void* buf[] = {a.data(), b.data(), y.data()};
  const MatmulBlocks cut = matmul_blocks(m, 1, N);
  void* scratch = aligned(matmul_scratch(cut, 1));
  const Params p{buf, m, 1, {m, N, k, 0}, nullptr};
  const Task t{0, 0, cut.m_blocks * cut.n_blocks, scratch};
  double best = 1e30;
  for (int run = 0; run < 60; ++run) {
    const auto start = std::chrono::steady_clock::now();
    int times = 0;
    double seconds = 0;
    do {
      matmul<Plain<TRANSPOSE_A, TRANSPOSE_B, N>>(p, t);
      ++times;
      seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    } while (seconds < 0.004);
    if (seconds / times < best) best = seconds / times;
  }
  std::free(scratch);
  const double flops = 2.0 * static_cast<double>(m) * static_cast<double>(N) * static_cast<double>(k);
  std::printf("%-34s m %5ld n %5d k %5ld  %8.1f us  %6.1f GFLOP/s\n", what, long(m), N, long(k), best * 1e6,
              flops / best * 1e-9);
}
}  // namespace

int main() {
  measure<0, 1, 1000>("classifier forward", 16, 2048);
  measure<0, 0, 2048>("classifier dx", 16, 1000);
  measure<1, 0, 2048>("classifier dw", 1000, 16);
  measure<0, 1, 2048>("fc1 forward", 16, 2048);
  measure<1, 0, 2048>("fc1 dw", 2048, 16);
  measure<0, 1, 128>("fc2 forward", 16, 2048);
  measure<0, 0, 8192>("q queue", 16, 128);
  measure<0, 1, 1000>("q prototypes^T", 16, 128);
  measure<0, 1, 2048>("fc1 forward, batch 256", 256, 2048);
  measure<0, 0, 1024>("square", 1024, 1024);
  measure<0, 1, 1024>("square, b transposed", 1024, 1024);
  measure<1, 0, 1024>("square, a transposed", 1024, 1024);
  measure<0, 0, 256>("square", 256, 256);
}
