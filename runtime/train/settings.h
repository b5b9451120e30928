// What a training run is told to do. The trainer knows no command line: the verbs in runtime/command fill these in.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace moproc::train {

/// Numbers that the compiled step programs read at each step, from their inputs hyper.NAME.
struct Hyper {
  double lr = 0.1;  // before the schedule
  double momentum = 0.9;
  double weight_decay = 1e-4;
  double moco_m = 0.999;
  double proto_m = 0.999;
  double temperature = 0.1;
  double alpha = 0.5;
  double pseudo_th = 0.8;
  double w_inst = 1.0;
  double w_proto = 1.0;
  double label_smoothing = 0.0;  // share of the uniform distribution in the labels
};

/// How the learning rate changes during a run: see learning_rate() in train/schedule.h.
struct Schedule {
  int epochs = 90;  // of the whole run
  std::vector<int> milestones = {40, 80};
  double decay_rate = 0.1;  // factor of the learning rate at each milestone
  bool cosine = false;      // instead of the milestones
  int warmup_epochs = 0;    // during which the learning rate rises linearly, step by step
};

/// Random changes of the training images.
struct Augmentation {
  double crop_min = 0.2;  // smallest share of an image's area that a random crop takes
  double jitter = 0.4;    // strength of the colour jitter in the strong view
  double gray = 0.2;      // share of the strong views that are grey
  double mixup = 0;       // alpha of Beta(alpha, alpha), from which shares of mixed images are drawn; 0: no mixing
};

/// What the process runs on. Every verb has these.
struct Compute {
  int workers = 0;             // threads that decode images; 0: the usable cores
  int threads = 0;             // CPU threads that compute; 0: the usable cores
  std::optional<int> gpu;      // nothing: the first one, or with several ranks the one of the local rank
  bool deterministic = false;  // GPUs: sums over ranks in the CPU's order
  bool profile = false;
  bool check = false;  // stop at the first value that is not finite
  bool quiet = false;
};

/// Which files a run leaves, and when.
struct Saving {
  std::string exp_dir;                 // "": no checkpoints and no logs
  std::string json_log;                // "": metrics.jsonl in exp_dir
  int64_t every_steps = 0;             // between checkpoints within an epoch; 0: none
  double every_seconds = 0;            // the same by time
  int keep = 3;                        // how many checkpoints from within epochs stay
  int keep_epochs = 0;                 // how many of those from the ends of epochs; 0: all
  std::string format = "safetensors";  // or "pth.tar"
};

/// The values of one step, written to a folder.
struct Dump {
  std::optional<int64_t> step;  // counted from 0 in this process
  std::string folder;
};

/// A setting that changes results, as checkpoints, logs and messages name it.
struct Recorded {
  std::string flag;   // "--lr": in messages
  std::string key;    // "lr": in checkpoints and logs; "": in neither, the ranks only have to agree about it
  std::string value;  // as JSON where `json`, else as text; "": not set, and in no file
  bool json = false;
  bool agreed = true;  // the ranks of a run must have the same
  std::string task;    // "mopro" or "classifier": only such programs read it; "": all
};

/// What a run's files say about how it was made.
struct RunRecord {
  std::string verb;  // "train", "retrain", ...
  std::vector<Recorded> values;
};

/// Everything about a training run, whatever the verb; what differs between verbs is in train/job.h.
struct RunSettings {
  RunRecord record;
  std::string data;              // folder of the images, "" with `synthetic`
  std::string resume;            // a checkpoint, "auto" for the newest in exp_dir, or ""
  std::optional<uint64_t> seed;  // nothing: the checkpoint's, or 0
  int start_epoch = 0;           // when no checkpoint says where to begin
  int64_t steps = 0;             // stop after so many steps; 0: no limit
  int start_clean_epoch = 11;    // first epoch with noise correction
  int max_skips = 10;            // the run ends after so many steps in a row that are not finite
  int print_freq = 50;           // steps between two lines of the log
  bool synthetic = false;        // random images and labels
  bool evaluate = false;         // no training
  bool cache_features = false;   // train on features that are computed once, without augmentation
  Hyper hyper;
  Schedule schedule;
  Augmentation augmentation;
  Compute compute;
  Saving saving;
  Dump dump;
  std::vector<std::string> notes;  // to be printed when the run starts

  uint64_t seed_or_default() const { return seed.value_or(0); }
};

}  // namespace moproc::train
