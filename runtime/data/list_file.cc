// Errors name the file and the line.
#include "list_file.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>

#include "dataset.h"

namespace fs = std::filesystem;

namespace moproc::data {
namespace {

constexpr std::string_view spaces = " \t\r\v\f";

struct Entry {
  std::string_view name;
  std::int64_t label;
};

Entry parse(const std::string& file, std::size_t number, std::string_view line) {
  const std::size_t last = line.find_last_of(spaces);
  if (last == std::string_view::npos) bad_line(file, number, "expected 'PATH LABEL', got " + quoted(line));
  const std::string_view field = line.substr(last + 1);
  Entry entry{trimmed(line.substr(0, last)), 0};
  const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), entry.label);
  if (error == std::errc::result_out_of_range) bad_line(file, number, "label " + quoted(field) + " is out of range");
  if (error != std::errc() || end != field.data() + field.size())
    bad_line(file, number, "expected 'PATH LABEL', but " + quoted(field) + " is not a label");
  return entry;
}

}  // namespace

std::string without_slash(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

std::string plain_path(std::string_view path) {
  const bool plain = !path.starts_with("./") && path.find("//") == path.npos && path.find("/.") == path.npos;
  return plain ? std::string(path) : fs::path(path).lexically_normal().string();
}

std::string_view trimmed(std::string_view text) {
  const std::size_t from = text.find_first_not_of(spaces);
  if (from == std::string_view::npos) return {};
  return text.substr(from, text.find_last_not_of(spaces) - from + 1);
}

void bad_line(const std::string& file, std::size_t line, const std::string& what) {
  throw DatasetError(file + ":" + std::to_string(line) + ": " + what);
}

std::string quoted(std::string_view text) {
  std::string shown;
  for (const char c : text.substr(0, 80)) shown += c >= 0 && c < ' ' ? '?' : c;
  return "'" + shown + (text.size() > 80 ? "...'" : "'");
}

std::string out_of_range(std::int64_t label, std::int64_t classes) {
  return "label " + std::to_string(label) + " is out of range 0.." + std::to_string(classes - 1);
}

std::string some(const std::vector<std::string>& names) {
  constexpr std::size_t kShown = 3;
  std::string text;
  for (std::size_t i = 0; i < std::min(kShown, names.size()); ++i) text += (i ? ", " : "") + names[i];
  return names.size() > kShown ? text + " and " + std::to_string(names.size() - kShown) + " more" : text;
}

void need_directory(const std::string& path, const std::string& what) {
  std::error_code error;
  if (!fs::is_directory(path, error)) throw DatasetError(path + ": no such folder; " + what);
}

ClassTable read_names(const std::string& file, bool number_twins) {
  std::ifstream in(file, std::ios::binary);
  std::vector<std::string> names;
  std::set<std::string, std::less<>> seen;
  for (std::string line; std::getline(in, line);) {
    if (names.empty() && line.starts_with(kByteOrderMark)) line.erase(0, kByteOrderMark.size());
    std::string name(trimmed(line));
    if (name.empty()) continue;
    if (number_twins && seen.contains(name)) name += " (class " + std::to_string(names.size()) + ")";
    seen.insert(name);
    names.push_back(std::move(name));
  }
  try {
    return ClassTable(std::move(names));
  } catch (const std::string& why) {
    throw DatasetError(file + ": " + why);
  }
}

std::ifstream open_list(const std::string& file) {
  std::error_code error;
  if (fs::exists(file, error) && !fs::is_regular_file(file, error))
    throw DatasetError(file + ": cannot read this list: not a regular file");  // a pipe would be waited for
  std::ifstream in(file, std::ios::binary);
  if (!in) throw DatasetError(file + ": cannot read this list: " + std::strerror(errno));
  return in;
}

void read_list(const std::string& file, const std::function<void(std::string_view, std::int64_t)>& add) {
  std::ifstream in = open_list(file);
  std::string line;
  for (std::size_t number = 1; std::getline(in, line); ++number) {
    if (number == 1 && line.starts_with(kByteOrderMark)) line.erase(0, kByteOrderMark.size());
    const std::string_view text = trimmed(line);
    if (text.empty()) continue;
    const Entry entry = parse(file, number, text);
    try {
      add(entry.name, entry.label);
    } catch (const std::string& what) {
      bad_line(file, number, what);
    }
  }
  if (in.bad()) throw DatasetError(file + ": " + std::strerror(errno));
}

}  // namespace moproc::data
