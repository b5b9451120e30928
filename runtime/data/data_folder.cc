// A packed folder keeps its layout, so every question about files is asked of the names in its shards.
#include "data_folder.h"

#include <algorithm>
#include <cmath>
#include <compare>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <vector>

#include "core/rng.h"
#include "files.h"
#include "image_folder.h"
#include "list_file.h"
#include "subset.h"
#include "table_list.h"

namespace fs = std::filesystem;

namespace moproc::data {
namespace {

constexpr int kAnyClasses = 1'000'000;

/// What a data folder has for one split.
struct Parts {
  std::string table;        // NAME.csv or NAME.jsonl; "" if there is none
  bool holds_folders;       // NAME/ holds folders: one per class, or those of a table's images
  bool holds_images_alone;  // NAME/ holds images and no folder
};

Parts parts_of(const std::string& folder, const std::string& name, const Files& files) {
  Parts parts{"", false, false};
  for (const char* const ending : {".csv", ".jsonl"}) {
    const std::string file = folder + "/" + name + ending;
    if (!fs::exists(file)) continue;
    if (!parts.table.empty())
      throw DatasetError(folder + ": has both " + name + ".csv and " + name + ".jsonl; remove one");
    parts.table = file;
  }
  const FolderKind kind = kind_of_folder(folder, name, files);
  parts.holds_folders = kind == FolderKind::folders;
  parts.holds_images_alone = kind == FolderKind::images;
  return parts;
}

/// Throws DatasetError if one split is a list and the other a folder with one folder per class.
void require_one_layout(const std::string& folder, const Parts& train, const Parts& val) {
  const auto refuse = [&](const char* list, const char* other) {
    throw DatasetError(folder + ": has a list of the " + list + " images, but none of the " + other +
                       " images; write one, because classes of folders and of lists are not the same numbers");
  };
  if (!train.table.empty() && val.table.empty() && val.holds_folders) refuse("training", "validation");
  if (train.table.empty() && !val.table.empty() && train.holds_folders) refuse("validation", "training");
}

/// A data folder whose layout is known.
struct Recognised {
  std::string folder;  // without a slash at its end
  Layout layout;
  Parts train, val;
  std::shared_ptr<const Files> files;
};

Recognised recognise(const std::string& given) {
  const std::string folder = without_slash(given);
  need_directory(folder, "the data folder must exist");
  const fs::path shards = fs::path(folder) / kShardFolder;
  if (fs::exists(shards / "settings.json") && !fs::exists(shards / "index.txt"))
    throw DatasetError(folder + ": its packing is not finished; give the same `moproc data pack` command again");
  const std::shared_ptr<const Files> files = Files::open(folder);
  Recognised r{folder, Layout::webvision, parts_of(folder, "train", *files), parts_of(folder, "val", *files), files};
  const std::string table = r.train.table.empty() ? r.val.table : r.train.table;
  if (fs::is_directory(folder + "/info")) {
    if (!table.empty())
      throw DatasetError(folder + ": has lists of WebVision in info/, and also " + fs::path(table).filename().string() +
                         "; remove the one that is not meant");
    return r;
  }
  require_one_layout(folder, r.train, r.val);
  if (!table.empty()) r.layout = Layout::lists;
  else if (r.train.holds_folders || (r.val.holds_folders && !r.train.holds_images_alone))
    r.layout = Layout::split_folders;
  else if (kind_of_folder(folder, "", *files) == FolderKind::folders) r.layout = Layout::class_folders;
  else
    throw DatasetError(folder +
                       ": is not a data folder: there is neither info/ (WebVision), nor train.csv or train.jsonl, nor "
                       "train/ with a folder per class, nor a folder per class");
  return r;
}

/// The name in lower case, for names of ASCII letters.
std::string lower(std::string name) {
  for (char& c : name)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return name;
}

/// Throws DatasetError if all class folders have names of splits. (Among others, a class may be called train.)
void require_classes(const std::string& folder, const ClassTable& classes) {
  std::vector<std::string> splits;
  for (std::size_t i = 0; i < classes.size(); ++i)
    for (const char* const split : {"train", "training", "val", "valid", "validation", "test", "testing"})
      if (lower(classes.name(i)) == split) splits.push_back(classes.name(i));
  if (!splits.empty() && splits.size() == classes.size())
    throw DatasetError(folder + ": its folders would be classes, but are called " + some(splits) +
                       "; training images belong in train/, validation images in val/, in a folder per class");
}

/// What is missing if a data folder has no images of a split.
[[noreturn]] void no_split(const Recognised& r, Split split) {
  const std::string name = split == Split::train ? "train" : "val";
  throw DatasetError(
      r.folder + ": has no " + (split == Split::train ? "training" : "validation") + " images: there is no " +
      (r.layout == Layout::lists ? name + ".csv or " + name + ".jsonl" : name + "/") +
      (split == Split::val && r.layout == Layout::class_folders ? "; the folder holds one folder per class" : ""));
}

/// Validation folders of other programs, which are not read.
void note_other_names(const Recognised& r, Dataset& set) {
  for (const char* const name : {"valid", "validation", "test"})
    if (!r.val.holds_folders && kind_of_folder(r.folder, name, *r.files) == FolderKind::folders)
      set.note(r.folder + "/" + name + " is not read: validation images belong in " + r.folder + "/val");
}

Dataset read_split_folder(const Recognised& r, const std::string& name, const ListOptions& options) {
  Dataset out(r.folder, options.num_class);
  const Dataset part = read_image_folder(r.folder + "/" + name, options);
  for (std::size_t i = 0; i < part.size(); ++i) out.add(name + "/" + std::string(part.name(i)), part.label(i));
  out.set_classes(part.classes());
  for (const std::string& note : part.notes()) out.note(note);
  return out;
}

}  // namespace

Layout layout_of(const std::string& folder) { return recognise(folder).layout; }

bool has_split(const std::string& folder, Split split) {
  const Recognised r = recognise(folder);
  const bool train = split == Split::train;
  const Parts& own = train ? r.train : r.val;
  switch (r.layout) {
    case Layout::webvision:
      for (const char* const list :
           {"train_filelist_google.txt", "train_filelist_flickr.txt", "train_filelist_all.txt"})
        if (train && fs::exists(r.folder + "/info/" + list)) return true;
      return !train && fs::exists(r.folder + "/info/val_filelist.txt");
    case Layout::lists: return !own.table.empty();
    case Layout::split_folders: return own.holds_folders;
    case Layout::class_folders: break;
  }
  return train;
}

Dataset read_folder(const std::string& folder, Split split, const ListOptions& options) {
  const Recognised r = recognise(folder);
  if (r.layout == Layout::webvision) return read_webvision(r.folder, split, options);
  if (!options.google || !options.flickr)
    throw DatasetError(r.folder + ": only a WebVision folder (with info/) lists images by source");
  const Parts& own = split == Split::train ? r.train : r.val;
  if (r.layout == Layout::class_folders && split == Split::train) {
    Dataset set = read_image_folder(r.folder, options);
    if (options.classes.empty()) require_classes(r.folder, set.classes());
    return set;
  }
  if (r.layout == Layout::lists && !own.table.empty()) return read_table(own.table, r.folder, options);
  if (r.layout != Layout::split_folders || !own.holds_folders) no_split(r, split);
  Dataset set = read_split_folder(r, split == Split::train ? "train" : "val", options);
  if (split == Split::train) note_other_names(r, set);
  return set;
}

ClassTable read_classes(const std::string& folder, const ListOptions& options) {
  const Recognised r = recognise(folder);
  switch (r.layout) {
    case Layout::webvision: return synset_names(r.folder).first(static_cast<std::size_t>(options.num_class));
    case Layout::lists: return read_names(r.folder + "/classes.txt");
    case Layout::split_folders: return classes_of_folders(r.folder + (r.train.holds_folders ? "/train" : "/val"));
    case Layout::class_folders: break;
  }
  ClassTable classes = classes_of_folders(r.folder);
  require_classes(r.folder, classes);
  return classes;
}

void require_known_classes(const std::string& folder) {
  const Recognised r = recognise(folder);
  if (r.layout != Layout::split_folders || !r.val.holds_folders || !r.train.holds_folders) return;
  const ClassTable train = classes_of_folders(r.folder + "/train"), val = classes_of_folders(r.folder + "/val");
  for (std::size_t i = 0; i < val.size(); ++i) known_class(train, r.folder + "/val", val.name(i));
}

bool has_class_folders(const std::string& folder) {
  const Recognised r = recognise(folder);
  return !r.files->packed() && (r.layout == Layout::class_folders || r.layout == Layout::split_folders);
}

std::size_t count_images(const std::string& folder, Split split, std::size_t most) {
  if (!has_split(folder, split)) return 0;
  const Recognised r = recognise(folder);
  if (r.layout == Layout::class_folders) return images_up_to(r.folder, most);
  return images_up_to(r.folder + (split == Split::train ? "/train" : "/val"), most);
}

int count_classes(const std::string& folder, const ListOptions& given) {
  ListOptions options = given;
  options.num_class = kAnyClasses;
  const Recognised r = recognise(folder);
  if (const ClassTable names = read_classes(folder, options); !names.empty()) return static_cast<int>(names.size());
  if (!given.classes.empty()) return static_cast<int>(given.classes.size());
  bool train = !r.train.table.empty();
  if (r.layout == Layout::webvision) {
    train = has_split(folder, Split::train);
    const bool all = fs::exists(r.folder + "/info/train_filelist_all.txt");
    options.google = all || fs::exists(r.folder + "/info/train_filelist_google.txt");
    options.flickr = all || fs::exists(r.folder + "/info/train_filelist_flickr.txt");
  }
  const Dataset list = read_folder(folder, train ? Split::train : Split::val, options);
  return *std::ranges::max_element(list.labels()) + 1;
}

std::pair<Dataset, Dataset> hold_out(const Dataset& all, double share, std::uint64_t seed) {
  if (!(share > 0 && share < 1)) throw std::invalid_argument("a share to hold out must be above 0 and below 1");
  struct Drawn {
    std::uint64_t rank;
    std::uint32_t image;
    auto operator<=>(const Drawn&) const = default;
  };
  std::vector<std::vector<Drawn>> classes(static_cast<std::size_t>(all.num_classes()));
  for (std::uint32_t i = 0; i < all.size(); ++i) {
    const std::uint64_t name = fnv1a(all.name(i));
    Stream draw(seed, Purpose::validation_split, static_cast<std::uint32_t>(name >> 32),
                static_cast<std::uint32_t>(name));
    const std::uint64_t high = draw.bits();
    classes[static_cast<std::size_t>(all.label(i))].push_back({high << 32 | draw.bits(), i});
  }
  std::vector<char> is_held(all.size());
  for (auto& images : classes) {
    if (images.size() < 2) continue;
    const auto n = static_cast<std::int64_t>(images.size());
    const auto count = std::clamp<std::int64_t>(std::llround(share * static_cast<double>(n)), 1, n - 1);
    std::sort(images.begin(), images.end());
    for (std::int64_t k = 0; k < count; ++k) is_held[images[static_cast<std::size_t>(k)].image] = 1;
  }
  std::vector<std::uint32_t> kept, held;
  for (std::uint32_t i = 0; i < all.size(); ++i) (is_held[i] ? held : kept).push_back(i);
  if (held.empty())
    throw DatasetError(all.folder() + ": no class has two images, so none can be held out for validation");
  return {part_of(all, kept), part_of(all, held)};
}

}  // namespace moproc::data
