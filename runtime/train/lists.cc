// Reads the training and validation images of a WebVision folder, with their weights and true classes.
#include "train/lists.h"

#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <unordered_map>

#include "core/error.h"
#include "core/meta.h"
#include "train/truth.h"

namespace moproc::train {
namespace {

/// Reads the weights of the training images: lines PATH WEIGHT, one for every image of the list.
std::vector<float> read_weights(const std::string& path, const data::Dataset& train) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw InputError("--sample-weights " + path + ": " + std::strerror(errno));
  std::unordered_map<std::string, float> by_name;
  std::string line;
  for (size_t number = 1; std::getline(file, line); ++number) {
    if (line.empty()) continue;
    const size_t space = line.find_last_of(" \t");
    float weight = 0;
    const char* const from = line.data() + (space == std::string::npos ? line.size() : space + 1);
    const auto [end, error] = std::from_chars(from, line.data() + line.size(), weight);
    if (error != std::errc() || end != line.data() + line.size() || !(weight >= 0 && std::isfinite(weight)))
      throw InputError(path + ":" + std::to_string(number) + ": expected 'PATH WEIGHT' with a weight of 0 or more");
    by_name[line.substr(0, space)] = weight;
  }
  std::vector<float> weights;
  for (size_t i = 0; i < train.size(); ++i) {
    const auto found = by_name.find(std::string(train.name(i)));
    if (found == by_name.end()) throw InputError(path + ": has no weight for " + std::string(train.name(i)));
    weights.push_back(found->second);
  }
  return weights;
}

}  // namespace

data::ListOptions list_options(const Plan& plan, const RunSettings& settings) {
  return {.num_class = static_cast<int>(meta_number(plan, "num_class")),
          .first_label = settings.first_label,
          .classes = settings.classes};
}

data::ClassTable settle_classes(data::ListOptions& options, const RunSettings& settings,
                                const std::optional<data::Dataset>& train) {
  if (train) options.classes = train->classes();
  else if (options.classes.empty()) options.classes = data::read_classes(settings.data, options);
  return options.classes;
}

Lists read_webvision_lists(const Plan& plan, const RunSettings& settings, const WebVisionLists& which) {
  data::ListOptions o = list_options(plan, settings);
  o.google = which.google;
  o.flickr = which.flickr;
  Lists lists;
  if (!settings.evaluate) lists.train.emplace(data::read_folder(settings.data, data::Split::train, o));
  lists.classes = settle_classes(o, settings, lists.train);
  lists.val.push_back({"WebVision", data::read_folder(settings.data, data::Split::val, o)});
  if (!lists.train) return lists;
  if (!which.sample_weights.empty()) lists.weights = read_weights(which.sample_weights, *lists.train);
  if (!which.truth.empty()) lists.truth = read_truth(which.truth, *lists.train);
  return lists;
}

}  // namespace moproc::train
