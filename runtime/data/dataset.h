// A list of image files with labels, and the folders it is read from.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "files.h"

namespace moproc::data {

// A folder or list that cannot be used; what() names the file and, where there is one, the line.
class DatasetError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Images in list order. Names are kept in one string: WebVision has 2.4 million of them.
class Dataset {
 public:
  // `folder` is what names are relative to.
  explicit Dataset(std::string folder, int num_classes)
      : folder_(std::move(folder)), num_classes_(num_classes), files_(Files::open(folder_)) {}

  // A list without images, of the same folder and classes.
  Dataset empty() const { return Dataset(folder_, num_classes_, files_); }

  // Appends an image: its path below the folder (may contain spaces) and its label.
  void add(std::string_view name, std::int64_t label);

  std::size_t size() const { return labels_.size(); }
  int num_classes() const { return num_classes_; }
  const std::string& folder() const { return folder_; }
  std::string_view name(std::size_t i) const {
    const std::size_t from = i == 0 ? 0 : ends_[i - 1];
    return std::string_view(names_).substr(from, ends_[i] - from);
  }
  const Files& files() const { return *files_; }
  // The bytes of an image's file (Files::read).
  void read(std::size_t i, std::vector<std::uint8_t>& out, const DecodeLimits& limits = {}) const {
    files_->read(name(i), out, limits);
  }
  std::int64_t label(std::size_t i) const { return labels_[i]; }
  std::span<const std::int32_t> labels() const { return labels_; }

  // 64-bit FNV-1a over all names and labels in order: equal for equal lists, wherever the folder is.
  std::uint64_t digest() const;

 private:
  Dataset(std::string folder, int num_classes, std::shared_ptr<const Files> files)
      : folder_(std::move(folder)), num_classes_(num_classes), files_(std::move(files)) {}

  std::string folder_;
  int num_classes_;
  std::shared_ptr<const Files> files_;
  std::string names_;
  std::vector<std::uint64_t> ends_;
  std::vector<std::int32_t> labels_;
};

enum class Split { train, val };

struct WebVisionOptions {
  // Images whose label is num_class or above are left out, as the published code does.
  int num_class = 1000;
  // Which search engines' images. (The published `--num-class 50` keeps Flickr's.)
  bool google = true, flickr = true;
};

// Reads a WebVision folder's lists: of training images info/train_filelist_google.txt, then
// info/train_filelist_flickr.txt (V1), or info/train_filelist_all.txt where there is none of Google's (V2); of
// validation images info/val_filelist.txt, whose images lie in val_images_256/ (or val_images_resized/, val_images/). A
// line is `PATH LABEL`, the label is what follows the last space. A label is out of range when it is negative or not
// below the folder's number of classes: the lines of info/synsets.txt where that file exists, else max(1000,
// num_class). Throws DatasetError.
Dataset read_webvision(const std::string& folder, Split split, const WebVisionOptions& options);

// Reads the split of a data folder of any layout: WebVision's (there is info/), lists of one's own (train.csv or
// train.jsonl, and val.*; see table_list.h), or a folder a class in train/ and in val/. Names are relative to `folder`.
// Throws DatasetError.
Dataset read_folder(const std::string& folder, Split split, const WebVisionOptions& options);

// A folder with a folder a class, as torchvision's ImageFolder reads it: classes are the sorted names, images (also in
// folders below) come sorted, by class. Throws DatasetError: no folder, no class, none or more classes than num_class.
Dataset read_image_folder(const std::string& folder, int num_class);

}  // namespace moproc::data
