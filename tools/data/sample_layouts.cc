// Layouts of the data sets for transfer of trained networks. Classes take turns, so every class has images.
#include <filesystem>
#include <stdexcept>

#include "core/rng.h"
#include "data/transfer_sets.h"
#include "kinds.h"
#include "sample_folder.h"

namespace fs = std::filesystem;

namespace moproc::tools {
namespace {

constexpr std::uint32_t imagenet_scenes = 2, voc_scenes = 4, places_scenes = 6;  // the next number: test images

void need_images(const SampleOptions& o, int classes) {
  if (o.images < classes || o.val < classes)
    throw std::runtime_error("--layout " + o.layout + " has " + std::to_string(classes) +
                             " classes: --images and --val must be " + std::to_string(classes) + " or more");
}

// The objects in one of VOC's images: the class whose turn it is, and often another one.
struct VocImage {
  std::string name;
  std::vector<int> kinds;
  bool first_is_difficult = false;  // the second object may hide it
};

VocImage plan_voc(const SampleOptions& o, int number, std::uint32_t set, int name) {
  data::Stream s(o.seed, data::Purpose::sample_label, set, static_cast<std::uint32_t>(number));
  const int classes = static_cast<int>(data::kVocClasses.size());
  VocImage image{padded(name, 6), {number % classes}, false};
  if (s.chance(0.4)) {
    image.kinds.push_back((number + 1 + static_cast<int>(s.below(static_cast<std::uint32_t>(classes - 1)))) % classes);
    image.first_is_difficult = s.chance(0.25);
  }
  return image;
}

// ImageSets/Main/CLASS_SET.txt and SET.txt
void write_voc_lists(const fs::path& lists, const std::string& set, const std::vector<VocImage>& images) {
  std::string names;
  for (const VocImage& i : images) names += i.name + "\n";
  write_file(lists / (set + ".txt"), names);
  for (int c = 0; c < static_cast<int>(data::kVocClasses.size()); ++c) {
    std::string text;
    for (const VocImage& i : images) {
      const bool first = i.kinds[0] == c, second = i.kinds.size() > 1 && i.kinds[1] == c;
      text += i.name + (second || (first && !i.first_is_difficult) ? "  1\n" : first ? "  0\n" : " -1\n");
    }
    write_file(lists / (std::string(data::kVocClasses[static_cast<std::size_t>(c)]) + "_" + set + ".txt"), text);
  }
}

// The two objects of class `c` of Places: pair number `c` of all pairs (a, b) with a < b.
std::vector<int> pair_of(int c) {
  int first = 0, second = 1;
  for (const int kinds = static_cast<int>(all_kinds().size()); c > 0; --c)
    if (++second == kinds) second = ++first + 1;
  return {first, second};
}

}  // namespace

SampleSummary write_imagenet(const SampleOptions& o, const fs::path& folder, const Drawn& progress) {
  need_images(o, o.classes);
  std::vector<Scene> scenes;
  const auto plan = [&](const std::string& split, int images, std::uint32_t set) {
    for (int c = 0; c < o.classes; ++c) fs::create_directories(folder / split / ("n" + padded(c + 1, 8)));
    for (int i = 0; i < images; ++i) {
      const std::string synset = "n" + padded(i % o.classes + 1, 8);
      scenes.push_back({split + "/" + synset + "/" + synset + "_" + std::to_string(i) + ".JPEG",
                        {i % o.classes},
                        set,
                        static_cast<std::uint32_t>(i)});
    }
  };
  plan("train", o.images, imagenet_scenes);
  plan("val", o.val, imagenet_scenes + 1);
  draw_scenes(o, scenes, folder, progress);
  return {o.images, 0, 0, o.val, o.classes};
}

SampleSummary write_voc(const SampleOptions& o, const fs::path& folder, const Drawn& progress) {
  need_images(o, static_cast<int>(data::kVocClasses.size()));
  const fs::path root = folder / "VOCdevkit/VOC2007";
  fs::create_directories(root / "JPEGImages");
  fs::create_directories(root / "ImageSets/Main");
  std::vector<Scene> scenes;
  const auto plan = [&](const std::string& name, int images, std::uint32_t set, int first) {
    std::vector<VocImage> planned;
    for (int i = 0; i < images; ++i) {
      planned.push_back(plan_voc(o, i, set, first + i));
      scenes.push_back({"VOCdevkit/VOC2007/JPEGImages/" + planned.back().name + ".jpg", planned.back().kinds, set,
                        static_cast<std::uint32_t>(i)});
    }
    write_voc_lists(root / "ImageSets/Main", name, planned);
  };
  plan("trainval", o.images, voc_scenes, 1);
  plan("test", o.val, voc_scenes + 1, o.images + 1);
  draw_scenes(o, scenes, folder, progress);
  return {o.images, 0, 0, o.val, static_cast<int>(data::kVocClasses.size())};
}

SampleSummary write_places(const SampleOptions& o, const fs::path& folder, const Drawn& progress) {
  const int classes = data::kPlacesClasses;
  need_images(o, classes);
  const std::string below = "data/vision/torralba/deeplearning/images256/";
  fs::create_directories(folder / "trainvalsplit_places205");
  std::vector<Scene> scenes;
  const auto plan = [&](const std::string& split, int images, std::uint32_t set) {
    std::string list;
    for (int i = 0; i < images; ++i) {
      const int c = i % classes;
      const std::string name = split + "/" + padded(c, 3) + "/" + padded(i, 8) + ".jpg";
      fs::create_directories(folder / (below + split) / padded(c, 3));
      scenes.push_back({below + name, pair_of(c), set, static_cast<std::uint32_t>(i)});
      list += name + " " + std::to_string(c) + "\n";
    }
    write_file(folder / "trainvalsplit_places205" / (split + "_places205.csv"), list);
  };
  plan("train", o.images, places_scenes);
  plan("val", o.val, places_scenes + 1);
  draw_scenes(o, scenes, folder, progress);
  return {o.images, 0, 0, o.val, classes};
}

}  // namespace moproc::tools
