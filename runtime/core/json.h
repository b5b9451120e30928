// The JSON that the runtime needs: a strict parser that builds a small tree, and a writer that appends to a string.
// Surprising: objects keep the order of their keys and reject duplicate keys; depth and size of the input are limited.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace moproc {

class Json {
 public:
  using Array = std::vector<Json>;
  using Object = std::vector<std::pair<std::string, Json>>;

  Json() = default;
  explicit Json(bool v) : value_(v) {}
  explicit Json(double v) : value_(v) {}
  explicit Json(std::string v) : value_(std::move(v)) {}
  explicit Json(Array v) : value_(std::move(v)) {}
  explicit Json(Object v) : value_(std::move(v)) {}

  bool is_null() const { return std::holds_alternative<std::monostate>(value_); }
  const bool* boolean() const { return std::get_if<bool>(&value_); }
  const double* number() const { return std::get_if<double>(&value_); }
  const std::string* string() const { return std::get_if<std::string>(&value_); }
  const Array* array() const { return std::get_if<Array>(&value_); }
  const Object* object() const { return std::get_if<Object>(&value_); }

  /// The object's member of this name; null if this is not an object or has no such member.
  const Json* find(std::string_view key) const;
  /// Returns true and stores the value if this is a whole number of magnitude at most 2^53.
  bool integer(int64_t& out) const;

 private:
  std::variant<std::monostate, bool, double, std::string, Array, Object> value_;
};

/// Parses one document. Throws InputError: `where`, a colon, the byte's position and the reason.
Json parse_json(std::string_view text, const std::string& where);

/// Appends a quoted string. Bytes that are not valid UTF-8 become escapes of lone surrogates, DC80 to DCFF, which
/// parse_json() and Python's file functions convert back to those bytes.
void write_json(std::string& out, std::string_view text);
/// The same in ASCII, as Python's json.dump writes it: \u escapes, with surrogate pairs if needed.
void write_json_ascii(std::string& out, std::string_view text);
/// The text with U+FFFD in place of every byte that belongs to no valid UTF-8.
std::string valid_utf8(std::string_view text);
/// Appends the shortest text that reads back as the same finite double: "1", "0.1", "1e+30".
void write_shortest(std::string& out, double value);
/// Appends a number that reads back as the same double. Like Python's json.dump, it writes a point or an exponent even
/// for whole numbers, so that every reader sees one type. NaN and infinities become null.
void write_json(std::string& out, double value);

/// Writes one flat object: JsonLine().add("epoch", 3).add("phase", "clean").text()
class JsonLine {
 public:
  JsonLine& add(std::string_view key, std::string_view value) { return begin(key), write_json(text_, value), *this; }
  JsonLine& add(std::string_view key, const char* value) { return add(key, std::string_view(value)); }
  JsonLine& add(std::string_view key, double value) { return begin(key), write_json(text_, value), *this; }
  JsonLine& add(std::string_view key, int64_t value) { return begin(key), text_ += std::to_string(value), *this; }
  /// `json` is a JSON value already.
  JsonLine& add_raw(std::string_view key, std::string_view json) { return begin(key), text_ += json, *this; }
  std::string text() const { return text_.empty() ? "{}" : text_ + "}"; }

 private:
  void begin(std::string_view key) {
    text_ += text_.empty() ? "{" : ", ";
    write_json(text_, key);
    text_ += ": ";
  }
  std::string text_;
};

}  // namespace moproc
