// A flag is one record, bound to the field of the settings that it sets. Parsing, help, checkpoints, logs and the
// ranks' agreement all use these records. The default is the value of the field before the command line is read.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <limits>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "train/settings.h"

namespace moproc::command {

inline constexpr double kInfinity = std::numeric_limits<double>::infinity();
inline constexpr int kMaxInt = std::numeric_limits<int>::max();
inline constexpr int64_t kMaxLong = std::numeric_limits<int64_t>::max();

enum class Arity { none, one, many };

struct Flag {
  std::string section;             // of the help page
  std::vector<std::string> names;  // with their dashes
  Arity arity = Arity::one;
  std::string unit;   // of the value: "SECONDS", "FILE"; "" for a switch
  std::string range;  // "between 0 and 1", "nccl, gloo, mpi or shm"; "" for any value
  std::string help;
  std::string unset;  // the default as help shows it if the field holds no value: "usable cores"

  /// Sets the field. `name` is the flag as the user typed it. Throws InputError, which names the flag and its range.
  std::function<void(const std::string& name, const std::vector<std::string>& values)> set;
  /// The field's value as text; "" if it holds none.
  std::function<std::string()> show;

  std::string key;                        // name of the value in checkpoints and logs; "": not recorded
  std::function<std::string()> recorded;  // the value in checkpoints and logs
  bool json = false;                      // written to logs as a JSON number or boolean, not as text
  bool real = false;                      // a number that may have a fraction
  bool agreed = false;                    // all ranks must have the same value
  bool rest = false;                      // arguments without a flag are its values, too
  std::string task;                       // "mopro" or "classifier": only artefacts of this --task read it; "": all do
  bool adjustable = false;                // a run may go on with another value without --accept-changes

  /// Records the value under `k`. It changes results, so all ranks must have the same.
  Flag& record(std::string k);
  /// The same, but records `value()`, which this flag decides together with other flags.
  Flag& record(std::string k, std::function<std::string()> value);
  /// All ranks must have the same value, although it changes no results and is not recorded.
  Flag& agree();
  /// The value may change when a run is resumed: it says how long and how fast to learn, not what.
  Flag& adjust() { return adjustable = true, *this; }
  Flag& without(std::string what) { return unset = std::move(what), *this; }
  Flag& only_for(std::string t) { return task = std::move(t), *this; }
  /// The first long name, which messages and the ranks' agreement use.
  const std::string& name() const;
  /// The default as help shows it.
  std::string preset() const;
};

/// Parses a number within [low, high]. Throws InputError: "--lr -1: must be 0 or more".
template <class T>
T parse_number(const std::string& name, const std::string& text, T low, T high);
/// "between 0 and 1", or "1 or more" if `high` is the type's largest number (infinity for double).
template <class T>
std::string range_text(T low, T high);
/// The number as text that reads back as the same number.
std::string show_number(double v);
template <class T>
std::string show_number(T v)
  requires std::is_integral_v<T>
{
  return std::to_string(v);
}
/// "a, b or c".
std::string show_choices(const std::vector<std::string>& names);
[[noreturn]] void refuse(const std::string& name, const std::string& text, const std::string& range);

/// The flags of a verb, in the order in which help lists them. All fields must outlive the table.
class FlagTable {
 public:
  using Names = std::vector<std::string>;

  /// Flags that are added from now on belong to this section of the help page.
  void section(std::string title) { section_ = std::move(title); }

  /// A number within [low, high]. A field that is outside this range, or an empty optional, counts as unset.
  template <class Field, class T>
  Flag& number(Names names, const char* unit, Field& field, T low, T high, const char* help);
  /// Text that is not empty.
  Flag& text(Names names, const char* unit, std::string& field, const char* help);
  /// One of several names, each of which stands for a value of the field.
  template <class Field>
  Flag& choice(Names names, Field& field, std::vector<std::pair<std::string, Field>> choices, const char* help);
  /// A switch, which sets the field to true.
  Flag& on(Names names, bool& field, const char* help);
  /// Any number of whole numbers, each at least `low`.
  Flag& numbers(Names names, const char* unit, std::vector<int>& field, int low, const char* help);
  /// Any number of texts.
  Flag& texts(Names names, const char* unit, std::vector<std::string>& field, const char* help);
  /// The same, and arguments without a flag are its values, too. At most one flag of a verb.
  Flag& rest(Names names, const char* unit, std::vector<std::string>& field, const char* help);
  /// Any other flag. Its section is set here.
  Flag& add(Flag flag);

  const std::vector<Flag>& all() const { return flags_; }
  /// The flag of this name; null if there is none. In a name, - and _ are the same.
  const Flag* find(const std::string& name) const;
  Flag* find(const std::string& name) { return const_cast<Flag*>(std::as_const(*this).find(name)); }
  /// The recorded flags with their present values.
  std::vector<train::Recorded> recorded() const;

 private:
  std::string section_;
  std::vector<Flag> flags_;
};

template <class Field, class T>
Flag& FlagTable::number(Names names, const char* unit, Field& field, T low, T high, const char* help) {
  Flag f{.names = std::move(names),
         .unit = unit,
         .range = range_text(low, high),
         .help = help,
         .json = true,
         .real = std::is_floating_point_v<T>};
  f.set = [&field, low, high](const std::string& name, const std::vector<std::string>& values) {
    field = parse_number<T>(name, values[0], low, high);
  };
  f.show = [&field, low, high]() -> std::string {
    const std::optional<T> v = field;
    return v && *v >= low && *v <= high ? show_number(*v) : "";
  };
  return add(std::move(f));
}

template <class Field>
Flag& FlagTable::choice(Names names, Field& field, std::vector<std::pair<std::string, Field>> choices,
                        const char* help) {
  std::vector<std::string> known;
  for (const auto& c : choices) known.push_back(c.first);
  Flag f{.names = std::move(names), .unit = "NAME", .range = show_choices(known), .help = help};
  f.set = [&field, choices, range = f.range](const std::string& name, const std::vector<std::string>& values) {
    for (const auto& [text, value] : choices)
      if (text == values[0]) return void(field = value);
    refuse(name, values[0], range);
  };
  f.show = [&field, choices]() -> std::string {
    for (const auto& [text, value] : choices)
      if (value == field) return text;
    return "";
  };
  return add(std::move(f));
}

}  // namespace moproc::command
