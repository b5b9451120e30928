// The text of everything that a run prints. As in the published script, averages over the epoch so far are in brackets.
#include "train/report.h"

#include <algorithm>

#include "comm/world.h"
#include "train/interrupt.h"

namespace moproc::train {
namespace {

/// A count, which meters hold as a double.
int64_t whole(double count) { return static_cast<int64_t>(count); }

std::string meter(const char* name, const Meter& m, int digits) {
  return m.any() ? format("  %s %.*f (%.*f)", name, digits, m.last, digits, m.mean()) : "";
}

void add_meter(JsonLine& line, const char* name, const Meter& m) {
  if (!m.any()) return;
  line.add(name, m.last);
  line.add(std::string(name) + "_avg", m.mean());
}

void add_meters(JsonLine& line, const Meters& m) {
  add_meter(line, "loss", m.loss);
  add_meter(line, "loss_cls", m.loss_cls);
  add_meter(line, "loss_inst", m.loss_inst);
  add_meter(line, "loss_proto", m.loss_proto);
  add_meter(line, "acc_cls", m.acc_cls);
  add_meter(line, "acc_inst", m.acc_inst);
  add_meter(line, "acc_proto", m.acc_proto);
  if (m.samples > 0) line.add("labels", whole(m.samples));
  if (m.samples > 0) line.add("corrected", whole(m.corrected)).add("dropped", whole(m.dropped));
  line.add("not_finite", whole(m.not_finite));
}

double percent(double part, double whole) { return whole > 0 ? 100 * part / whole : 0; }

double since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

Report::Report(Console& console, RunLog& log, int print_freq, int64_t batch, int epochs, bool every_step)
    : console_(console), log_(log), print_freq_(print_freq), batch_(batch), epochs_(epochs), every_step_(every_step) {
  restart_clock();
}

void Report::restart_clock() {
  epoch_start_ = last_step_ = last_print_ = Clock::now();
  steps_since_print_ = steps_since_start_ = 0;
}

void Report::step(const StepView& v) {
  const double seconds = since(last_step_);
  last_step_ = Clock::now();
  ++steps_since_print_;
  ++steps_since_start_;
  ++steps_;
  const double all = since(epoch_start_);
  const double rate = all > 0 ? static_cast<double>(steps_since_start_) / all : 0;
  if (every_step_ || (v.at.step - 1) % print_freq_ == 0 || v.at.step == v.batches) {
    print_step(v, seconds, static_cast<double>(batch_ * steps_since_print_) / std::max(1e-9, since(last_print_)));
    last_print_ = Clock::now();
    steps_since_print_ = 0;
    waited_at_print_ = v.waited;
  }
  const Meters& m = v.at.meters;
  console_.status(format("epoch %d/%d %s %lld/%lld", v.at.epoch, epochs_, phase_name(v.phase),
                         static_cast<long long>(v.at.step), static_cast<long long>(v.batches)),
                  static_cast<double>(v.at.step) / static_cast<double>(v.batches),
                  format("%.1f images/s  loss %.4f  acc %.1f %%  %s left", rate * static_cast<double>(batch_),
                         m.loss.mean(), m.acc_cls.mean(), show_time(rate > 0 ? v.steps_left / rate : 0).c_str()));
}

void Report::print_step(const StepView& v, double seconds, double images_per_second) {
  const Meters& m = v.at.meters;
  const double waited = v.waited - waited_at_print_;
  JsonLine record;
  record.add("event", "train").add("phase", phase_name(v.phase)).add("epoch", int64_t{v.at.epoch});
  record.add("step", v.at.step).add("steps", v.batches).add("run_step", v.at.steps).add("samples", v.at.samples);
  record.add("lr", v.lr);
  record.add("images_per_s", images_per_second).add("step_s", seconds).add("waited_s", waited);
  add_meters(record, m);
  log_.line(record);
  step_scalars(v, images_per_second);
  if (console_.quiet() || (console_.terminal() && !every_step_)) return;
  std::string text;
  if (every_step_) {
    text = format("step %lld %s", static_cast<long long>(v.at.samples / batch_ - 1), phase_name(v.phase));
    const auto add = [&](const char* name, const std::optional<double>& value) {
      if (value) text += format("  %s %.6f", name, *value);
    };
    add("loss", v.result.loss), add("cls", v.result.loss_cls);
    add("inst", v.result.loss_inst), add("proto", v.result.loss_proto);
    text += format("  %.2f images/s  %.3f s  peak %s", images_per_second, seconds,
                   show_bytes(peak_resident_bytes()).c_str());
  } else {
    text = format("Epoch: [%d][%5lld/%lld]  images/s %.1f  Data %.2f s", v.at.epoch, static_cast<long long>(v.at.step),
                  static_cast<long long>(v.batches), images_per_second, waited);
    text += meter("Loss", m.loss, 4) + meter("Acc@Cls", m.acc_cls, 2) + meter("Acc@Inst", m.acc_inst, 2) +
            meter("Acc@Proto", m.acc_proto, 2);
  }
  console_.line(text);
}

void Report::epoch(Phase phase, double lr, const Position& at, int64_t broken) {
  const Meters& m = at.meters;
  const double seconds = since(epoch_start_);
  epoch_scalars(phase, lr, at, static_cast<double>(batch_ * steps_since_start_) / std::max(1e-9, seconds));
  JsonLine record;
  record.add("event", "epoch").add("phase", phase_name(phase)).add("epoch", int64_t{at.epoch}).add("lr", lr);
  record.add("seconds", seconds).add("samples", at.samples).add("broken_files", broken);
  add_meters(record, m);
  std::string text = format("epoch %d %s: lr %g  loss %.4f  Acc@Cls %.2f", at.epoch, phase_name(phase), lr,
                            m.loss.mean(), m.acc_cls.mean());
  if (m.acc_inst.any()) text += format("  Acc@Inst %.2f", m.acc_inst.mean());
  if (m.acc_proto.any()) text += format("  Acc@Proto %.2f", m.acc_proto.mean());
  text += "  " + show_time(seconds);
  if (broken > 0) text += format("  (%lld broken files so far)", static_cast<long long>(broken));
  console_.line(text);
  noise(at, record);
  log_.line(record);
}

/// The values of one step, against the steps of the run.
void Report::step_scalars(const StepView& v, double images_per_second) {
  const auto add = [&](const char* name, const std::optional<double>& value) {
    if (value) log_.scalar(std::string(kStepTag) + name, *value, v.at.steps);
  };
  const auto add_share = [&](const char* name, const std::optional<double>& correct, double of) {
    if (correct && of > 0) add(name, percent(*correct, of));
  };
  add("lr", v.lr);
  add("images_per_s", images_per_second);
  if (!v.result.finite) return;
  add("loss", v.result.loss), add("loss_cls", v.result.loss_cls);
  add("loss_inst", v.result.loss_inst), add("loss_proto", v.result.loss_proto);
  add_share("acc_cls", v.result.correct_cls, v.result.kept);
  add_share("acc_inst", v.result.correct_inst, v.result.samples);
  add_share("acc_proto", v.result.correct_proto, v.result.kept);
  const LabelCounts& labels = v.at.meters.of_step;
  if (labels.samples == 0) return;
  add("kept_share", labels.kept_share());
  add("corrected_share", labels.corrected / labels.samples);
  add("dropped_share", labels.dropped / labels.samples);
}

/// The means of an epoch. Accuracies have the published tags.
void Report::epoch_scalars(Phase phase, double lr, const Position& at, double images_per_second) {
  const Meters& m = at.meters;
  log_.scalar("Train Acc", m.acc_cls.mean(), at.epoch);
  if (phase != Phase::train) log_.scalar("Instance Acc", m.acc_inst.mean(), at.epoch);
  if (phase == Phase::proto || phase == Phase::clean) log_.scalar("Prototype Acc", m.acc_proto.mean(), at.epoch);
  const auto add = [&](const char* name, const Meter& meter) {
    if (meter.any()) log_.scalar(std::string("epoch/") + name, meter.mean(), at.epoch);
  };
  add("loss", m.loss), add("loss_cls", m.loss_cls), add("loss_inst", m.loss_inst), add("loss_proto", m.loss_proto);
  log_.scalar("epoch/lr", lr, at.epoch);
  log_.scalar("epoch/images_per_s", images_per_second, at.epoch);
  if (m.samples == 0) return;
  const LabelCounts labels{m.samples, m.corrected, m.dropped};
  log_.scalar("epoch/kept_share", labels.kept_share(), at.epoch);
  log_.scalar("epoch/corrected_share", m.corrected / m.samples, at.epoch);
  log_.scalar("epoch/dropped_share", m.dropped / m.samples, at.epoch);
}

/// For the clean phase: how many labels were replaced and how many samples were left out, and how many of each are
/// right if true classes are known.
void Report::noise(const Position& at, JsonLine& record) {
  const Meters& m = at.meters;
  if (m.samples == 0) return;
  console_.line(format("  noise: of %.0f labels %.0f corrected (%.1f %%), %.0f dropped (%.1f %%)", m.samples,
                       m.corrected, percent(m.corrected, m.samples), m.dropped, percent(m.dropped, m.samples)));
  if (m.right + m.wrong + m.out == 0) return;
  console_.line(
      format("  truth: of %.0f wrong labels %.1f %% corrected, %.1f %% dropped; of %.0f out-of-class images "
             "%.1f %% dropped; of %.0f right labels %.1f %% kept",
             m.wrong, percent(m.wrong_corrected, m.wrong), percent(m.wrong_dropped, m.wrong), m.out,
             percent(m.out_dropped, m.out), m.right, percent(m.right_kept, m.right)));
  record.add("right_labels", whole(m.right)).add("wrong_labels", whole(m.wrong)).add("out_of_class", whole(m.out));
  const auto share = [&](const char* name, double part, double whole) {
    if (whole > 0) record.add(name, part / whole);
  };
  share("wrong_labels_corrected", m.wrong_corrected, m.wrong);
  share("wrong_labels_dropped", m.wrong_dropped, m.wrong);
  share("out_of_class_dropped", m.out_dropped, m.out);
  share("right_labels_kept", m.right_kept, m.right);
}

void Report::evaluation(const Position& at, const Validation& list, const EvaluateResult& r) {
  const std::string& set = list.title;
  const int64_t epoch = at.epoch;
  log_.scalar("step/" + list.data + " top1", r.top1(), at.steps);
  log_.scalar("step/" + list.data + " top5", r.top5(), at.steps);
  log_.scalar(list.tag(1), r.top1(), epoch);
  log_.scalar(list.tag(5), r.top5(), epoch);
  JsonLine record;
  record.add("event", "evaluate")
      .add("set", set)
      .add("epoch", epoch)
      .add("run_step", at.steps)
      .add("images", r.images)
      .add("broken_files", r.broken)
      .add("top1", r.top1())
      .add("top5", r.top5())
      .add("correct1", r.correct1)
      .add("correct5", r.correct5)
      .add("seconds", r.seconds);
  if (r.balanced5()) record.add("balanced1", *r.balanced1()).add("balanced5", *r.balanced5());
  log_.line(record);
  std::string text =
      format("  validation%s: top-1 %.2f  top-5 %.2f  of %lld images  %s", list.first ? "" : (" (" + set + ")").c_str(),
             r.top1(), r.top5(), static_cast<long long>(r.images), show_time(r.seconds).c_str());
  if (r.uneven()) text += format("  (mean over classes: %.2f, %.2f)", *r.balanced1(), *r.balanced5());
  if (r.broken > 0) text += format("  (%lld broken files left out)", static_cast<long long>(r.broken));
  console_.line(text);
}

void Report::health(const Position& at, const HealthWarning& warning) {
  log_.line(warning.record);
  console_.line(format("warning: epoch %d: ", at.epoch) + warning.text);
}

void Report::stopped(int signal, const Position& at, const std::string& saved) {
  const char* const name = signal_name(signal);
  JsonLine record;
  record.add("event", "stopped").add("signal", name).add("epoch", int64_t{at.epoch}).add("step", at.step);
  log_.line(record);
  const std::string what = saved.empty() ? "nothing was saved" : saved + "; --resume auto continues there";
  console_.line(format("stopped by %s at epoch %d, step %lld: %s", name, at.epoch, static_cast<long long>(at.step),
                       what.c_str()));
}

void Report::memory(const Session& session) {
  const Plan& plan = session.plan();
  int64_t work = 0, bound = 0;
  for (const ProgramInfo& p : plan.programs) {
    work = std::max(work, p.work_bytes);
    bound = std::max(bound, p.live_bytes_max);
  }
  const int64_t arenas = plan.arena_bytes[0] + plan.arena_bytes[1] + plan.arena_bytes[2] + plan.arena_bytes[3];
  const int64_t scratch = session.memory_bytes() - arenas;
  const int64_t peak = peak_resident_bytes();
  console_.line(format("memory of the plan: %s: state %s, gradients %s, work %s, inputs and outputs %s, %s %s",
                       show_bytes(session.memory_bytes()).c_str(), show_bytes(plan.arena_bytes[0]).c_str(),
                       show_bytes(plan.arena_bytes[1]).c_str(), show_bytes(plan.arena_bytes[2]).c_str(),
                       show_bytes(plan.arena_bytes[3]).c_str(), session.device().extra(), show_bytes(scratch).c_str()));
  console_.line(format("work: %s, lower bound %s (%.1f %% above); peak of the process %s", show_bytes(work).c_str(),
                       show_bytes(bound).c_str(),
                       bound > 0 ? percent(static_cast<double>(work - bound), static_cast<double>(bound)) : 0.0,
                       show_bytes(peak).c_str()));
  JsonLine record;
  record.add("event", "memory").add("plan_bytes", session.memory_bytes()).add("work_bytes", work);
  record.add("live_bytes_max", bound).add("peak_bytes", peak);
  if (session.device().separate()) {
    const DeviceMemoryUse use = session.device().memory_use();
    console_.line(
        format("%s: %s taken at the peak, the plan's %s included (the rest: code, graphs, driver); %s of "
               "%s free",
               session.device().name().c_str(), show_bytes(use.taken).c_str(), show_bytes(use.planned).c_str(),
               show_bytes(use.free).c_str(), show_bytes(use.total).c_str()));
    record.add("device_taken_bytes", use.taken).add("device_bytes", use.total);
  }
  log_.line(record);
}

void Report::ranks(comm::World& world) {
  const int64_t sent = world.queue().bytes_sent();
  const double waited = world.queue().seconds_waited();
  const int64_t steps = std::max<int64_t>(1, steps_);
  console_.line(format("%d ranks: this one sent %s per step and waited %.2f ms per step for the others", world.ranks(),
                       show_bytes(sent / steps).c_str(), 1e3 * waited / static_cast<double>(steps)));
  JsonLine record;
  record.add("event", "ranks").add("ranks", int64_t{world.ranks()}).add("steps", steps_);
  log_.line(record.add("sent_bytes", sent).add("waited_s", waited));
}

}  // namespace moproc::train
