// Names are sorted as bytes, as Python sorts str of ASCII.
#include <algorithm>
#include <cctype>
#include <filesystem>

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

}  // namespace

Dataset read_image_folder(const std::string& folder, int num_class) {
  std::error_code error;
  if (!fs::is_directory(folder, error)) throw DatasetError(folder + ": no such folder; it holds a folder a class");
  std::vector<std::string> classes;
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.is_directory()) classes.push_back(entry.path().filename().string());
  std::sort(classes.begin(), classes.end());
  if (classes.empty()) throw DatasetError(folder + ": holds no folder; it should hold one a class");
  if (classes.size() > static_cast<std::size_t>(num_class))
    throw DatasetError(folder + ": has " + std::to_string(classes.size()) + " classes, the network " +
                       std::to_string(num_class) + "; the last is " + classes.back());
  Dataset out(folder, num_class);
  for (std::size_t c = 0; c < classes.size(); ++c) {
    std::vector<std::string> files;
    for (const auto& entry : fs::recursive_directory_iterator(fs::path(folder) / classes[c], fs::directory_options::follow_directory_symlink))
      if (entry.is_regular_file() && is_image(entry.path())) files.push_back(fs::relative(entry.path(), folder).string());
    if (files.empty()) throw DatasetError(folder + "/" + classes[c] + ": no image in it");
    std::sort(files.begin(), files.end());
    for (const std::string& f : files) out.add(f, static_cast<std::int64_t>(c));
  }
  return out;
}

}  // namespace moproc::data
