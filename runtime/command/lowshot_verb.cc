#include "command/lowshot_verb.h"

#include "core/error.h"

namespace moproc::command {
namespace {

void add_flags(FlagTable& t, LowshotVerbSettings& s) {
  train::LowshotSettings& l = s.lowshot;
  t.section("low-shot transfer");
  t.text({"--model-path"}, "FILE", l.checkpoint, "the checkpoint whose features are measured, which may be PyTorch's");
  t.choice<bool>({"--dataset"}, l.places, {{"voc", false}, {"places", true}}, "voc: PASCAL VOC 2007; places: Places205")
      .record("dataset");
  t.text({"--voc-path"}, "DIR", l.voc_path, "the folder that holds VOCdevkit/VOC2007");
  t.text({"--places-path"}, "DIR", l.places_path, "the folder that holds trainvalsplit_places205 and data/vision/...");
  t.number({"--first-label"}, "N", l.first_label, 0, kMaxInt, "number of the first class in the lists of Places205")
      .record("first_label");
  t.numbers({"--shots"}, "K", l.shots, 1, "numbers of training images per class").record("shots");
  t.number({"--draws"}, "N", l.draws, 1, 1000000, "draws of training images for each K").record("number_of_draws");
  t.number({"--seed"}, "N", l.seed, uint64_t{0}, std::numeric_limits<uint64_t>::max(),
           "seed of the draws, which are those of the published script with this seed")
      .record("seed");
  t.choice<bool>({"--difficult"}, l.ignore_difficult, {{"negative", false}, {"ignore", true}},
                 "VOC: objects that are hard to see count as absent (negative); or their images count neither way "
                 "(ignore)")
      .record("difficult");
  add_max_broken_flag(t, l.max_broken);
  t.section("SVMs");
  t.number({"--cost"}, "C", l.cost, 1e-12, 1e12,
           "weight of an error against a small margin; VOC's positive images count twice")
      .record("cost");
  t.number({"--tol"}, "X", l.tolerance, 1e-15, 1.0,
           "an SVM is done when the projected gradients of its dual problem lie within this span")
      .record("tolerance");
  t.number({"--max-iter"}, "N", l.max_passes, 1, kMaxInt, "most passes of an SVM over its rows").record("max_iter");
  t.section("output");
  t.text({"--output"}, "FILE", l.output,
         "the table as JSON; FILE.features holds the features until the run is complete");
  t.on({"--supervise"}, s.supervise, "no effect: a network trained with labels is recognised by its tensors");
  add_compute_flags(t, l.compute);
  add_confirmed_flags(t, s.confirmed);
}

void check(const LowshotVerbSettings& s) {
  if (s.lowshot.shots.empty()) throw InputError("--shots needs a value");
  if (s.lowshot.checkpoint.empty())
    throw InputError("--model-path FILE is needed: the checkpoint whose features are measured");
  if (!s.lowshot.places && s.lowshot.voc_path.empty())
    throw InputError("--voc-path DIR is needed: the folder that holds VOCdevkit");
  if (s.lowshot.places && s.lowshot.places_path.empty())
    throw InputError("--places-path DIR is needed: the folder that holds trainvalsplit_places205");
}

void fits(const LowshotVerbSettings& s, const Plan& plan) {
  check_compute(s.lowshot.compute, plan);
  check_confirmed(s.confirmed, plan);
}

void require_targets(const LowshotVerbSettings& s) { train::require_lowshot_targets(s.lowshot); }

Inputs inputs(const LowshotVerbSettings& s) {
  const train::LowshotSettings& l = s.lowshot;
  return {.checkpoint = l.checkpoint,
          .needed = {l.places ? Needed{"--places-path", l.places_path, Needed::Kind::folder}
                              : Needed{"--voc-path", l.voc_path, Needed::Kind::folder}}};
}

int run(const LowshotVerbSettings& s, const FlagTable& flags, Invocation& invocation) {
  train::LowshotSettings settings = s.lowshot;
  settings.record = {invocation.verb, flags.recorded()};
  if (s.supervise) settings.notes.push_back("--supervise has no effect: a checkpoint's tensors say what it is");
  return run_lowshot(invocation.plan, settings);
}

}  // namespace

Verb lowshot_verb() {
  return VerbRecord<LowshotVerbSettings>{
      .name = "lowshot",
      .usage = "--model-path FILE --dataset voc --voc-path DIR [flags]",
      .about =
          "Measures how good a network's features are: linear SVMs on a few images per class of VOC 2007 or "
          "Places205,\nmean and deviation over draws. A run that was stopped continues when the same command is "
          "given again.",
      .flags = add_flags,
      .check = check,
      .fits = fits,
      .targets = require_targets,
      .inputs = inputs,
      .run = run,
      .one_process = true};
}

}  // namespace moproc::command
