// Names are sorted by bytes, which is Python's order for ASCII strings.
#include <algorithm>
#include <cctype>
#include <filesystem>
#include <map>

#include "dataset.h"

namespace fs = std::filesystem;

namespace moproc::data {
namespace {

bool is_image(const fs::path& file) {
  static const std::string_view endings[] = {".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp"};
  std::string ending = file.extension().string();
  for (char& c : ending) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return std::find(std::begin(endings), std::end(endings), ending) != std::end(endings);
}

/// The classes of a folder, with the paths of each class's images (also in subfolders), relative to the folder.
using Classes = std::map<std::string, std::vector<std::string>>;

Classes walk(const std::string& folder) {
  std::error_code error;
  if (!fs::is_directory(folder, error))
    throw DatasetError(folder + ": no such folder; it should contain one folder per class");
  Classes classes;
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.is_directory()) classes[entry.path().filename().string()];
  for (auto& [name, files] : classes) {
    for (const auto& entry :
         fs::recursive_directory_iterator(fs::path(folder) / name, fs::directory_options::follow_directory_symlink))
      if (entry.is_regular_file() && is_image(entry.path()))
        files.push_back(fs::relative(entry.path(), folder).string());
    std::sort(files.begin(), files.end());
  }
  return classes;
}

Classes packed(const Files& shards) {
  Classes classes;
  for (const std::string_view name : shards.names())
    if (const std::size_t slash = name.find('/'); slash != std::string_view::npos && is_image(name))
      classes[std::string(name.substr(0, slash))].emplace_back(name);
  return classes;
}

}  // namespace

Dataset read_image_folder(const std::string& folder, int num_class) {
  Dataset out(folder, num_class);
  const Classes classes = out.files().packed() ? packed(out.files()) : walk(folder);
  if (classes.empty()) throw DatasetError(folder + ": holds no folder; it should contain one per class");
  if (classes.size() > static_cast<std::size_t>(num_class))
    throw DatasetError(folder + ": has " + std::to_string(classes.size()) + " classes, but the network has " +
                       std::to_string(num_class) + "; the last is " + classes.rbegin()->first);
  std::int64_t label = 0;
  for (const auto& [name, files] : classes) {
    if (files.empty()) throw DatasetError(folder + "/" + name + ": has no image");
    for (const std::string& f : files) out.add(f, label);
    ++label;
  }
  return out;
}

}  // namespace moproc::data
