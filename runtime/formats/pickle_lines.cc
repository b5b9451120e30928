// Protocols 0 and 1 write numbers and text as lines (pickletools.py of Python has the grammar of each).
#include <charconv>

#include "core/error.h"
#include "formats/pickle_machine.h"
#include "formats/pickle_ops.h"

namespace moproc::formats {
namespace {

constexpr size_t kNumberLine = 8192, kTextLine = size_t{1} << 20;

/// The value of a hexadecimal digit; -1 for any other character.
int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/// Appends the code point in UTF-8. Surrogates become what is no UTF-8, which the machine refuses.
void append_utf8(std::string& out, uint32_t v) {
  const auto byte = [&](uint32_t b) { out += static_cast<char>(b); };
  if (v < 0x80) return byte(v);
  if (v < 0x800) return byte(0xc0 | v >> 6), byte(0x80 | (v & 63));
  if (v < 0x10000) return byte(0xe0 | v >> 12), byte(0x80 | (v >> 6 & 63)), byte(0x80 | (v & 63));
  byte(0xf0 | (v >> 18 & 7)), byte(0x80 | (v >> 12 & 63)), byte(0x80 | (v >> 6 & 63)), byte(0x80 | (v & 63));
}

}  // namespace

/// Reads a line that is a number.
template <class T>
T PickleMachine::number_line() {
  const std::string_view text = line(kNumberLine);
  T v{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), v);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) fail("a line that is no number");
  return v;
}

/// A whole number in decimal digits. One of more than 64 bits is opaque.
void PickleMachine::integer_line(std::string_view digits) {
  int64_t v = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), v);
  if (digits.empty() || end != digits.data() + digits.size()) fail("a line that is no whole number");
  if (error == std::errc::result_out_of_range) push_opaque("int of more than 64 bits");
  else push_integer(v);
}

/// Text with its escapes replaced: those of Python 2's repr, or \uXXXX and \UXXXXXXXX of Unicode, in which other bytes
/// are latin1.
std::string PickleMachine::unescaped(std::string_view text, bool python2) {
  std::string out;
  const auto number = [&](size_t at, size_t digits) {
    uint32_t v = 0;
    for (size_t i = at; i < at + digits; ++i) {
      const int d = i < text.size() ? digit(text[i]) : -1;
      if (d < 0) fail("an escape that is not complete");
      v = v << 4 | static_cast<uint32_t>(d);
    }
    return v;
  };
  for (size_t i = 0; i < text.size(); ++i) {
    const char next = i + 1 < text.size() ? text[i + 1] : '\0';
    if (!python2 && text[i] == '\\' && (next == 'u' || next == 'U')) {
      const size_t digits = next == 'u' ? 4 : 8;
      append_utf8(out, number(i + 2, digits));
      i += 1 + digits;
    } else if (!python2) {
      append_utf8(out, static_cast<uint8_t>(text[i]));
    } else if (text[i] != '\\') {
      out += text[i];
    } else if (next == 'x') {
      out += static_cast<char>(number(i + 2, 2));
      i += 3;
    } else {
      constexpr std::string_view kFrom = "ntr\\'\"", kTo = "\n\t\r\\'\"";
      const size_t known = kFrom.find(next);
      if (next == '\0' || known == std::string_view::npos) fail("an escape that is not known");
      out += kTo[known];
      ++i;
    }
  }
  return out;
}

/// Runs the opcodes whose operand is a line; false for others.
bool PickleMachine::step_line(uint8_t code) {
  switch (static_cast<Op>(code)) {
    case Op::int_text: {
      const std::string_view text = line(kNumberLine);
      if (text == "00" || text == "01") return push({.kind = Kind::boolean, .number = text == "01"}), true;
      return integer_line(text), true;
    }
    case Op::long_text: {
      std::string_view text = line(kNumberLine);
      if (text.ends_with('L')) text.remove_suffix(1);
      return integer_line(text), true;
    }
    case Op::real_text: return push({.kind = Kind::real, .real = number_line<double>()}), true;
    case Op::get_text: return get_memo(number_line<uint64_t>()), true;
    case Op::put_text: return put_memo(number_line<uint64_t>()), true;
    case Op::text_line: {
      std::string& text = buffers_.emplace_back(unescaped(line(kTextLine), false));
      return push_text(as_bytes(text)), true;
    }
    case Op::string_text: {
      std::string_view text = line(kTextLine);
      if (text.size() < 2 || text.front() != text.back() || (text.front() != '\'' && text.front() != '"'))
        fail("a str without quotes");
      std::string& bytes = buffers_.emplace_back(unescaped(text.substr(1, text.size() - 2), true));
      return push_string(as_bytes(bytes)), true;
    }
    case Op::list: return push({.kind = Kind::list, .items = pop_to_mark()}), true;
    case Op::dict: {
      const std::vector<Id> items = pop_to_mark();
      push({.kind = Kind::dict});
      return add_items(top(), items, Kind::dict), true;
    }
    default: return false;
  }
}

}  // namespace moproc::formats
