// Reads the lists of images, and sets the balanced order in which an epoch visits the training images.
#include "workflow/retrain.h"

#include <string>
#include <unordered_set>
#include <utility>

#include "core/error.h"
#include "data/list_file.h"
#include "data/sampler.h"
#include "data/subset.h"
#include "workflow/annotation.h"

namespace moproc::train {
namespace {

/// The annotation without the images that are held out for validation. Warns of images of it that are the folder's own
/// validation images, which stay.
data::Dataset training_images(const RetrainSettings& o, const RunSettings& run, const data::ListOptions& w,
                              const DataSets& sets, Console& console) {
  data::Dataset all = read_annotation(o.annotation, run.data, w);
  if (!sets.val) return all;
  std::unordered_set<std::string> evaluated;
  for (size_t i = 0; i < sets.val->size(); ++i) evaluated.insert(data::plain_path(sets.val->name(i)));
  std::vector<uint32_t> kept;
  for (uint32_t i = 0; i < all.size(); ++i)
    if (!evaluated.contains(data::plain_path(all.name(i)))) kept.push_back(i);
  if (kept.size() == all.size()) return all;
  if (!sets.held_out) {
    console.line(format("warning: %zu images of %s are validation images of %s: what is trained on is also evaluated",
                        all.size() - kept.size(), o.annotation.c_str(), run.data.c_str()));
    return all;
  }
  console.line(format("note: %zu images of %s are held out for validation, and are not trained on",
                      all.size() - kept.size(), o.annotation.c_str()));
  return data::part_of(all, kept);
}

/// Training images of the annotation in balanced order, and the validation images of the data folder and of ImageNet.
Lists lists_of(const Plan& plan, const RunSettings& run, const RetrainSettings& o, Console& console) {
  data::ListOptions w = list_options(plan, run);
  DataSets sets = read_sets(run.data, run.hold_out, w, false);
  if (!sets.note.empty()) console.line("note: " + sets.note);
  Lists lists;
  lists.classes = w.classes;
  lists.held_out = sets.held_out;
  if (!run.evaluate) {
    lists.train.emplace(training_images(o, run, w, sets, console));
    lists.visits = lists.train->size();
    const auto labels = lists.train->labels();
    lists.order = [own = std::vector<int32_t>(labels.begin(), labels.end())](uint64_t seed, uint32_t epoch) {
      return data::balanced_order(seed, epoch, own);
    };
  }
  lists.name = name_of_data(run.data);
  if (sets.val) lists.val.push_back(validation_of(run.data, std::move(*sets.val)));
  if (o.imagenet.empty()) return lists;
  if (lists.classes.empty())
    throw InputError("--imagenet " + o.imagenet + ": its classes are folders with names, but the run's classes have " +
                     "none; " + run.data + " lacks info/synsets.txt or classes.txt");
  Validation second{"ImageNet", data::read_image_folder(o.imagenet + "/val", w), "ImageNet", name_of_data(o.imagenet),
                    false};
  // Two lists of one name would be one curve.
  if (!lists.val.empty() && (second.title == lists.val.front().title || second.data == lists.val.front().data)) {
    second.title += " of --imagenet";
    second.data += " of --imagenet";
  }
  lists.val.push_back(std::move(second));
  return lists;
}

}  // namespace

Job retrain_job(const RetrainSettings& settings) {
  Job job;
  job.lists = [settings](const Plan& plan, const RunSettings& run, uint64_t, Console& console) {
    return lists_of(plan, run, settings, console);
  };
  job.from_network = true;
  job.pretrained = settings.pretrained;
  job.keep_classifier = settings.keep_classifier;
  return job;
}

}  // namespace moproc::train
