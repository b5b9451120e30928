// Touches everything a tree holds, so that the sanitizers see every byte that a user of it could reach.
#pragma once

#include <cstdint>
#include <vector>

#include "formats/value.h"

namespace moproc::fuzz {

/// Adds up all elements of the tensor in row-major order; large ones (of repeated elements) only in part.
inline void touch(const formats::Tensor& t) {
  if (t.bytes() > 1 << 20) return;
  std::vector<std::byte> buffer;
  volatile uint8_t sum = 0;
  for (const std::byte b : formats::row_major_bytes(t, buffer))
    sum = static_cast<uint8_t>(sum + static_cast<uint8_t>(b));
}

/// `left` bounds the walk: shared parts of a tree are visited as often as they appear.
inline void touch(const formats::Value& v, int& left) {
  if (--left < 0) return;
  if (v.tensor()) touch(*v.tensor());
  if (v.sequence())
    for (const formats::Value& item : v.sequence()->items) touch(item, left);
  if (v.dict())
    for (const auto& [key, value] : v.dict()->members) touch(key, left), touch(value, left);
}

}  // namespace moproc::fuzz
