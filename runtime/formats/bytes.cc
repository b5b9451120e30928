// Makes text printable for messages, and checks UTF-8 (RFC 3629).
#include "formats/bytes.h"

#include <cstdint>

namespace moproc::formats {

std::string shown(std::string_view text) {
  constexpr size_t kMost = 120;
  std::string shown;
  for (const char c : text.substr(0, kMost)) shown += c >= 0x20 && c < 0x7f ? c : '?';
  return text.size() > kMost ? shown + "..." : shown;
}

std::string in_quotes(std::string_view text) { return "'" + shown(text) + "'"; }

bool is_utf8(std::string_view text) {
  const auto at = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  for (size_t i = 0; i < text.size();) {
    const uint8_t first = at(i);
    if (first < 0x80) {
      ++i;
      continue;
    }
    const size_t more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
    if (first < 0xc2 || first > 0xf4 || text.size() - i <= more) return false;
    for (size_t k = 1; k <= more; ++k)
      if ((at(i + k) & 0xc0) != 0x80) return false;
    const uint8_t second = at(i + 1);
    if ((first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f)) return false;
    if ((first == 0xf0 && second < 0x90) || (first == 0xf4 && second > 0x8f)) return false;
    i += more + 1;
  }
  return true;
}

}  // namespace moproc::formats
