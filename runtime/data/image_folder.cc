// Names are sorted by bytes, which is Python's order for ASCII strings.
#include "image_folder.h"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <vector>

#include "class_spelling.h"
#include "dataset.h"
#include "list_file.h"
#include "picture_kind.h"

namespace fs = std::filesystem;

namespace moproc::data {
namespace {

constexpr int kDeepest = 32;  // folders in folders; more is a link to a folder above it

/// The classes of a folder, with the paths of each class's images (also in subfolders), relative to the folder.
using Classes = std::map<std::string, std::vector<std::string>>;

/// "3 hidden files or folders are not used (.DS_Store, ...)"
struct Hidden {
  std::size_t count = 0;
  std::string first;
  void add(const std::string& name) {
    if (count++ == 0) first = name;
  }
};

/// Calls `found` for each entry that is not hidden, in no order. Throws DatasetError if the folder cannot be read.
template <class Found>
void each_entry(const fs::path& folder, Hidden& hidden, const Found& found) {
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    const std::string name = at->path().filename().string();
    if (is_hidden(name)) hidden.add(name);
    else found(*at, name);
  }
  if (error) throw DatasetError(folder.string() + ": cannot be read: " + error.message());
}

/// Appends the images in `folder` and below; `below` is its path relative to the folder of classes.
void walk(const fs::path& folder, const std::string& below, int depth, Hidden& hidden,
          std::vector<std::string>& files) {
  if (depth > kDeepest)
    throw DatasetError(folder.string() + ": is more than " + std::to_string(kDeepest) +
                       " folders deep; is there a link to a folder above it?");
  each_entry(folder, hidden, [&](const fs::directory_entry& entry, const std::string& name) {
    std::error_code error;
    if (entry.is_directory(error)) walk(entry.path(), below + "/" + name, depth + 1, hidden, files);
    // A link to nowhere is listed, so that the reader of images reports it as missing.
    else if (is_image_name(name) && (entry.is_regular_file(error) || entry.is_symlink(error)))
      files.push_back(below + "/" + name);
  });
}

/// The classes, without images. `beside`: the number of images that lie beside the folders.
Classes folders_in(const std::string& folder, Hidden& hidden, std::size_t& beside) {
  need_directory(folder, "it should contain one folder per class");
  Classes classes;
  each_entry(folder, hidden, [&](const fs::directory_entry& entry, const std::string& name) {
    std::error_code error;
    if (entry.is_directory(error)) classes[name];
    else if (is_image_name(name)) ++beside;
  });
  return classes;
}

/// The classes of packed images, with those that the packed folder names.
Classes packed(const std::string& folder, const Files& shards) {
  Classes classes;
  for (const std::string_view name : shards.names())
    if (const std::size_t slash = name.find('/'); slash != std::string_view::npos && is_image_name(name))
      classes[std::string(name.substr(0, slash))].emplace_back(name);
  for (const std::string& root : {folder, fs::path(folder).parent_path().string()}) {
    const ClassTable named = read_names((fs::path(root) / kPackedClasses).string());
    for (std::size_t i = 0; i < named.size(); ++i) classes[named.name(i)];
  }
  return classes;
}

std::vector<std::string> names_of(const Classes& classes) {
  std::vector<std::string> names;
  for (const auto& c : classes) names.push_back(c.first);
  return names;
}

/// A folder, whatever links lead to it.
struct FolderId {
  dev_t device;
  ino_t inode;
  bool operator==(const FolderId&) const = default;
};

/// Adds the images in `folder` and below to `count`, up to `most`, except those that lie beside the classes. `above`:
/// the folders around it. Classes are looked at even if there are many images.
void count_below(const fs::path& folder, std::size_t most, std::vector<FolderId>& above, std::size_t& count,
                 std::error_code& error) {
  const bool of_classes = above.empty();
  struct stat info{};
  if (stat(folder.c_str(), &info) != 0) return;  // a link to nowhere
  const FolderId own{info.st_dev, info.st_ino};
  if (std::ranges::find(above, own) != above.end())
    throw DatasetError(folder.string() + ": is a link to a folder above it; remove it");
  if (above.size() > kDeepest || count >= most) return;
  above.push_back(own);
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    const std::string name = at->path().filename().string();
    if (is_hidden(name)) continue;
    std::error_code unknown;
    if (at->is_directory(unknown)) count_below(at->path(), most, above, count, error);
    else if (!of_classes && is_image_name(name)) ++count;
    if (count >= most && !of_classes) break;
  }
  above.pop_back();
}

}  // namespace

bool is_hidden(std::string_view name) {
  return name.starts_with('.') || name == "__MACOSX" || name == "@eaDir" || name == "Thumbs.db" ||
         name == "desktop.ini";
}

FolderKind kind_of_folder(const std::string& folder, const std::string& name, const Files& files) {
  const auto kind = [](bool folders, bool images) {
    return folders ? FolderKind::folders : images ? FolderKind::images : FolderKind::neither;
  };
  bool folders = false, images = false;
  if (files.packed()) {
    const std::string prefix = name.empty() ? "" : name + "/";
    const auto names = files.names();
    auto at = std::lower_bound(names.begin(), names.end(), prefix);
    if (at == names.end() || !at->starts_with(prefix)) return FolderKind::absent;
    for (; !folders && at != names.end() && at->starts_with(prefix); ++at) {
      folders = at->find('/', prefix.size()) != std::string_view::npos;
      images = true;
    }
    return kind(folders, images);
  }
  const fs::path path = name.empty() ? fs::path(folder) : fs::path(folder) / name;
  std::error_code error;
  if (!fs::is_directory(path, error)) return FolderKind::absent;
  Hidden hidden;
  each_entry(path, hidden, [&](const fs::directory_entry& entry, const std::string& file) {
    std::error_code unknown;
    if (entry.is_directory(unknown)) folders = true;
    else images = images || is_image_name(file);
  });
  return kind(folders, images);
}

FolderImages images_below(const std::string& folder) {
  FolderImages found;
  Hidden hidden;
  walk(folder, "", 1, hidden, found.names);
  for (std::string& name : found.names) name.erase(0, 1);  // the slash
  std::sort(found.names.begin(), found.names.end());
  found.hidden = hidden.count;
  return found;
}

ClassTable classes_of_folders(const std::string& folder) {
  const std::shared_ptr<const Files> files = Files::open(folder);
  Hidden hidden;
  std::size_t beside = 0;
  const Classes classes = files->packed() ? packed(folder, *files) : folders_in(folder, hidden, beside);
  if (classes.empty()) throw DatasetError(folder + ": holds no folder; it should contain one per class");
  return ClassTable(names_of(classes));
}

std::int64_t known_class(const ClassTable& table, const std::string& folder, const std::string& name) {
  if (const auto label = table.find(name)) return *label;
  throw UnknownClass(folder + "/" + name + ": the run has no class of this name; it has " +
                     std::to_string(table.size()) + ", the first is " + table.name(0) + did_you_mean(table, name));
}

std::size_t images_up_to(const std::string& folder, std::size_t most) {
  std::size_t count = 0;
  std::vector<FolderId> above;
  std::error_code error;
  count_below(folder, most, above, count, error);
  return error ? most : count;
}

Dataset read_image_folder(const std::string& folder, const ListOptions& options) {
  Dataset out(folder, options.num_class);
  Hidden hidden;
  std::size_t beside = 0;
  Classes classes = out.files().packed() ? packed(folder, out.files()) : folders_in(folder, hidden, beside);
  if (classes.empty()) throw DatasetError(folder + ": holds no folder; it should contain one per class");
  const bool own = options.classes.empty();
  const ClassTable table = own ? ClassTable(names_of(classes)) : options.classes;
  if (table.size() > static_cast<std::size_t>(options.num_class))
    throw DatasetError(folder + ": has " + std::to_string(table.size()) + " classes, but the network has " +
                       std::to_string(options.num_class) + "; the last is " + table.name(table.size() - 1));
  std::vector<std::string> empty;
  std::vector<char> seen(table.size());
  for (auto& [name, files] : classes) {
    const std::int64_t label = known_class(table, folder, name);
    if (!out.files().packed()) walk(fs::path(folder) / name, name, 1, hidden, files);
    std::sort(files.begin(), files.end());
    seen[static_cast<std::size_t>(label)] = 1;
    if (files.empty()) empty.push_back(name);
    for (const std::string& f : files) out.add(f, label);
  }
  for (std::size_t i = 0; i < table.size(); ++i)
    if (!seen[i]) empty.push_back(table.name(i));
  if (out.size() == 0)
    throw DatasetError(folder + ": has no image in any of its folders, and neither info/ (WebVision) nor lists");
  if (!empty.empty())
    out.note(folder + ": " + std::to_string(empty.size()) + " of " + std::to_string(table.size()) +
             " classes have no image: " + some(empty));
  if (beside > 0) out.note(folder + ": " + std::to_string(beside) + " images lie in no class folder and are not used");
  if (hidden.count > 0)
    out.note(folder + ": hidden files and folders are not used: " + std::to_string(hidden.count) + ", such as " +
             hidden.first);
  out.set_classes(table);
  return out;
}

}  // namespace moproc::data
