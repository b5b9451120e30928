// Little-endian numbers in bytes that may lie at any address, and text of a hostile file made fit to print.
#pragma once

#include <cstddef>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

namespace moproc::formats {

using ByteSpan = std::span<const std::byte>;

/// The T at byte `at`, which must lie inside. The machine must be little-endian, as all we compile for are.
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

/// Text fit for a message: shortened, without control characters.
std::string shown(std::string_view text);
/// The same in quotes.
std::string in_quotes(std::string_view text);

/// True when the text is UTF-8: no overlong forms, no surrogates, nothing above U+10FFFF.
bool is_utf8(std::string_view text);

}  // namespace moproc::formats
