// Products of warp groups (wgmma) by the tensor cores of sm_90a, from operands in shared memory.
#pragma once

#include <cstdint>
#include <functional>

namespace emulator {

/// One m64nNk16 product as a warp sees it. a, b: matrix descriptors with the 128-byte swizzle; `across`: the operand's
/// lines lie across k.
struct WarpGroupProduct {
  int n;
  uint64_t a, b;
  bool a_across, b_across;
  bool operator==(const WarpGroupProduct&) const = default;
};

/// Adds the product to rows 16 `warp`, ... + 15 of the result: d[lane] points at the n / 2 sums of that lane.
void add_product(const WarpGroupProduct& product, const unsigned char* shared, int warp, float* const (&d)[32]);

/// Calls `visit` with the first byte of every 16 bytes of shared memory that the product reads, of the operand a and of
/// b.
void each_chunk(const WarpGroupProduct& product, const std::function<void(uint32_t byte)>& visit);

/// One past the highest byte of shared memory that the product reads.
uint32_t product_end(const WarpGroupProduct& product);

}  // namespace emulator
