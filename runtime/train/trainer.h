// The training loop: epochs of steps, with an evaluation and a checkpoint after each epoch, and logs. Surprising: on a
// GPU, a step is started before the results of the last one have been read, but never across a checkpoint.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "log/console.h"
#include "log/jsonl.h"
#include "session/session.h"
#include "train/checkpoint.h"
#include "train/class_results.h"
#include "train/evaluate.h"
#include "train/features.h"
#include "train/interrupt.h"
#include "train/job.h"
#include "train/lists.h"
#include "train/report.h"
#include "train/run_folder.h"
#include "train/saver.h"
#include "train/settings.h"
#include "train/source.h"
#include "train/step.h"

namespace moproc::train {

class Trainer {
 public:
  /// Reads lists, truth and checkpoint, makes folders and logs, and allocates memory, so that bad input is found here.
  /// `world`: the ranks that share the batch, which must have the same values of all settings that change results;
  /// null: this process has the whole batch. Throws InputError or data::DatasetError.
  Trainer(const Plan& plan, RunSettings settings, Job job, comm::World* world = nullptr);

  /// Trains (or only evaluates) to the end and returns 0. A signal ends training after the steps under way, with a
  /// checkpoint if there is an exp_dir. The status is then kStopped (75), so that schedulers start the run again.
  /// Without exp_dir, and after SIGINT, it is 128 + the signal's number. --stop-on-collapse ends the run after the
  /// first unhealthy epoch, with its checkpoint and kCollapsed (4). Throws Diverged, InputError and
  /// comm::LostRank.
  int run();

 private:
  /// A step that has been started, with the data of its batch that its report needs.
  struct Started {
    Phase phase;
    double lr;
    std::vector<int64_t> target, sample;
  };

  void find_start();
  void read_lists();
  void check_images();
  void start_state();
  void begin_from_network();
  void compare_with(const CheckpointInfo& info, const std::string& path);
  bool cache_features();
  void open_source();
  void forget_lost_best();
  void warn_of_size();
  RunSize size() const;
  void apply_recipe();
  Tunable tunable() const;
  std::optional<double> prototype_cosine() const;
  void check_health();
  void train_epoch();
  bool may_start() const;
  void start_step();
  void finish_step();
  void end_epoch();
  void exchange_signals();
  int stopped_status() const;
  bool evaluate_epoch();  // false: a signal came before the evaluation was complete
  std::string best_path() const;
  void say_results();
  void save(int epoch, std::optional<int64_t> step);
  void skip(const Started& s, const StepResult& result);
  std::function<std::vector<int64_t>(uint32_t, uint64_t)> keys() const;
  void agree() const;
  bool first() const { return session_.rank() == 0; }
  std::string data_digest() const;
  int64_t steps_left() const;
  /// The signal that ends the run; with several ranks, one that all ranks know. 0: none.
  int signal() const { return world_ ? stop_signal_ : interrupt_ ? interrupt_->signal() : 0; }
  bool interrupted() const { return signal() != 0; }
  bool limit_reached() const { return settings_.steps > 0 && steps_run_ >= settings_.steps; }

  RunSettings settings_;
  const Job job_;
  comm::World* const world_;
  int stop_signal_ = 0;  // the largest signal that a rank has sent to all
  Console console_;
  Lists lists_;
  Session session_;
  std::string run_;  // the run's id, which its checkpoints and the records of its log carry
  uint64_t seed_ = 0;
  std::string start_checkpoint_;  // "" for none
  bool network_only_ = false;     // only the network of that checkpoint is used
  bool is_complete_ = false;      // it is the last one of a run that --resume auto has found
  Position at_;
  std::optional<StepRunner> runner_;
  std::unique_ptr<Source> source_;
  std::unique_ptr<RunLog> log_;
  std::optional<Report> report_;
  std::optional<ClassResults> class_results_;
  int64_t batches_ = 0;         // per epoch
  int64_t steps_run_ = 0;       // by this process
  LabelTally labels_;           // of the epoch's steps that this process has run
  std::optional<double> top1_;  // of the epoch, on the first validation list
  bool collapsed_ = false;      // --stop-on-collapse ends the run
  int64_t not_finite_ = 0;      // steps of this process whose update was skipped
  int skipped_ = 0;             // how many of these were the last steps in a row
  std::deque<Started> started_;
  std::optional<FolderLock> folder_lock_;  // only on the rank that writes
  std::optional<Interrupt> interrupt_;
  std::optional<Features> cached_;    // of the training images, with --cache-features
  std::vector<Features> cached_val_;  // of each validation list
  bool is_best_ = false;              // the last evaluation was the best so far
  std::optional<Saver> saver_;        // only on the rank that writes, and only if there is a folder
};

}  // namespace moproc::train
