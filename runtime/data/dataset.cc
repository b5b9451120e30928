// Makes datasets from lists. Errors name the file and the line.
#include "dataset.h"

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "list_file.h"
#include "table_list.h"

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

int known_classes(const std::string& info, int num_class) {
  std::ifstream in(info + "/synsets.txt");
  if (!in) return std::max(1000, num_class);
  int lines = 0;
  for (std::string line; std::getline(in, line);) lines += !trimmed(line).empty();
  if (lines == 0) throw DatasetError(info + "/synsets.txt: names no class");
  return lines;
}

void append_list(const std::string& file, std::string_view prefix, int classes, int keep, Dataset& out) {
  std::string name;
  read_list(file, [&](std::string_view path, std::int64_t label) {
    if (label < 0 || label >= classes) throw out_of_range(label, classes);
    if (label >= keep) return;
    out.add(name.assign(prefix).append(path), label);
  });
}

/// The subfolder that holds the images of the validation list.
std::string validation_folder(const Dataset& set) {
  static constexpr const char* known[] = {"val_images_256", "val_images_resized", "val_images"};
  for (const char* name : known) {
    const std::string prefix = std::string(name) + "/";
    const auto names = set.files().names();
    const auto at = std::lower_bound(names.begin(), names.end(), prefix);
    if (set.files().packed() ? at != names.end() && at->starts_with(prefix)
                             : fs::is_directory(set.folder() + "/" + name))
      return prefix;
  }
  throw DatasetError(set.folder() +
                     "/val_images_256: no such folder; the images of info/val_filelist.txt belong there");
}

void append_training(const std::string& info, int classes, const WebVisionOptions& o, Dataset& out) {
  const std::string google = info + "/train_filelist_google.txt", all = info + "/train_filelist_all.txt";
  if (fs::exists(all) && !fs::exists(google)) {
    read_list(all, [&](std::string_view path, std::int64_t label) {
      if (label < 0 || label >= classes) throw out_of_range(label, classes);
      const bool wanted = path.starts_with("google/")   ? o.google
                          : path.starts_with("flickr/") ? o.flickr
                                                        : o.google && o.flickr;
      if (wanted && label < o.num_class) out.add(path, label);
    });
    return;
  }
  if (o.google) append_list(google, "", classes, o.num_class, out);
  if (o.flickr) append_list(info + "/train_filelist_flickr.txt", "", classes, o.num_class, out);
}

std::string without_slash(std::string folder) {
  while (folder.size() > 1 && folder.back() == '/') folder.pop_back();
  return folder;
}

}  // namespace

Dataset read_webvision(const std::string& given, Split split, const WebVisionOptions& options) {
  const std::string folder = without_slash(given), info = folder + "/info";
  need_directory(folder, "the data folder must exist");
  need_directory(info, "a WebVision data folder holds its lists there");
  if (options.num_class < 1) throw DatasetError("the number of classes must be at least 1");
  const int classes = known_classes(info, options.num_class);
  Dataset out(folder, options.num_class);
  if (split == Split::val)
    append_list(info + "/val_filelist.txt", validation_folder(out), classes, options.num_class, out);
  else append_training(info, classes, options, out);
  if (out.size() == 0) {
    throw DatasetError(info + ": the " + std::string(split == Split::val ? "validation" : "training") +
                       " list has no image with a label below " + std::to_string(options.num_class));
  }
  return out;
}

Dataset read_folder(const std::string& given, Split split, const WebVisionOptions& options) {
  const std::string folder = without_slash(given), name = split == Split::train ? "train" : "val";
  need_directory(folder, "the data folder must exist");
  if (fs::is_directory(folder + "/info")) return read_webvision(folder, split, options);
  if (!options.google || !options.flickr)
    throw DatasetError(folder + ": only a WebVision folder (with info/) lists images by source");
  for (const char* const ending : {".csv", ".jsonl"})
    if (fs::exists(folder + "/" + name + ending))
      return read_table(folder + "/" + name + ending, folder, options.num_class);
  Dataset out(folder, options.num_class);
  const bool packed = out.files().packed();
  if (!packed && !fs::is_directory(folder + "/" + name))
    throw DatasetError(folder + ": is not a data folder: there is neither info/ (WebVision) nor " + name + ".csv, " +
                       name + ".jsonl or " + name + "/ (one folder per class)");
  const Dataset part = read_image_folder(folder + "/" + name, options.num_class);
  for (std::size_t i = 0; i < part.size(); ++i) out.add(name + "/" + std::string(part.name(i)), part.label(i));
  return out;
}

}  // namespace moproc::data
