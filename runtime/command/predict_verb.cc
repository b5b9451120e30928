#include "command/predict_verb.h"

#include "core/error.h"

namespace moproc::command {
namespace {

void add_flags(FlagTable& t, PredictVerbSettings& s) {
  train::PredictSettings& p = s.predict;
  t.section("prediction");
  t.text({"--resume"}, "FILE", p.checkpoint, "the checkpoint of the trained network, which may be PyTorch's");
  t.rest({"--images"}, "PATH", p.images, "images, and folders with images; the same as the arguments without a flag");
  t.number({"--top"}, "N", p.top, 1, 1000000, "how many classes are shown per image, the most probable first");
  t.text({"--csv"}, "FILE", p.csv, "file for the predictions, one row per image; without it they are printed");
  t.text({"--classes"}, "FILE", p.classes, "names of the classes, one per line").without("those in the checkpoint");
  add_compute_flags(t, p.compute);
  add_confirmed_flags(t, s.confirmed);
}

void check(const PredictVerbSettings& s) {
  if (s.predict.checkpoint.empty()) throw InputError("--resume FILE is needed: the checkpoint of the trained network");
  if (s.predict.images.empty()) throw InputError("no image is given; name files or folders");
}

void fits(const PredictVerbSettings& s, const Plan& plan) {
  check_compute(s.predict.compute, plan);
  check_confirmed(s.confirmed, plan);
}

void require_targets(const PredictVerbSettings& s) { train::require_predict_targets(s.predict); }

Inputs inputs(const PredictVerbSettings& s) {
  Inputs in{.checkpoint = s.predict.checkpoint, .needed = {{"--classes", s.predict.classes}}};
  for (const std::string& path : s.predict.images) in.needed.push_back({"", path, Needed::Kind::either});
  return in;
}

int run(const PredictVerbSettings& s, const FlagTable&, Invocation& at) { return run_predict(at.plan, s.predict); }

}  // namespace

Verb predict_verb() {
  return VerbRecord<PredictVerbSettings>{
      .name = "predict",
      .usage = "--resume FILE IMAGE... [flags]",
      .about = "Shows the most probable classes of images: the softmax of a trained network's classifier.",
      .flags = add_flags,
      .check = check,
      .fits = fits,
      .targets = require_targets,
      .inputs = inputs,
      .run = run,
      .one_process = true};
}

}  // namespace moproc::command
