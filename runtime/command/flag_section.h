// How a section of the table of flags is written: setters that parse and check, and a line a flag.
#pragma once

#include <charconv>
#include <cmath>
#include <limits>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "command/flag_table.h"
#include "core/error.h"

namespace moproc::train {

inline constexpr double kInfinity = std::numeric_limits<double>::infinity();

template <class T>
T parse(const std::string& flag, const std::string& text, T low, T high, const char* kind) {
  T v{};
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, v);
  if (text.empty() || error != std::errc() || stop != end) throw InputError(flag + " " + text + ": not " + kind);
  if (!(v >= low && v <= high)) throw InputError(flag + " " + text + ": out of range");
  return v;
}

using Setter = std::function<void(Options&, const Value&)>;

/// A setter for a number of type T reached by `at(options)`, within [low, high].
template <class T, class At>
Setter number(At at, T low, T high) {
  const char* const kind = std::is_integral_v<T> ? "a whole number" : "a number";
  return [=](Options& o, const Value& v) {
    const T value = parse<T>(v.flag, v.texts[0], low, high, kind);
    if (std::is_floating_point_v<T> && !std::isfinite(static_cast<double>(value)))
      throw InputError(v.flag + " " + v.texts[0] + ": out of range");
    at(o) = value;
  };
}

template <class At>
Setter text(At at) {
  return [=](Options& o, const Value& v) {
    if (v.texts[0].empty()) throw InputError(v.flag + ": the value is empty");
    at(o) = v.texts[0];
  };
}

/// Whether the value is the second of the two names there are.
inline bool is_second(const Value& v, const std::string& first, const std::string& second) {
  if (v.texts[0] != first && v.texts[0] != second)
    throw InputError(v.flag + " " + v.texts[0] + ": known are " + first + " and " + second);
  return v.texts[0] == second;
}

template <class At>
Setter on(At at) {
  return [=](Options& o, const Value&) { at(o) = true; };
}

/// Appends flags of one section to a table.
class Section {
 public:
  Section(std::vector<Flag>& table, std::string name) : table_(table), name_(std::move(name)) {}

  using Names = std::vector<std::string>;
  void none(Names names, const char* help, Setter set) { add(names, Arity::none, "", "", help, set); }
  void one(Names names, const char* unit, const char* preset, const char* help, Setter set) {
    add(names, Arity::one, unit, preset, help, set);
  }
  void many(Names names, const char* unit, const char* preset, const char* help, Setter set) {
    add(names, Arity::many, unit, preset, help, set);
  }

 private:
  void add(Names& names, Arity arity, const char* unit, const char* preset, const char* help, Setter& set) {
    table_.push_back({name_, std::move(names), arity, unit, preset, help, std::move(set)});
  }

  std::vector<Flag>& table_;
  std::string name_;
};

/// The field of the options that a setter sets.
#define AT(field) [](Options& o) -> auto& { return o.field; }

inline constexpr int kMaxInt = std::numeric_limits<int>::max();
inline constexpr int64_t kMaxLong = std::numeric_limits<int64_t>::max();

/// The flags that only the verb has, and its own defaults of others.
void add_own_flags(std::vector<Flag>& table, Verb verb);
std::vector<std::pair<const char*, std::vector<std::string>>> presets(Verb verb);

}  // namespace moproc::train
