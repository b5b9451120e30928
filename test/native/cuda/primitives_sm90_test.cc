// The emulated versions of sm_90a's primitives against plain loops: products of warp groups in every layout, TMA's
// boxes and columns of pixels, barriers. Results of asynchronous operations must not exist before they are waited for.
#include "cuda/probes.cuh"
#include "native/cuda/harness.h"
#include "tensor_map.h"

namespace {
using namespace moproc;
using namespace moproc::test;

template <int N, bool A_ACROSS, bool B_ACROSS>
void check_wgmma() {
  Random random(5);
  Tensor<Half> x(64 * 64 + N * 64, random.floats());
  Tensor<float> d(64 * N);
  Launch(probe_wgmma<N, A_ACROSS, B_ACROSS>, 1, 1, {1}).threads(128).shared((64 + N) * 128).arg(x).arg(d).run();
  check_all(
      "d", d,
      [&](int64_t i) {
        double sum = 0;
        const int64_t row = i / N, column = i % N;
        for (int64_t k = 0; k < 64; ++k) {
          const double a = x[A_ACROSS ? k * 64 + row : row * 64 + k],
                       b = x[64 * 64 + (B_ACROSS ? k * N + column : column * 64 + k)];
          sum += a * b;
        }
        return sum;
      },
      1e-5, 1e-6);
}
TEST("wgmma multiplies operands along k and across it, 64, 128 and 192 columns") {
  check_wgmma<64, false, false>();
  check_wgmma<128, false, false>();
  check_wgmma<128, false, true>();
  check_wgmma<128, true, true>();
  check_wgmma<192, true, true>();
  check_wgmma<64, true, false>();
}
TEST("sums of wgmma are hidden until they are waited for; lanes that disagree are an error") {
  const auto early = [](const Params& p) {
    WarpGroupProduct<ProbedProduct<64>, true, true> product;
    for (int i = static_cast<int>(threadIdx.x); i < 4096; i += 128) reinterpret_cast<uint32_t*>(shared_memory)[i] = 0;
    __syncthreads();
    product.clear();
    product.add(0);
    wgmma_commit();
    wgmma_wait<1>();
    out<float>(p, 0)[threadIdx.x * 2] = product.d[0][0];
    wgmma_wait<0>();
    out<float>(p, 0)[threadIdx.x * 2 + 1] = product.d[0][0];
  };
  Tensor<float> y(256);
  Launch(early, 1, 1, {1}).threads(128).arg(y).shared(16384).run();
  for (int i = 0; i < 128; ++i) {
    CHECK(std::isnan(y[2 * i]));
    CHECK_EQ(y[2 * i + 1], 0.0f);
  }
  const auto unlike = [](const Params&) {
    float d[32] = {};
    const uint64_t a = wgmma_operand(shared_address(threadIdx.x == 5 ? 1024 : 0), 1024, 0);
    wgmma_bf16<64, false, false>(d, a, wgmma_operand(shared_address(0), 1024, 0));
    wgmma_commit();
    wgmma_wait<0>();
  };
  Params p{};
  CHECK_THROWS(emulator::launch({"unlike", 1, 128, 16384, 0}, [&] { unlike(p); }),
               "lane 5 of the warp issued another product");
}

/// A launch of a probe with a tensor map of buffer 0; the harness places buffers, so the map is encoded in the kernel.
template <class Encode>
auto with_map(void (*f)(const Params&), Encode encode) {
  return [=](const Params& p) {
    Params own = p;
    if (!encode(&own.map[0], p.buf[0])) emulator::fail("the map is refused");
    f(own);
  };
}

TEST("tma_box brings boxes with zeros outside the tensor") {
  constexpr int64_t c = 72, lines = 40, groups = 3;
  Random random(6);
  Tensor<Half> x(c * lines * groups, random.floats());
  const auto encode = [=](void* map, const void* at) {
    const uint64_t extents[] = {c, lines, groups}, strides[] = {c * 2, c * lines * 2};
    const uint32_t box[] = {64, 64, 1};
    return emulator::encode_box(map, 3, at, extents, strides, box);
  };
  for (const int64_t c0 : {0, 16, 64})
    for (const int64_t l0 : {-5, 0, 30}) {
      Tensor<Half> y(64 * 64);
      Launch(with_map(probe_tma_box, encode), 1, 1, {1})
          .threads(128)
          .shared(8200)
          .arg(x)
          .arg(y)
          .extent({c0, l0, 1})
          .run();
      check_all(
          "y", y,
          [&](int64_t i) {
            const int64_t line = l0 + i / 64, channel = c0 + i % 64;
            const bool inside = line >= 0 && line < lines && channel < c;
            return inside ? static_cast<double>(x[(lines + line) * c + channel]) : 0.0;
          },
          0, 0);
    }
}
TEST("tma_pixels walks through the windows of images, and zeros lie around them") {
  constexpr int64_t c = 64, w = 9, h = 7, n = 3;
  Random random(7);
  Tensor<Half> x(c * w * h * n, random.floats());
  for (const int64_t step : {1, 2}) {  // 3 x 3 windows, padding 1
    const int64_t q = (w - 1) / step + 1, p = (h - 1) / step + 1;
    const auto encode = [=](void* map, const void* at) {
      const uint64_t extents[] = {c, w, h, n}, strides[] = {c * 2, c * w * 2, c * w * h * 2};
      const int lower[] = {-1, -1}, upper[] = {static_cast<int>(-1 + (q - 1) * step - (w - 1)),
                                               static_cast<int>(-1 + (p - 1) * step - (h - 1))};
      const uint32_t steps[] = {static_cast<uint32_t>(step), static_cast<uint32_t>(step)};
      return emulator::encode_pixels(map, at, extents, strides, lower, upper, 64, 64, steps);
    };
    const int64_t first = 7;  // result pixel of image 0 that the column begins at
    Tensor<Half> y(64 * 64);
    Launch(with_map(probe_tma_pixels, encode), 1, 1, {1})
        .threads(128)
        .shared(8200)
        .arg(x)
        .arg(y)
        .extent({first % q * step - 1, first / q * step - 1})
        .run();
    check_all(
        "y", y,
        [&](int64_t i) {
          const int64_t m = first + i / 64, image = m / (p * q), row = m % (p * q) / q * step - 1 + 1,
                        column = m % q * step - 1 + 2;
          const bool inside = image < n && row >= 0 && row < h && column >= 0 && column < w;
          return inside ? static_cast<double>(x[((image * h + row) * w + column) * c + i % 64]) : 0.0;
        },
        0, 0);
  }
}
TEST("maps that CUDA would refuse are refused") {
  alignas(16) unsigned char memory[64];
  TensorMap map;
  const uint64_t extents[] = {64, 8, 1}, strides[] = {128, 1024}, uneven[] = {72, 1024};
  const uint32_t box[] = {64, 8, 1}, wide[] = {128, 8, 1}, tall[] = {64, 257, 1};
  CHECK(emulator::encode_box(&map, 3, memory, extents, strides, box));
  CHECK(!emulator::encode_box(&map, 3, memory + 8, extents, strides, box));
  CHECK(!emulator::encode_box(&map, 3, memory, extents, uneven, box));
  CHECK(!emulator::encode_box(&map, 3, memory, extents, strides, wide));
  CHECK(!emulator::encode_box(&map, 3, memory, extents, strides, tall));
}

TEST("barriers hand a place to and fro; copies land when they are waited for") {
  Random random(8);
  Tensor<float> x(256, random.floats()), y(256);
  Launch(probe_mbarrier, 1, 1, {1}).threads(64).shared(528).arg(x).arg(y).run();
  for (int i = 0; i < 256; ++i) CHECK_EQ(y[i], x[i]);
}
TEST("misuse of barriers is an error") {
  const auto launch = [](void (*f)(), unsigned threads) { emulator::launch({"misuse", 1, threads, 1024, 0}, f); };
  CHECK_THROWS(launch([] { mbarrier_wait(shared_address(64), 0); }, 32), "no barrier at shared address 64");
  CHECK_THROWS(launch(
                   [] {
                     mbarrier_init(shared_address(0), 1);
                     mbarrier_wait(shared_address(0), 0);
                   },
                   1),
               "deadlock");
  CHECK_THROWS(launch(
                   [] {
                     if (threadIdx.x == 0) mbarrier_init(shared_address(0), 2);
                     __syncthreads();
                     mbarrier_arrive_expect(shared_address(0), 16);
                     mbarrier_arrive(shared_address(0));
                   },
                   2),
               "more arrivals");
}

TEST("stages that threads store, fence and hand over are multiplied, round by round") {
  Random random(9);
  Tensor<Half> x(probe_rounds * 128 * 64, random.floats());
  Tensor<float> d(64 * 64);
  Launch(probe_wgmma_rounds, 1, 1, {1}).threads(256).shared(32800).arg(x).arg(d).run();
  check_all(
      "d", d,
      [&](int64_t i) {
        double sum = 0;
        for (int64_t r = 0; r < probe_rounds; ++r)
          for (int64_t k = 0; k < 64; ++k) {
            const double a = x[(r * 128 + i / 64) * 64 + k], b = x[(r * 128 + 64 + i % 64) * 64 + k];
            sum += a * b;
          }
        return sum;
      },
      1e-5, 1e-5);
}

TEST("a product that reads what a thread stored and did not fence is an error, and a reader's fence does not help") {
  const auto launch = [](bool writer, bool reader) {
    emulator::launch({"unfenced", 1, 128, 16384, 0}, [=] {
      WarpGroupProduct<ProbedProduct<64>, true, true> product;
      for (int i = static_cast<int>(threadIdx.x); i < 1024; i += 128) store_shared16(16 * i, uint4{0, 0, 0, 0});
      if (writer || threadIdx.x != 77) fence_async_reads();
      __syncthreads();
      if (reader && threadIdx.x != 77) fence_async_reads();
      product.clear();
      product.add(0);
      wgmma_commit();
      wgmma_wait<0>();
    });
  };
  launch(true, false);
  for (const bool reader : {false, true})
    CHECK_THROWS(launch(false, reader), "of shared memory, which thread 77 stored without a fence");
}

TEST("a thread that ends while its copies are in flight is an error") {
  alignas(16) static const float from[4] = {};
  const auto launch = [](void (*wait)()) {
    emulator::launch({"early", 1, 1, 1024, 0}, [=] {
      mbarrier_init(shared_address(512), 1);
      cp_async16(shared_address(0), from, 16);
      mbarrier_arrive_copies(shared_address(512));
      wait();
    });
  };
  CHECK_THROWS(launch([] {}), "thread 0: ends with asynchronous copies in flight");
  CHECK_THROWS(launch([] { mbarrier_wait(shared_address(512), 0); }), "has not waited for 0 copies and 1 arrivals");
  CHECK_THROWS(launch([] { cp_async_wait<0>(); }), "in flight");  // no group holds the copy
  launch([] { cp_async_commit(), cp_async_wait<0>(); });
  CHECK_THROWS(emulator::launch({"early", 1, 1, 1024, 0}, [] { cp_async16(shared_address(0), from, 16); }),
               "has not waited for 1 copies");
}

TEST("a deadlock names the barrier, what it lacks, and who waits") {
  const auto deadlock = [] {
    emulator::launch({"stuck", 1, 64, 1024, 0}, [] {
      if (threadIdx.x == 0) mbarrier_init(shared_address(64), 3);
      __syncthreads();
      if (threadIdx.x == 1) mbarrier_arrive_expect(shared_address(64), 128);
      if (threadIdx.x >= 32) mbarrier_wait(shared_address(64), 0);
    });
  };
  CHECK_THROWS(deadlock(), "stuck, block 0: deadlock");
  CHECK_THROWS(deadlock(),
               "threads 32-63 wait at mbarrier 64 for the end of a phase of parity 0 (2 of 3 arrivals and "
               "128 bytes are missing)");
}

}  // namespace

int main(int argc, char** argv) { return moproc::test::run(argc, argv); }
