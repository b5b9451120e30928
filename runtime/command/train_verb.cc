#include "command/train_verb.h"

#include "command/training_flags.h"
#include "command/training_run.h"
#include "core/error.h"
#include "core/meta.h"
#include "train/targets.h"

namespace moproc::command {
namespace {

/// --compat and --start_clean_epoch. The published code counts epochs from 0 and begins to clean at 11; the paper says
/// 10.
void add_cleaning_epoch(FlagTable& t, TrainSettings& s) {
  constexpr int kReleased = 11, kPaper = 10;
  int& epoch = s.run.start_clean_epoch;
  Flag& start =
      t.number({"--start_clean_epoch"}, "EPOCH", epoch, 0, kMaxInt, "first epoch with noise correction, counted from 0")
          .record("start_clean_epoch")
          .only_for("mopro");
  start.set = [&s, set = start.set](const std::string& name, const std::vector<std::string>& values) {
    set(name, values);
    s.start_clean_given = true;
  };
  Flag& compat = t.choice<bool>({"--compat"}, s.compat_paper, {{"paper", true}, {"released", false}},
                                "default of --start_clean_epoch: 11 as in the released code, or 10 as in the paper")
                     .record("start_clean_epoch", [&epoch] { return std::to_string(epoch); });
  compat.set = [&s, set = compat.set](const std::string& name, const std::vector<std::string>& values) {
    set(name, values);
    if (!s.start_clean_given) s.run.start_clean_epoch = s.compat_paper ? kPaper : kReleased;
  };
}

void add_mopro_flags(FlagTable& t, TrainSettings& s) {
  train::Hyper& h = s.run.hyper;
  const auto real = [&](const char* name, double& field, double low, double high, const char* help, const char* key) {
    t.number({name}, "X", field, low, high, help).record(key).only_for("mopro");
  };
  t.section("MoPro (--task mopro)");
  real("--moco_m", h.moco_m, 0, 1, "momentum of the key encoder", "moco_m");
  real("--proto_m", h.proto_m, 0, 1, "momentum of the prototypes", "proto_m");
  real("--temperature", h.temperature, 1e-6, kInfinity, "temperature of the contrastive logits", "temperature");
  real("--w-inst", h.w_inst, 0, kInfinity, "weight of the instance loss", "w_inst");
  real("--w-proto", h.w_proto, 0, kInfinity, "weight of the prototype loss", "w_proto");
  real("--pseudo_th", h.pseudo_th, 0, kInfinity, "score above which a label is replaced", "pseudo_th");
  real("--alpha", h.alpha, 0, 1, "share of the classifier in the score", "alpha");
  add_cleaning_epoch(t, s);
  t.section("classifier (--task classifier)");
  t.number({"--label-smoothing"}, "SHARE", h.label_smoothing, 0.0, 1.0,
           "share of the uniform distribution in the labels")
      .record("label_smoothing")
      .only_for("classifier");
  t.number({"--mixup"}, "ALPHA", s.run.augmentation.mixup, 1e-3, 1e3,
           "mix images in pairs, with shares drawn from Beta(ALPHA, ALPHA)")
      .without("off")
      .record("mixup")
      .only_for("classifier");
}

/// --recipe, which sets what the user has not set; so it is added after the flags that it stands in for.
void add_recipe_flag(FlagTable& t, train::RecipeChoice& choice) {
  for (const char* const name : {"--moco_m", "--proto_m", "--lr", "--start_clean_epoch", "--compat"}) {
    Flag& f = *t.find(name);
    f.set = [&given = choice.given, key = f.key, set = f.set](const std::string& typed,
                                                              const std::vector<std::string>& values) {
      set(typed, values);
      given.push_back(key);
    };
  }
  Flag& optimizer = *t.find("--optimizer");  // the rate of the recipe is for SGD
  optimizer.set = [&given = choice.given, set = optimizer.set](const std::string& typed,
                                                               const std::vector<std::string>& values) {
    set(typed, values);
    if (values[0] != "sgd") given.push_back("lr");
  };
  t.choice<bool>({"--recipe"}, choice.automatic, {{"published", false}, {"auto", true}},
                 "auto: --lr, --moco_m, --proto_m, --start_clean_epoch and, if the artefact is built for the run, "
                 "--moco_queue fit the number of steps and of images, unless they are given")
      .agree();
}

void add_image_flags(FlagTable& t, TrainSettings& s) {
  train::Augmentation& a = s.run.augmentation;
  t.section("images");
  add_source_flags(t, s.lists.google, s.lists.flickr, s.confirmed);
  add_first_label_flag(t, s.run.first_label);
  add_val_split_flag(t, s.run.hold_out);
  add_crop_flag(t, a);
  t.number({"--jitter"}, "X", a.jitter, 0.0, 0.5, "strength of the colour jitter in the strong view").record("jitter");
  t.number({"--gray"}, "SHARE", a.gray, 0.0, 1.0, "share of the strong views that are grey").record("gray");
  Flag& weights = t.text({"--sample-weights"}, "FILE", s.lists.sample_weights,
                         "weight of each training image wherever its label counts: lines PATH WEIGHT")
                      .record("sample_weights");
  weights.agreed = false;  // the same file may have different paths on different nodes
  t.text({"--truth"}, "FILE", s.lists.truth, "true labels (truth.json), to report how label noise was handled");
}

void add_replay_flags(FlagTable& t, TrainSettings& s) {
  t.section("checking against another implementation");
  t.text({"--replay"}, "FILE", s.replay.file, "run the batches of this safetensors file instead of --data");
  t.text({"--trace"}, "FILE", s.replay.trace, "write losses, accuracies, labels and state of the replay, as JSON");
  t.text({"--trace-state"}, "DIR", s.replay.state,
         "write the whole state after each step of the replay, as checkpoints");
  t.number({"--dump-step"}, "N", s.run.dump.step, int64_t{0}, kMaxLong,
           "write every value and gradient of step N, counted from 0");
  t.text({"--dump"}, "DIR", s.run.dump.folder, "folder for --dump-step: DIR/step_00000N.safetensors");
}

void add_flags(FlagTable& t, TrainSettings& s) {
  t.section("run");
  add_data_flag(t, s.run.data,
                "a WebVision folder (info/); or a folder with train.csv or .jsonl and val.*; or one with train/ and "
                "val/, each with a folder per class. Plain or packed");
  t.text({"--resume"}, "FILE|auto", s.run.resume,
         "continue from a checkpoint, which may be PyTorch's; auto: the newest in --exp-dir");
  t.on({"--reset-optimizer"}, s.run.reset_optimizer,
       "with --resume FILE: begin with zero momentum, whatever optimizer the checkpoint has")
      .record("reset_optimizer");
  t.on({"--synthetic"}, s.run.synthetic, "random images and labels instead of --data; every step is printed");
  add_run_flags(t, s.run);
  t.section("optimiser");
  add_optimiser_flags(t, s.run);
  add_cosine_flag(t, s.run);
  add_mopro_flags(t, s);
  add_recipe_flag(t, s.run.recipe);
  add_image_flags(t, s);
  add_saving_flags(t, s.run);
  add_compute_flags(t, s.run.compute);
  add_profile_flag(t, s.run.compute);
  add_confirmed_flags(t, s.confirmed);
  add_replay_flags(t, s);
  add_rank_flags(t, s.ranks, s.run.compute);
}

/// Throws InputError if a flag of replays or dumps lacks another flag that it needs, or contradicts one.
void check_replay(const TrainSettings& s) {
  const train::Dump& dump = s.run.dump;
  if (dump.step.has_value() != !dump.folder.empty()) throw InputError("--dump-step N and --dump DIR need each other");
  if (dump.step && s.run.evaluate) throw InputError("--dump-step needs steps, but --evaluate runs none");
  if (s.replay.file.empty()) {
    if (!s.replay.trace.empty()) throw InputError("--trace needs --replay FILE");
    if (!s.replay.state.empty()) throw InputError("--trace-state needs --replay FILE");
    return;
  }
  if (!s.run.data.empty() || s.run.synthetic) throw InputError("--replay excludes --data and --synthetic");
  if (s.run.evaluate) throw InputError("--replay and --evaluate exclude each other");
  if (s.replay.trace.empty()) throw InputError("--replay needs --trace FILE");
  if (s.run.resume == "auto" && s.run.saving.exp_dir.empty()) throw InputError("--resume auto needs --exp-dir");
}

/// Checks the flags that have an effect only if the artefact was compiled for them.
void check_compiled_in(const TrainSettings& s, const Plan& plan) {
  const auto need = [&](bool given, const char* flag, const char* key, const std::string& task) {
    if (given && meta(plan, key).empty())
      throw InputError(std::string("--") + flag + ": this artefact's steps do not take it; compile one with --task " +
                       task + " --with " + flag);
  };
  const double mixup = s.run.augmentation.mixup;
  need(s.run.hyper.label_smoothing > 0, "label-smoothing", "label_smoothing", "classifier");
  need(mixup > 0, "mixup", "mixup", "classifier");
  need(!s.lists.sample_weights.empty(), "sample-weights", "sample_weights", meta(plan, "task"));
  if (!s.run.evaluate && mixup == 0 && !meta(plan, "mixup").empty())
    throw InputError("this artefact mixes images: --mixup ALPHA is needed");
}

void check(const TrainSettings& s) {
  check_confirmed(s.confirmed);
  check_launch(s.ranks);
  check_replay(s);
  if (s.run.reset_optimizer && (s.run.resume.empty() || s.run.resume == "auto" || s.run.evaluate))
    throw InputError("--reset-optimizer needs --resume FILE, and has no effect with --resume auto and --evaluate");
  if (s.run.synthetic && !s.run.data.empty()) throw InputError("--synthetic and --data exclude each other");
  if (!s.replay.file.empty()) return;
  check_run(s.run);
  if (s.run.synthetic && !s.lists.truth.empty()) throw InputError("--truth needs --data, not --synthetic");
}

void fits(const TrainSettings& s, const Plan& plan) {
  check_compute(s.run.compute, plan);
  if (s.replay.file.empty()) check_optimizer(s.run, plan);
  check_confirmed(s.confirmed, plan);
  if (s.replay.file.empty()) check_compiled_in(s, plan);
}

void require_targets(const TrainSettings& s) {
  if (s.replay.file.empty()) train::require_run_targets(s.run, s.run.resume);
  else train::require_replay_targets(s.run, s.replay);
}

Inputs inputs(const TrainSettings& s) {
  if (!s.replay.file.empty()) return {.needed = {{"--replay", s.replay.file}}};
  Inputs in = training_inputs(s.run, {.google = s.lists.google, .flickr = s.lists.flickr}, "", s.confirmed);
  in.about = s.lists;
  in.needed = {{"--sample-weights", s.lists.sample_weights}, {"--truth", s.lists.truth}};
  return in;
}

int run(const TrainSettings& s, const FlagTable& flags, Invocation& invocation) {
  train::RunSettings run = s.run;
  if (run.start_clean_epoch == 0 && s.replay.file.empty())
    run.notes.push_back("--start_clean_epoch 0: epoch 0 is warm-up, cleaning begins at epoch 1");
  train::Job job;
  job.lists = [lists = s.lists](const Plan& plan, const train::RunSettings& r, uint64_t, train::Console& console) {
    return train::read_webvision_lists(plan, r, lists, console);
  };
  return run_training(invocation, flags, s.ranks, std::move(run), job, s.replay);
}

}  // namespace

Verb train_verb() {
  return VerbRecord<TrainSettings>{.name = "train",
                                   .usage = "--data DIR --exp-dir DIR [flags]",
                                   .about =
                                       "Trains the compiled programs. To try them without data: --synthetic "
                                       "--steps 3.",
                                   .flags = add_flags,
                                   .check = check,
                                   .fits = fits,
                                   .targets = require_targets,
                                   .inputs = inputs,
                                   .run = run};
}

}  // namespace moproc::command
