// queue_push, prototype_update and increment against step-by-step loops: wrap-around, batches longer than the queue, in
// place or not, a step that is not finite.
#include "native/kernels/device.h"

#include MOPROC_KERNEL(increment)
#include MOPROC_KERNEL(prototype_update)
#include MOPROC_KERNEL(queue_push)

namespace {
using namespace moproc;
using namespace moproc::test;

template <int D_, int Q_, bool IN_PLACE>
struct Queue {
  static constexpr int DIM = D_, QUEUE = Q_, THREADS = 256, QUEUE_BUFFER = 0, PTR_BUFFER = 1, KEYS_BUFFER = 2,
                       FINITE_BUFFER = 3;
  static constexpr int QUEUE_NEW_BUFFER = IN_PLACE ? 0 : 4, PTR_NEW_BUFFER = IN_PLACE ? 1 : 5;
};

template <int D, int Q, bool IN_PLACE>
void push(int64_t n, int64_t start, float finite_) {
  Random random(static_cast<uint32_t>(n));
  Tensor<float> queue(D * Q, random.floats()), keys(n * D, random.floats()),
      finite(1, [&](int64_t) { return finite_; });
  Tensor<float> queue_new(D * Q);
  Tensor<int64_t> ptr(1, [&](int64_t) { return start; }), ptr_new(1);
  std::vector<float> want;
  for (int64_t i = 0; i < D * Q; ++i) want.push_back(queue[i]);
  int64_t at = start;
  if (finite_ != 0)
    for (int64_t i = 0; i < n; ++i, at = (at + 1) % Q)
      for (int64_t d = 0; d < D; ++d) want[size_t(d * Q + at)] = keys[i * D + d];
  Launch launch(queue_push<Queue<D, Q, IN_PLACE>>, n, 1, {D, 1});
  launch.arg(queue).arg(ptr).arg(keys).arg(finite).arg(queue_new).arg(ptr_new).run();
  Tensor<float>& got = IN_PLACE ? queue : queue_new;
  int64_t wrong = 0;
  for (int64_t i = 0; i < D * Q; ++i) wrong += got[i] != want[size_t(i)];
  CHECK_EQ(wrong, 0);
  CHECK_EQ(IN_PLACE ? ptr[0] : ptr_new[0], at);
}
template <bool IN_PLACE>
void pushes() {
  for (float finite : {1.0f, 0.0f}) {
    push<8, 32, IN_PLACE>(16, 0, finite);
    push<8, 32, IN_PLACE>(16, 24, finite);  // wraps round
    push<8, 32, IN_PLACE>(32, 5, finite);   // the whole queue
    push<8, 32, IN_PLACE>(75, 31, finite);  // twice round and more
    push<3, 7, IN_PLACE>(1, 6, finite);
    push<128, 100, IN_PLACE>(33, 90, finite);
    push<5, 1, IN_PLACE>(4, 0, finite);
  }
}
TEST("queue_push in place") { pushes<true>(); }
TEST("queue_push into another buffer") { pushes<false>(); }

template <int CLASSES_, int D_, bool IN_PLACE>
struct Prototypes {
  static constexpr int CLASSES = CLASSES_, DIM = D_, THREADS = 256, PROTOTYPES_BUFFER = 0, Q_BUFFER = 1,
                       TARGET_BUFFER = 2, KEPT_BUFFER = 3;
  static constexpr int M_BUFFER = 4, FINITE_BUFFER = 5, PROTOTYPES_NEW_BUFFER = IN_PLACE ? 0 : 6;
};

template <int CLASSES, int D, bool IN_PLACE>
void update(int64_t n, float finite_) {
  Random random(static_cast<uint32_t>(n + D));
  Tensor<float> p(CLASSES * D, random.floats()), q(n * D, random.floats()), p_new(CLASSES * D);
  Tensor<float> kept(n, [&](int64_t) { return random.below(4) ? 1.0f : 0.0f; });
  Tensor<float> m(1, [](int64_t) { return 0.9f; }), finite(1, [&](int64_t) { return finite_; });
  Tensor<int64_t> target(n, [&](int64_t i) { return i % 3 ? random.below(CLASSES) : 0; });  // class 0 is busy
  if (n > 4) target[1] = -1, target[2] = CLASSES, kept[1] = kept[2] = 1;
  for (int64_t c = 0; c < D; ++c) p[(CLASSES - 1) * D + c] = 0;  // stays zero if nobody hits it
  std::vector<double> want;
  for (int64_t i = 0; i < CLASSES * D; ++i) want.push_back(p[i]);
  if (finite_ != 0) {
    for (int64_t i = 0; i < n; ++i)
      if (kept[i] != 0 && target[i] >= 0 && target[i] < CLASSES)
        for (int64_t c = 0; c < D; ++c) {
          double& x = want[size_t(target[i] * D + c)];
          x = double(m[0]) * x + (1 - double(m[0])) * q[i * D + c];
        }
    for (int64_t k = 0; k < CLASSES; ++k) {
      double norm = 0;
      for (int64_t c = 0; c < D; ++c) norm += want[size_t(k * D + c)] * want[size_t(k * D + c)];
      for (int64_t c = 0; c < D; ++c) want[size_t(k * D + c)] /= std::max(std::sqrt(norm), 1e-12);
    }
  }
  Launch launch(prototype_update<Prototypes<CLASSES, D, IN_PLACE>>, n, 1, {ceil_of(CLASSES, prototype_block)});
  launch.arg(p).arg(q).arg(target).arg(kept).arg(m).arg(finite).arg(p_new).run();
  check_all(
      "prototypes", IN_PLACE ? p : p_new, [&](int64_t i) { return want[size_t(i)]; }, finite_ != 0 ? 2e-6 : 0,
      finite_ != 0 ? 1e-6 : 0);
}
template <bool IN_PLACE>
void updates() {
  for (float finite : {1.0f, 0.0f}) {
    update<10, 128, IN_PLACE>(64, finite);
    update<1000, 128, IN_PLACE>(256, finite);
    update<17, 5, IN_PLACE>(300, finite);
    update<2, 33, IN_PLACE>(1, finite);
  }
}
TEST("prototype_update in place") { updates<true>(); }
TEST("prototype_update into another buffer") { updates<false>(); }

struct Count {
  static constexpr int STRIDE = 8, THREADS = 32, X_BUFFER = 0, FINITE_BUFFER = 1, Y_BUFFER = 2;
};
TEST("increment counts finite steps") {
  for (float f : {1.0f, 0.0f}) {
    constexpr int64_t counters = 37, size = (counters - 1) * Count::STRIDE + 1;
    Tensor<int64_t> x(size, [](int64_t i) { return (int64_t{1} << 40) + 5 * i; }), y(size, [](int64_t) { return -1; });
    Tensor<float> finite(1, [&](int64_t) { return f; });
    Launch(increment<Count>, size, 1, {1}).arg(x).arg(finite).arg(y).run();
    for (int64_t i = 0; i < size; ++i) CHECK_EQ(y[i], i % Count::STRIDE == 0 ? x[i] + (f != 0) : -1);
  }
}

}  // namespace

int main(int argc, char** argv) { return moproc::test::run(argc, argv); }
