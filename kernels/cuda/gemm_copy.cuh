// How operands are copied to shared memory, and the loop over k. A unit is 8 neighbouring elements of a line. A Source
// gives the positions of the units of a stage, and a Loader moves them: by asynchronous copies if the operand is used
// as it is stored, otherwise through registers and the operand's prologue. Units outside the operand are zero after the
// prologue.
//
// Source: step(k) chooses the stage, then for each pass over the tile
//   valid(pass)       whether this thread's unit of that pass exists
//   element(pass)     its first element in the operand's buffer; anything if it does not exist
//   at(pass)          its position for a prologue; some position of the operand if it does not exist
#pragma once

#include "cuda/gemm_tile.cuh"
#include "cuda/leaf.cuh"

namespace moproc {

/// How the threads of a block share the units of a tile: a thread keeps its place in the line from pass to pass.
template <class Tile, int THREADS>
struct Units {
  static constexpr int per_line = Tile::width / 8, lines = THREADS / per_line;
  static constexpr int passes = ceil_div(Tile::lines, lines);
  static_assert(Tile::width % 8 == 0 && THREADS % per_line == 0, "threads keep their place in a line");
  /// Index of the thread among those that load, which are the block's last threads on sm_90a.
  MOPROC_INLINE static int thread() {
    return static_cast<int>(threadIdx.x) % ((THREADS & (THREADS - 1)) == 0 ? THREADS : 1024);
  }
  MOPROC_INLINE static int unit() { return thread() % per_line; }
  MOPROC_INLINE static int line(int pass) { return thread() / per_line + pass * lines; }
  /// Byte offset in the tile of part `part` of `parts` of the thread's unit.
  MOPROC_INLINE static int at(int pass, int parts, int part) {
    if constexpr (lines % 8 == 0) return Tile::at(line(0), unit() * parts + part) + pass * lines * Tile::line_bytes;
    else return Tile::at(line(pass), unit() * parts + part);
  }
  /// Whether the pass has a line for this thread.
  MOPROC_INLINE static bool inside(int pass) { return Tile::lines % lines == 0 || line(pass) < Tile::lines; }
};

/// Number of tensors of the operand's own size that its prologue reads.
template <class X>
MOPROC_BOTH constexpr int reads_of_operand() {
  if constexpr (requires { X::reads; }) return X::reads;
  else return 1;
}
template <class X>
inline constexpr int reads_of = reads_of_operand<X>();

/// An operand that is used as it is stored.
template <int BUFFER>
struct Plain {
  static constexpr int buffer = BUFFER;
};

template <class Operand>
MOPROC_INLINE void pack_unit(uint4 (&to)[Operand::bytes / 2], const Vec& v) {
  if constexpr (Operand::bytes == 2) {
    to[0] = narrow8(v);
  } else {
    to[0] = bits_of(v.x[0], v.x[1], v.x[2], v.x[3]);
    to[1] = bits_of(v.x[4], v.x[5], v.x[6], v.x[7]);
  }
}

/// Moves one operand. CACHED: neighbouring stages read the same lines, so copies go through the first-level cache.
template <class Operand, class X, class Tile, class Source, int THREADS, bool CACHED = false>
struct Loader {
  using U = Units<Tile, THREADS>;
  static constexpr bool plain = X::buffer >= 0;
  static constexpr int parts = Operand::bytes / 2;  // 16-byte chunks of a unit

  static constexpr int held_units = plain ? 0 : U::passes;
  static constexpr int loads = held_units * reads_of<X>;  // of 16 bytes, for them

  /// A thread's units of one stage, on their way to shared memory; unused if copies are asynchronous.
  struct Held {
    uint4 unit[plain ? 1 : U::passes][parts];
  };

  const Params& p;
  Source& source;

  /// Starts to move stage k to byte `tile` of shared memory.
  MOPROC_INLINE void fetch(int k, int tile, Held& held) const {
    source.step(k);
#pragma unroll
    for (int pass = 0; pass < U::passes; ++pass) {
      if (!U::inside(pass)) continue;
      if constexpr (plain) {
        const bool valid = source.valid(pass);
        const auto* const from =
            static_cast<const unsigned char*>(p.buf[X::buffer]) + source.element(pass) * Operand::bytes;
#pragma unroll
        for (int i = 0; i < parts; ++i) {
          const uint32_t to = shared_address(tile + U::at(pass, parts, i));
          if constexpr (CACHED) cp_async16_cached(to, from + 16 * i, valid ? 16 : 0);
          else cp_async16(to, from + 16 * i, valid ? 16 : 0);
        }
      } else {
        pack_unit<Operand>(held.unit[pass], X::load(p, source.at(pass), Vec::width));
        if (!source.valid(pass))
#pragma unroll
          for (int i = 0; i < parts; ++i) held.unit[pass][i] = {0, 0, 0, 0};
      }
    }
  }

  /// Completes fetch: stores the held units to byte `tile` of shared memory.
  MOPROC_INLINE void place(int tile, const Held& held) const {
    if constexpr (!plain) {
#pragma unroll
      for (int pass = 0; pass < U::passes; ++pass) {
        if (!U::inside(pass)) continue;
#pragma unroll
        for (int i = 0; i < parts; ++i) store_shared16(tile + U::at(pass, parts, i), held.unit[pass][i]);
      }
    }
  }
};

/// Adds the products of stages [0, stages) to `sum`, with K::STAGES of them in shared memory. All threads of the block
/// must call it; on return no thread reads shared memory any more.
template <class K, class Product, class LoadA, class LoadB>
MOPROC_INLINE void main_loop(Product& sum, const LoadA& a, const LoadB& b, int stages) {
  constexpr int ahead = K::STAGES - 1, bytes = Product::stage_bytes;
  static_assert(ahead >= 1, "a stage is filled while another is used");
  const auto slot = [](int i) { return i * bytes; };
  // If a prologue loads little per stage, the registers suffice to keep the loads of two stages in flight together.
  constexpr int held = LoadA::held_units + LoadB::held_units, together = held > 0 && held <= 2 ? 2 : 1;
#pragma unroll 1
  for (int first = 0; first < ahead; first += together) {
    typename LoadA::Held held_a[together];
    typename LoadB::Held held_b[together];
#pragma unroll
    for (int i = 0; i < together; ++i) {
      const int k = first + i;
      if (k < stages && k < ahead) {
        a.fetch(k, slot(k), held_a[i]);
        b.fetch(k, slot(k) + Product::A::bytes, held_b[i]);
      }
      if (k < ahead) cp_async_commit();
    }
#pragma unroll
    for (int i = 0; i < together; ++i) {
      const int k = first + i;
      if (k < stages && k < ahead) {
        a.place(slot(k), held_a[i]);
        b.place(slot(k) + Product::A::bytes, held_b[i]);
      }
    }
  }
  int use = 0, fill = ahead;
  const auto next = [](int i) { return i + 1 == K::STAGES ? 0 : i + 1; };
#pragma unroll 1
  for (int k = 0; k < stages; ++k) {
    cp_async_wait<ahead - 1>();
    __syncthreads();
    typename LoadA::Held held_a;
    typename LoadB::Held held_b;
    const bool more = k + ahead < stages;
    if (more) {
      a.fetch(k + ahead, slot(fill), held_a);
      b.fetch(k + ahead, slot(fill) + Product::A::bytes, held_b);
    }
    cp_async_commit();
    sum.add(slot(use));
    if (more) {
      a.place(slot(fill), held_a);
      b.place(slot(fill) + Product::A::bytes, held_b);
    }
    use = next(use);
    fill = next(fill);
  }
  cp_async_wait<0>();
  __syncthreads();
}

}  // namespace moproc
