// Arithmetic on single elements of any type, for the general template. The functions of ops/general/functions.ts are
// here under their names with "_" behind them, because some are words of C++. Whole numbers wrap around; what C++
// leaves undefined is defined: a whole number divided by 0 is 0, a shift by all bits is 0, and a floating point number
// outside of a whole type is cut off modulo 2^64, NaN and infinity to 0.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "common/sizes.h"

namespace moproc {

/// f16 and bf16 as they are stored; they are computed as float.
using Half = _Float16;
struct BFloat {
  uint16_t bits;
};

template <class T>
constexpr bool is_real = std::is_floating_point_v<T>;
template <class T>
constexpr bool is_whole = std::is_integral_v<T> && !std::is_same_v<T, bool>;

/// The element as it is computed.
template <class T>
MOPROC_BOTH T value_(const T& x) {
  return x;
}
MOPROC_BOTH float value_(const Half& x) { return static_cast<float>(x); }
MOPROC_BOTH float value_(const BFloat& x) {
  const uint32_t bits = uint32_t{x.bits} << 16;
  float y;
  __builtin_memcpy(&y, &bits, sizeof y);
  return y;
}

/// The nearest bf16; ties go to the even one.
MOPROC_BOTH BFloat bfloat(float x) {
  uint32_t bits;
  __builtin_memcpy(&bits, &x, sizeof bits);
  if (x != x) return {static_cast<uint16_t>(bits >> 16 | 0x40)};
  return {static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16)};
}

/// x as a whole number of type T: cut off, and modulo 2^bits.
template <class T, class S>
MOPROC_BOTH T whole(S x) {
  if constexpr (is_real<S>) {
    if (!(x - x == S(0))) return T(0);
    if (x >= S(-9223372036854775808.0) && x < S(9223372036854775808.0)) return static_cast<T>(static_cast<int64_t>(x));
    if (x >= S(0) && x < S(18446744073709551616.0)) return static_cast<T>(static_cast<uint64_t>(x));
    return T(0);
  } else {
    return static_cast<T>(x);
  }
}

template <class S>
MOPROC_BOTH float to_f32(S x) {
  return static_cast<float>(x);
}
template <class S>
MOPROC_BOTH double to_f64(S x) {
  return static_cast<double>(x);
}
template <class S>
MOPROC_BOTH float to_f16(S x) {
  return static_cast<float>(static_cast<Half>(x));
}
template <class S>
MOPROC_BOTH float to_bf16(S x) {
  return value_(bfloat(static_cast<float>(x)));
}
template <class S>
MOPROC_BOTH int64_t to_i64(S x) {
  return whole<int64_t>(x);
}
template <class S>
MOPROC_BOTH int32_t to_i32(S x) {
  return whole<int32_t>(x);
}
template <class S>
MOPROC_BOTH int16_t to_i16(S x) {
  return whole<int16_t>(x);
}
template <class S>
MOPROC_BOTH int8_t to_i8(S x) {
  return whole<int8_t>(x);
}
template <class S>
MOPROC_BOTH uint64_t to_u64(S x) {
  return whole<uint64_t>(x);
}
template <class S>
MOPROC_BOTH uint32_t to_u32(S x) {
  return whole<uint32_t>(x);
}
template <class S>
MOPROC_BOTH uint16_t to_u16(S x) {
  return whole<uint16_t>(x);
}
template <class S>
MOPROC_BOTH uint8_t to_u8(S x) {
  return whole<uint8_t>(x);
}
template <class S>
MOPROC_BOTH bool to_bool(S x) {
  return x != S(0);
}

/// Stores a computed value as an element; a sum that was made in a wider type is rounded once.
template <class T, class S>
MOPROC_BOTH void put_(T& to, S x) {
  to = static_cast<T>(x);
}
template <class S>
MOPROC_BOTH void put_(Half& to, S x) {
  to = static_cast<Half>(x);
}
template <class S>
MOPROC_BOTH void put_(BFloat& to, S x) {
  to = bfloat(static_cast<float>(x));
}

/// The bits of x, a computed element of type From, as an element of type To of the same size. A NaN of f16 or bf16 that
/// signals has become a quiet one when it was read.
template <class To, class From, class S>
MOPROC_BOTH auto bits_(S x) {
  static_assert(sizeof(To) == sizeof(From));
  From from;
  put_(from, x);
  To y;
  __builtin_memcpy(&y, &from, sizeof y);
  return value_(y);
}

/// The unsigned type of the same size, or a wider one that does not become a signed int in arithmetic.
template <class T>
using Wrapping =
    std::conditional_t<(sizeof(T) < 4), uint32_t, std::make_unsigned_t<std::conditional_t<is_whole<T>, T, int>>>;

#define MOPROC_WRAPPING(name, op)                                                                                 \
  template <class T>                                                                                              \
  MOPROC_BOTH T name(T a, T b) {                                                                                  \
    if constexpr (is_whole<T>) return static_cast<T>(static_cast<Wrapping<T>>(a) op static_cast<Wrapping<T>>(b)); \
    else return a op b;                                                                                           \
  }
MOPROC_WRAPPING(add_, +)
MOPROC_WRAPPING(sub_, -)
MOPROC_WRAPPING(mul_, *)
#undef MOPROC_WRAPPING

template <class T>
MOPROC_BOTH T neg_(T x) {
  if constexpr (is_whole<T>) return sub_(T(0), x);
  else return -x;
}
template <class T>
MOPROC_BOTH T div_(T a, T b) {
  if constexpr (is_whole<T>) {
    if (b == 0) return 0;
    if constexpr (std::is_signed_v<T>)
      if (b == T(-1)) return neg_(a);
    return static_cast<T>(a / b);
  } else {
    return a / b;
  }
}
/// The remainder with the sign of a.
template <class T>
MOPROC_BOTH T fmod_(T a, T b) {
  if constexpr (is_whole<T>) {
    if (b == 0 || (std::is_signed_v<T> && b == T(-1))) return 0;
    return static_cast<T>(a % b);
  } else {
    return std::fmod(a, b);
  }
}
/// The remainder with the sign of b.
template <class T>
MOPROC_BOTH T mod_(T a, T b) {
  const T r = fmod_(a, b);
  return r != T(0) && (r < T(0)) != (b < T(0)) ? static_cast<T>(r + b) : r;
}
template <class T>
MOPROC_BOTH T pow_(T a, T b) {
  if constexpr (is_whole<T>) {
    if (b < T(0)) return a == T(1) ? T(1) : a == static_cast<T>(-1) ? (b % 2 != 0 ? a : T(1)) : T(0);
    T y = 1;
    for (T e = b; e > 0; e = static_cast<T>(e / 2)) {
      if (e % 2 != 0) y = mul_(y, a);
      a = mul_(a, a);
    }
    return y;
  } else {
    return std::pow(a, b);
  }
}
template <class T>
MOPROC_BOTH T min_(T a, T b) {
  return a != a || a < b ? a : b;
}
template <class T>
MOPROC_BOTH T max_(T a, T b) {
  return a != a || a > b ? a : b;
}
/// Whether x comes after m in a search for the largest element: a NaN does; `last`: an equal one does, too.
template <class T>
MOPROC_BOTH bool above_(T x, T m, bool last) {
  return m == m && (x != x || x > m || (last && x == m));
}
template <class T>
MOPROC_BOTH bool below_(T x, T m, bool last) {
  return m == m && (x != x || x < m || (last && x == m));
}
template <class T>
MOPROC_BOTH T lowest_() {
  if constexpr (is_real<T>) return -std::numeric_limits<T>::infinity();
  else return std::numeric_limits<T>::lowest();
}

template <class T>
MOPROC_BOTH T abs_(T x) {
  return x < T(0) ? neg_(x) : is_real<T> ? static_cast<T>(x + T(0)) : x;
}
template <class T>
MOPROC_BOTH T sign_(T x) {
  return x != x ? x : static_cast<T>((x > T(0)) - (x < T(0)));
}

#define MOPROC_REAL(name, f) \
  template <class T>         \
  MOPROC_BOTH T name(T x) {  \
    return f(x);             \
  }
MOPROC_REAL(floor_, std::floor)
MOPROC_REAL(ceil_, std::ceil)
MOPROC_REAL(trunc_, std::trunc)
MOPROC_REAL(round_, std::nearbyint)
MOPROC_REAL(sqrt_, std::sqrt)
MOPROC_REAL(exp_, std::exp)
MOPROC_REAL(log_, std::log)
MOPROC_REAL(log1p_, std::log1p)
MOPROC_REAL(sin_, std::sin)
MOPROC_REAL(cos_, std::cos)
MOPROC_REAL(tan_, std::tan)
MOPROC_REAL(asin_, std::asin)
MOPROC_REAL(acos_, std::acos)
MOPROC_REAL(atan_, std::atan)
MOPROC_REAL(sinh_, std::sinh)
MOPROC_REAL(cosh_, std::cosh)
MOPROC_REAL(tanh_, std::tanh)
MOPROC_REAL(asinh_, std::asinh)
MOPROC_REAL(acosh_, std::acosh)
MOPROC_REAL(atanh_, std::atanh)
MOPROC_REAL(erf_, std::erf)
#undef MOPROC_REAL
template <class T>
MOPROC_BOTH T sigmoid_(T x) {
  return T(1) / (T(1) + std::exp(-x));
}

#define MOPROC_COMPARE(name, op)    \
  template <class T>                \
  MOPROC_BOTH bool name(T a, T b) { \
    return a op b;                  \
  }
MOPROC_COMPARE(equal_, ==)
MOPROC_COMPARE(less_, <)
MOPROC_COMPARE(less_equal_, <=)
MOPROC_COMPARE(greater_, >)
MOPROC_COMPARE(greater_equal_, >=)
#undef MOPROC_COMPARE
template <class T>
MOPROC_BOTH bool is_nan_(T x) {
  return x != x;
}
MOPROC_BOTH bool and_(bool a, bool b) { return a && b; }
MOPROC_BOTH bool or_(bool a, bool b) { return a || b; }
MOPROC_BOTH bool xor_(bool a, bool b) { return a != b; }
MOPROC_BOTH bool not_(bool a) { return !a; }
template <class T>
MOPROC_BOTH T bit_and_(T a, T b) {
  return static_cast<T>(a & b);
}
template <class T>
MOPROC_BOTH T bit_or_(T a, T b) {
  return static_cast<T>(a | b);
}
template <class T>
MOPROC_BOTH T bit_xor_(T a, T b) {
  return static_cast<T>(a ^ b);
}
template <class T>
MOPROC_BOTH T bit_not_(T a) {
  return static_cast<T>(~a);
}
template <class T>
MOPROC_BOTH T shift_left_(T a, T b) {
  return b < T(0) || b >= T(8 * sizeof(T)) ? T(0) : static_cast<T>(static_cast<Wrapping<T>>(a) << b);
}
template <class T>
MOPROC_BOTH T shift_right_(T a, T b) {
  return b < T(0) || b >= T(8 * sizeof(T)) ? T(0) : static_cast<T>(a >> b);
}
template <class T>
MOPROC_BOTH T where_(bool c, T a, T b) {
  return c ? a : b;
}

/// The position `i`, which may count from the end of n; -1 if it is outside.
MOPROC_BOTH int64_t inside_(int64_t i, int64_t n) {
  if (i < 0) i += n;
  return i < 0 || i >= n ? -1 : i;
}

}  // namespace moproc
