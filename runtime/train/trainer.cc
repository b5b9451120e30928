// The loop. An epoch ends with averages, evaluation and checkpoint, in this order, so that a checkpoint is never
// written before the numbers of its epoch. Signals are checked after each step and after each batch of an evaluation.
#include "train/trainer.h"

#include <algorithm>
#include <cmath>
#include <csignal>
#include <filesystem>
#include <utility>

#include "comm/world.h"
#include "core/error.h"
#include "core/meta.h"
#include "formats/line_file.h"
#include "train/dump.h"
#include "train/supervisor.h"

namespace moproc::train {

int Trainer::run() {
  if (settings_.evaluate) {
    evaluate_epoch();
    return 0;
  }
  if (is_complete_) {
    console_.line(format("all %d epochs of this run are done: nothing is left to do; a larger --epochs continues it",
                         settings_.schedule.epochs));
    return 0;
  }
  interrupt_.emplace(settings_.record.verb.c_str());
  const Plan& plan = session_.plan();
  if (settings_.cache_features) {
    if (!cache_features()) return stopped_status();
    open_source();
  }
  console_.line(format("%s: %s, %s, %lld steps of %lld images per epoch, seed %llu", plan.name,
                       meta(plan, "arch").c_str(), session_.device().name().c_str(), static_cast<long long>(batches_),
                       static_cast<long long>(runner_->batch()), static_cast<unsigned long long>(seed_)));
  warn_of_size();
  labels_ = LabelTally(meta_number(session_.plan(), "num_class"));
  if (at_.steps == 0) at_.steps = at_.epoch * batches_ + at_.step;  // a checkpoint of PyTorch does not know
  report_->start(session_, settings_, {seed_, batches_, data_digest(), at_, lists_});
  while (at_.epoch < settings_.schedule.epochs && !limit_reached() && !interrupted() && !collapsed_) train_epoch();
  if (settings_.dump.step && !interrupted() && *settings_.dump.step >= steps_run_)
    throw InputError("--dump-step " + std::to_string(*settings_.dump.step) + ": the run ended after " +
                     std::to_string(steps_run_) + " steps");
  if (saver_) saver_->finish();
  if (collapsed_) report_->end(Ending::failure);
  else if (at_.epoch >= settings_.schedule.epochs) report_->end(Ending::success);
  if (world_) world_->exchange("the end", "");  // a launcher may kill the others when one rank ends
  report_->memory(session_);
  if (world_ && world_->carrier() != comm::Carrier::nccl) report_->ranks(*world_);
  if (settings_.compute.profile) console_.line(session_.profiler().report());
  if (!interrupted()) say_results();
  if (collapsed_) return kCollapsed;
  const bool unended = at_.step == batches_;  // evaluation and checkpoint of the epoch are missing
  if (!interrupted() || at_.epoch >= settings_.schedule.epochs || (limit_reached() && !unended)) return 0;
  report_->stopped(signal(), at_, saver_ ? saver_->newest() : "");
  return stopped_status();
}

/// kStopped, so that a scheduler starts the run again, unless there is no checkpoint or the user stopped it with
/// SIGINT.
int Trainer::stopped_status() const {
  return settings_.saving.exp_dir.empty() || signal() == SIGINT ? 128 + signal() : kStopped;
}

void Trainer::train_epoch() {
  report_->restart_clock();
  while (at_.step < batches_ && !limit_reached()) {
    while (!interrupted() && may_start()) start_step();
    if (started_.empty()) break;  // a signal came
    finish_step();
    if (started_.empty() && at_.step < batches_ && saver_ && saver_->due(at_.step)) save(at_.epoch, at_.step);
  }
  if (at_.step == batches_ && !interrupted()) end_epoch();
  else save(at_.epoch, at_.step);  // stopped by --steps or a signal
}

/// Whether another step may be started besides those under way. No step may be under way while a checkpoint or a dump
/// is written.
bool Trainer::may_start() const {
  const int64_t under_way = static_cast<int64_t>(started_.size()), next = at_.step + under_way;
  if (under_way == session_.slots() || next == batches_) return false;
  if (settings_.steps > 0 && steps_run_ + under_way == settings_.steps) return false;
  if (settings_.dump.step && *settings_.dump.step >= steps_run_ && *settings_.dump.step < steps_run_ + under_way)
    return false;
  if (under_way == 0) return true;
  if (saver_ && saver_->is_time()) return false;
  return settings_.saving.every_steps == 0 || next % settings_.saving.every_steps != 0;
}

int64_t Trainer::steps_left() const {
  const int64_t left = (settings_.schedule.epochs - at_.epoch) * batches_ - at_.step;
  return settings_.steps > 0 ? std::min(left, settings_.steps - steps_run_) : left;
}

void Trainer::start_step() {
  TrainBatch batch;
  const int64_t step = at_.step + static_cast<int64_t>(started_.size());
  if (!source_->next(batch)) throw std::logic_error("the source of batches ended early");
  if (batch.epoch != at_.epoch || batch.index != step)
    throw std::logic_error("the source of batches is at another place than the run");
  Started s{runner_->phase(at_.epoch, settings_.start_clean_epoch),
            learning_rate(settings_.hyper.lr, settings_.schedule, at_.epoch, step, batches_),
            {},
            {}};
  s.target.assign(batch.target, batch.target + runner_->part());
  if (batch.sample) s.sample.assign(batch.sample, batch.sample + runner_->part());
  if (world_) {
    world_->at_step(at_.samples / runner_->batch());
    runner_->send_signal(interrupt_->signal());
  }
  runner_->start(s.phase, batch, s.lr,
                 static_cast<uint64_t>(at_.epoch) * static_cast<uint64_t>(batches_) + static_cast<uint64_t>(step));
  started_.push_back(std::move(s));
}

void Trainer::finish_step() {
  Started s = std::move(started_.front());
  started_.pop_front();
  const StepResult result = runner_->finish(s.phase);
  if (world_) {
    stop_signal_ = std::max(stop_signal_, static_cast<int>(result.signal));
    s.target = result.all_targets;
    s.sample = result.all_samples;
  }
  std::vector<int64_t> truth;
  if (!lists_.truth.empty())
    for (const int64_t i : s.sample) truth.push_back(lists_.truth[static_cast<size_t>(i)]);
  if (settings_.dump.step == steps_run_)
    dump_values(session_, runner_->program(s.phase), settings_.dump.folder, steps_run_);
  ++at_.step;
  ++steps_run_;
  ++at_.steps;
  at_.samples += runner_->batch();
  at_.meters.add(result, s.target.data());
  labels_.add(result, s.target.data());
  if (!truth.empty()) at_.meters.add_truth(result, s.target.data(), truth.data());
  if (result.finite) skipped_ = 0;
  else skip(s, result);
  report_->step({s.phase, s.lr, at_, batches_, steps_left(), source_->seconds_waited(), result});
}

/// Handles a step whose loss or gradient is not finite, and whose update was therefore skipped. Writes the names of its
/// images to not_finite.jsonl. All ranks take the same decision. Throws Diverged after max_skips such steps in a row.
void Trainer::skip(const Started& s, const StepResult& result) {
  console_.line(format("epoch %d step %lld: gradients or losses are not finite; the update was skipped (%lld so far)",
                       at_.epoch, static_cast<long long>(at_.step - 1), static_cast<long long>(++not_finite_)));
  if (!settings_.saving.exp_dir.empty() && first()) {
    std::string files;
    for (const int64_t i : s.sample) {
      if (i < 0) break;  // synthetic images have no names
      files += files.empty() ? "" : ", ";
      write_json(files, lists_.train->name(static_cast<size_t>(i)));
    }
    JsonLine record;
    record.add("epoch", int64_t{at_.epoch}).add("step", at_.step - 1).add("phase", phase_name(s.phase)).add("lr", s.lr);
    const bool loss_is_finite = std::isfinite(result.loss.value_or(NAN));
    record.add("not_finite", loss_is_finite ? "gradients" : "loss");
    if (loss_is_finite) record.add("loss", *result.loss);
    record.add_raw("files", "[" + files + "]");
    formats::LineFile(settings_.saving.exp_dir + "/not_finite.jsonl").line(record.text());
  }
  if (++skipped_ < settings_.max_skips) return;
  report_->end(Ending::failure);
  throw Diverged(
      format("%d steps in a row were not finite (--max-skips): the run ends before it does harm. Their images are in "
             "--exp-dir, not_finite.jsonl; a smaller --lr is the usual remedy",
             skipped_));
}

void Trainer::end_epoch() {
  const int epoch = at_.epoch;
  report_->epoch(runner_->phase(epoch, settings_.start_clean_epoch),
                 learning_rate(settings_.hyper.lr, settings_.schedule, epoch, batches_ - 1, batches_), at_,
                 source_->broken_count());
  if (!lists_.val.empty() && !evaluate_epoch()) return save(epoch, at_.step);  // to be continued here
  check_health();
  at_.epoch += 1;
  at_.step = 0;
  at_.meters = {};
  labels_ = LabelTally(meta_number(session_.plan(), "num_class"));
  top1_.reset();
  save(epoch, std::nullopt);
}

bool Trainer::evaluate_epoch() {
  session_.share_first_rank();
  for (size_t i = 0; i < lists_.val.size(); ++i) {
    const Validation& v = lists_.val[i];
    const auto r =
        cached_ ? std::optional(evaluate_features(session_, v.list, cached_val_[i]))
                : evaluate(session_, v.list, settings_.compute.workers, [&](int64_t done, int64_t all) {
                    console_.status("validation", static_cast<double>(done) / static_cast<double>(all),
                                    format("%lld/%lld", static_cast<long long>(done), static_cast<long long>(all)));
                    exchange_signals();
                    return !interrupted();
                  });
    if (!r) return false;
    if (r->images == 0) {
      console_.line("warning: no validation image of " + v.list.folder() + " can be read, so there is no accuracy");
      continue;
    }
    report_->evaluation(at_, v, *r);
    try {
      if (class_results_) class_results_->add(v, at_.epoch, *r);
    } catch (const InputError& e) {
      console_.line(std::string("warning: ") + e.what() + "; the accuracies per class of this epoch are lost");
    }
    if (i > 0 || settings_.evaluate) continue;
    top1_ = r->top1();
    is_best_ = r->top1() > at_.best;
    if (is_best_) at_.best = r->top1(), at_.best_epoch = at_.epoch;
  }
  return true;
}

/// Exchanges signals between all ranks after a batch of an evaluation, because no step does it there.
void Trainer::exchange_signals() {
  if (!world_ || !interrupt_) return;
  for (const std::string& s : world_->exchange("signals", std::to_string(interrupt_->signal())))
    stop_signal_ = std::max(stop_signal_, std::stoi(s));
}

std::string Trainer::best_path() const { return settings_.saving.exp_dir + "/model_best." + settings_.saving.format; }

/// Names the files that the run leaves, and what to do with them.
void Trainer::say_results() {
  if (!saver_ || saver_->newest().empty()) return;
  std::string file = saver_->newest();
  console_.line("newest checkpoint: " + file);
  if (at_.best >= 0 && std::filesystem::exists(best_path())) {
    file = best_path();
    console_.line("best epoch: " + file +
                  (at_.best_epoch >= 0 ? format(" (epoch %d, top-1 %.2f)", at_.best_epoch, at_.best) : ""));
  }
  const bool judges = session_.has_program("proto") && !settings_.synthetic;
  console_.line("next: moproc " + (judges ? "clean --data " + in_shell(settings_.data) + " --resume " + in_shell(file)
                                          : "export --resume " + in_shell(file) + " -o model.onnx"));
}

void Trainer::save(int epoch, std::optional<int64_t> step) {
  if (!saver_) return;
  CheckpointInfo info;
  info.at = at_;
  info.run = run_;
  info.seed = seed_;
  info.global_batch = runner_->batch();
  info.data_digest = data_digest();
  info.plan_digest = session_.plan().digest;
  info.label_names = lists_.classes.json();
  if (lists_.held_out) {
    info.hold_out = settings_.hold_out;
    info.held_out_digest = hex(lists_.val.front().list.digest());
  }
  std::vector<std::string> paths;
  // The best is written first: a run that is killed between the two files repeats the end of its epoch and writes both.
  if (!step && std::exchange(is_best_, false)) paths.push_back(best_path());
  paths.push_back(settings_.saving.exp_dir + "/" + checkpoint_name(epoch, step, settings_.saving.format));
  saver_->begin(std::move(paths), info);
}

}  // namespace moproc::train
