// The functions of kernels/cuda/primitives_sm90.cuh on the CPU. Everything asynchronous happens as late as CUDA allows:
// copies are executed when a thread waits at their barrier, products when they are waited for. Until then the
// destination holds 0xff, NaN in every float type. Products read their operands when they are waited for, so operands
// that are written in the meantime give other results. A product must not read what a thread stored (store_shared16)
// and has not fenced since: on a GPU, the fence of a reader would do, too, but kernels here fence where they store.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <span>
#include <utility>

#include "emulator_primitives.h"
#include "tensor_map.h"
#include "warp_group.h"

namespace moproc {

namespace emulated {

/// The layout of a barrier in shared memory.
struct Barrier {
  uint16_t arrivals, pending;
  int32_t bytes : 31;
  uint32_t phase : 1;
};
static_assert(sizeof(Barrier) == 8);

/// Barriers of a block, and the copies that have not been executed.
struct Asynchronous {
  struct Copy {
    uint32_t barrier;
    std::function<void()> land;
  };
  std::set<uint32_t> barriers;
  std::vector<Copy> copies;
};

inline Barrier& barrier(const char* what, uint32_t at) {
  unsigned char* const p = at_shared(what, at, 8);
  if (!emulator::per_block<Asynchronous>().barriers.contains(at))
    emulator::fail(std::string(what) + ": there is no barrier at shared address " + std::to_string(at));
  return *reinterpret_cast<Barrier*>(p);
}
inline void next_phase(Barrier& b) {
  if (b.pending > 0 || b.bytes != 0) return;
  b.pending = b.arrivals;
  b.phase ^= 1;
}
inline void arrive(const char* what, Barrier& b) {
  if (b.pending == 0 || b.pending > b.arrivals)
    emulator::fail(std::string(what) + ": more arrivals in a phase than the barrier was made for");
  --b.pending;
  next_phase(b);
}

struct Phase {
  uint32_t at;
  uint32_t parity;
  Asynchronous* all;
};
/// For the list of who waits in a deadlock.
inline std::string describe(const void* state) {
  const Phase& w = *static_cast<const Phase*>(state);
  const Barrier& b = barrier("mbarrier_wait", w.at);
  return "wait at mbarrier " + std::to_string(w.at) + " for the end of a phase of parity " + std::to_string(w.parity) +
         " (" + std::to_string(b.pending) + " of " + std::to_string(b.arrivals) + " arrivals and " +
         std::to_string(b.bytes) + " bytes are missing)";
}
inline bool ended(const void* state) {
  const Phase& w = *static_cast<const Phase*>(state);
  const auto done = [&] { return barrier("mbarrier_wait", w.at).phase != w.parity; };
  if (done()) return true;
  std::vector<Asynchronous::Copy> ready;
  std::erase_if(w.all->copies, [&](auto& c) {
    if (c.barrier != w.at) return false;
    ready.push_back(c);
    return true;
  });
  for (const auto& c : ready) c.land();
  return done();
}

/// Products of one thread that it has not waited for, and their sums, which must not be read until then.
struct Products {
  struct Product {
    emulator::WarpGroupProduct what;
    float* d;
    int group;
  };
  struct Sums {
    float* d;
    std::vector<float> value;
  };
  std::vector<Product> waiting;
  std::vector<Sums> sums;
  int group = 0;

  float* hidden(float* d, int count) {
    for (Sums& s : sums)
      if (s.d == d) return s.value.data();
    sums.push_back({d, std::vector<float>(d, d + count)});
    std::memset(d, 0xff, sizeof(float) * static_cast<size_t>(count));
    return sums.back().value.data();
  }
  void show_finished() {
    std::erase_if(sums, [&](const Sums& s) {
      for (const Product& p : waiting)
        if (p.d == s.d) return false;
      std::copy(s.value.begin(), s.value.end(), s.d);
      return true;
    });
  }
};

/// The lanes of a warp add all their products of groups before `before`.
inline void finish_products(int before) {
  struct Nothing {};
  const int warp = static_cast<int>(threadIdx.x) / 32 % 4;
  Products* const mine = &emulator::per_thread<Products>();
  emulator::warp_collective<Nothing>(
      "wgmma_wait", 0xffffffffu, mine, [&](unsigned, Products* const* const* in, Nothing* const*) {
        const auto& first = (*in[0])->waiting;
        for (size_t i = 0; i < first.size() && first[i].group < before; ++i) {
          float* d[32];
          for (int lane = 0; lane < 32; ++lane) {
            Products& of = **in[lane];
            if (i >= of.waiting.size() || !(of.waiting[i].what == first[i].what) ||
                of.waiting[i].group != first[i].group)
              emulator::fail("wgmma: lane " + std::to_string(lane) + " of the warp issued another product than lane 0");
            d[lane] = of.hidden(of.waiting[i].d, first[i].what.n / 2);
          }
          if (emulator::product_end(first[i].what) > emulator::dynamic_shared_bytes())
            emulator::fail("wgmma: an operand reaches past dynamic shared memory");
          emulator::add_product(first[i].what, emulator::dynamic_shared(), warp, d);
        }
      });
  std::erase_if(mine->waiting, [&](const Products::Product& p) { return p.group < before; });
  mine->show_finished();
}

inline void require_fenced(const emulator::WarpGroupProduct& p) {
  const auto& thread = emulator::per_block<Unfenced>().thread;
  if (thread.empty()) return;
  emulator::each_chunk(p, [&](uint32_t byte) {
    if (byte / 16 < thread.size() && thread[byte / 16] != 0)
      emulator::fail("wgmma: reads byte " + std::to_string(byte) + " of shared memory, which thread " +
                     std::to_string(thread[byte / 16] - 1) + " stored without a fence (fence_async_reads) after it");
  });
}

inline void tma(const char* what, uint32_t to, const TensorMap& opaque, uint32_t at,
                std::initializer_list<int> coordinates, bool im2col) {
  emulator::TensorMap map;
  std::memcpy(&map, &opaque, sizeof map);
  if (map.magic != emulator::TensorMap::encoded || (map.im2col != 0) != im2col)
    emulator::fail(std::string(what) + ": the tensor map was not encoded for it");
  const int bytes = emulator::tensor_map_bytes(map);
  unsigned char* const begin = at_shared(what, to, 128);
  if (to + static_cast<uint32_t>(bytes) > emulator::dynamic_shared_bytes())
    emulator::fail(std::string(what) + ": " + std::to_string(bytes) + " bytes reach past dynamic shared memory");
  barrier(what, at);
  std::memset(begin, 0xff, static_cast<size_t>(bytes));
  int c[6] = {};
  std::copy(coordinates.begin(), coordinates.end(), c);
  unsigned char* const shared = emulator::dynamic_shared();
  emulator::per_block<Asynchronous>().copies.push_back({at, [=] {
                                                          const int place[6] = {c[0], c[1], c[2], c[3], c[4], c[5]};
                                                          emulator::tensor_map_copy(map, place, shared, to);
                                                          Barrier& b = barrier("tma", at);
                                                          b.bytes -= bytes;
                                                          next_phase(b);
                                                        }});
}

}  // namespace emulated

inline void mbarrier_init(uint32_t at, int arrivals) {
  unsigned char* const p = emulated::at_shared("mbarrier_init", at, 8);
  emulator::per_block<emulated::Asynchronous>().barriers.insert(at);
  new (p) emulated::Barrier{static_cast<uint16_t>(arrivals), static_cast<uint16_t>(arrivals), 0, 0};
}
inline void mbarrier_init_fence() {}
inline void mbarrier_arrive(uint32_t at) {
  emulated::arrive("mbarrier_arrive", emulated::barrier("mbarrier_arrive", at));
}
inline void mbarrier_arrive_expect(uint32_t at, int bytes) {
  emulated::Barrier& b = emulated::barrier("mbarrier_arrive_expect", at);
  b.bytes += bytes;
  emulated::arrive("mbarrier_arrive_expect", b);
}
inline void mbarrier_arrive_copies(uint32_t at) {
  emulated::barrier("mbarrier_arrive_copies", at);
  emulated::Copies& own = emulator::per_thread<emulated::Copies>();
  std::vector<emulated::Copies::Copy> mine;
  mine.swap(own.waiting);
  const auto land = [at, mine = std::move(mine), landed = std::make_shared<bool>(false)] {
    if (std::exchange(*landed, true)) return;
    for (const auto& c : mine) emulated::land(c);
    emulated::arrive("mbarrier_arrive_copies", emulated::barrier("mbarrier_arrive_copies", at));
  };
  own.handed.push_back({own.group, land});
  emulator::per_block<emulated::Asynchronous>().copies.push_back({at, land});
}
inline void mbarrier_wait(uint32_t at, int parity) {
  emulated::barrier("mbarrier_wait", at);
  const emulated::Phase phase{at, static_cast<uint32_t>(parity), &emulator::per_block<emulated::Asynchronous>()};
  emulator::wait_until("mbarrier_wait", emulated::ended, &phase, emulated::describe);
}
inline void fence_async_reads() {
  auto& all = emulator::per_block<emulated::Unfenced>();
  if (all.of_thread.empty()) return;
  for (const uint32_t chunk : all.of_thread[threadIdx.x])
    if (all.thread[chunk] == threadIdx.x + 1) all.thread[chunk] = 0;
  all.of_thread[threadIdx.x].clear();
}

inline void tma_box(uint32_t to, const TensorMap& map, uint32_t at, int c0, int c1, int c2) {
  emulated::tma("tma_box", to, map, at, {c0, c1, c2}, false);
}
inline void tma_pixels(uint32_t to, const TensorMap& map, uint32_t at, int c, int w, int h, int n, int dw, int dh) {
  emulated::tma("tma_pixels", to, map, at, {c, w, h, n, dw, dh}, true);
}

inline void pin(float&) {}
inline void wgmma_fence() {}
inline void wgmma_commit() { ++emulator::per_thread<emulated::Products>().group; }
template <int N>
inline void wgmma_wait() {
  emulated::finish_products(emulator::per_thread<emulated::Products>().group - N);
}

template <int N, bool A_ACROSS, bool B_ACROSS>
inline void wgmma_bf16(float (&d)[N / 2], uint64_t a, uint64_t b) {
  emulated::Products& mine = emulator::per_thread<emulated::Products>();
  mine.hidden(d, N / 2);
  mine.waiting.push_back({{N, a, b, A_ACROSS, B_ACROSS}, d, mine.group});
  if (threadIdx.x % 32 == 0) emulated::require_fenced(mine.waiting.back().what);
}

}  // namespace moproc
