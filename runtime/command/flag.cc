// Numbers with their ranges, and the kinds of flags that need no template.
#include "command/flag.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "core/error.h"
#include "core/json.h"

namespace moproc::command {
namespace {

/// "--moco_m" and "--moco-m" are the same.
std::string normal(std::string name) {
  if (name.starts_with("--")) std::replace(name.begin() + 2, name.end(), '_', '-');
  return name;
}

}  // namespace

Flag& Flag::record(std::string k) { return record(std::move(k), show); }

Flag& Flag::record(std::string k, std::function<std::string()> value) {
  key = std::move(k);
  recorded = std::move(value);
  agreed = true;
  return *this;
}

Flag& Flag::agree() {
  recorded = show;
  agreed = true;
  return *this;
}

const std::string& Flag::name() const {
  const auto found = std::find_if(names.begin(), names.end(), [](const std::string& n) { return n.starts_with("--"); });
  return found == names.end() ? names.front() : *found;
}

std::string Flag::preset() const {
  if (arity == Arity::none) return "";
  const std::string value = show();
  return value.empty() ? unset : value;
}

void refuse(const std::string& name, const std::string& text, const std::string& range) {
  throw InputError(name + " " + text + ": must be " + range);
}

std::string show_number(double v) {
  std::string text;
  write_shortest(text, v);
  return text;
}

std::string show_choices(const std::vector<std::string>& names) {
  std::string text;
  for (size_t i = 0; i < names.size(); ++i) text += (i == 0 ? "" : i + 1 == names.size() ? " or " : ", ") + names[i];
  return text;
}

template <class T>
std::string range_text(T low, T high) {
  constexpr T kLargest =
      std::is_floating_point_v<T> ? std::numeric_limits<T>::infinity() : std::numeric_limits<T>::max();
  if (high != kLargest) return "between " + show_number(low) + " and " + show_number(high);
  return show_number(low) + " or more";
}

template <class T>
T parse_number(const std::string& name, const std::string& text, T low, T high) {
  T v{};
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, v);
  const bool number = stop == end && !text.empty();
  const bool negative = std::is_unsigned_v<T> && text.starts_with('-');
  if (number && error == std::errc::result_out_of_range && std::is_integral_v<T>)
    throw InputError(name + " " + text + ": is too large or too small; it must be between " + show_number(low) +
                     " and " + show_number(high));
  if (!negative && (!number || error != std::errc()))
    throw InputError(name + " " + text + ": not " + (std::is_integral_v<T> ? "a whole number" : "a number"));
  if (negative || !(v >= low && v <= high)) refuse(name, text, range_text(low, high));
  if (std::is_floating_point_v<T> && !std::isfinite(static_cast<double>(v)))
    refuse(name, text, "a finite number, " + range_text(low, high));
  return v;
}

template std::string range_text(int, int);
template std::string range_text(int64_t, int64_t);
template std::string range_text(uint64_t, uint64_t);
template std::string range_text(double, double);
template int parse_number(const std::string&, const std::string&, int, int);
template int64_t parse_number(const std::string&, const std::string&, int64_t, int64_t);
template uint64_t parse_number(const std::string&, const std::string&, uint64_t, uint64_t);
template double parse_number(const std::string&, const std::string&, double, double);

Flag& FlagTable::add(Flag flag) {
  flag.section = section_;
  flags_.push_back(std::move(flag));
  return flags_.back();
}

Flag& FlagTable::text(Names names, const char* unit, std::string& field, const char* help) {
  Flag f{.names = std::move(names), .unit = unit, .help = help};
  f.set = [&field](const std::string& name, const std::vector<std::string>& values) {
    if (values[0].empty()) throw InputError(name + ": the value is empty");
    field = values[0];
  };
  f.show = [&field] { return field; };
  return add(std::move(f));
}

Flag& FlagTable::on(Names names, bool& field, const char* help) {
  Flag f{.names = std::move(names), .arity = Arity::none, .help = help, .json = true};
  f.set = [&field](const std::string&, const std::vector<std::string>&) { field = true; };
  f.show = [&field] { return std::string(field ? "true" : "false"); };
  return add(std::move(f));
}

Flag& FlagTable::numbers(Names names, const char* unit, std::vector<int>& field, int low, const char* help) {
  Flag f{.names = std::move(names),
         .arity = Arity::many,
         .unit = unit,
         .range = "whole numbers, each " + range_text(low, kMaxInt),
         .help = help};
  f.set = [&field, low](const std::string& name, const std::vector<std::string>& values) {
    field.clear();
    for (const std::string& t : values) field.push_back(parse_number<int>(name, t, low, kMaxInt));
  };
  f.show = [&field] {
    std::string text;
    for (const int v : field) text += (text.empty() ? "" : " ") + std::to_string(v);
    return text;
  };
  return add(std::move(f));
}

Flag& FlagTable::texts(Names names, const char* unit, std::vector<std::string>& field, const char* help) {
  Flag f{.names = std::move(names), .arity = Arity::many, .unit = unit, .help = help};
  f.set = [&field](const std::string& name, const std::vector<std::string>& values) {
    if (values.empty()) throw InputError(name + " needs a value");
    field = values;
  };
  f.show = [&field] {
    std::string text;
    for (const std::string& v : field) text += (text.empty() ? "" : " ") + v;
    return text;
  };
  return add(std::move(f));
}

Flag& FlagTable::rest(Names names, const char* unit, std::vector<std::string>& field, const char* help) {
  Flag& f = texts(std::move(names), unit, field, help);
  f.rest = true;
  return f;
}

const Flag* FlagTable::find(const std::string& name) const {
  for (const Flag& f : flags_)
    for (const std::string& n : f.names)
      if (normal(n) == normal(name)) return &f;
  return nullptr;
}

std::vector<train::Recorded> FlagTable::recorded() const {
  std::vector<train::Recorded> values;
  for (const Flag& f : flags_) {
    if (!f.recorded) continue;
    const auto same = [&](const train::Recorded& r) { return !f.key.empty() && r.key == f.key; };
    if (std::none_of(values.begin(), values.end(), same))
      values.push_back({f.name(), f.key, f.recorded(), f.json, f.real, f.agreed, f.task, f.adjustable});
  }
  return values;
}

}  // namespace moproc::command
