#include "transfer_sets.h"

#include <filesystem>
#include <unordered_map>

#include "list_file.h"

namespace moproc::data {

VocSet read_voc2007(const std::string& folder, const std::string& set) {
  if (std::filesystem::is_directory(folder + "/VOC2007"))
    throw DatasetError(folder + ": is the VOCdevkit itself; name the folder that contains it");
  const std::string lists = folder + "/VOCdevkit/VOC2007/ImageSets/Main";
  need_directory(
      lists, "a VOC folder holds the devkit as it is unpacked (VOCtrainval_06-Nov-2007.tar, VOCtest_06-Nov-2007.tar)");
  VocSet out{Dataset(folder, static_cast<int>(kVocClasses.size())), {}};
  std::unordered_map<std::string, std::size_t> place;
  for (std::size_t c = 0; c < kVocClasses.size(); ++c) {
    const std::string file = lists + "/" + std::string(kVocClasses[c]) + "_" + set + ".txt";
    std::size_t read = 0;
    read_list(file, [&](std::string_view name, std::int64_t presence) {
      if (presence < -1 || presence > 1) throw "presence " + std::to_string(presence) + " is not -1, 0 or 1";
      const std::string key(name);
      if (c == 0) {
        if (!place.emplace(key, out.images.size()).second) throw quoted(name) + " is named twice";
        out.images.add("VOCdevkit/VOC2007/JPEGImages/" + key + ".jpg", 0);
        out.presence.resize(out.images.size() * kVocClasses.size(), -2);
      }
      const auto found = place.find(key);
      if (found == place.end()) throw quoted(name) + " is not in the list of " + std::string(kVocClasses[0]);
      std::int8_t& at = out.presence[found->second * kVocClasses.size() + c];
      if (at != -2) throw quoted(name) + " is named twice";
      at = static_cast<std::int8_t>(presence);
      ++read;
    });
    if (read != out.images.size())
      throw DatasetError(file + ": names " + std::to_string(read) + " images, but the list of " +
                         std::string(kVocClasses[0]) + " names " + std::to_string(out.images.size()));
  }
  if (out.images.size() == 0) throw DatasetError(lists + ": the lists of " + set + " are empty");
  return out;
}

Dataset read_places205(const std::string& folder, const std::string& set, int first_label) {
  const std::string file = folder + "/trainvalsplit_places205/" + set + "_places205.csv";
  need_directory(folder + "/trainvalsplit_places205", "a Places205 folder holds its lists there");
  Dataset out(folder, kPlacesClasses);
  bool first = false;
  read_list(file, [&](std::string_view path, std::int64_t label) {
    const std::int64_t c = label - first_label;
    if (c < 0 || c >= kPlacesClasses)
      throw "label " + std::to_string(label) + " is out of range " + std::to_string(first_label) + ".." +
          std::to_string(first_label + kPlacesClasses - 1) +
          (label == kPlacesClasses ? "; if the first class is 1, use --first-label 1" : "");
    first = first || c == 0;
    out.add("data/vision/torralba/deeplearning/images256/" + std::string(path), c);
  });
  if (out.size() == 0) throw DatasetError(file + ": names no image");
  if (!first && first_label == 0) out.note(file + ": no label is 0; if the first class is 1, use --first-label 1");
  return out;
}

}  // namespace moproc::data
