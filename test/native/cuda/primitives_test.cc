// Each primitive's twin against a plain loop over whole matrices, so that fragment layouts, transposition, zero fill and
// waiting are known to be what primitives.cuh says. Kernels here are one warp.
#include "cuda/primitives.cuh"

#include "native/cuda/harness.h"

namespace {
using namespace moproc;
using namespace moproc::test;

/// Fragments are built element by element from the layouts in primitives.cuh; buffers: a (16, K), b (K, 8), d (16, 8).
void products_bf16(const Params& p) {
  const auto a = [&](int row, int k) { return in<bf16>(p, 0)[row * 16 + k]; };
  const auto b = [&](int k, int column) { return in<bf16>(p, 1)[k * 8 + column]; };
  const auto pair = [](bf16 low, bf16 high) { return low | static_cast<uint32_t>(high) << 16; };
  const int g = static_cast<int>(threadIdx.x) / 4, t = static_cast<int>(threadIdx.x) % 4;
  float* const y = out<float>(p, 2);
  float d[4] = {y[g * 8 + 2 * t], y[g * 8 + 2 * t + 1], y[(g + 8) * 8 + 2 * t], y[(g + 8) * 8 + 2 * t + 1]};
  uint32_t x[4], w[2];
  for (int i = 0; i < 4; ++i) {
    const int row = g + i % 2 * 8, k = 2 * t + i / 2 * 8;
    x[i] = pair(a(row, k), a(row, k + 1));
  }
  for (int i = 0; i < 2; ++i) w[i] = pair(b(2 * t + 8 * i, g), b(2 * t + 8 * i + 1, g));
  mma_bf16(d, x, w[0], w[1]);
  for (int e = 0; e < 4; ++e) y[(g + e / 2 * 8) * 8 + 2 * t + e % 2] = d[e];
}
void products_tf32(const Params& p) {
  const int g = static_cast<int>(threadIdx.x) / 4, t = static_cast<int>(threadIdx.x) % 4;
  float* const y = out<float>(p, 2);
  float d[4] = {y[g * 8 + 2 * t], y[g * 8 + 2 * t + 1], y[(g + 8) * 8 + 2 * t], y[(g + 8) * 8 + 2 * t + 1]};
  uint32_t x[4], w[2];
  for (int i = 0; i < 4; ++i) x[i] = to_tf32(in<float>(p, 0)[(g + i % 2 * 8) * 8 + t + i / 2 * 4]);
  for (int i = 0; i < 2; ++i) w[i] = to_tf32(in<float>(p, 1)[(t + 4 * i) * 8 + g]);
  mma_tf32(d, x, w[0], w[1]);
  for (int e = 0; e < 4; ++e) y[(g + e / 2 * 8) * 8 + 2 * t + e % 2] = d[e];
}

template <class T, int K> void check_product(void (*kernel)(const Params&), double (*seen)(float)) {
  Random random(5);
  Tensor<T> a(16 * K, random.floats()), b(K * 8, random.floats());
  Tensor<float> d(16 * 8, random.floats());
  const Tensor<float> before = d;
  Launch(kernel, 1, 1, {1}).threads(32).arg(a).arg(b).arg(d).run();
  check_all("d", d, [&](int64_t i) {
    double sum = before[i];
    for (int64_t k = 0; k < K; ++k) sum += seen(a[i / 8 * K + k]) * seen(b[k * 8 + i % 8]);
    return sum;
  }, 1e-6, 1e-6);
}

TEST("mma_bf16 multiplies 16 x 16 by 16 x 8") {
  check_product<Half, 16>(products_bf16, [](float x) { return static_cast<double>(x); });
}
TEST("mma_tf32 multiplies 16 x 8 by 8 x 8 and ignores the low 13 bits") {
  check_product<float, 8>(products_tf32, [](float x) { return static_cast<double>(std::bit_cast<float>(to_tf32(x))); });
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

/// Four 8 x 8 matrices, rows in shuffled places of shared memory; the registers of all lanes.
template <bool TRANSPOSED> void matrices(const Params& p) {
  const int lane = static_cast<int>(threadIdx.x);
  const auto place = [](int row) { return row * 7 % 32 * 16; };
  for (int i = 0; i < 8; ++i)
    reinterpret_cast<uint16_t*>(shared_memory + place(lane))[i] = static_cast<uint16_t>(lane * 8 + i);
  __syncthreads();
  uint32_t r[4];
  if (TRANSPOSED) ldmatrix_x4_trans(r, shared_address(place(lane)));
  else ldmatrix_x4(r, shared_address(place(lane)));
  for (int i = 0; i < 4; ++i) {
    out<float>(p, 0)[(lane * 4 + i) * 2] = static_cast<float>(r[i] & 0xffff);
    out<float>(p, 0)[(lane * 4 + i) * 2 + 1] = static_cast<float>(r[i] >> 16);
  }
}
TEST("ldmatrix spreads four matrices over a warp, as they are and transposed") {
  for (const bool transposed : {false, true}) {
    Tensor<float> r(256);
    Launch(transposed ? matrices<true> : matrices<false>, 1, 1, {1}).threads(32).arg(r).shared(512).run();
    check_all("registers", r, [&](int64_t at) {
      const int64_t lane = at / 8, matrix = at / 2 % 4, g = lane / 4, column = lane % 4 * 2 + at % 2;
      return static_cast<double>((matrix * 8 + (transposed ? column : g)) * 8 + (transposed ? g : column));
    }, 0, 0);
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

/// Lane l copies 16 bytes, of which l % 5 elements are real, in two groups; out: what is there before and after waiting.
void copies(const Params& p) {
  const int lane = static_cast<int>(threadIdx.x);
  const auto read = [&](int where, int i) { return reinterpret_cast<const float*>(shared_memory + where)[lane * 4 + i]; };
  float* const y = out<float>(p, 1) + lane * 16;
  cp_async16(shared_address(lane * 16), in<float>(p, 0) + lane * 4, lane % 5 * 4);
  cp_async_commit();
  cp_async16_cached(shared_address(512 + lane * 16), in<float>(p, 0) + lane * 4, 16);
  for (int i = 0; i < 4; ++i) cp_async4(shared_address(1024 + lane * 16 + 4 * i), in<float>(p, 0) + lane * 4 + i, i < 2 ? 4 : 0);
  cp_async_commit();
  cp_async_wait<1>();
  for (int i = 0; i < 4; ++i) y[i] = read(0, i);
  for (int i = 0; i < 4; ++i) y[4 + i] = read(512, i);
  cp_async_wait<0>();
  for (int i = 0; i < 4; ++i) y[8 + i] = read(512, i);
  for (int i = 0; i < 4; ++i) y[12 + i] = read(1024, i);
}
TEST("cp_async fills with zeros and lands when its group is waited for, not before") {
  Random random(6);
  Tensor<float> x(128, random.floats()), y(32 * 16);
  Launch(copies, 1, 1, {1}).threads(32).arg(x).arg(y).shared(1536).run();
  for (int lane = 0; lane < 32; ++lane)
    for (int i = 0; i < 4; ++i) {
      const float v = x[lane * 4 + i];
      const float* const got = &y[lane * 16];
      CHECK_EQ(got[i], i < lane % 5 ? v : 0.0f);
      CHECK(std::isnan(got[4 + i]));
      CHECK_EQ(got[8 + i], v);
      CHECK_EQ(got[12 + i], i < 2 ? v : 0.0f);
    }
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
  CHECK_THROWS(emulator::launch({"misaligned", 1, 32, 512, 0}, [&] { misaligned(p); }), "cp_async16: address not aligned");
}

}  // namespace

int main(int argc, char** argv) { return moproc::test::run(argc, argv); }
