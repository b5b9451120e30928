// The functions of kernels/cuda/primitives.cuh on the CPU. Asynchronous copies are executed when they are waited for,
// not before. Until then the destination holds 0xff, NaN in every float type, so a missing wait shows in the result.
#pragma once

#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "emulator_cuda.h"
#include "warp_product.h"

namespace moproc {

namespace emulated {

inline void need_aligned(const char* what, const void* p, size_t bytes) {
  if (reinterpret_cast<uintptr_t>(p) % bytes != 0)
    emulator::fail(std::string(what) + ": address not aligned to " + std::to_string(bytes) + " bytes");
}

inline float bits_to_float(uint32_t u) {
  float f;
  std::memcpy(&f, &u, 4);
  return f;
}
inline uint32_t float_to_bits(float f) {
  uint32_t u;
  std::memcpy(&u, &f, 4);
  return u;
}

/// d += a b over a warp.
inline void product(const char* what, float (&d)[4], const emulator::Fragments& mine,
                    void (*all)(const emulator::Fragments* const*, emulator::WarpSums* const*)) {
  const auto sums = emulator::warp_collective<emulator::WarpSums>(what, 0xffffffffu, mine,
                                                                  [&](unsigned, auto in, auto out) { all(in, out); });
  std::memcpy(d, sums.d, sizeof d);
}

inline emulator::Fragments fragments(const float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  return {{a[0], a[1], a[2], a[3]}, {b0, b1}, {d[0], d[1], d[2], d[3]}};
}

/// Address of `bytes` bytes of dynamic shared memory, which must be aligned to `bytes`.
inline unsigned char* at_shared(const char* what, uint32_t address, size_t bytes) {
  if (address % bytes != 0 || address + bytes > emulator::dynamic_shared_bytes())
    emulator::fail(std::string(what) + ": shared address " + std::to_string(address) + " with " +
                   std::to_string(emulator::dynamic_shared_bytes()) + " bytes of dynamic shared memory");
  return emulator::dynamic_shared() + address;
}

struct Four {
  uint32_t r[4];
};
inline void load_matrices(const char* what, uint32_t (&r)[4], uint32_t row, bool transposed) {
  const unsigned char* const mine_at = at_shared(what, row, 16);
  const Four mine = emulator::warp_collective<Four>(
      what, 0xffffffffu, mine_at, [&](unsigned, const unsigned char* const* const* in, Four* const* out) {
        for (int lane = 0; lane < 32; ++lane)
          for (int i = 0; i < 4; ++i) {
            const int g = lane / 4, t = lane % 4;
            uint16_t pair[2];
            for (int e = 0; e < 2; ++e) {
              const int line = transposed ? 2 * t + e : g, column = transposed ? g : 2 * t + e;
              std::memcpy(&pair[e], *in[8 * i + line] + 2 * column, 2);
            }
            out[lane]->r[i] = pair[0] | static_cast<uint32_t>(pair[1]) << 16;
          }
      });
  std::memcpy(r, mine.r, sizeof r);
}

/// The copies of one thread that it has not waited for yet.
struct Copies {
  struct Copy {
    unsigned char* to;
    const void* from;
    int size, bytes, group;
  };
  /// Copies that also make the thread arrive at a barrier (mbarrier_arrive_copies).
  struct Handed {
    int group;
    std::function<void()> land;  // does nothing the second time
  };
  std::vector<Copy> waiting;
  std::vector<Handed> handed;
  int group = 0;
};

/// A thread must not end while its copies are in flight.
inline void require_landed() {
  const Copies& mine = emulator::per_thread<Copies>();
  if (!mine.waiting.empty() || !mine.handed.empty())
    emulator::fail("ends with asynchronous copies in flight: it has not waited for " +
                   std::to_string(mine.waiting.size()) + " copies and " + std::to_string(mine.handed.size()) +
                   " arrivals of copies at barriers");
}

/// Which thread has stored to each 16 bytes of dynamic shared memory (store_shared16) and not fenced since: its number
/// plus 1, or 0. Products of warp groups must not read such bytes.
struct Unfenced {
  std::vector<uint16_t> thread;
  std::vector<std::vector<uint32_t>> of_thread;  // the chunks of each thread
};

inline void land(const Copies::Copy& c) {
  std::memset(c.to, 0, static_cast<size_t>(c.size));
  if (c.bytes > 0) std::memcpy(c.to, c.from, static_cast<size_t>(c.bytes));
}

inline void copy(const char* what, uint32_t shared, const void* global, int size, int bytes) {
  unsigned char* const to = at_shared(what, shared, static_cast<size_t>(size));
  if (bytes < 0 || bytes > size) emulator::fail(std::string(what) + ": copies " + std::to_string(bytes) + " bytes");
  if (bytes > 0) need_aligned(what, global, static_cast<size_t>(size));
  Copies& mine = emulator::per_thread<Copies>();
  emulator::at_thread_end(require_landed);
  std::memset(to, 0xff, static_cast<size_t>(size));
  mine.waiting.push_back({to, global, size, bytes, mine.group});
}

}  // namespace emulated

inline uint32_t shared_address(int offset) { return static_cast<uint32_t>(offset); }

inline int thread_anew() { return static_cast<int>(threadIdx.x); }
inline int block_anew() { return static_cast<int>(blockIdx.x); }

inline void mma_bf16(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  emulated::product("mma_bf16", d, emulated::fragments(d, a, b0, b1), emulator::product_of_bf16);
}
inline void mma_tf32(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  emulated::product("mma_tf32", d, emulated::fragments(d, a, b0, b1), emulator::product_of_tf32);
}

inline uint32_t to_tf32(float x) {
  const uint32_t u = emulated::float_to_bits(x);
  return (u & 0x7f800000u) == 0x7f800000u ? u : (u + 0x1000u) & 0xffffe000u;
}

inline void ldmatrix_x4(uint32_t (&r)[4], uint32_t row) { emulated::load_matrices("ldmatrix_x4", r, row, false); }
inline void ldmatrix_x4_trans(uint32_t (&r)[4], uint32_t row) {
  emulated::load_matrices("ldmatrix_x4_trans", r, row, true);
}

inline void store_shared16(int at, const uint4& x) {
  unsigned char* const to = emulated::at_shared("store_shared16", static_cast<uint32_t>(at), 16);
  std::memcpy(to, &x, 16);
  auto& all = emulator::per_block<emulated::Unfenced>();
  if (all.thread.empty()) all.thread.resize(emulator::dynamic_shared_bytes() / 16), all.of_thread.resize(1024);
  const uint32_t chunk = static_cast<uint32_t>(at) / 16;
  all.thread[chunk] = static_cast<uint16_t>(threadIdx.x + 1);
  all.of_thread[threadIdx.x].push_back(chunk);
}

inline void cp_async16(uint32_t shared, const void* global, int bytes) {
  emulated::copy("cp_async16", shared, global, 16, bytes);
}
inline void cp_async16_cached(uint32_t shared, const void* global, int bytes) {
  emulated::copy("cp_async16_cached", shared, global, 16, bytes);
}
inline void cp_async4(uint32_t shared, const void* global, int bytes) {
  emulated::copy("cp_async4", shared, global, 4, bytes);
}
inline void cp_async_commit() { ++emulator::per_thread<emulated::Copies>().group; }
template <int N>
inline void cp_async_wait() {
  auto& mine = emulator::per_thread<emulated::Copies>();
  size_t kept = 0;
  for (const auto& c : mine.waiting) {
    if (c.group >= mine.group - N) {
      mine.waiting[kept++] = c;
      continue;
    }
    emulated::land(c);
  }
  mine.waiting.resize(kept);
  std::erase_if(mine.handed, [&](const auto& h) {
    if (h.group >= mine.group - N) return false;
    h.land();
    return true;
  });
}

inline void named_barrier(int id, int threads) { emulator::named_barrier(id, static_cast<unsigned>(threads), true); }

}  // namespace moproc
