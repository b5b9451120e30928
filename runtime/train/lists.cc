// A folder of WebVision's, an annotation beside it, or ImageNet's folders.
#include "train/lists.h"

#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <unordered_map>

#include "core/error.h"
#include "data/sampler.h"
#include "data/subset.h"
#include "formats/output_file.h"
#include "formats/sha256.h"
#include "train/annotation.h"
#include "train/flags.h"
#include "train/targets.h"
#include "train/truth.h"

namespace moproc::train {
namespace {

/// How much each image counts: lines PATH WEIGHT, one for every image of the list.
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

/// What ranks of the published code do: rank g draws a subset of its own, and of it visits every `groups`th place of an order
/// that all share.
void released_subsets(Lists& lists, const data::Dataset& all, double share, uint64_t seed, uint32_t groups, uint64_t batch) {
  lists.train.emplace(all.folder(), all.num_classes());
  uint64_t n = 0;
  for (uint32_t g = 0; g < groups; ++g) {
    const std::vector<uint32_t> own = data::draw_subset(all, share, seed, g);
    n = own.size();
    for (const uint32_t i : own) lists.train->add(all.name(i), all.label(i));
  }
  const uint64_t part = batch / groups;
  lists.visits = n / batch * batch;
  lists.order = [n, part, groups, visits = lists.visits](uint64_t own_seed, uint32_t epoch) {
    const std::vector<uint32_t> shared = data::epoch_order(own_seed, epoch, n);
    std::vector<uint32_t> order;
    for (uint64_t at = 0; at < visits; ++at) {
      const uint64_t step = at / (part * groups), g = at / part % groups, i = step * part + at % part;
      order.push_back(static_cast<uint32_t>(g * n + shared[i * groups + g]));
    }
    return order;
  };
}

/// ImageNet's folders, and which of the training images are used.
Lists finetuning(const Plan& plan, const Options& o, uint64_t seed, Console& console) {
  Lists lists;
  const int num_class = static_cast<int>(meta_number(plan, "num_class"));
  lists.val.push_back({"", data::read_image_folder(o.data + "/val", num_class)});
  if (o.evaluate) return lists;
  const data::Dataset all = data::read_image_folder(o.data + "/train", num_class);
  const auto groups = static_cast<uint32_t>(meta_number(plan, "groups"));
  if (o.compat_released && o.list.empty()) {
    released_subsets(lists, all, o.low_resource, seed, groups, static_cast<uint64_t>(meta_number(plan, "batch")));
    console.line(format("note: --compat released: each of %u groups draws %zu of %zu training images of its own", groups,
                        lists.train->size() / groups, all.size()));
  } else {
    lists.train.emplace(data::part_of(all, o.list.empty() ? data::draw_subset(all, o.low_resource, seed)
                                                          : data::read_subset(all, o.list)));
  }
  console.line(format("%zu of %zu training images, digest of the list %016llx", lists.train->size(), all.size(),
                      static_cast<unsigned long long>(lists.train->digest())));
  return lists;
}

/// The annotation in balanced order; WebVision's validation images, and ImageNet's.
Lists retraining(const Options& o, const data::WebVisionOptions& w) {
  Lists lists;
  if (!o.evaluate) {
    lists.train.emplace(read_annotation(o.annotation, o.data, w.num_class));
    lists.visits = lists.train->size();
    const auto labels = lists.train->labels();
    lists.order = [own = std::vector<int32_t>(labels.begin(), labels.end())](uint64_t seed, uint32_t epoch) {
      return data::balanced_order(seed, epoch, own);
    };
  }
  lists.val.push_back({"WebVision", data::read_folder(o.data, data::Split::val, w)});
  if (!o.imagenet.empty()) lists.val.push_back({"ImageNet", data::read_image_folder(o.imagenet + "/val", w.num_class)});
  return lists;
}

}  // namespace

void write_subset(const std::string& folder, const data::Dataset& part) {
  std::string text;
  for (size_t i = 0; i < part.size(); ++i) text += std::string(part.name(i)) + "\n";
  require_subset(folder);
  const std::string path = folder + "/subset.txt";
  formats::Sha256 sha;
  sha.add(std::as_bytes(std::span(text)));
  std::filesystem::remove(path);  // the digest, which shows that the list is ours, comes first and will be that of the new one
  formats::write_atomically(folder + "/subset.sha256", formats::checked_mark(),
                            [&](formats::OutputFile& out) { out.write(sha.hex() + "  subset.txt\n"); });
  formats::write_atomically(path, formats::checked_mark(), [&](formats::OutputFile& out) { out.write(text); });
}

Lists read_lists(const Plan& plan, const Options& o, uint64_t seed, Console& console) {
  if (o.synthetic) return {};
  if (o.verb == Verb::finetune) return finetuning(plan, o, seed, console);
  data::WebVisionOptions w;
  w.num_class = static_cast<int>(meta_number(plan, "num_class"));
  w.google = o.google;
  w.flickr = o.flickr;
  if (o.verb == Verb::retrain) return retraining(o, w);
  Lists lists;
  if (!o.evaluate) lists.train.emplace(data::read_folder(o.data, data::Split::train, w));
  lists.val.push_back({"WebVision", data::read_folder(o.data, data::Split::val, w)});
  if (!o.sample_weights.empty() && lists.train) lists.weights = read_weights(o.sample_weights, *lists.train);
  if (!o.truth.empty() && lists.train) lists.truth = read_truth(o.truth, *lists.train);
  return lists;
}

}  // namespace moproc::train
