// How a fused body reads and writes tensors. The iteration domain is (row, pixel, channel): channels innermost, a 4-D
// tensor (n, h, w, c) has rows = n, a matrix (m, n) has one pixel per row. There are six ways to read an operand: full,
// channel, group_channel, row_channel, row and scalar.
#pragma once

#include <type_traits>

#include "common/params.h"
#include "cpu/bf16.hpp"

namespace moproc {

/// A position in the domain: `pixel` counts over the whole tensor (row * pixels_per_row + pixel in row).
struct At {
  int64_t pixel;
  int64_t row;
  int64_t group;
  int c;
};

template <class T>
MOPROC_INLINE Vec load_as(const T* p, int lanes);
template <>
MOPROC_INLINE Vec load_as(const float* p, int lanes) {
  return load(p, lanes);
}
template <>
MOPROC_INLINE Vec load_as(const bf16* p, int lanes) {
  return load_bf16(p, lanes);
}
template <>
MOPROC_INLINE Vec load_as(const uint8_t* p, int lanes) {
  return load_u8(p, lanes);
}

template <class T>
MOPROC_INLINE const T* in(const Params& p, int k) {
  return static_cast<const T*>(p.buf[k]);
}

/// How far ahead of a load the cache is asked for what a task reads in the order of memory. The processor's own
/// prefetchers alone leave a convolution waiting for the operands that it stages.
constexpr int stream_ahead = 8192;
template <class T>
MOPROC_INLINE void fetch_ahead(const T* p) {
  __builtin_prefetch(reinterpret_cast<const char*>(p) + stream_ahead);
}

/// Whether the operand X has no prologue and is stored with elements of type T.
template <class X, class T>
constexpr bool is_stored_as = [] {
  if constexpr (X::buffer >= 0) return std::is_same_v<typename X::stored, T>;
  else return false;
}();

/// Elements (at, lanes) of an operand with C channels, through its prologue, or by a plain load if it has none.
template <class X, int64_t C>
MOPROC_INLINE Vec operand(const Params& p, const At& at, int lanes) {
  if constexpr (X::buffer >= 0) return load_as(in<typename X::stored>(p, X::buffer) + at.pixel * C + at.c, lanes);
  else return X::load(p, at, lanes);
}

/// operand() of elements that are read in the order of memory.
template <class X, int64_t C>
MOPROC_INLINE Vec streamed(const Params& p, const At& at, int lanes) {
  if constexpr (X::buffer >= 0) fetch_ahead(in<typename X::stored>(p, X::buffer) + at.pixel * C + at.c);
  return operand<X, C>(p, at, lanes);
}

/// operand() as bf16, of elements that are read in the order of memory; one that is stored so is not converted.
template <class X, int64_t C>
MOPROC_INLINE Narrow narrow_operand(const Params& p, const At& at, int lanes) {
  if constexpr (is_stored_as<X, bf16>) {
    const bf16* const from = in<bf16>(p, X::buffer) + at.pixel * C + at.c;
    fetch_ahead(from);
    return load_narrow(from, lanes);
  } else {
    return narrow(streamed<X, C>(p, at, lanes));
  }
}

/// Element (pixel, c) of a tensor with the domain's own shape and C channels.
template <class T, int C>
MOPROC_INLINE Vec full(const Params& p, int k, const At& i, int lanes) {
  return load_as<T>(in<T>(p, k) + i.pixel * C + i.c, lanes);
}
/// full() of elements that are read in the order of memory.
template <class T, int C>
MOPROC_INLINE Vec stream(const Params& p, int k, const At& i, int lanes) {
  const T* const from = in<T>(p, k) + i.pixel * C + i.c;
  fetch_ahead(from);
  return load_as<T>(from, lanes);
}
/// Lets the cache fetch `channels` elements from (pixel, c) on, to be read or (WRITE) written.
template <class T, int C, int WRITE>
MOPROC_INLINE void prefetch(const Params& p, int k, const At& i, int channels) {
  const char* const at = reinterpret_cast<const char*>(in<T>(p, k) + i.pixel * C + i.c);
  for (int b = 0; b < channels * static_cast<int>(sizeof(T)); b += 64) __builtin_prefetch(at + b, WRITE);
}
/// (c): one value per channel.
template <class T>
MOPROC_INLINE Vec channel(const Params& p, int k, const At& i, int lanes) {
  return load_as<T>(in<T>(p, k) + i.c, lanes);
}
/// (g, c): one value per group of rows and channel.
template <class T, int C>
MOPROC_INLINE Vec group_channel(const Params& p, int k, const At& i, int lanes) {
  return load_as<T>(in<T>(p, k) + i.group * C + i.c, lanes);
}
/// (n, c): one value per row and channel, the same for all pixels of the row.
template <class T, int C>
MOPROC_INLINE Vec row_channel(const Params& p, int k, const At& i, int lanes) {
  return load_as<T>(in<T>(p, k) + i.row * C + i.c, lanes);
}
/// (n): one value per row.
template <class T>
MOPROC_INLINE Vec row(const Params& p, int k, const At& i, int) {
  return Vec(static_cast<float>(in<T>(p, k)[i.row]));
}
/// (): one value.
template <class T>
MOPROC_INLINE Vec scalar(const Params& p, int k, const At&, int) {
  return Vec(static_cast<float>(in<T>(p, k)[0]));
}
/// One constant per channel, from a table in the emitted file.
MOPROC_INLINE Vec table(const float* values, const At& i, int lanes) { return load(values + i.c, lanes); }

MOPROC_INLINE void store_as(float* p, Vec v, int lanes) { store(p, v, lanes); }
MOPROC_INLINE void store_as(bf16* p, Vec v, int lanes) { store_narrow(p, narrow(v), lanes); }
/// For integers below 2^24 (constant labels), which f32 represents exactly.
MOPROC_INLINE void store_as(int64_t* p, Vec v, int lanes) {
  alignas(64) float x[Vec::width];
  store(x, v);
  for (int l = 0; l < lanes; ++l) p[l] = static_cast<int64_t>(x[l]);
}

/// v as a tensor of type T holds it. Code after a put of v must use this value.
template <class T>
MOPROC_INLINE Vec rounded(Vec v) {
  if constexpr (sizeof(T) == sizeof(bf16)) return widen(narrow(v));
  else return v;
}

/// Stores element (pixel, c) of an f32, bf16 or i64 tensor with the domain's own shape.
template <class T, int C>
MOPROC_INLINE void put(const Params& p, int k, const At& i, int lanes, Vec v) {
  store_as(static_cast<T*>(p.buf[k]) + i.pixel * C + i.c, v, lanes);
}

}  // namespace moproc
