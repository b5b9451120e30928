#include "layouts.h"

#include <filesystem>
#include <limits>

#include "data/data_folder.h"
#include "data/list_file.h"
#include "data/transfer_sets.h"

namespace fs = std::filesystem;

namespace moproc::tools {
namespace {

using data::Split;

// The limit of classes for reading: a layout with one folder per class may have any number. Lists are then shrunk to
// the classes that their labels need.
constexpr int kAnyClasses = 1'000'000;

const char* layout_name(data::Layout layout) {
  switch (layout) {
    case data::Layout::webvision: return "webvision";
    case data::Layout::lists: return "lists";
    case data::Layout::split_folders: return "imagenet";
    case data::Layout::class_folders: break;
  }
  return "folders";
}

data::Dataset shrunk(data::Dataset set) {
  std::int32_t most = 0;
  for (const std::int32_t c : set.labels()) most = std::max(most, c);
  data::Dataset out(set.folder(), std::max(most + 1, static_cast<std::int32_t>(set.classes().size())));
  for (std::size_t i = 0; i < set.size(); ++i) out.add(set.name(i), set.label(i));
  out.set_classes(set.classes());
  for (const std::string& note : set.notes()) out.note(note);
  return out;
}

}  // namespace

DataFolder read_data_folder(const std::string& folder, int first_label) {
  data::need_directory(folder, "a data folder is wanted");
  DataFolder out;
  const auto there = [&](const char* name) { return fs::exists(folder + "/" + name); };
  const auto list = [&](const char* name) {
    if (there(name)) out.lists.push_back(name);
  };
  if (there("VOCdevkit")) {
    out.layout = "voc";
    for (const char* set : {"trainval", "test"})
      out.sets.push_back({set, data::read_voc2007(folder, set).images, false});
    list("VOCdevkit/VOC2007/ImageSets");
    return out;
  }
  if (there("trainvalsplit_places205")) {
    out.layout = "places";
    for (const char* set : {"train", "val"}) out.sets.push_back({set, data::read_places205(folder, set, first_label)});
    list("trainvalsplit_places205");
    return out;
  }
  data::ListOptions options;
  options.num_class = kAnyClasses;
  options.first_label = first_label;
  out.layout = layout_name(data::layout_of(folder));
  out.sets.push_back({"train", shrunk(data::read_folder(folder, Split::train, options))});
  options.classes = out.sets.front().images.classes();  // as a training run maps its validation images
  if (data::has_validation(folder)) out.sets.push_back({"val", shrunk(data::read_folder(folder, Split::val, options))});
  for (const char* name : {"info", "train.csv", "train.jsonl", "val.csv", "val.jsonl", "classes.txt", "truth.json"})
    list(name);
  return out;
}

}  // namespace moproc::tools
