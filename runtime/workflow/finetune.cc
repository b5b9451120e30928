// Chooses a part of ImageNet's training images, and writes the file that lists it.
#include "workflow/finetune.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <span>

#include "core/meta.h"
#include "data/sampler.h"
#include "data/subset.h"
#include "formats/output_file.h"
#include "formats/own_file.h"
#include "formats/sha256.h"
#include "train/targets.h"

namespace moproc::train {
namespace {

/// Throws InputError unless subset.txt is absent, empty, or has the digest in subset.sha256.
void require_subset(const std::string& folder) {
  const std::string path = folder + "/subset.txt", digest = folder + "/subset.sha256";
  std::ifstream in(digest, std::ios::binary);
  const std::string line{std::istreambuf_iterator<char>(in), {}};
  const std::string name = "  subset.txt\n";
  const bool ours = line.size() == 64 + name.size() && line.ends_with(name);
  if (!line.empty() && !ours) formats::refuse_target(digest, "exists, and is not a digest that moproc wrote");
  formats::require_file(digest, formats::checked_mark());
  require_named(path, ours ? line.substr(0, 64) : "", digest);
}

/// Writes subset.txt, one name per line as --list reads them, and its digest as sha256sum --check reads it. The digest
/// shows that the list is ours. So the old list is removed first, and the digest is written before the new list.
void write_subset(const std::string& folder, const data::Dataset& part) {
  std::string text;
  for (size_t i = 0; i < part.size(); ++i) text += std::string(part.name(i)) + "\n";
  require_subset(folder);
  const std::string path = folder + "/subset.txt";
  formats::Sha256 sha;
  sha.add(std::as_bytes(std::span(text)));
  std::filesystem::remove(path);
  formats::write_atomically(folder + "/subset.sha256", formats::checked_mark(),
                            [&](formats::OutputFile& out) { out.write(sha.hex() + "  subset.txt\n"); });
  formats::write_atomically(path, formats::checked_mark(), [&](formats::OutputFile& out) { out.write(text); });
}

/// Does what the ranks of the published code do. Rank g draws its own subset and goes through the order that all ranks
/// share, from place g in steps of `groups`.
void released_subsets(Lists& lists, const data::Dataset& all, double share, uint64_t seed, uint32_t groups,
                      uint64_t batch) {
  lists.train.emplace(all.empty());
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

/// Reads ImageNet's folders and chooses the training images.
Lists lists_of(const Plan& plan, const RunSettings& run, const FinetuneSettings& o, uint64_t seed, Console& console) {
  Lists lists;
  data::ListOptions options = list_options(plan, run);
  std::optional<data::Dataset> train;
  if (!run.evaluate) train.emplace(data::read_image_folder(run.data + "/train", options));
  lists.classes = settle_classes(options, run, train);
  lists.val.push_back({"", data::read_image_folder(run.data + "/val", options)});
  if (run.evaluate) return lists;
  const data::Dataset& all = *train;
  for (const std::string& note : all.notes()) console.line("warning: " + note);
  const auto groups = static_cast<uint32_t>(meta_number(plan, "groups"));
  if (o.compat_released && o.list.empty()) {
    released_subsets(lists, all, o.share, seed, groups, static_cast<uint64_t>(meta_number(plan, "batch")));
    console.line(format("note: --compat released: each of %u groups draws its own %zu of %zu training images", groups,
                        lists.train->size() / groups, all.size()));
  } else {
    lists.train.emplace(
        data::part_of(all, o.list.empty() ? data::draw_subset(all, o.share, seed) : data::read_subset(all, o.list)));
  }
  console.line(format("%zu of %zu training images, digest of the list %016llx", lists.train->size(), all.size(),
                      static_cast<unsigned long long>(lists.train->digest())));
  return lists;
}

}  // namespace

void require_finetune_targets(const RunSettings& run) {
  require_run_targets(run, "");
  if (!run.saving.exp_dir.empty() && !run.evaluate) require_subset(run.saving.exp_dir);
}

Job finetune_job(const FinetuneSettings& settings) {
  Job job;
  job.lists = [settings](const Plan& plan, const RunSettings& run, uint64_t seed, Console& console) {
    return lists_of(plan, run, settings, seed, console);
  };
  job.from_network = true;
  job.pretrained = settings.pretrained;
  job.keep_classifier = settings.keep_classifier;
  job.record_lists = [](const std::string& exp_dir, const Lists& lists) { write_subset(exp_dir, *lists.train); };
  job.keeps_best = true;
  return job;
}

}  // namespace moproc::train
