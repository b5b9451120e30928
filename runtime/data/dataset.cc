// Makes datasets from lists. Errors name the file and the line.
#include "dataset.h"

#include <algorithm>
#include <filesystem>
#include <functional>

#include "list_file.h"

namespace fs = std::filesystem;

namespace moproc::data {

void Dataset::add(std::string_view name, std::int64_t label) {
  names_ += name;
  ends_.push_back(names_.size());
  labels_.push_back(static_cast<std::int32_t>(label));
}

Dataset Dataset::empty() const {
  Dataset out(folder_, num_classes_, files_);
  out.classes_ = classes_;
  return out;
}

std::uint64_t Dataset::digest() const {
  std::uint64_t hash = 0xcbf29ce484222325ull;
  const auto mix = [&hash](unsigned char byte) { hash = (hash ^ byte) * 0x100000001b3ull; };
  for (std::size_t i = 0; i < size(); ++i) {
    for (const char c : name(i)) mix(static_cast<unsigned char>(c));
    mix(0);
    for (int shift = 0; shift < 32; shift += 8) mix(static_cast<unsigned char>(labels_[i] >> shift));
  }
  return hash;
}

ClassTable synset_names(const std::string& folder) {
  const std::string file = folder + "/info/synsets.txt";
  if (!fs::exists(file)) return {};
  const ClassTable names = read_names(file, true);
  if (names.empty()) throw DatasetError(file + ": names no class");
  return names;
}

namespace {

/// Reads WebVision's lists: what a label of them means, and which images are left out.
class WebVisionLists {
 public:
  WebVisionLists(const std::string& folder, const ListOptions& options, Dataset& out)
      : options_(options), names_(synset_names(folder)), out_(out) {
    known_ = names_.empty() ? std::max(1000, options.num_class) : static_cast<int>(names_.size());
    if (!options.classes.empty() && names_.empty())
      throw DatasetError(folder +
                         "/info/synsets.txt: is missing, so the labels cannot be compared with the run's classes");
    out.set_classes(options.classes.empty() ? names_.first(static_cast<std::size_t>(options.num_class))
                                            : options.classes);
  }

  void append(const std::string& file, std::string_view prefix,
              const std::function<bool(std::string_view path)>& wanted = {}) {
    std::string name;
    read_list(file, [&](std::string_view path, std::int64_t label) {
      if (label < 0 || label >= known_) throw out_of_range(label, known_);
      if (wanted && !wanted(path)) return;
      const std::int64_t c = mapped(label);
      if (c < 0) ++left_out_;
      else out_.add(name.assign(prefix).append(path), c);
    });
  }

  /// Says how many images were left out.
  void finish() {
    if (left_out_ > 0)
      out_.note(std::to_string(left_out_) + " images of other classes than the first " +
                std::to_string(options_.num_class) + " are left out (--num-class)");
  }

 private:
  /// The run's class for a label of the lists; -1: left out.
  std::int64_t mapped(std::int64_t label) const {
    if (options_.classes.empty()) return label < options_.num_class ? label : -1;
    const std::string& name = names_.name(static_cast<std::size_t>(label));
    if (const auto found = options_.classes.find(name)) return *found;
    if (label >= options_.num_class) return -1;
    throw "label " + std::to_string(label) + " is class " + data::quoted(name) + ", which the run does not have";
  }

  const ListOptions& options_;
  const ClassTable names_;
  Dataset& out_;
  int known_ = 0;
  std::int64_t left_out_ = 0;
};

/// The subfolder that holds the images of the validation list.
std::string validation_folder(const Dataset& set) {
  static constexpr const char* known[] = {"val_images_256", "val_images_resized", "val_images"};
  for (const char* name : known) {
    const std::string prefix = std::string(name) + "/";
    const auto names = set.files().names();
    const auto at = std::lower_bound(names.begin(), names.end(), prefix);
    if (set.files().packed() ? at != names.end() && at->starts_with(prefix)
                             : fs::is_directory(set.folder() + "/" + name))
      return prefix;
  }
  throw DatasetError(set.folder() +
                     "/val_images_256: no such folder; the images of info/val_filelist.txt belong there");
}

void append_training(const std::string& info, const ListOptions& o, WebVisionLists& lists) {
  const std::string google = info + "/train_filelist_google.txt", all = info + "/train_filelist_all.txt";
  if (fs::exists(all) && !fs::exists(google))
    return lists.append(all, "", [&](std::string_view path) {
      return path.starts_with("google/") ? o.google : path.starts_with("flickr/") ? o.flickr : o.google && o.flickr;
    });
  if (o.google) lists.append(google, "");
  if (o.flickr) lists.append(info + "/train_filelist_flickr.txt", "");
}

}  // namespace

std::string classes_missing(const Dataset& learned, const Dataset& shown) {
  std::vector<char> known(static_cast<std::size_t>(std::max(learned.num_classes(), shown.num_classes())));
  for (const std::int32_t c : learned.labels()) known[static_cast<std::size_t>(c)] = 1;
  std::vector<std::size_t> missing;
  for (const std::int32_t label : shown.labels()) {
    const auto c = static_cast<std::size_t>(label);
    if (!known[c]) missing.push_back(c);
    known[c] = 1;
  }
  if (missing.empty()) return "";
  std::sort(missing.begin(), missing.end());
  std::vector<std::string> names;
  for (const std::size_t c : missing)
    names.push_back(c < learned.classes().size() ? learned.classes().name(c) : std::to_string(c));
  return std::to_string(missing.size()) + " of " + std::to_string(learned.num_classes()) + " classes (" + some(names) +
         ")";
}

Dataset read_webvision(const std::string& given, Split split, const ListOptions& options) {
  const std::string folder = without_slash(given), info = folder + "/info";
  need_directory(folder, "the data folder must exist");
  need_directory(info, "a WebVision data folder holds its lists there");
  if (options.num_class < 1) throw DatasetError("the number of classes must be at least 1");
  Dataset out(folder, options.num_class);
  WebVisionLists lists(folder, options, out);
  if (split == Split::val) lists.append(info + "/val_filelist.txt", validation_folder(out));
  else append_training(info, options, lists);
  lists.finish();
  if (out.size() == 0) {
    throw DatasetError(info + ": the " + std::string(split == Split::val ? "validation" : "training") +
                       " list has no image with a label below " + std::to_string(options.num_class));
  }
  return out;
}

}  // namespace moproc::data
