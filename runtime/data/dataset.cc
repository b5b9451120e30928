// Lists to datasets, with errors that say which line of which file is wrong.
#include "dataset.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>

namespace fs = std::filesystem;

namespace moproc::data {

void Dataset::add(std::string_view name, std::int64_t label) {
  names_ += name;
  ends_.push_back(names_.size());
  labels_.push_back(static_cast<std::int32_t>(label));
}

std::uint64_t Dataset::digest() const {
  std::uint64_t hash = 0xcbf29ce484222325ull;
  const auto mix = [&hash](unsigned char byte) { hash = (hash ^ byte) * 0x100000001b3ull; };
  for (std::size_t i = 0; i < size(); ++i) {
    for (const char c : name(i)) mix(static_cast<unsigned char>(c));
    mix(0);
    for (int shift = 0; shift < 32; shift += 8) mix(static_cast<unsigned char>(labels_[i] >> shift));
  }
  return hash;
}

namespace {

constexpr std::string_view spaces = " \t\r\v\f";

std::string_view trimmed(std::string_view text) {
  const std::size_t from = text.find_first_not_of(spaces);
  if (from == std::string_view::npos) return {};
  return text.substr(from, text.find_last_not_of(spaces) - from + 1);
}

[[noreturn]] void bad_line(const std::string& file, std::size_t line, const std::string& what) {
  throw DatasetError(file + ":" + std::to_string(line) + ": " + what);
}

std::string quoted(std::string_view text) {
  std::string shown;
  for (const char c : text.substr(0, 80)) shown += c >= 0 && c < ' ' ? '?' : c;
  return "'" + shown + (text.size() > 80 ? "...'" : "'");
}

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
  if (error == std::errc::result_out_of_range)
    bad_line(file, number, "label " + quoted(field) + " is out of range");
  if (error != std::errc() || end != field.data() + field.size()) {
    bad_line(file, number, "expected 'PATH LABEL', but " + quoted(field) + " is no label");
  }
  return entry;
}

std::ifstream open(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in || fs::is_directory(file)) {
    throw DatasetError(file +
                       ": cannot read this list: " + (errno != 0 ? std::strerror(errno) : "no regular file"));
  }
  return in;
}

int known_classes(const std::string& info, int num_class) {
  std::ifstream in(info + "/synsets.txt");
  if (!in) return std::max(1000, num_class);
  int lines = 0;
  for (std::string line; std::getline(in, line);) lines += !trimmed(line).empty();
  if (lines == 0) throw DatasetError(info + "/synsets.txt: no class in it");
  return lines;
}

void append_list(const std::string& file, std::string_view prefix, int classes, int keep, Dataset& out) {
  std::ifstream in = open(file);
  std::string line, name;
  for (std::size_t number = 1; std::getline(in, line); ++number) {
    const std::string_view text = trimmed(line);
    if (text.empty()) continue;
    const Entry entry = parse(file, number, text);
    if (entry.label < 0 || entry.label >= classes) {
      bad_line(file, number,
               "label " + std::to_string(entry.label) + " is out of range 0.." + std::to_string(classes - 1));
    }
    if (entry.label >= keep) continue;
    name.assign(prefix).append(entry.name);
    out.add(name, entry.label);
  }
  if (in.bad()) throw DatasetError(file + ": " + std::strerror(errno));
}

void need_directory(const std::string& path, const char* what) {
  std::error_code error;
  if (!fs::is_directory(path, error)) throw DatasetError(path + ": no such folder; " + what);
}

}  // namespace

Dataset read_webvision(const std::string& given, Split split, const WebVisionOptions& options) {
  std::string folder = given;
  while (folder.size() > 1 && folder.back() == '/') folder.pop_back();
  need_directory(folder, "the data folder must exist");
  const std::string info = folder + "/info";
  need_directory(info, "a WebVision data folder holds its lists there");
  if (options.num_class < 1) throw DatasetError("the number of classes must be at least 1");
  const int classes = known_classes(info, options.num_class);
  Dataset out(folder, options.num_class);
  if (split == Split::val) {
    need_directory(folder + "/val_images_256", "the images of info/val_filelist.txt lie there");
    append_list(info + "/val_filelist.txt", "val_images_256/", classes, options.num_class, out);
  } else {
    append_list(info + "/train_filelist_google.txt", "", classes, options.num_class, out);
    if (!options.mini) append_list(info + "/train_filelist_flickr.txt", "", classes, options.num_class, out);
  }
  if (out.size() == 0) {
    throw DatasetError(info + ": the " + std::string(split == Split::val ? "validation" : "training") +
                       " list has no image with a label below " + std::to_string(options.num_class));
  }
  return out;
}

}  // namespace moproc::data
