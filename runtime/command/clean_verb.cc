#include "command/clean_verb.h"

#include "core/error.h"

namespace moproc::command {
namespace {

void add_flags(FlagTable& t, CleanVerbSettings& s) {
  train::CleanSettings& c = s.clean;
  t.section("cleaning");
  add_data_flag(t, c.data, "the folder whose training images are judged: WebVision (info/), or any that train takes");
  t.text({"--resume"}, "FILE", c.checkpoint, "the MoPro checkpoint that judges, which may be PyTorch's");
  t.text(
      {"--annotation"}, "FILE", c.annotation,
      "file to write: images that stay, and their labels. NAME.report.jsonl and NAME.csv beside it have one line per "
      "image");
  t.text({"--decisions"}, "FILE", c.decisions,
         "decisions about single images that override the rule, as the page NAME.html saves them")
      .without("none");
  t.number({"--alpha"}, "X", c.alpha, 0.0, 1.0, "share of the classifier in the score").record("alpha", [&c] {
    return show_number(c.used_alpha());
  });
  t.number({"--pseudo_th"}, "X", c.pseudo_th, 0.0, kInfinity, "score above which a label is replaced")
      .record("pseudo_th");
  t.number({"--temperature"}, "X", c.temperature, 1e-6, kInfinity, "temperature of the similarities to the prototypes")
      .record("temperature");
  t.choice<bool>({"--compat"}, c.compat_released, {{"paper", false}, {"released", true}},
                 "released: alpha is 0.5 whatever --alpha says, as in the published noise_cleaning.py")
      .record("compat");
  add_source_flags(t, c.google, c.flickr, s.confirmed);
  add_first_label_flag(t, c.first_label);
  add_val_split_flag(t, c.hold_out);
  add_max_broken_flag(t, c.max_broken);
  add_compute_flags(t, c.compute);
  add_confirmed_flags(t, s.confirmed);
}

void check(const CleanVerbSettings& s) {
  check_confirmed(s.confirmed);
  if (s.clean.data.empty()) throw InputError("--data DIR is needed");
  if (s.clean.checkpoint.empty() || s.clean.checkpoint == "auto")
    throw InputError("--resume FILE is needed: the checkpoint that judges the labels");
}

void fits(const CleanVerbSettings& s, const Plan& plan) {
  check_compute(s.clean.compute, plan);
  check_confirmed(s.confirmed, plan);
}

void require_targets(const CleanVerbSettings& s) { train::require_clean_targets(s.clean); }

Inputs inputs(const CleanVerbSettings& s) {
  const train::CleanSettings& c = s.clean;
  return {.data = c.data,
          .lists = {.google = c.google, .flickr = c.flickr, .first_label = c.first_label},
          .checkpoint = c.checkpoint,
          .num_class = s.confirmed.classes(),
          .needed = {{"--decisions", c.decisions, Needed::Kind::json}}};
}

int run(const CleanVerbSettings& s, const FlagTable& flags, Invocation& invocation) {
  train::CleanSettings settings = s.clean;
  settings.record = {invocation.verb, flags.recorded()};
  return run_clean(invocation.plan, settings);
}

}  // namespace

Verb clean_verb() {
  return VerbRecord<CleanVerbSettings>{
      .name = "clean",
      .usage = "--data DIR --resume FILE [flags]",
      .about =
          "A trained model judges the label of every training image. The label stays, or becomes the class on "
          "which classifier\nand prototypes agree, or the image is dropped. A run that was stopped continues when "
          "the same command is given again.",
      .flags = add_flags,
      .check = check,
      .fits = fits,
      .targets = require_targets,
      .inputs = inputs,
      .run = run,
      .one_process = true};
}

}  // namespace moproc::command
