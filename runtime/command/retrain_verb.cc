#include "command/retrain_verb.h"

#include "command/training_flags.h"
#include "command/training_run.h"
#include "core/error.h"
#include "core/meta.h"
#include "train/targets.h"

namespace moproc::command {
namespace {

/// The defaults of the published classifier_retrain.py.
void set_presets(RetrainVerbSettings& s) {
  s.run.saving.exp_dir = "experiment/cRT";
  s.run.schedule.epochs = 15;
  s.run.schedule.milestones = {5, 10};
  s.run.hyper.lr = 0.01;
  s.run.hyper.weight_decay = 0;
}

void add_flags(FlagTable& t, RetrainVerbSettings& s) {
  train::RunSettings& run = s.run;
  t.section("retraining");
  add_data_flag(t, run.data, "the folder that the paths of the annotation are relative to");
  add_first_label_flag(t, run.first_label);
  add_val_split_flag(t, run.hold_out);
  t.text({"--annotation"}, "FILE", s.retrain.annotation, "images and their labels, as clean writes them");
  t.text({"--resume"}, "FILE|auto", run.resume,
         "the checkpoint whose network to begin with, which may be PyTorch's; or one of a retraining, to continue it; "
         "auto: the newest in --exp-dir");
  t.text({"--pretrained"}, "FILE", s.retrain.pretrained,
         "with --resume auto: the checkpoint to begin with when --exp-dir holds none");
  t.choice<bool>({"--init-classifier"}, s.retrain.keep_classifier, {{"keep", true}, {"reset", false}},
                 "keep: begin with the classifier of the checkpoint; reset: draw a new one")
      .record("init_classifier");
  t.on({"--cache-features"}, run.cache_features,
       "train on features that are computed once, without augmentation, and kept in EXP-DIR/features")
      .record("cache_features");
  t.on({"--finetune"}, s.finetune, "train all layers, not the classifier alone; compiled in");
  t.text({"--imagenet"}, "DIR", s.retrain.imagenet, "ImageNet folder: the images in DIR/val are evaluated, too");
  t.choice<bool>({"--compat"}, s.compat_released, {{"paper", false}, {"released", true}},
                 "released: run one epoch more than --epochs, as the published classifier_retrain.py does")
      .record("compat");
  t.section("run");
  add_run_flags(t, run);
  t.section("optimiser and images");
  add_optimiser_flags(t, run);
  add_cosine_flag(t, run);
  add_crop_flag(t, run.augmentation);
  add_saving_flags(t, run);
  add_compute_flags(t, run.compute);
  add_profile_flag(t, run.compute);
  add_confirmed_flags(t, s.confirmed);
  add_rank_flags(t, s.ranks, run.compute);
}

void check(const RetrainVerbSettings& s) {
  check_launch(s.ranks);
  if (s.run.data.empty())
    throw InputError("--data DIR is needed: the folder that the annotation's paths are relative to");
  if (s.run.resume.empty()) throw InputError("--resume FILE is needed: the checkpoint to begin with");
  if (s.run.cache_features && s.finetune)
    throw InputError("--cache-features: features change when all layers are trained (--finetune)");
  if (s.run.cache_features && s.run.evaluate)
    throw InputError("--cache-features needs training, but --evaluate does not train");
  check_run(s.run);
}

void fits(const RetrainVerbSettings& s, const Plan& plan) {
  check_compute(s.run.compute, plan);
  check_optimizer(s.run, plan);
  check_confirmed(s.confirmed, plan);
  const std::string trained = meta(plan, "trained");
  if (trained.empty()) throw InputError("this artefact does not retrain; compile one with --task retrain");
  if (s.finetune != (trained == "all"))
    throw InputError(
        "this artefact trains " +
        std::string(trained == "all" ? "all layers (--finetune)" : "the classifier alone (no --finetune)") +
        "; compile another");
}

void require_targets(const RetrainVerbSettings& s) { train::require_run_targets(s.run, ""); }

Inputs inputs(const RetrainVerbSettings& s) {
  Inputs in = training_inputs(s.run, {}, s.retrain.pretrained, s.confirmed);
  const std::string& imagenet = s.retrain.imagenet;
  in.needed = {{"--annotation", s.run.evaluate ? "" : s.retrain.annotation, Needed::Kind::json},
               {"--imagenet", imagenet.empty() ? "" : imagenet + "/val", Needed::Kind::folder}};
  return in;
}

int run(const RetrainVerbSettings& s, const FlagTable& flags, Invocation& invocation) {
  train::RunSettings run = s.run;
  if (s.compat_released) run.schedule.epochs += 1;
  return run_training(invocation, flags, s.ranks, std::move(run), train::retrain_job(s.retrain));
}

}  // namespace

Verb retrain_verb() {
  return VerbRecord<RetrainVerbSettings>{
      .name = "retrain",
      .usage = "--data DIR --annotation FILE --resume FILE [flags]",
      .about =
          "Trains a classifier on the cleaned labels, on top of a network that stays as it is. Images of rare "
          "classes are shown more often.",
      .presets = set_presets,
      .flags = add_flags,
      .check = check,
      .fits = fits,
      .targets = require_targets,
      .inputs = inputs,
      .run = run};
}

}  // namespace moproc::command
