// Looks up every image of the training list in truth.json.
#include "train/truth.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>
#include <unordered_map>

#include "core/error.h"
#include "core/json.h"
#include "data/list_file.h"
#include "train/meters.h"

namespace moproc::train {

namespace {

using Names = std::unordered_map<std::string, int64_t>;

/// The class of each image that the file names. Classes that are names are looked up in `run`.
Names classes_by_image(const std::string& path, const data::ClassTable& run, bool needs_names) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw InputError("--truth " + path + ": " + std::strerror(errno));
  std::ostringstream text;
  text << file.rdbuf();
  const Json json = parse_json(text.str(), path);
  const Json* const images = json.find("train");
  if (!images || !images->object()) throw InputError(path + ": has no object \"train\"");
  Names classes;
  for (const auto& [name, value] : *images->object()) {
    int64_t c = kNoClass;
    if (const std::string* const class_name = value.string()) {
      const auto found = run.find(*class_name);
      if (!found && run.empty() && !needs_names) continue;
      if (!found) throw InputError(path + ": image " + name + ": the run has no class " + data::quoted(*class_name));
      c = *found;
    } else if (!value.is_null() && (!value.integer(c) || c < 0)) {
      throw InputError(path + ": image " + name + ": neither a class nor null");
    }
    classes.emplace(name, c);
  }
  return classes;
}

}  // namespace

void check_truth(const std::string& path, const data::ClassTable& classes) { classes_by_image(path, classes, false); }

std::vector<int64_t> read_truth(const std::string& path, const data::Dataset& train) {
  const Names classes = classes_by_image(path, train.classes(), true);
  std::vector<int64_t> truth(train.size(), kUnknown);
  size_t known = 0;
  for (size_t i = 0; i < train.size(); ++i) {
    const auto found = classes.find(std::string(train.name(i)));
    if (found == classes.end()) continue;
    if (found->second >= train.num_classes())
      throw InputError(path + ": image " + std::string(train.name(i)) + ": its class " + std::to_string(found->second) +
                       " is not one of the run's, 0 to " + std::to_string(train.num_classes() - 1) +
                       "; an image of none of them has null");
    truth[i] = found->second;
    ++known;
  }
  if (known == 0) throw InputError(path + ": names no image of the training list");
  return truth;
}

}  // namespace moproc::train
