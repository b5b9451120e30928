// The emulated version of each primitive against a plain loop over whole matrices, to show that fragment layouts,
// transposition, zero fill and waiting are those in primitives.cuh. Kernels here are one warp.
#include "cuda/probes.cuh"

#include "native/cuda/harness.h"

namespace {
using namespace moproc;
using namespace moproc::test;

/// f(p) as a kernel of `threads` threads with `shared` bytes, reading `x`, writing `y`.
template <class X, class Y>
void probe(void (*f)(const Params&), int threads, int64_t shared, Tensor<X>& x, Tensor<Y>& y,
           std::initializer_list<int64_t> extent = {}) {
  Launch(f, 1, 1, {1}).threads(threads).shared(shared).arg(x).arg(y).extent(extent).run();
}

template <class T, int K>
void check_product(void (*kernel)(const Params&), double (*seen)(float)) {
  Random random(5);
  Tensor<T> x(16 * K + K * 8, random.floats());
  Tensor<float> d(16 * 8);
  probe(kernel, 32, 0, x, d);
  check_all(
      "d", d,
      [&](int64_t i) {
        double sum = 0;
        for (int64_t k = 0; k < K; ++k) sum += seen(x[i / 8 * K + k]) * seen(x[16 * K + k * 8 + i % 8]);
        return sum;
      },
      1e-6, 1e-6);
}

TEST("mma_bf16 multiplies 16 x 16 by 16 x 8") {
  check_product<Half, 16>(probe_mma_bf16, [](float x) { return static_cast<double>(x); });
}
TEST("mma_tf32 multiplies 16 x 8 by 8 x 8 and ignores the low 13 bits") {
  check_product<float, 8>(probe_mma_tf32,
                          [](float x) { return static_cast<double>(std::bit_cast<float>(to_tf32(x))); });
  const auto low_bits = [](const Params& p) {
    uint32_t a[4], b = std::bit_cast<uint32_t>(1.0f);
    for (auto& x : a) x = std::bit_cast<uint32_t>(1.0f) | 0x1fffu;
    float d[4] = {};
    mma_tf32(d, a, b, b);
    out<float>(p, 0)[threadIdx.x] = d[0];
  };
  Tensor<float> d(32);
  Launch(low_bits, 1, 1, {1}).threads(32).arg(d).run();
  check_all("d", d, [](int64_t) { return 8.0; }, 0, 0);
}
TEST("to_tf32 rounds to 10 bits, ties away from zero, and keeps infinity and NaN") {
  const auto of = [](float x) { return std::bit_cast<float>(to_tf32(x)); };
  CHECK_EQ(of(1 + 0x1p-11f), 1 + 0x1p-10f);
  CHECK_EQ(of(-1 - 0x1p-11f), -1 - 0x1p-10f);
  CHECK_EQ(of(1 + 0x1p-12f), 1.0f);
  CHECK_EQ(of(0x1.fffp0f), 2.0f);
  CHECK_EQ(of(INFINITY), INFINITY);
  CHECK(std::isnan(of(NAN)));
}

TEST("ldmatrix spreads four matrices over a warp, as they are and transposed") {
  Tensor<bf16> x(256, [](int64_t i) { return static_cast<bf16>(i); });
  for (const bool transposed : {false, true}) {
    Tensor<bf16> r(256);
    probe(transposed ? probe_ldmatrix<true> : probe_ldmatrix<false>, 32, 512, x, r);
    for (int64_t at = 0; at < 256; ++at) {
      const int64_t lane = at / 8, matrix = at / 2 % 4, g = lane / 4, column = lane % 4 * 2 + at % 2;
      CHECK_EQ(static_cast<int64_t>(r[at]), (matrix * 8 + (transposed ? column : g)) * 8 + (transposed ? g : column));
    }
  }
}
TEST("ldmatrix outside shared memory is an error") {
  const auto wrong = [](const Params&) {
    uint32_t r[4];
    ldmatrix_x4(r, shared_address(256));
  };
  Params p{};
  CHECK_THROWS(emulator::launch({"ldmatrix", 1, 32, 256, 0}, [&] { wrong(p); }), "256 bytes of dynamic shared memory");
}

TEST("cp_async fills with zeros") {
  Random random(6);
  Tensor<float> x(128, random.floats()), y(32 * 12);
  probe(probe_cp_async, 32, 1536, x, y);
  for (int lane = 0; lane < 32; ++lane)
    for (int i = 0; i < 4; ++i) {
      const float v = x[lane * 4 + i];
      CHECK_EQ(y[lane * 12 + i], i < lane % 5 ? v : 0.0f);
      CHECK_EQ(y[lane * 12 + 4 + i], v);
      CHECK_EQ(y[lane * 12 + 8 + i], i < 2 ? v : 0.0f);
    }
}
TEST("cp_async lands when its group is waited for, not before") {
  const auto early = [](const Params& p) {
    const float* const place = reinterpret_cast<const float*>(shared_memory) + threadIdx.x * 4;
    cp_async16(shared_address(static_cast<int>(threadIdx.x) * 16), in<float>(p, 0) + threadIdx.x * 4, 16);
    cp_async_commit();
    cp_async_commit();
    cp_async_wait<2>();
    out<float>(p, 1)[threadIdx.x * 2] = place[0];
    cp_async_wait<1>();
    out<float>(p, 1)[threadIdx.x * 2 + 1] = place[0];
  };
  Random random(7);
  Tensor<float> x(128, random.floats()), y(64);
  Launch(early, 1, 1, {1}).threads(32).arg(x).arg(y).shared(512).run();
  for (int lane = 0; lane < 32; ++lane) {
    CHECK(std::isnan(y[lane * 2]));
    CHECK_EQ(y[lane * 2 + 1], x[lane * 4]);
  }
}
TEST("named barriers hold back the threads they count, and no others") {
  Random random(8);
  Tensor<float> x(128, random.floats()), y(128);
  probe(probe_named_barrier, 128, 512, x, y);
  for (int i = 0; i < 128; ++i) CHECK_EQ(y[i], x[i / 64 * 64 + 63 - i % 64]);
}
TEST("cp_async of bytes that are not there reads nothing; misaligned ones are an error") {
  const auto nothing = [](const Params&) {
    cp_async16(shared_address(0), reinterpret_cast<const void*>(8), 0);
    cp_async_commit();
    cp_async_wait<0>();
  };
  const auto misaligned = [](const Params& p) { cp_async16(shared_address(0), static_cast<char*>(p.buf[0]) + 4, 16); };
  Params p{};
  alignas(16) float x[8] = {};
  p.buf[0] = x;
  emulator::launch({"nothing", 1, 32, 512, 0}, [&] { nothing(p); });
  CHECK_THROWS(emulator::launch({"misaligned", 1, 32, 512, 0}, [&] { misaligned(p); }),
               "cp_async16: address not aligned");
}

}  // namespace

int main(int argc, char** argv) { return moproc::test::run(argc, argv); }
