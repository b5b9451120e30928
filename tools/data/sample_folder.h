// What every layout of a sample folder is written with: scenes drawn in parallel into a folder that appears whole or
// not at all.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "sample.h"

namespace moproc::tools {

// One picture: a function of the seed, `set` and `number`.
struct Scene {
  std::string name;        // below the folder
  std::vector<int> kinds;  // indices of all_kinds()
  std::uint32_t set;
  std::uint32_t number;
};

using Drawn = std::function<void(int done, int all)>;

// Draws all scenes and writes them as JPEG files. Folders are there already.
void draw_scenes(const SampleOptions& options, const std::vector<Scene>& scenes, const std::filesystem::path& folder,
                 const Drawn& progress);

// Throws std::runtime_error naming the path.
void write_file(const std::filesystem::path& path, const std::string& text);

// "0042"
std::string padded(int value, int digits);

// The folder under its temporary name, NAME.partial; removed unless it was renamed.
class PartialFolder {
 public:
  // Throws InputError when `final_name` is no empty folder, or something not ours has the temporary name.
  explicit PartialFolder(const std::string& final_name);
  ~PartialFolder();
  PartialFolder(const PartialFolder&) = delete;
  PartialFolder& operator=(const PartialFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  void commit();

 private:
  std::filesystem::path final_, path_;
  bool ours_ = false;
};

// The layouts besides WebVision's, into `folder`. Throw std::runtime_error: too few images for the classes.
SampleSummary write_imagenet(const SampleOptions& options, const std::filesystem::path& folder, const Drawn& progress);
SampleSummary write_voc(const SampleOptions& options, const std::filesystem::path& folder, const Drawn& progress);
SampleSummary write_places(const SampleOptions& options, const std::filesystem::path& folder, const Drawn& progress);

}  // namespace moproc::tools
