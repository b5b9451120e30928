// Counter-based initial values: normal by Box-Muller in f64 (two elements per counter), uniform with 53 bits.
#include "session/init.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "core/layout.h"
#include "core/rng.h"

namespace moproc {
namespace {

constexpr uint32_t kPurpose = 0x696e6974;  // "init", which differs from every data::Purpose
constexpr int64_t kChunk = 4096;           // elements per task; even, because elements come in pairs

/// The draws of a counter: two 53-bit numbers in [0, 1), or two normal ones.
class Draws {
 public:
  Draws(uint64_t seed, std::string_view name)
      : key_{static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)}, name_(data::fnv1a(name)) {}

  std::array<double, 2> units(int64_t pair) const {
    const auto b = data::philox4x32_10(
        {static_cast<uint32_t>(pair), static_cast<uint32_t>(name_), static_cast<uint32_t>(name_ >> 32), kPurpose},
        key_);
    return {unit(b[0], b[1]), unit(b[2], b[3])};
  }

  std::array<double, 2> normals(int64_t pair) const {
    const auto [u, v] = units(pair);
    const double radius = std::sqrt(-2.0 * std::log1p(-u)), angle = 2.0 * std::numbers::pi * v;
    return {radius * std::cos(angle), radius * std::sin(angle)};
  }

 private:
  static double unit(uint32_t high, uint32_t low) {
    return static_cast<double>(static_cast<uint64_t>(high >> 5) << 26 | low >> 6) * 0x1p-53;
  }

  std::array<uint32_t, 2> key_;
  uint64_t name_;
};

/// out[i] = value(i / 2)[i % 2] for all n elements, in parallel.
template <class F>
void fill_pairs(Pool& pool, int64_t n, float* out, F&& value) {
  pool.run((n + kChunk - 1) / kChunk, [&](int64_t begin, int64_t end, int) {
    for (int64_t i = begin * kChunk; i < end * kChunk && i < n; i += 2) {
      const std::array<double, 2> pair = value(i / 2);
      out[i] = static_cast<float>(pair[0]);
      if (i + 1 < n) out[i + 1] = static_cast<float>(pair[1]);
    }
  });
}

/// Scales each column of out (d, n) to length 1. Sums go over the rows in order.
void normalise_columns(Pool& pool, int64_t d, int64_t n, float* out) {
  pool.run(n, [&](int64_t begin, int64_t end, int) {
    for (int64_t c = begin; c < end; ++c) {
      double sum = 0;
      for (int64_t r = 0; r < d; ++r) sum += static_cast<double>(out[r * n + c]) * out[r * n + c];
      const double scale = sum > 0 ? 1.0 / std::sqrt(sum) : 0.0;
      for (int64_t r = 0; r < d; ++r) out[r * n + c] = static_cast<float>(out[r * n + c] * scale);
    }
  });
}

void fill_constant(const TensorInfo& t, double value, std::byte* out) {
  const int64_t n = elements(t);
  const auto as = [&](auto v) {
    for (int64_t i = 0; i < n; ++i) reinterpret_cast<decltype(v)*>(out)[i] = v;
  };
  switch (t.dtype) {
    case DType::f32: return as(static_cast<float>(value));
    case DType::f64: return as(value);
    case DType::i64: return as(static_cast<int64_t>(value));
    case DType::i32: return as(static_cast<int32_t>(value));
    case DType::i16: return as(static_cast<int16_t>(value));
    case DType::i8: return as(static_cast<int8_t>(value));
    case DType::u64: return as(static_cast<uint64_t>(value));
    case DType::u32: return as(static_cast<uint32_t>(value));
    case DType::u16: return as(static_cast<uint16_t>(value));
    case DType::u8:
    case DType::boolean: return as(static_cast<uint8_t>(value));
    default:
      if (value != 0) throw std::logic_error(std::string(t.name) + ": a 16-bit state can start at 0 only");
      std::fill_n(out, t.bytes, std::byte{0});
  }
}

}  // namespace

void fill_initial(Pool& pool, uint64_t seed, const StateInfo& state, const TensorInfo& t, std::byte* logical) {
  if (state.init == InitKind::constant) return fill_constant(t, state.value, logical);
  if (t.dtype != DType::f32) throw std::logic_error(std::string(t.name) + ": random initial values need f32");
  float* const out = reinterpret_cast<float*>(logical);
  const int64_t n = elements(t);
  const Draws draws(seed, t.name);
  const auto normal = [&](double std) {
    fill_pairs(pool, n, out, [&](int64_t i) {
      const auto [a, b] = draws.normals(i);
      return std::array{a * std, b * std};
    });
  };
  switch (state.init) {
    case InitKind::normal: return normal(state.value);
    case InitKind::uniform:
      return fill_pairs(pool, n, out, [&](int64_t i) {
        const auto [u, v] = draws.units(i);
        return std::array{(2 * u - 1) * state.value, (2 * v - 1) * state.value};
      });
    case InitKind::unit_columns:
      if (t.rank != 2) throw std::logic_error(std::string(t.name) + ": unit columns need rank 2");
      normal(1.0);
      return normalise_columns(pool, t.shape[0], t.shape[1], out);
    default: throw std::logic_error(std::string(t.name) + ": not an initial value of its own");
  }
}

}  // namespace moproc
