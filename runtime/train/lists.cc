// Reads the training and validation images of a WebVision folder, with their weights and true classes.
#include "train/lists.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <unordered_map>

#include "core/error.h"
#include "core/meta.h"
#include "data/data_folder.h"
#include "data/list_file.h"
#include "train/truth.h"

namespace moproc::train {
namespace {

/// The weights in a file of lines PATH WEIGHT. Throws InputError with file and line.
std::unordered_map<std::string, float> weights_by_name(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw InputError("--sample-weights " + path + ": " + std::strerror(errno));
  std::unordered_map<std::string, float> by_name;
  std::string line;
  for (size_t number = 1; std::getline(file, line); ++number) {
    if (number == 1 && line.starts_with(data::kByteOrderMark)) line.erase(0, data::kByteOrderMark.size());
    if (line.ends_with('\r')) line.pop_back();
    if (line.empty()) continue;
    const size_t space = line.find_last_of(" \t");
    float weight = 0;
    const char* const from = line.data() + (space == std::string::npos ? line.size() : space + 1);
    const auto [end, error] = std::from_chars(from, line.data() + line.size(), weight);
    if (error != std::errc() || end != line.data() + line.size() || !(weight >= 0 && std::isfinite(weight)))
      throw InputError(path + ":" + std::to_string(number) + ": expected 'PATH WEIGHT' with a weight of 0 or more");
    by_name[line.substr(0, space)] = weight;
  }
  return by_name;
}

}  // namespace

void check_weights(const std::string& path) { weights_by_name(path); }

std::vector<float> read_weights(const std::string& path, const data::Dataset& train) {
  const auto by_name = weights_by_name(path);
  std::vector<float> weights;
  for (size_t i = 0; i < train.size(); ++i) {
    const auto found = by_name.find(std::string(train.name(i)));
    if (found == by_name.end()) throw InputError(path + ": has no weight for " + std::string(train.name(i)));
    weights.push_back(found->second);
  }
  return weights;
}

data::ListOptions list_options(const Plan& plan, const RunSettings& settings) {
  return {.num_class = static_cast<int>(meta_number(plan, "num_class")),
          .first_label = settings.first_label,
          .classes = settings.classes};
}

void complete(HoldOut& own, const HoldOut& of_checkpoint, const std::string& folder) {
  own.seed = of_checkpoint.seed;
  if (!own.share && of_checkpoint.holds() && !data::has_validation(folder)) own.share = of_checkpoint.share;
}

std::string name_of_data(const std::string& folder) {
  std::error_code error;
  const std::filesystem::path path = std::filesystem::weakly_canonical(folder, error);
  const std::string name = (path.has_filename() ? path : path.parent_path()).filename().string();
  return name.empty() ? folder : name;
}

Validation validation_of(const std::string& folder, data::Dataset images) {
  const std::string name = name_of_data(folder);
  const bool webvision = data::layout_of(folder) == data::Layout::webvision;
  return {"WebVision", std::move(images), webvision ? "WebVision" : name, name};
}

void require_no_validation(const std::string& folder, const HoldOut& h) {
  if (h.holds() && data::has_validation(folder))
    throw InputError("--val-split " + format("%g", *h.share) + ": " + folder +
                     " has validation images of its own; --val-split 0 evaluates those");
}

DataSets read_sets(const std::string& folder, const HoldOut& h, data::ListOptions& options, bool wants_train) {
  DataSets sets;
  const bool own = data::has_validation(folder);
  require_no_validation(folder, h);
  if (wants_train || (!own && h.holds())) {
    sets.train.emplace(data::read_folder(folder, data::Split::train, options));
    options.classes = sets.train->classes();
  } else if (options.classes.empty()) {
    options.classes = data::read_classes(folder, options);
  }
  if (own) {
    sets.val.emplace(data::read_folder(folder, data::Split::val, options));
  } else if (h.holds()) {
    const uint64_t seed = h.seed.value_or(0);
    auto [kept, held] = data::hold_out(*sets.train, *h.share, seed);
    sets.note = format("%zu of the %zu images of %s are held out for validation, drawn by seed %llu", held.size(),
                       sets.train->size(), folder.c_str(), static_cast<unsigned long long>(seed));
    for (const std::string& text : sets.train->notes()) kept.note(text);
    sets.train.emplace(std::move(kept));
    sets.val.emplace(std::move(held));
    sets.held_out = true;
  } else {
    sets.note = folder + " has no validation images, so nothing is evaluated; --val-split 0.1 holds out a tenth";
  }
  return sets;
}

Lists read_webvision_lists(const Plan& plan, const RunSettings& settings, const WebVisionLists& which,
                           Console& console) {
  data::ListOptions o = list_options(plan, settings);
  o.google = which.google;
  o.flickr = which.flickr;
  DataSets sets = read_sets(settings.data, settings.hold_out, o, !settings.evaluate);
  if (!sets.note.empty()) console.line("note: " + sets.note);
  Lists lists;
  lists.classes = o.classes;
  lists.name = name_of_data(settings.data);
  lists.held_out = sets.held_out;
  if (sets.val) lists.val.push_back(validation_of(settings.data, std::move(*sets.val)));
  if (settings.evaluate) return lists;
  lists.train = std::move(sets.train);
  if (!which.sample_weights.empty()) lists.weights = read_weights(which.sample_weights, *lists.train);
  if (!which.truth.empty()) {
    lists.truth = read_truth(which.truth, *lists.train);
    const std::span<const int32_t> given = lists.train->labels();
    if (std::count(given.begin(), given.end(), 0) > 0 &&
        std::count(lists.truth.begin(), lists.truth.end(), int64_t{0}) == 0)
      lists.train->note(which.truth +
                        ": no image has class 0, although some are labelled so; its classes count from 0");
  }
  return lists;
}

}  // namespace moproc::train
