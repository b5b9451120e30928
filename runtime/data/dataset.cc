// Lists to datasets, with errors that say which line of which file is wrong.
#include "dataset.h"

#include <algorithm>
#include <fstream>

#include "list_file.h"

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
  if (lines == 0) throw DatasetError(info + "/synsets.txt: no class in it");
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
