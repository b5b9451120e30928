// Parsing and describing flags.
#include "flags.h"

#include <algorithm>
#include <charconv>
#include <cstdio>

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

[[noreturn]] void bad_value(const std::string& verb, const Flag& f, const std::string& text) {
  throw UsageError(verb + ": --" + f.name + " wants a number from " + number(f.least) + " to " + number(f.most) +
                   ", got '" + text + "'");
}

template <class T>
void set_number(const std::string& verb, const Flag& f, const std::string& text, T& target) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool parsed = error == std::errc() && end == text.data() + text.size();
  if (!parsed || !(static_cast<double>(value) >= f.least && static_cast<double>(value) <= f.most)) {
    bad_value(verb, f, text);
  }
  target = value;
}

void set(const std::string& verb, const Flag& f, const std::string& text) {
  std::visit(
      [&](auto* target) {
        using T = std::remove_pointer_t<decltype(target)>;
        if constexpr (std::is_same_v<T, std::string>) *target = text;
        else if constexpr (!std::is_same_v<T, bool>) set_number(verb, f, text, *target);
      },
      f.target);
}

std::string default_of(const Flag& f) {
  return std::visit(
      [](auto* target) -> std::string {
        using T = std::remove_pointer_t<decltype(target)>;
        if constexpr (std::is_same_v<T, std::string>) return target->empty() ? "" : " [" + *target + "]";
        else if constexpr (std::is_same_v<T, bool>) return "";
        else if constexpr (std::is_same_v<T, double>) return " [" + number(*target) + "]";
        else return " [" + std::to_string(*target) + "]";
      },
      f.target);
}

}  // namespace

Arguments parse_flags(const std::string& verb, const std::vector<std::string>& args, const std::vector<Flag>& flags) {
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
    if (f == flags.end()) throw UsageError(verb + ": unknown flag " + arg + " (--help lists them)");
    if (bool* const* on = std::get_if<bool*>(&f->target)) {
      if (equal != std::string::npos) throw UsageError(verb + ": --" + f->name + " takes no value");
      **on = true;
    } else if (equal != std::string::npos) {
      set(verb, *f, arg.substr(equal + 1));
    } else if (i + 1 < args.size()) {
      set(verb, *f, args[++i]);
    } else {
      throw UsageError(verb + ": --" + f->name + " needs a value: " + f->meta);
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
    text += "  " + left + std::string(widest + 5 - left.size(), ' ') + f.help + default_of(f) + "\n";
  }
  return text;
}

}  // namespace moproc::tools
