// A recursive-descent JSON parser (RFC 8259, nothing beyond it) and the two writers.
#include "core/json.h"

#include <charconv>
#include <cmath>
#include <cstdio>
#include <unordered_set>

#include "core/error.h"

namespace moproc {
namespace {

constexpr int kMaxDepth = 64;

class Parser {
 public:
  Parser(std::string_view text, const std::string& where) : text_(text), where_(where) {}

  Json document() {
    Json v = value(0);
    skip_space();
    if (at_ != text_.size()) fail("something follows the document");
    return v;
  }

 private:
  [[noreturn]] void fail(const std::string& reason) const {
    throw InputError(where_ + ": bad JSON at byte " + std::to_string(at_) + ": " + reason);
  }

  void skip_space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n' || text_[at_] == '\r'))
      ++at_;
  }

  bool take(char c) {
    skip_space();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  void expect(char c) {
    if (!take(c)) fail(std::string("expected '") + c + "'");
  }

  bool take_word(std::string_view word) {
    if (!text_.substr(at_).starts_with(word)) return false;
    at_ += word.size();
    return true;
  }

  Json value(int depth) {
    if (depth > kMaxDepth) fail("nested too deeply");
    skip_space();
    if (at_ >= text_.size()) fail("ends too early");
    switch (text_[at_]) {
      case '{': return object(depth);
      case '[': return array(depth);
      case '"': return Json(string());
      default: break;
    }
    if (take_word("null")) return Json();
    if (take_word("true")) return Json(true);
    if (take_word("false")) return Json(false);
    return Json(number());
  }

  Json object(int depth) {
    expect('{');
    Json::Object members;
    std::unordered_set<std::string> keys;
    if (take('}')) return Json(std::move(members));
    do {
      skip_space();
      std::string key = string();
      if (!keys.insert(key).second) fail("the key '" + key + "' appears twice");
      expect(':');
      members.emplace_back(std::move(key), value(depth + 1));
    } while (take(','));
    expect('}');
    return Json(std::move(members));
  }

  Json array(int depth) {
    expect('[');
    Json::Array items;
    if (take(']')) return Json(std::move(items));
    do items.push_back(value(depth + 1));
    while (take(','));
    expect(']');
    return Json(std::move(items));
  }

  /// The text is checked against the grammar first, because from_chars accepts more ("inf", "01").
  double number() {
    const size_t start = at_;
    const auto digits = [&] {
      const size_t first = at_;
      while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9') ++at_;
      if (at_ == first) fail("expected a value");
      return at_ - first;
    };
    if (at_ < text_.size() && text_[at_] == '-') ++at_;
    const bool zero = at_ < text_.size() && text_[at_] == '0';
    if (digits() > 1 && zero) fail("a number begins with 0");
    if (at_ < text_.size() && text_[at_] == '.') ++at_, digits();
    if (at_ < text_.size() && (text_[at_] == 'e' || text_[at_] == 'E')) {
      ++at_;
      if (at_ < text_.size() && (text_[at_] == '+' || text_[at_] == '-')) ++at_;
      digits();
    }
    double v = 0;
    const auto [end, error] = std::from_chars(text_.data() + start, text_.data() + at_, v);
    if (error != std::errc() || end != text_.data() + at_) fail("a number out of range");
    return v;
  }

  std::string string() {
    if (at_ >= text_.size() || text_[at_] != '"') fail("expected a string");
    ++at_;
    std::string out;
    for (;;) {
      if (at_ >= text_.size()) fail("a string does not end");
      const char c = text_[at_++];
      if (c == '"') return out;
      if (static_cast<unsigned char>(c) < 0x20) fail("a control character in a string");
      if (c == '\\') escape(out);
      else out += c;
    }
  }

  void escape(std::string& out) {
    if (at_ >= text_.size()) fail("a string does not end");
    switch (const char c = text_[at_++]) {
      case '"':
      case '\\':
      case '/': out += c; return;
      case 'b': out += '\b'; return;
      case 'f': out += '\f'; return;
      case 'n': out += '\n'; return;
      case 'r': out += '\r'; return;
      case 't': out += '\t'; return;
      case 'u': return unicode(out);
      default: fail("an unknown escape");
    }
  }

  uint32_t hex4() {
    uint32_t v = 0;
    if (text_.size() - at_ < 4) fail("a string does not end");
    const auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + at_ + 4, v, 16);
    if (error != std::errc() || end != text_.data() + at_ + 4) fail("a bad \\u escape");
    at_ += 4;
    return v;
  }

  void unicode(std::string& out) {
    uint32_t v = hex4();
    if (v >= 0xdc80 && v <= 0xdcff) return void(out += static_cast<char>(v - 0xdc00));  // a byte that is not UTF-8
    if (v >= 0xdc00 && v < 0xe000) fail("half a surrogate pair");
    if (v >= 0xd800 && v < 0xdc00) {
      if (!take_word("\\u")) fail("half a surrogate pair");
      const uint32_t low = hex4();
      if (low < 0xdc00 || low >= 0xe000) fail("half a surrogate pair");
      v = 0x10000 + ((v - 0xd800) << 10) + (low - 0xdc00);
    }
    const auto byte = [&](uint32_t b) { out += static_cast<char>(b); };
    if (v < 0x80) return byte(v);
    if (v < 0x800) byte(0xc0 | v >> 6);
    else if (v < 0x10000) byte(0xe0 | v >> 12), byte(0x80 | (v >> 6 & 63));
    else byte(0xf0 | v >> 18), byte(0x80 | (v >> 12 & 63)), byte(0x80 | (v >> 6 & 63));
    byte(0x80 | (v & 63));
  }

  std::string_view text_;
  const std::string& where_;
  size_t at_ = 0;
};

}  // namespace

const Json* Json::find(std::string_view key) const {
  if (const Object* o = object())
    for (const auto& [k, v] : *o)
      if (k == key) return &v;
  return nullptr;
}

bool Json::integer(int64_t& out) const {
  const double* v = number();
  if (!v || *v != std::floor(*v) || std::fabs(*v) > 0x1p53) return false;
  out = static_cast<int64_t>(*v);
  return true;
}

Json parse_json(std::string_view text, const std::string& where) { return Parser(text, where).document(); }

namespace {

void write_escape(std::string& out, unsigned code) {
  char text[12];
  std::snprintf(text, sizeof text, "\\u%04x", code);
  out += text;
}

/// The code point that begins at `at`, and its number of bytes; 0 bytes if none begins there (RFC 3629).
unsigned code_point(std::string_view text, size_t at, size_t& bytes) {
  const auto byte = [&](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  const unsigned lead = byte(at);
  const size_t size = lead < 0x80                   ? 1
                      : lead >= 0xc2 && lead < 0xe0 ? 2
                      : (lead & 0xf0) == 0xe0       ? 3
                      : lead >= 0xf0 && lead < 0xf5 ? 4
                                                    : 0;
  unsigned code = size == 1 ? lead : lead & (0x7fu >> size);
  for (size_t i = 1; i < size; ++i) {
    if ((byte(at + i) & 0xc0) != 0x80) return bytes = 0;
    code = code << 6 | (byte(at + i) & 0x3f);
  }
  const bool surrogate = code >= 0xd800 && code < 0xe000;
  const bool longer = (size == 3 && code < 0x800) || (size == 4 && (code < 0x10000 || code > 0x10ffff));
  bytes = surrogate || longer ? 0 : size;
  return code;
}

}  // namespace

void write_json(std::string& out, std::string_view text) {
  out += '"';
  for (size_t at = 0; at < text.size();) {
    const auto c = static_cast<unsigned char>(text[at]);
    size_t bytes = 1;
    if (c >= 0x80) code_point(text, at, bytes);
    if (bytes == 0) write_escape(out, 0xdc00u + c);
    else if (c < 0x20) write_escape(out, c);
    else {
      if (c == '"' || c == '\\') out += '\\';
      out += text.substr(at, bytes);
    }
    at += bytes == 0 ? 1 : bytes;
  }
  out += '"';
}

std::string valid_utf8(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    size_t bytes = 0;
    code_point(text, at, bytes);
    out += bytes == 0 ? "\xef\xbf\xbd" : text.substr(at, bytes);
    at += bytes == 0 ? 1 : bytes;
  }
  return out;
}

void write_json_ascii(std::string& out, std::string_view text) {
  static constexpr std::string_view kShort = "\"\\\n\r\t\b\f", kLetters = "\"\\nrtbf";
  out += '"';
  for (size_t at = 0; at < text.size();) {
    size_t bytes = 0;
    const unsigned code = code_point(text, at, bytes);
    const size_t named = kShort.find(text[at]);
    if (bytes == 0) write_escape(out, 0xdc00u + static_cast<unsigned char>(text[at]));
    else if (named != std::string_view::npos) out += '\\', out += kLetters[named];
    else if (code >= 0x20 && code < 0x7f) out += text[at];
    else if (code < 0x10000) write_escape(out, code);
    else {
      write_escape(out, 0xd800 + ((code - 0x10000) >> 10));
      write_escape(out, 0xdc00 + ((code - 0x10000) & 0x3ff));
    }
    at += bytes == 0 ? 1 : bytes;
  }
  out += '"';
}

void write_shortest(std::string& out, double value) {
  char text[32];
  const auto [end, error] = std::to_chars(text, text + sizeof text, value);
  out.append(text, error == std::errc() ? end : text);
}

void write_json(std::string& out, double value) {
  if (!std::isfinite(value)) {
    out += "null";
    return;
  }
  const size_t at = out.size();
  write_shortest(out, value);
  if (out.find_first_of(".e", at) == std::string::npos) out += ".0";
}

}  // namespace moproc
