// Reads the lists of images, and sets the balanced order in which an epoch visits the training images.
#include "workflow/retrain.h"

#include "core/error.h"
#include "data/sampler.h"
#include "workflow/annotation.h"

namespace moproc::train {
namespace {

/// Training images of the annotation in balanced order, and the validation images of WebVision and ImageNet.
Lists lists_of(const Plan& plan, const RunSettings& run, const RetrainSettings& o) {
  data::ListOptions w = list_options(plan, run);
  Lists lists;
  lists.classes = settle_classes(w, run, std::nullopt);
  if (!run.evaluate) {
    lists.train.emplace(read_annotation(o.annotation, run.data, w.num_class));
    lists.train->set_classes(lists.classes);
    lists.visits = lists.train->size();
    const auto labels = lists.train->labels();
    lists.order = [own = std::vector<int32_t>(labels.begin(), labels.end())](uint64_t seed, uint32_t epoch) {
      return data::balanced_order(seed, epoch, own);
    };
  }
  lists.val.push_back({"WebVision", data::read_folder(run.data, data::Split::val, w)});
  if (o.imagenet.empty()) return lists;
  if (lists.classes.empty())
    throw InputError("--imagenet " + o.imagenet + ": its classes are folders with names, but the run's classes have " +
                     "none; " + run.data + " lacks info/synsets.txt or classes.txt");
  lists.val.push_back({"ImageNet", data::read_image_folder(o.imagenet + "/val", w)});
  return lists;
}

}  // namespace

Job retrain_job(const RetrainSettings& settings) {
  Job job;
  job.lists = [settings](const Plan& plan, const RunSettings& run, uint64_t, Console&) {
    return lists_of(plan, run, settings);
  };
  job.from_network = true;
  job.pretrained = settings.pretrained;
  job.keep_classifier = settings.keep_classifier;
  return job;
}

}  // namespace moproc::train
