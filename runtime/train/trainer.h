// The training loop: epochs of steps, evaluation and a checkpoint after each, logs all along. Surprising: on
// a GPU a step is started before the one before it has been read, but never across a checkpoint.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "command/options.h"
#include "log/console.h"
#include "log/jsonl.h"
#include "session/session.h"
#include "train/checkpoint.h"
#include "train/evaluate.h"
#include "train/features.h"
#include "train/interrupt.h"
#include "train/lists.h"
#include "train/report.h"
#include "train/saver.h"
#include "train/source.h"
#include "train/step.h"

namespace moproc::train {

class Trainer {
 public:
  /// Reads lists, truth and checkpoint, makes folders and logs, allocates: every kind of bad input is found
  /// here. Throws InputError or data::DatasetError.
  /// `world`: the ranks that share the batch; null: this process has all of it. They have to agree about everything.
  Trainer(const Plan& plan, Options options, comm::World* world = nullptr);

  /// Trains (or only evaluates) to the end: 0. A signal ends training after the current step, with a
  /// checkpoint there where --exp-dir is given: then 75, for "go on later". Without, and for SIGINT, 128 and its
  /// number.
  int run();

 private:
  /// A step under way, and what its report needs of its batch.
  struct Started {
    Phase phase;
    double lr;
    std::vector<int64_t> target, sample;
  };

  void find_start();
  void start_state();
  void begin();
  void compare_with(const CheckpointInfo& info, const std::string& path);
  bool cache_features();
  void open_source();
  void warn_of_prototypes();
  void train_epoch();
  bool may_start() const;
  void start_step();
  void finish_step();
  void end_epoch();
  void hear();
  int stopped_status() const;
  bool evaluate_epoch(int epoch);  // false: a signal came, and the evaluation is void
  void save(int epoch, std::optional<int64_t> step);
  void skip(const Started& s, const StepResult& result);
  std::function<std::vector<int64_t>(uint32_t, uint64_t)> keys() const;
  void agree() const;
  bool first() const { return session_.rank() == 0; }
  std::string data_digest() const;
  int64_t steps_left() const;
  /// The signal that ends the run: with several ranks, one that all have heard of.
  int signal() const { return world_ ? told_ : interrupt_ ? interrupt_->signal() : 0; }
  bool interrupted() const { return signal() != 0; }
  bool limit_reached() const { return options_.steps > 0 && steps_run_ >= options_.steps; }

  Options options_;
  comm::World* const world_;
  int told_ = 0;
  Console console_;
  Lists lists_;
  Session session_;
  uint64_t seed_ = 0;
  std::string from_;     // the checkpoint of the beginning, "" for none
  bool begins_ = false;  // with its network alone
  Position at_;
  std::optional<StepRunner> steps_;
  std::unique_ptr<Source> source_;
  std::unique_ptr<RunLog> log_;
  std::optional<Report> report_;
  int64_t batches_ = 0;     // an epoch
  int64_t steps_run_ = 0;   // by this process
  int64_t not_finite_ = 0;  // steps without effect in this process
  int skipped_ = 0;         // of them, those in a row up to now
  std::deque<Started> started_;
  std::optional<Interrupt> interrupt_;
  std::optional<Features> cached_;    // of the training images, with --cache-features
  std::vector<Features> cached_val_;  // of each validation list
  bool is_best_ = false;              // the last evaluation was the best so far
  std::optional<Saver> saver_;        // of the rank that writes, where there is a folder
};

}  // namespace moproc::train
