// The wire format of protocol buffers (https://protobuf.dev/programming-guides/encoding), as far as event files need
// it. Both directions: TensorBoard's records are written here, and our own are read again when a run goes on.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace moproc::train::proto {

enum Wire { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };

inline void put_varint(std::string& out, uint64_t v) {
  for (; v >= 128; v >>= 7) out += static_cast<char>(v | 128);
  out += static_cast<char>(v);
}

template <class T>
void put_fixed(std::string& out, T v) {
  char raw[sizeof v];
  std::memcpy(raw, &v, sizeof v);  // this machine and the format are little endian
  out.append(raw, sizeof v);
}

inline void put_key(std::string& out, int field, Wire wire) {
  put_varint(out, static_cast<uint64_t>(field) << 3 | wire);
}
inline void put_double(std::string& out, int field, double v) { put_key(out, field, fixed64), put_fixed(out, v); }
inline void put_float(std::string& out, int field, float v) { put_key(out, field, fixed32), put_fixed(out, v); }
inline void put_int(std::string& out, int field, int64_t v) {
  put_key(out, field, varint), put_varint(out, static_cast<uint64_t>(v));
}
/// Bytes, text in UTF-8, or a message.
inline void put_bytes(std::string& out, int field, std::string_view v) {
  put_key(out, field, bytes), put_varint(out, v.size()), out += v;
}

/// A field of a message: its number, and its value as a number or, with the wire type `bytes`, as bytes.
struct Field {
  int number = 0;
  Wire wire = varint;
  uint64_t value = 0;
  std::string_view text;
};

/// Takes the next field from the front of `message`. False at its end, or if the rest is no field.
inline bool take_field(std::string_view& message, Field& field) {
  const auto take_varint = [&](uint64_t& v) {
    v = 0;
    for (int shift = 0; shift < 64 && !message.empty(); shift += 7) {
      const auto b = static_cast<unsigned char>(message.front());
      message.remove_prefix(1);
      v |= static_cast<uint64_t>(b & 127) << shift;
      if (b < 128) return true;
    }
    return false;
  };
  uint64_t key = 0;
  if (!take_varint(key)) return false;
  field = {static_cast<int>(key >> 3), static_cast<Wire>(key & 7), 0, {}};
  if (field.wire == varint) return take_varint(field.value);
  uint64_t size = field.wire == fixed64 ? 8 : 4;
  if (field.wire == bytes && !take_varint(size)) return false;
  if ((field.wire != bytes && field.wire != fixed64 && field.wire != fixed32) || size > message.size()) return false;
  field.text = message.substr(0, size);
  if (field.wire != bytes) std::memcpy(&field.value, field.text.data(), size);
  message.remove_prefix(size);
  return true;
}

}  // namespace moproc::train::proto
