#include "command/evaluate_verb.h"

#include "core/error.h"

namespace moproc::command {
namespace {

void add_flags(FlagTable& t, EvaluateVerbSettings& s) {
  train::EvaluationSettings& e = s.evaluation;
  t.section("evaluation");
  t.text({"--resume"}, "FILE", e.checkpoint, "the checkpoint of the trained network, which may be PyTorch's");
  add_data_flag(t, e.data,
                "the folder whose validation images are evaluated, as train takes it; if it has none: the images that "
                "the checkpoint's run held out of it, or all images");
  t.text({"--csv"}, "FILE", e.csv, "file for the counts of each class, one row per class");
  add_source_flags(t, e.google, e.flickr, s.confirmed);
  add_first_label_flag(t, e.first_label);
  add_val_split_flag(t, e.hold_out);
  add_compute_flags(t, e.compute);
  add_confirmed_flags(t, s.confirmed);
  add_rank_flags(t, s.ranks, e.compute);
}

void check(const EvaluateVerbSettings& s) {
  check_confirmed(s.confirmed);
  check_launch(s.ranks);
  if (s.evaluation.checkpoint.empty())
    throw InputError("--resume FILE is needed: the checkpoint of the trained network");
  if (s.evaluation.data.empty()) throw InputError("--data DIR is needed: the folder of the images");
}

void fits(const EvaluateVerbSettings& s, const Plan& plan) {
  check_compute(s.evaluation.compute, plan);
  check_confirmed(s.confirmed, plan);
}

void require_targets(const EvaluateVerbSettings& s) { train::require_evaluation_targets(s.evaluation); }

Inputs inputs(const EvaluateVerbSettings& s) {
  const train::EvaluationSettings& e = s.evaluation;
  return {.data = e.data,
          .lists = {.google = e.google, .flickr = e.flickr, .first_label = e.first_label},
          .checkpoint = e.checkpoint,
          .num_class = s.confirmed.classes(),
          .hold_out = e.hold_out};
}

int run(const EvaluateVerbSettings& s, const FlagTable&, Invocation& at) {
  return run_as_ranks(at, s.ranks, "", false,
                      [&](comm::World* world, bool) { return train::run_evaluation(at.plan, s.evaluation, world); });
}

}  // namespace

Verb evaluate_verb() {
  return VerbRecord<EvaluateVerbSettings>{
      .name = "evaluate",
      .usage = "--resume FILE --data DIR [flags]",
      .about = "Counts how many images of a data folder a trained network gets right, in all and per class.",
      .flags = add_flags,
      .check = check,
      .fits = fits,
      .targets = require_targets,
      .inputs = inputs,
      .run = run};
}

}  // namespace moproc::command
