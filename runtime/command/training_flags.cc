// The flags have the names that they have in the published train.py.
#include "command/training_flags.h"

#include <charconv>

#include "core/error.h"
#include "core/meta.h"
#include "formats/checkpoint_file.h"
#include "train/checkpoint.h"

namespace moproc::command {
namespace {

/// --save-every: a number of steps, or a time.
Flag save_every(train::Saving& saving) {
  Flag f{.names = {"--checkpoint-every", "--save-every"},
         .unit = "STEPS|TIME",
         .range = "a number of steps, 1 or more, or a time between 0.01s and 1000000h, such as 30s, 10m or 2h",
         .help = "write checkpoints within an epoch, too: after so many steps, or after a time such as 30s, 10m or 2h",
         .unset = "none"};
  f.set = [&saving, range = f.range](const std::string& name, const std::vector<std::string>& values) {
    const std::string& text = values[0];
    const std::string units = "smh";
    const size_t unit = text.empty() ? std::string::npos : units.find(text.back());
    if (unit == std::string::npos) {
      const bool number = !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
      if (!number || text.find_first_not_of('0') == std::string::npos) refuse(name, text, range);
      saving.every_steps = parse_number<int64_t>(name, text, 1, kMaxLong);
      return;
    }
    const double seconds_of[] = {1, 60, 3600};
    double number = 0;
    const char* const end = text.data() + text.size() - 1;
    const auto [stop, error] = std::from_chars(text.data(), end, number);
    const double seconds = number * seconds_of[unit];
    const bool fits = seconds >= 0.01 && seconds <= 1e6 * seconds_of[2];
    if (stop != end || error != std::errc() || !fits) refuse(name, text, range);
    saving.every_seconds = seconds;
  };
  f.show = [&saving] {
    if (saving.every_steps > 0) return std::to_string(saving.every_steps);
    return saving.every_seconds > 0 ? show_number(saving.every_seconds) + "s" : std::string();
  };
  return f;
}

}  // namespace

std::string schedule_text(const train::Schedule& schedule) {
  if (schedule.cosine) return "cosine";
  std::string text;
  for (const int epoch : schedule.milestones) text += (text.empty() ? "" : " ") + std::to_string(epoch);
  return text;
}

void add_run_flags(FlagTable& t, train::RunSettings& run) {
  t.text({"--exp-dir"}, "DIR", run.saving.exp_dir, "folder for checkpoints and logs, which is made if it is missing");
  t.number({"--epochs"}, "N", run.schedule.epochs, 1, kMaxInt, "epochs of the whole run").record("epochs").adjust();
  t.number({"--start-epoch"}, "N", run.start_epoch, 0, kMaxInt,
           "first epoch; a run that is resumed continues where it ended");
  t.number({"--steps"}, "N", run.steps, int64_t{1}, kMaxLong, "stop after so many steps").without("no limit").agree();
  t.number({"--seed"}, "N", run.seed, uint64_t{0}, std::numeric_limits<uint64_t>::max(),
           "seed of initial values, data order and augmentation")
      .without("0, or the checkpoint's");
  t.on({"--evaluate"}, run.evaluate, "only evaluate the checkpoint of --resume");
  add_max_broken_flag(t, run.max_broken).agree();
}

namespace {

/// AdamW's defaults of --lr and --wd: those of PyTorch.
constexpr double kAdamwRate = 1e-3, kAdamwDecay = 1e-2;

/// --optimizer, which decides the defaults of --lr and --wd, and the numbers that only some optimizers have.
void add_optimizer_choice(FlagTable& t, train::RunSettings& run) {
  train::OptimizerChoice& choice = run.optimizer;
  train::Hyper& h = run.hyper;
  const auto note_given = [&t](const char* name, bool& given) {
    Flag& f = *t.find(name);
    f.set = [&given, set = f.set](const std::string& typed, const std::vector<std::string>& values) {
      set(typed, values);
      given = true;
    };
  };
  note_given("--lr", choice.lr_given);
  note_given("--wd", choice.decay_given);
  Flag& f =
      t.choice<std::string>({"--optimizer"}, choice.name, {{"sgd", "sgd"}, {"adamw", "adamw"}, {"lars", "lars"}},
                            "the optimizer that the steps are compiled for; adamw has the defaults --lr 0.001 and "
                            "--wd 0.01")
          .record("optimizer")
          .adjust();
  f.set = [&choice, &h, set = f.set](const std::string& typed, const std::vector<std::string>& values) {
    set(typed, values);
    if (choice.name != "adamw") return;
    if (!choice.lr_given) h.lr = kAdamwRate;
    if (!choice.decay_given) h.weight_decay = kAdamwDecay;
  };
  const auto number = [&](const char* name, const char* key, double& field, double low, double high, const char* help) {
    t.number({name}, "X", field, low, high, help).record(key).adjust();
  };
  constexpr double kBelowOne = 1 - 1e-9;
  number("--beta1", "beta1", h.beta1, 0, kBelowOne, "adamw: decay of the mean of the gradients");
  number("--beta2", "beta2", h.beta2, 0, kBelowOne, "adamw: decay of the mean of their squares");
  number("--eps", "eps", h.eps, 1e-30, kInfinity, "adamw: added to the root of the mean square");
  number("--trust", "trust", h.trust, 1e-30, kInfinity,
         "lars: a parameter's step is --lr times this share of the parameter's norm");
  t.number({"--clip-norm"}, "X", h.clip_norm, 1e-30, kInfinity,
           "scale all gradients together down to this norm if theirs is larger; compiled in whether")
      .without("off")
      .record("clip_norm")
      .adjust();
}

}  // namespace

void check_optimizer(const train::RunSettings& run, const Plan& plan) {
  const std::string has = train::optimizer_of(plan);
  if (run.evaluate) return;
  if (run.optimizer.name != has)
    throw InputError("--optimizer " + run.optimizer.name + ": this artefact trains by " + has + "; give --optimizer " +
                     has + ", or compile another");
  const bool clips = !meta(plan, "clip_norm").empty();
  if (run.hyper.clip_norm > 0 && !clips)
    throw InputError("--clip-norm: this artefact's steps do not take it; compile one with --with clip-norm");
  if (run.hyper.clip_norm == 0 && clips) throw InputError("this artefact clips gradients: --clip-norm X is needed");
  if (run.saving.format == "pth.tar")
    for (const StateInfo& s : plan.state)
      if (const std::string_view name = plan.tensors[s.tensor].name;
          formats::is_training_state(name) && !name.starts_with(formats::kMomentumPrefix))
        throw InputError("--checkpoint-format pth.tar: cannot hold " + std::string(name) +
                         "; leave it out, so that checkpoints are safetensors");
}

void add_optimiser_flags(FlagTable& t, train::RunSettings& run) {
  train::Schedule& schedule = run.schedule;
  t.number({"--lr", "--learning-rate"}, "X", run.hyper.lr, 0.0, kInfinity, "learning rate before the schedule")
      .record("lr")
      .adjust();
  t.numbers({"--schedule"}, "EPOCH", schedule.milestones, 0,
            "epochs at which the learning rate is multiplied by --decay-rate")
      .record("schedule", [&schedule] { return schedule_text(schedule); })
      .adjust();
  t.number({"--decay-rate"}, "X", schedule.decay_rate, 0.0, 1.0,
           "factor of the learning rate at each epoch of --schedule")
      .record("decay_rate")
      .adjust();
  t.number({"--warmup-epochs"}, "N", schedule.warmup_epochs, 0, kMaxInt,
           "in the first N epochs of S steps, step T of the run (from 0) has (T + 1) / (N * S) of the scheduled rate")
      .record("warmup_epochs")
      .adjust();
  t.number({"--momentum"}, "X", run.hyper.momentum, 0.0, 1.0, "momentum of sgd and lars").record("momentum").adjust();
  t.number({"--wd", "--weight-decay"}, "X", run.hyper.weight_decay, 0.0, kInfinity,
           "weight decay of the parameters of --decay-params")
      .record("weight_decay")
      .adjust();
  add_optimizer_choice(t, run);
}

void add_cosine_flag(FlagTable& t, train::RunSettings& run) {
  t.on({"--cos"}, run.schedule.cosine,
       "cosine schedule instead: in epoch E the learning rate is lr / 2 * (1 + cos(pi * E / epochs))")
      .record("schedule", [&schedule = run.schedule] { return schedule_text(schedule); })
      .adjust();
}

void add_crop_flag(FlagTable& t, train::Augmentation& augmentation) {
  t.number({"--crop-min"}, "SHARE", augmentation.crop_min, 0.001, 1.0,
           "smallest share of an image's area that a random crop takes")
      .record("crop_min");
}

void add_saving_flags(FlagTable& t, train::RunSettings& run) {
  train::Saving& saving = run.saving;
  t.section("checkpoints and logs");
  t.add(save_every(saving)).agree();
  t.on({"--overwrite"}, saving.overwrite,
       "remove the checkpoints of another run from --exp-dir; without it such a folder is refused");
  t.on({"--accept-changes"}, run.accept_changes,
       "continue a checkpoint although data, batch, seed or settings of the loss differ from those that it was made "
       "with");
  t.number({"--keep"}, "N", saving.keep, 1, kMaxInt, "how many checkpoints from within epochs are kept");
  t.number({"--keep-epochs"}, "N", saving.keep_epochs, 1, kMaxInt,
           "how many checkpoints from the ends of epochs are kept, the newest ones; besides those of --keep-every, and "
           "of the best epoch as model_best");
  t.number({"--keep-every"}, "N", saving.keep_every, 1, kMaxInt,
           "the checkpoint of every Nth epoch is kept, too; 1 keeps all");
  t.choice<std::string>({"--checkpoint-format"}, saving.format,
                        {{"safetensors", "safetensors"}, {"pth.tar", "pth.tar"}},
                        "safetensors, or pth.tar, which the published PyTorch scripts load");
  t.number({"--max-skips"}, "STEPS", run.max_skips, 1, kMaxInt,
           "end the run after so many steps in a row whose loss or gradient is not finite");
  t.on({"--stop-on-collapse"}, run.stop_on_collapse,
       "end the run, with a checkpoint and exit code 4, after an epoch that gives reason for a warning that training "
       "goes wrong: labels become one class, most are corrected or dropped, accuracy falls, prototypes coincide, or "
       "the "
       "loss stands still")
      .agree();
  t.number({"-p", "--print-freq"}, "STEPS", run.print_freq, 1, kMaxInt, "steps between two lines of the log");
  t.text({"--json-log"}, "FILE", saving.json_log, "log with one JSON object per line").without("EXP-DIR/metrics.jsonl");
}

void check_run(const train::RunSettings& run) {
  if (!run.synthetic && run.data.empty()) throw InputError("--data DIR is needed (or --synthetic, --replay)");
  if (!run.synthetic && !run.evaluate && run.saving.exp_dir.empty()) throw InputError("--exp-dir DIR is needed");
  if (run.evaluate && run.synthetic) throw InputError("--evaluate needs --data, not --synthetic");
  if (run.evaluate && run.resume.empty()) throw InputError("--evaluate needs --resume FILE");
  if (run.saving.overwrite && (run.resume == "auto" || run.evaluate || run.saving.exp_dir.empty()))
    throw InputError(std::string("--overwrite has no effect with ") + (run.evaluate           ? "--evaluate"
                                                                       : run.resume == "auto" ? "--resume auto"
                                                                                              : "no --exp-dir"));
  if (run.resume == "auto" && run.saving.exp_dir.empty()) throw InputError("--resume auto needs --exp-dir");
  if (run.start_epoch >= run.schedule.epochs && !run.evaluate)
    throw InputError("--start-epoch " + std::to_string(run.start_epoch) + " leaves no epochs of --epochs " +
                     std::to_string(run.schedule.epochs));
}

}  // namespace moproc::command
