// Parses and describes flags.
#include "flags.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <sstream>
#include <utility>

namespace moproc::tools {
namespace {

std::string dashes(std::string name) {
  std::replace(name.begin(), name.end(), '_', '-');
  return name;
}

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.10g", value);
  return text;
}

std::string range_of(const Flag& f) { return number(f.least) + " to " + number(f.most); }

[[noreturn]] void bad_value(const Flag& f, const std::string& text) {
  throw UsageError("--" + f.name + " wants a number from " + range_of(f) + ", got '" + text + "'");
}

template <class T>
void set_number(const Flag& f, const std::string& text, T& target) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool parsed = error == std::errc() && end == text.data() + text.size();
  if (!parsed || !(static_cast<double>(value) >= f.least && static_cast<double>(value) <= f.most)) {
    bad_value(f, text);
  }
  target = value;
}

void set(const Flag& f, const std::string& text) {
  std::visit(
      [&](auto* target) {
        using T = std::remove_pointer_t<decltype(target)>;
        if constexpr (std::is_same_v<T, std::string>) *target = text;
        else if constexpr (!std::is_same_v<T, bool>) set_number(f, text, *target);
      },
      f.target);
}

/// How many letters have to be replaced, inserted or removed to turn one word into the other.
std::size_t distance(const std::string& a, const std::string& b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row.back();
}

/// "; did you mean --NAME?" for the nearest flag; "" if none is near.
std::string suggestion(const std::string& given, const std::vector<Flag>& flags) {
  const Flag* nearest = nullptr;
  std::size_t least = 2;
  for (const Flag& f : flags)
    if (const std::size_t d = distance(given, "--" + f.name); d <= least) nearest = &f, least = d;
  return nearest ? " (did you mean --" + nearest->name + "?)" : " (--help lists all)";
}

/// The range and the default of a flag, for --help.
std::string facts_of(const Flag& f) {
  return std::visit(
      [&f](auto* target) -> std::string {
        using T = std::remove_pointer_t<decltype(target)>;
        if constexpr (std::is_same_v<T, std::string>) return target->empty() ? "" : " (default: " + *target + ")";
        else if constexpr (std::is_same_v<T, bool>) return "";
        else if constexpr (std::is_same_v<T, double>) return " (" + range_of(f) + "; default: " + number(*target) + ")";
        else return " (" + range_of(f) + "; default: " + std::to_string(*target) + ")";
      },
      f.target);
}

}  // namespace

Arguments parse_flags(const std::vector<std::string>& args, const std::vector<Flag>& flags) {
  Arguments out;
  for (std::size_t i = 0; i < args.size(); ++i) {
    const std::string& arg = args[i];
    if (arg == "-h" || arg == "--help") {
      out.help = true;
      return out;
    }
    if (arg.size() < 2 || arg[0] != '-') {
      out.positional.push_back(arg);
      continue;
    }
    const std::size_t equal = arg.find('=');
    const std::string name = dashes(arg.substr(0, equal));
    const auto f = std::find_if(flags.begin(), flags.end(), [&](const Flag& x) { return "--" + x.name == name; });
    if (f == flags.end()) throw UsageError("unknown flag " + arg + suggestion(name, flags));
    if (bool* const* on = std::get_if<bool*>(&f->target)) {
      if (equal != std::string::npos) throw UsageError("--" + f->name + " takes no value");
      **on = true;
    } else if (equal != std::string::npos) {
      set(*f, arg.substr(equal + 1));
    } else if (i + 1 < args.size()) {
      set(*f, args[++i]);
    } else {
      throw UsageError("--" + f->name + " needs a value: " + f->meta);
    }
  }
  return out;
}

std::string describe_flags(const std::vector<Flag>& flags) {
  std::size_t widest = 0;
  for (const Flag& f : flags) widest = std::max(widest, f.name.size() + f.meta.size());
  std::string text;
  for (const Flag& f : flags) {
    const std::string left = "--" + f.name + (f.meta.empty() ? "" : " " + f.meta);
    std::string line = "  " + left + std::string(widest + 4 - left.size(), ' ');
    const std::size_t indent = line.size();
    std::istringstream words(f.help + facts_of(f));
    for (std::string word; words >> word;) {
      if (line.size() + 1 + word.size() > 120) text += line + "\n", line.assign(indent, ' ');
      line += " " + word;
    }
    text += line + "\n";
  }
  return text;
}

std::string help_page(const std::string& usage, const std::string& flags) {
  const std::size_t at = usage.find("\nExample");
  if (at == std::string::npos) return usage + flags;
  return usage.substr(0, at + 1) + flags + usage.substr(at, usage.find_last_not_of('\n') + 2 - at);
}

}  // namespace moproc::tools
