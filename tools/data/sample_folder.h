// Shared by all layouts of sample folders: draws scenes in parallel into a folder that appears complete or not at all.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "sample.h"

namespace moproc::tools {

// One picture, which depends only on the seed, `set` and `number`.
struct Scene {
  std::string name;        // below the folder
  std::vector<int> kinds;  // indices of all_kinds()
  std::uint32_t set;
  std::uint32_t number;
};

using Drawn = std::function<void(int done, int all)>;

// Draws all scenes and writes them as JPEG files. Their folders must exist.
void draw_scenes(const SampleOptions& options, const std::vector<Scene>& scenes, const std::filesystem::path& folder,
                 const Drawn& progress);

// Throws std::runtime_error naming the path.
void write_file(const std::filesystem::path& path, const std::string& text);

// "0042"
std::string padded(int value, int digits);

// The folder under its temporary name, NAME.partial; removed unless it was renamed.
class PartialFolder {
 public:
  // Throws InputError if `final_name` is not an empty folder, or if a file or folder that is not ours has the temporary
  // name.
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

// Write the layouts other than WebVision's to `folder`. Throw std::runtime_error if there are too few images for the
// classes.
SampleSummary write_imagenet(const SampleOptions& options, const std::filesystem::path& folder, const Drawn& progress);
SampleSummary write_voc(const SampleOptions& options, const std::filesystem::path& folder, const Drawn& progress);
SampleSummary write_places(const SampleOptions& options, const std::filesystem::path& folder, const Drawn& progress);

}  // namespace moproc::tools
