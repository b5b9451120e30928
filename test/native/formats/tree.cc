// Compares trees member by member, in order. The first difference is reported with its path.
#include "tree.h"

#include <cstring>
#include <map>
#include <stdexcept>

#include "support.h"

namespace moproc::test {
namespace {

using namespace formats;

/// Python's names of element types.
std::string type_name(const std::string& python) {
  static const std::map<std::string, std::string> names = {
      {"float32", "f32"}, {"float64", "f64"}, {"float16", "f16"}, {"bfloat16", "bf16"}, {"int64", "i64"},
      {"int32", "i32"},   {"int16", "i16"},   {"int8", "i8"},     {"uint8", "u8"},      {"bool", "bool"}};
  return names.at(python);
}

std::string tensor_difference(const Tensor& t, const Json& want) {
  const Json::Array& parts = *want.array();
  std::string wanted = type_name(*parts[0].string()) + "[", separator;
  for (const Json& d : *parts[1].array()) {
    wanted += separator + std::to_string(static_cast<int64_t>(*d.number()));
    separator = ",";
  }
  wanted += "] " + *parts[2].string();
  return test::show(t) == wanted ? "" : test::show(t) + " is not " + wanted;
}

std::string items_difference(const Value& v, const Json& want, bool tuple) {
  const Json::Array& items = *want.array();
  if (!v.sequence() || v.sequence()->tuple != tuple || v.sequence()->items.size() != items.size())
    return "is another sequence";
  for (size_t i = 0; i < items.size(); ++i)
    if (const std::string d = difference(v.sequence()->items[i], items[i]); !d.empty())
      return "[" + std::to_string(i) + "]" + d;
  return "";
}

std::string dict_difference(const Value& v, const Json& want) {
  const Json::Array& members = *want.array();
  if (!v.dict() || v.dict()->members.size() != members.size()) return "is no dict of " + std::to_string(members.size());
  for (size_t i = 0; i < members.size(); ++i) {
    const Json::Array& pair = *members[i].array();
    const auto& [key, value] = v.dict()->members[i];
    if (!difference(key, pair[0]).empty()) return "has another key " + std::to_string(i);
    if (const std::string d = difference(value, pair[1]); !d.empty())
      return "." + (key.text() ? *key.text() : "5") + " " + d;
  }
  return "";
}

}  // namespace

std::string fixture(const std::string& name) { return std::string(MOPROC_TORCH_FIXTURES) + "/" + name; }

const Json& python_says(const std::string& name) {
  static const Json all = parse_json(read_bytes(fixture("values.json")), "values.json");
  const Json* const found = all.find(name);
  if (!found) throw std::runtime_error("values.json has no " + name);
  return *found;
}

const Json& foreign_says(const std::string& name) {
  static const Json all = parse_json(read_bytes(fixture("foreign/values.json")), "foreign/values.json");
  const Json* const found = all.find(name);
  if (!found) throw std::runtime_error("foreign/values.json has no " + name);
  return *found;
}

std::string hex(ByteSpan bytes) {
  constexpr char digits[] = "0123456789abcdef";
  std::string text;
  for (const std::byte b : bytes) text += {digits[static_cast<uint8_t>(b) >> 4], digits[static_cast<uint8_t>(b) & 15]};
  return text;
}

std::string show(const Tensor& t) {
  std::vector<std::byte> elements(static_cast<size_t>(t.bytes()));
  copy_row_major(t, elements);
  return show_type(t) + " " + hex(elements);
}

std::string difference(const Value& v, const Json& want) {
  const std::string& kind = want.object()->at(0).first;
  const Json& what = want.object()->at(0).second;
  const auto differs = [&](bool same) {
    return same ? std::string() : std::string(v.kind()) + " differs from " + kind;
  };
  if (kind == "none") return differs(v.is_none());
  if (kind == "bool") return differs(v.boolean() && *v.boolean() == *what.boolean());
  if (kind == "int") return differs(v.integer() && std::to_string(*v.integer()) == *what.string());
  if (kind == "float") return differs(v.real() && hex(std::as_bytes(std::span(v.real(), 1))) == *what.string());
  if (kind == "text") return differs(v.text() && *v.text() == *what.string());
  if (kind == "bytes") return differs(v.bytes() && hex(*v.bytes()) == *what.string());
  if (kind == "opaque")
    return differs(v.opaque() && (what.string()->empty() || v.opaque()->class_name == *what.string()));
  if (kind == "tensor") return v.tensor() ? tensor_difference(*v.tensor(), what) : "is no tensor";
  if (kind == "dict") return dict_difference(v, what);
  return items_difference(v, what, kind == "tuple");
}

}  // namespace moproc::test
