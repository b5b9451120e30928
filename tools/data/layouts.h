// A data folder of any layout, for check and pack: its sets of images, and the files that list them.
#pragma once

#include <string>
#include <vector>

#include "data/dataset.h"

namespace moproc::tools {

struct NamedSet {
  std::string name;  // "train", "val", "test"
  data::Dataset images;
  bool labelled = true;  // each image has the class in the dataset (VOC's have any number of classes)
};

struct DataFolder {
  std::string layout;  // "webvision", "lists", "imagenet", "folders", "voc", "places"
  std::vector<NamedSet> sets;
  std::vector<std::string> lists;  // files and folders without images, as paths below the folder
};

// Recognises the layout and reads all sets, of all classes. `first_label`: the number of the first class in lists.
// Throws data::DatasetError.
DataFolder read_data_folder(const std::string& folder, int first_label = 0);

}  // namespace moproc::tools
