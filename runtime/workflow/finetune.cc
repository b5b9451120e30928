// Chooses a part of the training images, and writes the file that lists it.
#include "workflow/finetune.h"

#include "core/meta.h"
#include "data/sampler.h"
#include "data/subset.h"
#include "train/targets.h"
#include "train/written_list.h"

namespace moproc::train {
namespace {

constexpr const char* kSubsetList = "subset";

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

/// Reads the sets of the data folder and chooses the training images.
Lists lists_of(const Plan& plan, const RunSettings& run, const FinetuneSettings& o, uint64_t seed, Console& console) {
  data::ListOptions options = list_options(plan, run);
  DataSets sets = read_sets(run.data, run.hold_out, options, !run.evaluate);
  if (!sets.note.empty()) console.line("note: " + sets.note);
  Lists lists;
  lists.classes = options.classes;
  lists.name = name_of_data(run.data);
  lists.held_out = sets.held_out;
  if (sets.val) lists.val.push_back({"", std::move(*sets.val), "", lists.name});
  if (run.evaluate) return lists;
  const data::Dataset& all = *sets.train;
  for (const std::string& note : all.notes()) console.line("warning: " + note);
  const auto groups = static_cast<uint32_t>(meta_number(plan, "groups"));
  if (o.compat_released && o.list.empty()) {
    released_subsets(lists, all, o.share, seed, groups, static_cast<uint64_t>(meta_number(plan, "batch")));
    console.line(format("note: --compat released: each of %u groups draws its own %zu of %zu training images", groups,
                        lists.train->size() / groups, all.size()));
  } else {
    const data::Dataset* const held = sets.held_out ? &lists.val.front().list : nullptr;
    size_t left_out = 0;
    lists.train.emplace(data::part_of(
        all, o.list.empty() ? data::draw_subset(all, o.share, seed) : data::read_subset(all, o.list, held, &left_out)));
    if (left_out > 0)
      console.line(format("note: %zu images of %s are held out for validation, and are not trained on", left_out,
                          o.list.c_str()));
  }
  console.line(format("%zu of %zu training images, digest of the list %016llx", lists.train->size(), all.size(),
                      static_cast<unsigned long long>(lists.train->digest())));
  return lists;
}

}  // namespace

void require_finetune_targets(const RunSettings& run) {
  require_run_targets(run, "");
  if (!run.saving.exp_dir.empty() && !run.evaluate) require_list(run.saving.exp_dir, kSubsetList);
}

Job finetune_job(const FinetuneSettings& settings) {
  Job job;
  job.lists = [settings](const Plan& plan, const RunSettings& run, uint64_t seed, Console& console) {
    return lists_of(plan, run, settings, seed, console);
  };
  job.from_network = true;
  job.pretrained = settings.pretrained;
  job.keep_classifier = settings.keep_classifier;
  job.record_lists = [](const std::string& exp_dir, const Lists& lists) {
    write_list(exp_dir, kSubsetList, *lists.train);
  };
  return job;
}

}  // namespace moproc::train
