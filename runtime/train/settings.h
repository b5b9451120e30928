// The settings of a training run. The trainer does not know the command line: the verbs in runtime/command set these.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "data/class_table.h"
#include "data/look.h"

namespace moproc::train {

/// Numbers that the compiled step programs read at each step from their inputs hyper.NAME.
struct Hyper {
  double lr = 0.1;  // before the schedule
  double momentum = 0.9;
  double weight_decay = 1e-4;
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-8;  // of AdamW
  double trust = 0.001;                           // of LARS
  double clip_norm = 0;                           // largest norm of the gradients; 0: any
  double moco_m = 0.999;
  double proto_m = 0.999;
  double temperature = 0.1;
  double alpha = 0.5;
  double pseudo_th = 0.8;
  double w_inst = 1.0;
  double w_proto = 1.0;
  double label_smoothing = 0.0;  // weight of the uniform distribution in the labels
};

/// --optimizer, which the steps are compiled for.
struct OptimizerChoice {
  std::string name = "sgd";  // or adamw or lars
  bool lr_given = false, decay_given = false;
};

/// The schedule of the learning rate: see learning_rate() in train/schedule.h.
struct Schedule {
  int epochs = 90;  // of the whole run
  std::vector<int> milestones = {40, 80};
  double decay_rate = 0.1;  // the learning rate is multiplied by it at each milestone
  bool cosine = false;      // a cosine instead of the milestones
  int warmup_epochs = 0;    // during which the learning rate rises linearly, step by step
};

/// Random changes of the training images.
struct Augmentation {
  double crop_min = 0.2;  // smallest share of an image's area that a random crop takes
  double jitter = 0.4;    // strength of the colour jitter in the strong view
  double gray = 0.2;      // share of the strong views that are grey
  double mixup = 0;       // alpha of Beta(alpha, alpha), the distribution of the weights of mixed images; 0: no mixing
};

/// Settings about the machine, which every verb has.
struct Compute {
  int workers = 0;             // threads that decode images; 0: the usable cores
  int threads = 0;             // CPU threads that compute; 0: the usable cores
  std::optional<int> gpu;      // nothing: GPU 0, or with several ranks the GPU with the local rank's number
  bool deterministic = false;  // GPUs: add over ranks in the same order as the CPU
  bool profile = false;
  bool check = false;  // stop at the first value that is NaN or infinite
  bool quiet = false;
};

/// The files that a run writes, and when.
struct Saving {
  std::string exp_dir;                 // "": no checkpoints and no logs
  std::string json_log;                // "": metrics.jsonl in exp_dir
  int64_t every_steps = 0;             // between checkpoints within an epoch; 0: none
  double every_seconds = 0;            // the same as a time
  bool overwrite = false;              // remove another run's checkpoints from exp_dir
  int keep = 3;                        // how many checkpoints within epochs are kept
  int keep_epochs = 3;                 // how many checkpoints at ends of epochs are kept
  int keep_every = 10;                 // besides those after every so many epochs
  std::string format = "safetensors";  // or "pth.tar"
};

/// Images that are held out of the training images of a folder without validation images.
struct HoldOut {
  std::optional<double> share;   // of each class, 0: none; nothing: as the checkpoint says, or none
  std::optional<uint64_t> seed;  // nothing: the run's
  bool holds() const { return share.value_or(0) > 0; }
};

/// --dump-step: writes the values of one step to a folder.
struct Dump {
  std::optional<int64_t> step;  // counted from 0 in this process
  std::string folder;
};

/// --recipe.
struct RecipeChoice {
  bool automatic = false;          // values that fit the run (train/recipe.h) for what is not given
  std::vector<std::string> given;  // Recorded::key of the flags that are
};

/// A setting that changes results, with its names in checkpoints, logs and messages.
struct Recorded {
  std::string flag;   // "--lr": in messages
  std::string key;    // "lr": in checkpoints and logs; "": in neither, but all ranks must have the same value
  std::string value;  // JSON if `json`, otherwise text; "": not set, and written to no file
  bool json = false;
  bool real = false;        // a number that may have a fraction
  bool agreed = true;       // all ranks of a run must have the same value
  std::string task;         // "mopro" or "classifier": only programs of this task read it; "": all
  bool adjustable = false;  // a run may go on with another value without --accept-changes
};

/// The verb and the settings that a run's files record.
struct RunRecord {
  std::string verb;  // "train", "retrain", ...
  std::vector<Recorded> values;
};

/// The settings of a training run that do not depend on the verb; train/job.h has the differences between verbs.
struct RunSettings {
  RunRecord record;
  std::string data;                      // folder of the images, "" with `synthetic`
  int first_label = 0;                   // number of the first class in csv and jsonl lists
  double max_broken = data::kMaxBroken;  // ReadableOptions::max_broken
  data::ClassTable classes;      // of the checkpoint that the run begins with, if it has names; the trainer sets it
  HoldOut hold_out;              // the trainer completes it
  std::string resume;            // a checkpoint; "auto": the newest in exp_dir; "": none
  bool reset_optimizer = false;  // continue from `resume` with zero momentum
  std::optional<uint64_t> seed;  // nothing: the seed of the checkpoint, or 0
  bool accept_changes = false;   // continue a checkpoint that was made with other data or settings
  int start_epoch = 0;           // used if no checkpoint says where to begin
  int64_t steps = 0;             // stop after this many steps; 0: no limit
  int start_clean_epoch = 11;    // first epoch with noise correction
  int max_skips = 10;            // end after this many steps in a row that are not finite
  int print_freq = 50;           // steps between two lines of the log
  bool synthetic = false;        // random images and labels
  bool evaluate = false;         // evaluate only
  bool cache_features = false;   // train on features that are computed once, without augmentation
  OptimizerChoice optimizer;
  Hyper hyper;
  Schedule schedule;
  Augmentation augmentation;
  Compute compute;
  Saving saving;
  Dump dump;
  std::vector<std::string> notes;  // printed when the run starts

  RecipeChoice recipe;
  bool stop_on_collapse = false;  // end after an epoch that gives reason for a warning (train/health.h)

  uint64_t seed_or_default() const { return seed.value_or(0); }
};

}  // namespace moproc::train
