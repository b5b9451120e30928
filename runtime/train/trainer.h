// The training loop: epochs of steps, evaluation and a checkpoint after each, logs all along.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/session.h"
#include "data/dataset.h"
#include "train/checkpoint.h"
#include "train/console.h"
#include "train/evaluate.h"
#include "train/log.h"
#include "train/options.h"
#include "train/report.h"
#include "train/source.h"
#include "train/step.h"

namespace moproc::train {

class Trainer {
 public:
  /// Reads lists, truth and checkpoint, makes folders and logs, allocates: every kind of bad input is found
  /// here. Throws InputError or data::DatasetError.
  Trainer(const Plan& plan, Options options);

  /// Trains (or only evaluates) to the end.
  void run();

 private:
  void read_data();
  void start_state();
  void compare_with(const CheckpointInfo& info, const std::string& path);
  void open_source();
  void train_epoch();
  void train_step(const TrainBatch& batch);
  void end_epoch();
  void evaluate_epoch(int epoch);
  void save(const std::string& name);
  std::string data_digest() const;
  int64_t steps_left() const;
  bool limit_reached() const { return options_.steps > 0 && steps_run_ >= options_.steps; }

  Options options_;
  Console console_;
  std::optional<data::Dataset> train_, val_;
  std::vector<int64_t> truth_;
  Session session_;
  uint64_t seed_ = 0;
  Position at_;
  std::optional<StepRunner> steps_;
  std::unique_ptr<Source> source_;
  std::unique_ptr<RunLog> log_;
  std::optional<Report> report_;
  int64_t batches_ = 0;     // an epoch
  int64_t steps_run_ = 0;   // by this process
  int64_t not_finite_ = 0;  // steps without effect in this process
  std::vector<int64_t> batch_truth_;
};

}  // namespace moproc::train
