// take_rows, put_rows and copy_nd: every byte is where the index says, for all element sizes.
#include "native/kernels/device.h"

#include MOPROC_KERNEL(copy_nd)
#include MOPROC_KERNEL(put_rows)
#include MOPROC_KERNEL(take_rows)

#include <numeric>

namespace {
using namespace moproc;
using namespace moproc::test;

template <int BYTES>
struct Rows {
  static constexpr int ROW_BYTES = BYTES, THREADS = 256, X_BUFFER = 0, IDX_BUFFER = 1, Y_BUFFER = 2;
};

template <int BYTES>
void rows(int64_t n) {
  Random random(BYTES);
  Tensor<uint8_t> x(n * BYTES, [&](int64_t) { return static_cast<uint8_t>(random.below(256)); }), y(n * BYTES),
      back(n * BYTES);
  Tensor<int64_t> idx(n, [](int64_t i) { return i; });
  for (int64_t i = n - 1; i > 0; --i) std::swap(idx[i], idx[random.below(i + 1)]);
  const int64_t tasks = n * ceil_of(BYTES, row_piece);
  Launch(take_rows<Rows<BYTES>>, n, 1, {tasks}).arg(x).arg(idx).arg(y).run();
  Launch(put_rows<Rows<BYTES>>, n, 1, {tasks}).arg(y).arg(idx).arg(back).run();
  int64_t wrong = 0;
  for (int64_t i = 0; i < n * BYTES; ++i) wrong += (y[i] != x[idx[i / BYTES] * BYTES + i % BYTES]) + (back[i] != x[i]);
  CHECK_EQ(wrong, 0);
}
TEST("take_rows and put_rows are inverse") {
  rows<1>(100);
  rows<12>(33);
  rows<65536>(3);
  rows<150528>(16);
}
TEST("an index out of range reads and writes nothing out of place") {
  Tensor<uint8_t> x(24, [](int64_t i) { return static_cast<uint8_t>(i); }), y(24),
      z(24, [](int64_t) { return uint8_t{7}; });
  Tensor<int64_t> idx(2, [](int64_t i) { return i ? 2 : -1; });
  Launch(take_rows<Rows<12>>, 2, 1, {2}).arg(x).arg(idx).arg(y).run();
  for (int64_t i = 0; i < 24; ++i) CHECK_EQ(int(y[i]), 255);
  Launch(put_rows<Rows<12>>, 2, 1, {2}).arg(x).arg(idx).arg(z).run();
  for (int64_t i = 0; i < 24; ++i) CHECK_EQ(int(z[i]), 7);
}

/// (2, 3, 4, 5, 2, 7) -> axes reversed, as two parts: the first axis' halves.
template <int BYTES>
struct Reverse {
  static constexpr int ELEMENT_BYTES = BYTES, PARTS = 2, THREADS = 256, XS_COUNT = 2, XS_BUFFERS[] = {0, 1},
                       Y_BUFFER = 2;
  static constexpr int64_t DIMS[] = {1, 2, 5, 4, 3, 2, 1, 2, 5, 4, 3, 1};
  static constexpr int64_t X_STRIDES[] = {1, 7, 14, 70, 280, 840, 1, 7, 14, 70, 280, 840};
  static constexpr int64_t Y_STRIDES[] = {360, 180, 36, 9, 3, 1, 360, 180, 36, 9, 3, 1};
  static constexpr int64_t X_OFFSETS[] = {0, 0}, Y_OFFSETS[] = {0, 2};
};
template <class T>
void reverse() {
  using K = Reverse<sizeof(T)>;
  Tensor<T> a(1680, [](int64_t i) { return static_cast<T>(i * 37); }),
      b(840, [](int64_t i) { return static_cast<T>(i * 41); });
  Tensor<T> y(2520);
  for (int64_t i = 0; i < 2520; ++i) y[i] = 0;
  // y's inner axes are (3, 3): three entries of the reversed first axis (two of a, one of b)
  Launch(copy_nd<K>, 7, 1, {copy_tasks<K>(0, 7) + copy_tasks<K>(1, 7)}).arg(a).arg(b).arg(y).run();
  int64_t wrong = 0;
  for (int64_t i0 = 0; i0 < 3; ++i0)
    for (int64_t i = 0; i < 840; ++i) {
      const int64_t i5 = i % 7, i4 = i / 7 % 2, i3 = i / 14 % 5, i2 = i / 70 % 4, i1 = i / 280;
      const int64_t at = (((i5 * 2 + i4) * 5 + i3) * 4 + i2) * 9 + i1 * 3 + i0;
      wrong += y[at] != (i0 < 2 ? a[i0 * 840 + i] : b[i]);
    }
  CHECK_EQ(wrong, 0);
}
TEST("copy_nd permutes six axes of parts") {
  reverse<uint8_t>();
  reverse<uint16_t>();
  reverse<uint32_t>();
  reverse<uint64_t>();
}

/// Columns 5 .. 105 of (999, 200), into columns 1 .. 101 of (999, 150).
struct Columns {
  static constexpr int ELEMENT_BYTES = 4, PARTS = 1, THREADS = 256, X_BUFFER = 0, Y_BUFFER = 1;
  static constexpr int64_t DIMS[] = {1, 1, 1, 1, 1, 100}, X_STRIDES[] = {200, 0, 0, 0, 0, 1};
  static constexpr int64_t Y_STRIDES[] = {150, 0, 0, 0, 0, 1}, X_OFFSETS[] = {5}, Y_OFFSETS[] = {1};
};
TEST("copy_nd leaves what is outside its range") {
  Tensor<float> x(999 * 200, [](int64_t i) { return static_cast<float>(i); }),
      y(999 * 150, [](int64_t) { return -1.0f; });
  const int64_t tasks = copy_tasks<Columns>(0, 999);
  CHECK(tasks > 1);
  Launch(copy_nd<Columns>, 999, 1, {tasks}).arg(x).arg(y).run();
  int64_t wrong = 0;
  for (int64_t i = 0; i < y.size(); ++i) {
    const int64_t r = i / 150, c = i % 150;
    wrong += y[i] != (c >= 1 && c < 101 ? x[r * 200 + c + 4] : -1.0f);
  }
  CHECK_EQ(wrong, 0);
}

}  // namespace

int main(int argc, char** argv) { return moproc::test::run(argc, argv); }
