// Prints and logs the progress of a run: the lines and JSON records of steps, epochs and evaluations.
#pragma once

#include <chrono>
#include <cstdint>

#include "log/console.h"
#include "log/jsonl.h"
#include "session/session.h"
#include "train/checkpoint.h"
#include "train/evaluate.h"
#include "train/lists.h"
#include "train/schedule.h"

namespace moproc::train {

/// A step, for the report.
struct StepView {
  Phase phase;
  double lr;
  const Position& at;  // position after the step: at.step steps of the epoch are done
  int64_t batches;     // steps per epoch
  int64_t steps_left;  // of the whole run
  double waited;       // seconds spent waiting for data since the source was made
  const StepResult& result;
};

/// Facts about a run that only the trainer knows.
struct RunFacts {
  uint64_t seed;
  int64_t steps;  // per epoch
  std::string data_digest;
  const Position& at;  // where this process begins
  const Lists& lists;
};

class Report {
 public:
  Report(Console& console, RunLog& log, int print_freq, int64_t batch, int epochs, bool every_step);

  /// Writes the settings, the place where the run goes on, the machine and the command line to the logs. Prints how
  /// many values of TensorBoard are written again.
  void start(const Session& session, const RunSettings& settings, const RunFacts& facts);
  /// Restarts the clock of epochs: the next step begins an epoch (or the run).
  void restart_clock();
  void step(const StepView& v);
  void epoch(Phase phase, double lr, const Position& at, int64_t broken);
  void evaluation(const Position& at, const Validation& set, const EvaluateResult& r);
  /// A warning that training goes wrong.
  void health(const Position& at, const HealthWarning& warning);
  /// How the run ended, for TensorBoard.
  void end(Ending ending) { log_.end_events(ending); }
  /// A signal ended the run. `saved` is the checkpoint to continue from; "" if there is none.
  void stopped(int signal, const Position& at, const std::string& saved);
  /// The plan's memory beside its lower bound, and the memory of the process.
  void memory(const Session& session);
  /// The bytes that this rank sent per step, and how long it waited for the others.
  void ranks(comm::World& world);

 private:
  void step_scalars(const StepView& v, double images_per_second);
  void epoch_scalars(Phase phase, double lr, const Position& at, double images_per_second);
  void print_step(const StepView& v, double seconds, double images_per_second);
  void noise(const Position& at, JsonLine& record);

  using Clock = std::chrono::steady_clock;
  Console& console_;
  RunLog& log_;
  int print_freq_;
  int64_t batch_;
  int epochs_;
  bool every_step_;
  Clock::time_point epoch_start_, last_step_, last_print_;
  int64_t steps_since_print_ = 0, steps_since_start_ = 0, steps_ = 0;
  double waited_at_print_ = 0;
};

}  // namespace moproc::train
