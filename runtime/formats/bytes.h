// Little-endian numbers in bytes at any address, and text of hostile files made printable.
#pragma once

#include <cstddef>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

namespace moproc::formats {

using ByteSpan = std::span<const std::byte>;

/// Reads the T at byte `at`. All its bytes must be inside `bytes`. The machine must be little-endian, as all targets
/// are.
template <class T>
T load(ByteSpan bytes, size_t at) {
  T v;
  std::memcpy(&v, bytes.data() + at, sizeof v);
  return v;
}

template <class T>
void append(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

inline std::string_view as_text(ByteSpan bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }
inline ByteSpan as_bytes(std::string_view text) { return std::as_bytes(std::span(text.data(), text.size())); }

/// The text for a message: shortened, without control characters.
std::string shown(std::string_view text);
/// The same in quotes.
std::string in_quotes(std::string_view text);

/// True if the text is valid UTF-8: no overlong forms, no surrogates, nothing above U+10FFFF.
bool is_utf8(std::string_view text);

}  // namespace moproc::formats
