// Everything the command line decides about a training run. Names follow the published train.py.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "comm/launch.h"

namespace moproc::train {

/// Read each step by the compiled program, from its inputs hyper.NAME.
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

/// What the artefact was compiled with and a flag may only confirm. 0 or empty: not said.
struct Confirmed {
  std::string arch;
  double width = 0;
  int64_t batch = 0, num_class = 0, low_dim = 0, moco_queue = 0, image_size = 0, bn_groups = 0;
};

/// What a binary does.
enum class Verb { train, clean, retrain, finetune, lowshot };

/// "train", "clean", ...
const char* name_of(Verb verb);
/// The verb of that name; train for every other one.
Verb verb_of(std::string_view name);

struct Options {
  Verb verb = Verb::train;
  std::string data;
  std::string exp_dir;
  int workers = 0;  // loader threads; 0: usable cores
  int epochs = 90;
  int start_epoch = 0;
  std::vector<int> schedule = {40, 80};
  double decay_rate = 0.1;  // what lr is multiplied by at each of the schedule
  bool cosine = false;
  int print_freq = 50;
  std::string resume;  // a file, or "auto"
  std::optional<uint64_t> seed;
  int start_clean_epoch = 11;
  bool start_clean_given = false;
  Hyper hyper;
  Confirmed confirmed;
  std::vector<std::string> without_effect;  // flags that were given and do nothing here
  comm::LaunchFlags launch;
  std::string backend;         // --dist-backend, "" when not said
  bool process_a_gpu = false;  // --multiprocessing-distributed
  bool deterministic = false;  // several GPUs: sums over ranks in the CPU's order
  double timeout = 600;        // seconds that another rank may be missed
  int max_restarts = 0;        // after a rank was lost

  bool google = true, flickr = true;  // whose images of WebVision are trained on
  double crop_min = 0.2;
  double jitter = 0.4;
  double gray = 0.2;
  int threads = 0;  // 0: usable cores
  std::optional<int> gpu;
  bool synthetic = false;
  bool evaluate = false;
  int64_t steps = 0;  // 0: no limit
  bool profile = false;
  bool check = false;
  std::string json_log;
  int64_t save_steps = 0;                         // between checkpoints within an epoch; 0: none
  double save_seconds = 0;                        // the same by time
  int keep = 3;                                   // checkpoints written within epochs
  int keep_epochs = 0;                            // those at the ends of epochs; 0: all
  int max_skips = 10;                             // steps in a row that are not finite
  std::string checkpoint_format = "safetensors";  // or "pth.tar"
  bool quiet = false;
  std::string truth;
  double mixup = 0;            // alpha of the distribution of shares; 0: images are not mixed
  std::string sample_weights;  // file of how much each image counts

  std::string annotation = "pseudo_label.json";  // clean writes it, retrain reads it
  std::string imagenet;                          // retrain: folder with val/, evaluated as well
  std::string pretrained;                        // retrain, finetune, lowshot: where the network comes from
  bool keep_classifier = true;                   // retrain: begins with the checkpoint's
  bool cache_features = false;                   // retrain: no augmentation; features are computed once
  bool finetune = false;                         // retrain: said that all layers are trained
  double low_resource = 0.01;                    // finetune: share of the training images
  std::string list;                              // finetune: which ones, instead
  bool compat_released = false;                  // what the published code does, not the paper

  std::string dataset = "voc";  // lowshot: or "places"
  std::string voc_path, places_path;
  double cost = 0.5;                          // of SVMs
  std::vector<int> shots = {1, 2, 4, 8, 16};  // training images a class
  int draws = 5;                              // for each of them
  bool ignore_difficult = false;              // VOC: such images count neither way, not as negative
  double tolerance = 1e-4;
  int max_passes = 2000;
  std::string output = "lowshot.json";

  std::string replay;                // a file of batches, instead of data
  std::string trace;                 // what the replay computed, as JSON
  std::string trace_state;           // folder of the whole state after each step of the replay
  std::optional<int64_t> dump_step;  // counted from 0 in this process
  std::string dump;                  // folder of that step's values

  uint64_t seed_or_default() const { return seed.value_or(0); }
};

}  // namespace moproc::train
