// The core of a block's matrix product on sm_90a: operand tiles as TMA writes and wgmma reads them. The counterpart of
// gemm_tile.cuh.
#pragma once

#include "cuda/gemm_path.cuh"

namespace moproc {

/// LINES lines of WIDTH bf16 in blocks of 64 columns: lines of 128 bytes, chunks of 16 permuted by XOR with the line.
template <int LINES, int WIDTH>
struct SwizzledTile {
  static constexpr int lines = LINES, width = WIDTH, bytes = LINES * WIDTH * 2, line_bytes = 128;
  static constexpr int block_bytes = LINES * line_bytes;
  static_assert(WIDTH % 64 == 0 && LINES % 8 == 0, "blocks of 64 columns, lines in eights");
  /// Byte offset of chunk `chunk` of a line.
  MOPROC_INLINE static int at(int line, int chunk) {
    return chunk / 8 * block_bytes + line * line_bytes + ((chunk % 8) ^ (line & 7)) * 16;
  }
};

/// The TILE_ROWS x TILE_COLUMNS result of the block's workers in registers, 64 terms at a time. Warp group g holds the
/// TILE_ROWS / groups rows from g * TILE_ROWS / groups on, in parts of 64.
template <class K, bool A_K_MAJOR, bool B_K_MAJOR>
struct WarpGroupProduct {
  static constexpr int terms = Path<K>::terms, groups = Path<K>::workers / 128, parts = K::TILE_ROWS / 64 / groups;
  using A = SwizzledTile<A_K_MAJOR ? K::TILE_ROWS : terms, A_K_MAJOR ? terms : K::TILE_ROWS>;
  using B = SwizzledTile<B_K_MAJOR ? K::TILE_COLUMNS : terms, B_K_MAJOR ? terms : K::TILE_COLUMNS>;
  static constexpr int stage_bytes = A::bytes + B::bytes;
  static_assert(K::Operand::bytes == 2, "products of bf16");
  static_assert(parts >= 1 && K::TILE_ROWS == 64 * groups * parts,
                "the block's result cannot be divided among its warp groups");

  float d[parts][K::TILE_COLUMNS / 2];

  MOPROC_INLINE void clear() {
#pragma unroll
    for (int i = 0; i < parts; ++i)
#pragma unroll
      for (int j = 0; j < K::TILE_COLUMNS / 2; ++j) d[i][j] = 0.0f;
  }

  /// Keeps the sums in their registers. Must be called before the first and after the last of a run of products.
  MOPROC_INLINE void pin_sums() {
#pragma unroll
    for (int i = 0; i < parts; ++i)
#pragma unroll
      for (int j = 0; j < K::TILE_COLUMNS / 2; ++j) pin(d[i][j]);
  }

  /// Adds the product of the stage at byte `stage` of shared memory, asynchronously.
  MOPROC_INLINE void add(int stage) {
    constexpr int eights = 8 * A::line_bytes, step_bytes_k = 32, step_bytes_across = 16 * A::line_bytes;
    const int first = group() * parts;
#pragma unroll
    for (int step = 0; step < terms / 16; ++step) {
      const int b = stage + A::bytes + step * (B_K_MAJOR ? step_bytes_k : step_bytes_across);
      const uint64_t b_operand = wgmma_operand(shared_address(b), eights, B::block_bytes);
#pragma unroll
      for (int i = 0; i < parts; ++i) {
        // 64 rows of A are 64 lines, or a block of columns.
        const int part = (first + i) * (A_K_MAJOR ? 64 * A::line_bytes : A::block_bytes);
        const int a = stage + part + step * (A_K_MAJOR ? step_bytes_k : step_bytes_across);
        wgmma_bf16<K::TILE_COLUMNS, !A_K_MAJOR, !B_K_MAJOR>(
            d[i], wgmma_operand(shared_address(a), eights, A::block_bytes), b_operand);
      }
    }
  }

  /// Calls f(row, column, d, d of the next column) for every pair of neighbours this thread holds.
  template <class F>
  MOPROC_INLINE void each_pair(F f) const {
    const int thread = thread_anew(), lane = thread % 32;
    const int row0 = thread / 128 * parts * 64 + thread / 32 % 4 * 16 + lane / 4;
#pragma unroll
    for (int i = 0; i < parts; ++i)
#pragma unroll
      for (int j = 0; j < K::TILE_COLUMNS / 8; ++j) {
        const int column = 8 * j + lane % 4 * 2;
        f(row0 + 64 * i, column, d[i][4 * j], d[i][4 * j + 1]);
        f(row0 + 64 * i + 8, column, d[i][4 * j + 2], d[i][4 * j + 3]);
      }
  }

 private:
  MOPROC_INLINE static int group() { return static_cast<int>(threadIdx.x) / 128; }
};

}  // namespace moproc
