// A list of image files with labels, and the readers of the folders that hold such lists.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "class_table.h"
#include "files.h"
#include "picture_kind.h"

namespace moproc::data {

// Thrown for a folder or list that cannot be used. what() names the file and, if there is one, the line.
class DatasetError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// A set of images has a class that the run's table lacks.
class UnknownClass : public DatasetError {
 public:
  using DatasetError::DatasetError;
};

// Images in list order. All names are in one string, because WebVision has 2.4 million of them.
class Dataset {
 public:
  // Names are relative to `folder`.
  explicit Dataset(std::string folder, int num_classes)
      : folder_(std::move(folder)), num_classes_(num_classes), files_(Files::open(folder_)) {}

  // An empty list with the same folder and classes.
  Dataset empty() const;

  // Appends an image: its path below the folder (may contain spaces) and its label.
  void add(std::string_view name, std::int64_t label);

  // The names of the classes; empty if they have numbers only.
  const ClassTable& classes() const { return classes_; }
  void set_classes(ClassTable classes) { classes_ = std::move(classes); }
  // What the reader found odd about the list, for the user: sentences without a full stop.
  const std::vector<std::string>& notes() const { return notes_; }
  void note(std::string text) { notes_.push_back(std::move(text)); }
  // The formats of images that are not read of which the user knows already; nothing else is to be said about them.
  const KindCounts& told() const { return told_; }
  void tell(KindCounts kinds) { told_ = std::move(kinds); }

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

  // 64-bit FNV-1a over all names and labels in order. It does not depend on where the folder is.
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
  ClassTable classes_;
  std::vector<std::string> notes_;
  KindCounts told_;
};

// The classes of which `shown` has images and `learned` has none, for a message: "2 of 205 classes (7, 31)". "" if
// there is no such class. Both lists have the same classes.
std::string classes_missing(const Dataset& learned, const Dataset& shown);

enum class Split { train, val };

struct ListOptions {
  // The number of classes of the network. Images of WebVision with a label of num_class or above are left out, as in
  // the published code; anywhere else such a label is an error.
  int num_class = 1000;
  // WebVision: the search engines whose images are read. (The published `--num-class 50` keeps those of Flickr.)
  bool google = true, flickr = true;
  // CSV and JSON lines: the number of the first class.
  int first_label = 0;
  // The run's classes, to which the set is mapped by name; empty: the set's own names become the table.
  ClassTable classes = {};
};

// Reads the lists of a WebVision folder. Training: info/train_filelist_google.txt, then info/train_filelist_flickr.txt
// (V1), or info/train_filelist_all.txt if there is no list of Google's (V2). Validation: info/val_filelist.txt, with
// images in val_images_256/ (or val_images_resized/, val_images/). A line is `PATH LABEL`; the label follows the last
// space. Throws DatasetError, also for a label that is negative or not below the folder's number of classes: the number
// of lines of info/synsets.txt, or max(1000, num_class) if that file does not exist.
// If the options have a table of classes, info/synsets.txt must be there and name them.
Dataset read_webvision(const std::string& folder, Split split, const ListOptions& options);

// The classes that info/synsets.txt of a WebVision folder names; an empty table if there is no such file.
ClassTable synset_names(const std::string& folder);

// Reads a folder with one folder per class, as torchvision's ImageFolder does: classes are the sorted names, and images
// (also in folders below) come sorted within their class. A link is treated as what it leads to, under its own name. A
// class without images keeps its index. Hidden files and folders are no images and no classes; see is_hidden(). Throws
// DatasetError if there is no folder, no class, no image, more classes than num_class, or a class that
// options.classes lacks.
Dataset read_image_folder(const std::string& folder, const ListOptions& options);

// Whether a name is that of a file or folder that an operating system or a program keeps for itself: it begins with a
// dot, or is __MACOSX, @eaDir, Thumbs.db or desktop.ini.
bool is_hidden(std::string_view name);

}  // namespace moproc::data
