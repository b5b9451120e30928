#include "command/finetune_verb.h"

#include "command/training_flags.h"
#include "command/training_run.h"
#include "core/error.h"
#include "core/meta.h"

namespace moproc::command {
namespace {

/// The defaults of the published script for 1 % of ImageNet.
void set_presets(FinetuneVerbSettings& s) {
  s.run.saving.exp_dir = "Finetune_1percent";
  s.run.schedule.epochs = 40;
  s.run.schedule.milestones = {20, 30};
  s.run.schedule.decay_rate = 0.2;
  s.run.hyper.lr = 0.005;
  s.run.hyper.weight_decay = 0;
  s.run.print_freq = 10;
  s.run.augmentation.crop_min = 0.08;
}

void add_flags(FlagTable& t, FinetuneVerbSettings& s) {
  train::RunSettings& run = s.run;
  t.section("fine-tuning");
  add_data_flag(t, run.data, "ImageNet folder: DIR/train and DIR/val hold a folder per class");
  t.text({"--model-path"}, "FILE", s.finetune.pretrained,
         "the checkpoint whose network to begin with, which may be PyTorch's");
  t.text({"--resume"}, "FILE|auto", run.resume,
         "continue from a checkpoint of a fine-tuning; auto: the newest in --exp-dir, if there is one");
  t.number({"--low-resource"}, "SHARE", s.finetune.share, 1e-9, 1.0,
           "share of the training images that is used, drawn by --seed and written to EXP-DIR/subset.txt")
      .record("low_resource");
  t.text({"--list"}, "FILE", s.finetune.list,
         "use the training images of this list instead: one name per line, as in SimCLR's 1percent.txt");
  add_first_label_flag(t, run.first_label);
  add_val_split_flag(t, run.hold_out);
  t.choice<bool>({"--init-classifier"}, s.finetune.keep_classifier, {{"keep", true}, {"reset", false}},
                 "keep: begin with the classifier of the checkpoint; reset: draw a new one")
      .record("init_classifier");
  t.choice<bool>({"--compat"}, s.finetune.compat_released, {{"paper", false}, {"released", true}},
                 "released: each group of the batch draws its own subset, as the published ranks do")
      .record("compat");
  t.section("run");
  add_run_flags(t, run);
  t.section("optimiser and images");
  add_optimiser_flags(t, run);
  add_crop_flag(t, run.augmentation);
  add_saving_flags(t, run);
  add_compute_flags(t, run.compute);
  add_profile_flag(t, run.compute);
  add_confirmed_flags(t, s.confirmed);
  add_rank_flags(t, s.ranks, run.compute);
}

void check(const FinetuneVerbSettings& s) {
  check_launch(s.ranks);
  if (s.run.data.empty()) throw InputError("--data DIR is needed: DIR/train and DIR/val hold a folder per class");
  if (s.run.resume.empty() && s.finetune.pretrained.empty())
    throw InputError("--model-path FILE is needed: the checkpoint to begin with");
  check_run(s.run);
}

void fits(const FinetuneVerbSettings& s, const Plan& plan) {
  check_compute(s.run.compute, plan);
  check_optimizer(s.run, plan);
  check_confirmed(s.confirmed, plan);
  if (meta(plan, "trained") != "all")
    throw InputError("this artefact does not train all layers; compile one with --task classifier");
}

void require_targets(const FinetuneVerbSettings& s) { train::require_finetune_targets(s.run); }

Inputs inputs(const FinetuneVerbSettings& s) { return training_inputs(s.run, {}, s.finetune.pretrained, s.confirmed); }

int run(const FinetuneVerbSettings& s, const FlagTable& flags, Invocation& invocation) {
  return run_training(invocation, flags, s.ranks, s.run, train::finetune_job(s.finetune));
}

}  // namespace

Verb finetune_verb() {
  return VerbRecord<FinetuneVerbSettings>{
      .name = "finetune",
      .usage = "--data DIR --model-path FILE [flags]",
      .about = "Trains all layers of a trained network on a small part of ImageNet.",
      .presets = set_presets,
      .flags = add_flags,
      .check = check,
      .fits = fits,
      .targets = require_targets,
      .inputs = inputs,
      .run = run};
}

}  // namespace moproc::command
