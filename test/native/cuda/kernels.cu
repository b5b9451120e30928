// Every CUDA template but the convolutions and products, with the constants of ResNet-50 and MoPro and some odd ones:
// compiled by nvcc for all architectures (nvcc.test.ts), which must give no warning and spill no register.
#include "cuda/all_finite.cuh"
#include "cuda/copy_nd.cuh"
#include "cuda/correct_labels.cuh"
#include "cuda/global_avg_pool.cuh"
#include "cuda/group_sum.cuh"
#include "cuda/increment.cuh"
#include "cuda/l2_normalize.cuh"
#include "cuda/l2_normalize_grad.cuh"
#include "cuda/max_pool.cuh"
#include "cuda/max_pool_grad.cuh"
#include "cuda/pointwise.cuh"
#include "cuda/prototype_update.cuh"
#include "cuda/put_rows.cuh"
#include "cuda/queue_push.cuh"
#include "cuda/rank_sum.cuh"
#include "cuda/reduce.cuh"
#include "cuda/softmax.cuh"
#include "cuda/softmax_cross_entropy.cuh"
#include "cuda/softmax_cross_entropy_grad.cuh"
#include "cuda/take_rows.cuh"
#include "cuda/top_k_correct.cuh"

namespace {
using namespace moproc;

// What an epilogue asks for: nothing, or two sums and moments.
struct NoSums {
  static constexpr int sums = 0, sum_buffer[] = {-1}, mean_buffer = -1, m2_buffer = -1;
};
struct Sums {
  static constexpr int sums = 2, sum_buffer[] = {8, 9}, mean_buffer = 10, m2_buffer = 11;
};

/// relu(x * scale + shift + shortcut), as at the end of a ResNet block.
template <class S, class T, int C_, int PIXELS_>
struct BlockEnd {
  static constexpr int C = C_, PIXELS = PIXELS_, FLAT = 0, THREADS = 256;
  struct Y : S {
    static MOPROC_INLINE Vec store(const Params& p, const At& i, int lanes, Vec, Vec* sum) {
      const Vec x = full<T, C>(p, 0, i, lanes), shortcut = full<T, C>(p, 1, i, lanes);
      const Vec affine = fma(x, group_channel<float, C>(p, 2, i, lanes), group_channel<float, C>(p, 3, i, lanes));
      const Vec y = max(affine + shortcut, Vec(0.0f));
      put<T, C>(p, 4, i, lanes, y);
      const Vec kept = rounded<T>(y);
      if constexpr (S::sums > 0) sum[0] = kept, sum[1] = kept * x;
      return kept;
    }
  };
};
struct RankSum {
  static constexpr int THREADS = 256;
};
/// SGD: the momentum, the parameter and its bf16 copy.
struct Sgd {
  static constexpr int C = 1, PIXELS = 1, FLAT = 1, THREADS = 256;
  struct Y : NoSums {
    static MOPROC_INLINE Vec store(const Params& p, const At& i, int lanes, Vec y, Vec*) {
      const Vec w = full<float, 0>(p, 0, i, lanes), g = full<float, 0>(p, 1, i, lanes);
      const Vec v = fma(full<float, 0>(p, 2, i, lanes), Vec(p.scalars[0]), g + w * Vec(p.scalars[1]));
      const Vec next = w - scalar<float>(p, 3, i, lanes) * v;
      put<float, 0>(p, 4, i, lanes, v);
      put<float, 0>(p, 5, i, lanes, next);
      put<bf16, 0>(p, 6, i, lanes, next);
      return y;
    }
  };
};
template <class S, class T, bool NORMALISE>
struct Pool {
  static constexpr int C = 64, H = 112, W = 112, P = 56, Q = 56, KERNEL = 3, STRIDE = 2, PAD = 1, THREADS = 256;
  struct X {
    static constexpr int buffer = -1;
    static MOPROC_INLINE Vec load(const Params& p, const At& i, int lanes) {
      const Vec x = full<T, C>(p, 0, i, lanes);
      if constexpr (!NORMALISE) return x;
      return max(fma(x, group_channel<float, C>(p, 2, i, lanes), group_channel<float, C>(p, 3, i, lanes)), Vec(0.0f));
    }
  };
  struct Dy {
    static constexpr int buffer = -1;
    static MOPROC_INLINE Vec load(const Params& p, const At& i, int lanes) { return full<T, C>(p, 1, i, lanes); }
  };
  struct Y : S {
    static MOPROC_INLINE Vec store(const Params& p, const At& i, int lanes, Vec y, Vec* sum) {
      put<T, C>(p, 4, i, lanes, y);
      if constexpr (S::sums > 0) sum[0] = y, sum[1] = y * full<T, C>(p, 0, i, lanes);
      return rounded<T>(y);
    }
  };
};
template <class T, bool NORMALISE>
struct Average : Pool<NoSums, T, NORMALISE> {
  static constexpr int PIXELS = 49;
};
struct Rows {
  static constexpr int COLUMNS = 1000, TOP = 5, THREADS = 256;
  static constexpr float EPS = 1e-12f;
  static constexpr int X_BUFFER = 0, DY_BUFFER = 1, Y_BUFFER = 2, DX_BUFFER = 2;
  static constexpr int LOGITS_BUFFER = 0, TARGET_BUFFER = 1, WEIGHT_BUFFER = 2, LOSS_BUFFER = 3, CORRECT_BUFFER = 3;
  static constexpr int DLOSS_BUFFER = 3, DLOGITS_BUFFER = 4, CLS_LOGITS_BUFFER = 0, PROTO_LOGITS_BUFFER = 5;
  static constexpr int ALPHA_BUFFER = 6, THRESHOLD_BUFFER = 7, TARGET_NEW_BUFFER = 8, KEPT_BUFFER = 9;
};
struct LongRows : Rows {
  static constexpr int COLUMNS = 8193;
};
template <int KIND_>
struct Reduce {
  static constexpr int KIND = KIND_, THREADS = 256, X_BUFFER = 0, Y_BUFFER = 1;
};
template <int GROUPS, int REST_>
struct Groups {
  static constexpr int X_GROUPS = GROUPS, REST = REST_, THREADS = 256, X_BUFFER = 0, Y_BUFFER = 1;
};
struct Finite {
  static constexpr int XS_COUNT = 3, XS_BUFFERS[] = {0, 1, 2}, THREADS = 256, Y_BUFFER = 3;
  static constexpr int64_t SIZES[] = {25000000, 1001, 1};
};
template <int BYTES>
struct Move {
  static constexpr int ROW_BYTES = BYTES, THREADS = 256, X_BUFFER = 0, IDX_BUFFER = 1, Y_BUFFER = 2;
};
struct Transpose {
  static constexpr int ELEMENT_BYTES = 4, PARTS = 1, THREADS = 256, X_BUFFER = 0, Y_BUFFER = 1;
  static constexpr int64_t DIMS[] = {1, 1, 1, 3, 224, 224}, X_STRIDES[] = {150528, 0, 0, 1, 672, 3};
  static constexpr int64_t Y_STRIDES[] = {150528, 0, 0, 50176, 224, 1}, X_OFFSETS[] = {0}, Y_OFFSETS[] = {0};
};
struct Concat {
  static constexpr int ELEMENT_BYTES = 2, PARTS = 2, THREADS = 256, XS_COUNT = 2, XS_BUFFERS[] = {0, 1}, Y_BUFFER = 2;
  static constexpr int64_t DIMS[] = {1, 1, 1, 1, 1, 64, 1, 1, 1, 1, 1, 36};
  static constexpr int64_t X_STRIDES[] = {64, 0, 0, 0, 0, 1, 36, 0, 0, 0, 0, 1};
  static constexpr int64_t Y_STRIDES[] = {104, 0, 0, 0, 0, 1, 104, 0, 0, 0, 0, 1};
  static constexpr int64_t X_OFFSETS[] = {0, 0}, Y_OFFSETS[] = {0, 64};
};
struct State {
  static constexpr int STRIDE = 8;
  static constexpr int DIM = 128, QUEUE = 8192, CLASSES = 1000, THREADS = 256, QUEUE_BUFFER = 0, PTR_BUFFER = 1;
  static constexpr int KEYS_BUFFER = 2, FINITE_BUFFER = 3, QUEUE_NEW_BUFFER = 0, PTR_NEW_BUFFER = 1;
  static constexpr int PROTOTYPES_BUFFER = 4, Q_BUFFER = 5, TARGET_BUFFER = 6, KEPT_BUFFER = 7, M_BUFFER = 8;
  static constexpr int PROTOTYPES_NEW_BUFFER = 4, X_BUFFER = 9, Y_BUFFER = 9;
};
struct WideState : State {
  static constexpr int DIM = 300;
};
}  // namespace

#define MOPROC_KERNEL(symbol, name, ...) \
  extern "C" __global__ void __launch_bounds__(256) symbol(const __grid_constant__ Params p) { name<__VA_ARGS__>(p); }
#define MOPROC_BLOCK_ENDS(tag, T, C)                                     \
  MOPROC_KERNEL(pointwise_##tag, pointwise, BlockEnd<NoSums, T, C, 196>) \
  MOPROC_KERNEL(pointwise_sums_##tag, pointwise, BlockEnd<Sums, T, C, 196>)
MOPROC_BLOCK_ENDS(bf16_64, bf16, 64)
MOPROC_BLOCK_ENDS(bf16_2048, bf16, 2048)
MOPROC_BLOCK_ENDS(f32_64, float, 64)
MOPROC_BLOCK_ENDS(f32_10, float, 10)
MOPROC_KERNEL(pointwise_flat_sgd, pointwise, Sgd)
MOPROC_KERNEL(max_pool_bf16, max_pool, Pool<NoSums, bf16, true>)
MOPROC_KERNEL(max_pool_f32, max_pool, Pool<NoSums, float, false>)
MOPROC_KERNEL(max_pool_grad_bf16, max_pool_grad, Pool<NoSums, bf16, false>)
MOPROC_KERNEL(max_pool_grad_sums_bf16, max_pool_grad, Pool<Sums, bf16, true>)
MOPROC_KERNEL(max_pool_grad_f32, max_pool_grad, Pool<NoSums, float, false>)
MOPROC_KERNEL(global_avg_pool_bf16, global_avg_pool, Average<bf16, true>)
MOPROC_KERNEL(global_avg_pool_f32, global_avg_pool, Average<float, false>)
MOPROC_KERNEL(softmax_1000, softmax, Rows)
MOPROC_KERNEL(softmax_8193, softmax, LongRows)
MOPROC_KERNEL(softmax_cross_entropy_1000, softmax_cross_entropy, Rows)
MOPROC_KERNEL(softmax_cross_entropy_8193, softmax_cross_entropy, LongRows)
MOPROC_KERNEL(softmax_cross_entropy_grad_1000, softmax_cross_entropy_grad, Rows)
MOPROC_KERNEL(softmax_cross_entropy_grad_8193, softmax_cross_entropy_grad, LongRows)
MOPROC_KERNEL(l2_normalize_1000, l2_normalize, Rows)
MOPROC_KERNEL(l2_normalize_grad_1000, l2_normalize_grad, Rows)
MOPROC_KERNEL(top_k_correct_1000, top_k_correct, Rows)
MOPROC_KERNEL(top_k_correct_8193, top_k_correct, LongRows)
MOPROC_KERNEL(correct_labels_1000, correct_labels, Rows)
MOPROC_KERNEL(reduce_sum, reduce, Reduce<0>)
MOPROC_KERNEL(reduce_max, reduce, Reduce<1>)
MOPROC_KERNEL(rank_sum_any, rank_sum, RankSum)
MOPROC_KERNEL(group_sum_4, group_sum, Groups<4, 2359296>)
MOPROC_KERNEL(group_sum_7_odd, group_sum, Groups<7, 1001>)
MOPROC_KERNEL(all_finite_3, all_finite, Finite)
MOPROC_KERNEL(take_rows_16, take_rows, Move<150528>)
MOPROC_KERNEL(take_rows_1, take_rows, Move<27>)
MOPROC_KERNEL(put_rows_4, put_rows, Move<524>)
MOPROC_KERNEL(copy_nd_transpose, copy_nd, Transpose)
MOPROC_KERNEL(copy_nd_concat, copy_nd, Concat)
MOPROC_KERNEL(queue_push_128, queue_push, State)
MOPROC_KERNEL(prototype_update_128, prototype_update, State)
MOPROC_KERNEL(prototype_update_300, prototype_update, WideState)
MOPROC_KERNEL(increment_1, increment, State)
