// How a fused body reads and writes tensors. The iteration domain is (row, pixel, channel): channels innermost, a 4-D
// tensor (n, h, w, c) has rows = n, a matrix (m, n) has one pixel per row. There are six ways to read an operand: full,
// channel, group_channel, row_channel, row and scalar. At::c is a multiple of 8. If lanes == 8 and the channel count C
// is a multiple of 8 (0: a flat run of elements), vectors are aligned and move in 16-byte accesses; otherwise element
// by element.
#pragma once

#include "cuda/math.cuh"

namespace moproc {

/// Stores that are kept in registers until all bodies of a round have run. No store then separates the loads of the
/// bodies, so all loads are in flight together. The compiler removes this structure, because it knows counts and sizes.
/// (__stwb is a plain store that the compiler does not split into four.)
struct HeldStores {
  static constexpr int capacity = 8;
  struct Slot {
    uint4* at;
    uint4 low, high;
    bool wide;
  };
  Slot slot[capacity];

  MOPROC_INLINE void release(int count) const {
#pragma unroll
    for (int i = 0; i < capacity; ++i) {
      if (i >= count) continue;
      __stwb(slot[i].at, slot[i].low);
      if (slot[i].wide) __stwb(slot[i].at + 1, slot[i].high);
    }
  }
};

/// A position in the domain: `pixel` counts over the whole tensor (row * pixels_per_row + pixel in row).
struct At {
  int64_t pixel;
  int64_t row;
  int64_t group;
  int c;
  HeldStores* held = nullptr;  // where put() keeps its stores; if null, it stores at once
  int* held_count = nullptr;   // apart from the slots, so that the compiler sees their indices as constants
};

template <class T>
struct Element;
template <>
struct Element<float> {
  static MOPROC_INLINE Vec read(const float* p) { return load(p); }
  static MOPROC_INLINE Vec read(const float* p, int lanes) { return load(p, lanes); }
};
template <>
struct Element<bf16> {
  static MOPROC_INLINE Vec read(const bf16* p) { return load_bf16(p); }
  static MOPROC_INLINE Vec read(const bf16* p, int lanes) { return load_bf16(p, lanes); }
};
template <>
struct Element<uint8_t> {
  static MOPROC_INLINE Vec read(const uint8_t* p) { return load_u8(p); }
  static MOPROC_INLINE Vec read(const uint8_t* p, int lanes) { return load_u8(p, lanes); }
};

template <class T, bool ALIGNED>
MOPROC_INLINE Vec load_as(const T* p, int lanes) {
  if constexpr (ALIGNED)
    if (lanes == Vec::width) return Element<T>::read(p);
  return Element<T>::read(p, lanes);
}
MOPROC_INLINE float load_one(const float* p) { return *p; }
MOPROC_INLINE float load_one(const bf16* p) { return widen(*p); }
MOPROC_INLINE float load_one(const uint8_t* p) { return static_cast<float>(*p); }

/// Element (pixel, c) of a tensor with the domain's own shape and C channels.
template <class T, int C>
MOPROC_INLINE Vec full(const Params& p, int k, const At& i, int lanes) {
  return load_as<T, C % 8 == 0>(in<T>(p, k) + i.pixel * C + i.c, lanes);
}
/// (c): one value per channel.
template <class T>
MOPROC_INLINE Vec channel(const Params& p, int k, const At& i, int lanes) {
  return load_as<T, true>(in<T>(p, k) + i.c, lanes);
}
/// (g, c): one value per group of rows and channel.
template <class T, int C>
MOPROC_INLINE Vec group_channel(const Params& p, int k, const At& i, int lanes) {
  return load_as<T, C % 8 == 0>(in<T>(p, k) + i.group * C + i.c, lanes);
}
/// (n, c): one value per row and channel, the same for all pixels of the row.
template <class T, int C>
MOPROC_INLINE Vec row_channel(const Params& p, int k, const At& i, int lanes) {
  return load_as<T, C % 8 == 0>(in<T>(p, k) + i.row * C + i.c, lanes);
}
/// (n): one value per row.
template <class T>
MOPROC_INLINE Vec row(const Params& p, int k, const At& i, int) {
  return Vec(load_one(in<T>(p, k) + i.row));
}
/// (): one value.
template <class T>
MOPROC_INLINE Vec scalar(const Params& p, int k, const At&, int) {
  return Vec(load_one(in<T>(p, k)));
}
/// One constant per channel, from a table in the emitted file: `__device__ const float values[]` at namespace scope.
MOPROC_INLINE Vec table(const float* values, const At& i, int lanes) { return load(values + i.c, lanes); }

MOPROC_INLINE uint4 bits_of(float a, float b, float c, float d) {
  return make_uint4(__float_as_uint(a), __float_as_uint(b), __float_as_uint(c), __float_as_uint(d));
}
/// Stores eight aligned elements, now or in HeldStores::release.
MOPROC_INLINE void put8(const At& i, uint4* at, uint4 low, uint4 high, bool wide) {
  if (i.held == nullptr || *i.held_count == HeldStores::capacity) {
    __stwb(at, low);
    if (wide) __stwb(at + 1, high);
  } else {
    i.held->slot[(*i.held_count)++] = {at, low, high, wide};
  }
}
MOPROC_INLINE void put_all(const At& i, float* p, Vec v) {
  put8(i, whole<uint4>(p), bits_of(v.x[0], v.x[1], v.x[2], v.x[3]), bits_of(v.x[4], v.x[5], v.x[6], v.x[7]), true);
}
MOPROC_INLINE void put_all(const At& i, bf16* p, Vec v) { put8(i, whole<uint4>(p), narrow8(v), uint4{}, false); }
MOPROC_INLINE void store_one(float* p, float x) { *p = x; }
MOPROC_INLINE void store_one(bf16* p, float x) { *p = narrow(x); }
/// For integers below 2^24 (constant labels), which f32 represents exactly.
MOPROC_INLINE void store_one(int64_t* p, float x) { *p = static_cast<int64_t>(x); }

template <class T>
struct IsInteger64 {
  static constexpr bool value = false;
};
template <>
struct IsInteger64<int64_t> {
  static constexpr bool value = true;
};

/// Stores element (pixel, c) of an f32, bf16 or i64 tensor with the domain's own shape; bf16 rounds to nearest even.
template <class T, int C>
MOPROC_INLINE void put(const Params& p, int k, const At& i, int lanes, Vec v) {
  T* const at = out<T>(p, k) + i.pixel * C + i.c;
  if constexpr (C % 8 == 0 && !IsInteger64<T>::value)
    if (lanes == Vec::width) return put_all(i, at, v);
#pragma unroll
  for (int l = 0; l < 8; ++l)
    if (l < lanes) store_one(at + l, v.x[l]);
}

/// v as a tensor of type T holds it. Code after a put of v must use this value.
template <class T>
MOPROC_INLINE Vec rounded(Vec v);
template <>
MOPROC_INLINE Vec rounded<float>(Vec v) {
  return v;
}
template <>
MOPROC_INLINE Vec rounded<bf16>(Vec v) {
  return widen8(narrow8(v));
}

}  // namespace moproc
