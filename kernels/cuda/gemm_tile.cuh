// The core of a block's matrix product: operand tiles in shared memory, and how the warps multiply them. A tile is
// lines of 16-byte chunks. The chunks of a line are permuted by XOR with the line, so that the eight rows of an 8 x 8
// matrix always lie in different banks and no padding is needed. A line runs along k ("k-major") or across it. If it
// runs across k, ldmatrix transposes bf16 on the way to registers, and 32-bit elements are read one by one.
#pragma once

#include "cuda/gemm_path.cuh"

namespace moproc {

/// How operands are stored and multiplied (K::Operand). Operands in f32 are rounded to tf32, or split in two tf32
/// parts, of whose products the three larger ones give nearly f32's accuracy.
struct Bf16 {
  static constexpr int bytes = 2, products = 1;
};
struct Tf32 {
  static constexpr int bytes = 4, products = 1;
};
struct Tf32x3 {
  static constexpr int bytes = 4, products = 3;
};

/// A tile of LINES lines of WIDTH elements of BYTES bytes.
template <int BYTES, int LINES, int WIDTH>
struct SharedTile {
  static constexpr int lines = LINES, width = WIDTH, chunks = WIDTH * BYTES / 16, bytes = LINES * WIDTH * BYTES;
  static constexpr int line_bytes = chunks * 16;
  static_assert(chunks % 2 == 0, "a line is at least one step of a product");
  /// Byte offset of chunk `chunk` of a line.
  MOPROC_INLINE static int at(int line, int chunk) {
    const int turn = chunks % 8 == 0 ? line & 7 : chunks % 4 == 0 ? (line >> 1) & 3 : (line >> 2) & 1;
    return (line * chunks + (chunk ^ turn)) * 16;
  }
};

/// Reads the parts of an operand: COUNT parts of 16 rows of A or columns of B, from `first`, in steps of 32 bytes of k.
/// Each lane keeps one address; the addresses of other steps and parts differ from it by an offset or, in a line, in a
/// few bits.
template <class Tile, int BYTES, bool K_MAJOR, bool IS_B, int COUNT>
struct PartReader {
  static constexpr bool words = !K_MAJOR && BYTES == 4;
  static_assert(K_MAJOR || (COUNT & (COUNT - 1)) == 0, "parts of a line are told apart by bits");
  int lane_at;  // words: first position across k

  MOPROC_INLINE explicit PartReader(int first) {
    const int lane = static_cast<int>(threadIdx.x) % 32, j = lane & 7, low = lane >> 3 & 1, high = lane >> 4;
    // The four matrices of 8 lines: A (lines, k) = (0, 0) (8, 0) (0, 8) (8, 8), B (0, 0) (0, 8) (8, 0) (8, 8).
    const int across = IS_B ? high : low, along = IS_B ? low : high;
    if constexpr (words) lane_at = first + lane / 4;
    else if constexpr (K_MAJOR) lane_at = Tile::at(first + j + 8 * across, along);
    else lane_at = Tile::at(j + 8 * along, first / 8 + across);
  }
  /// Reads part `part` of step `step` of the tile at byte `tile` of shared memory: A's registers, or b0 and b1 of both
  /// halves.
  MOPROC_INLINE void read(uint32_t (&r)[4], int tile, int step, int part) const {
    if constexpr (words) {
      const int lane = static_cast<int>(threadIdx.x) % 32;
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int across = IS_B ? i >> 1 : i & 1, along = IS_B ? i & 1 : i >> 1;
        const int k = 8 * step + lane % 4 + 4 * along, position = lane_at + 16 * part + 8 * across;
        const int at = tile + Tile::at(k, position / 4) + position % 4 * 4;
        r[i] = *reinterpret_cast<const uint32_t*>(shared_memory + at);
      }
    } else if constexpr (K_MAJOR) {
      ldmatrix_x4(r, shared_address(((tile + lane_at) ^ 32 * step) + 16 * part * Tile::line_bytes));
    } else {
      ldmatrix_x4_trans(r, shared_address(((tile + lane_at) ^ 32 * part) + 16 * step * Tile::line_bytes));
    }
  }
};

/// x = big + small, both tf32, with an error of at most 2^-22 of x.
struct Split {
  uint32_t big, small;
  MOPROC_INLINE explicit Split(uint32_t bits) {
    const float x = __uint_as_float(bits);
    big = to_tf32(x);
    small = to_tf32(x - __uint_as_float(big));
  }
};

/// d += a b for one 16 x 8 part and one step.
template <class Operand>
MOPROC_INLINE void multiply(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  if constexpr (Operand::bytes == 2) {
    mma_bf16(d, a, b0, b1);
  } else if constexpr (Operand::products == 1) {
    uint32_t x[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) x[i] = to_tf32(__uint_as_float(a[i]));
    mma_tf32(d, x, to_tf32(__uint_as_float(b0)), to_tf32(__uint_as_float(b1)));
  } else {
    const Split s0(b0), s1(b1);
    uint32_t big[4], small[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const Split s(a[i]);
      big[i] = s.big;
      small[i] = s.small;
    }
    mma_tf32(d, small, s0.big, s1.big);
    mma_tf32(d, big, s0.small, s1.small);
    mma_tf32(d, big, s0.big, s1.big);
  }
}

/// Number of rows of warps over a block's TILE_ROWS x TILE_COLUMNS result, for the least reads from shared memory; 0 if
/// the result cannot be divided.
MOPROC_BOTH constexpr int warp_rows(int bm, int bn, int warps) {
  int best = 0;
  for (int m = 1; m <= warps; ++m) {
    if (warps % m != 0 || bm % (m * 16) != 0 || bn % (warps / m * 16) != 0) continue;
    if (best == 0 || bm / m + bn * m / warps <= bm / best + bn * best / warps) best = m;
  }
  return best;
}

/// The TILE_ROWS x TILE_COLUMNS result of a block in registers, STAGE_TERMS terms at a time.
template <class K, bool A_K_MAJOR, bool B_K_MAJOR>
struct BlockProduct {
  using Operand = typename K::Operand;
  static constexpr int bytes = Operand::bytes, steps = K::STAGE_TERMS * bytes / 32, threads = K::THREADS;
  using A = SharedTile<bytes, A_K_MAJOR ? K::TILE_ROWS : K::STAGE_TERMS, A_K_MAJOR ? K::STAGE_TERMS : K::TILE_ROWS>;
  using B =
      SharedTile<bytes, B_K_MAJOR ? K::TILE_COLUMNS : K::STAGE_TERMS, B_K_MAJOR ? K::STAGE_TERMS : K::TILE_COLUMNS>;
  static constexpr int stage_bytes = A::bytes + B::bytes;
  static constexpr int warps = K::THREADS / 32, warps_m = warp_rows(K::TILE_ROWS, K::TILE_COLUMNS, warps);
  static_assert(K::THREADS % 32 == 0 && warps_m > 0, "the block's result cannot be divided among its warps");
  static constexpr int warps_n = warps / warps_m, rows = K::TILE_ROWS / warps_m, columns = K::TILE_COLUMNS / warps_n;
  static constexpr int mi = rows / 16, ni = columns / 8;

  float d[mi][ni][4];

  MOPROC_INLINE void clear() {
#pragma unroll
    for (int i = 0; i < mi; ++i)
#pragma unroll
      for (int j = 0; j < ni; ++j)
#pragma unroll
        for (int e = 0; e < 4; ++e) d[i][j][e] = 0.0f;
  }

  MOPROC_INLINE static int row0(int thread) { return thread / 32 / warps_n * rows; }
  MOPROC_INLINE static int column0(int thread) { return thread / 32 % warps_n * columns; }

  PartReader<A, bytes, A_K_MAJOR, false, mi> a_parts{row0(static_cast<int>(threadIdx.x))};
  PartReader<B, bytes, B_K_MAJOR, true, ni / 2> b_parts{column0(static_cast<int>(threadIdx.x))};

  /// Adds the product of the stage at byte `stage` of shared memory.
  MOPROC_INLINE void add(int stage) {
#pragma unroll
    for (int step = 0; step < steps; ++step) {
      uint32_t a[mi][4], b[ni / 2][4];
#pragma unroll
      for (int i = 0; i < mi; ++i) a_parts.read(a[i], stage, step, i);
#pragma unroll
      for (int j = 0; j < ni / 2; ++j) b_parts.read(b[j], stage + A::bytes, step, j);
#pragma unroll
      for (int i = 0; i < mi; ++i)
#pragma unroll
        for (int j = 0; j < ni; ++j) multiply<Operand>(d[i][j], a[i], b[j / 2][j % 2 * 2], b[j / 2][j % 2 * 2 + 1]);
    }
  }

  /// Calls f(row, column, d, d of the next column) for every pair of neighbours this thread holds.
  template <class F>
  MOPROC_INLINE void each_pair(F f) const {
    const int thread = thread_anew(), lane = thread % 32;
    const int m = row0(thread) + lane / 4, n = column0(thread) + lane % 4 * 2;
#pragma unroll
    for (int i = 0; i < mi; ++i)
#pragma unroll
      for (int j = 0; j < ni; ++j) {
        f(m + 16 * i, n + 8 * j, d[i][j][0], d[i][j][1]);
        f(m + 16 * i + 8, n + 8 * j, d[i][j][2], d[i][j][3]);
      }
  }
};

}  // namespace moproc
