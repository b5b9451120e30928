#include "workflow/programs.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <filesystem>

#include "core/error.h"
#include "core/layout.h"
#include "formats/checkpoint_file.h"
#include "formats/own_file.h"
#include "formats/safetensors.h"
#include "log/console.h"
#include "session/session.h"
#include "session/state_file.h"
#include "train/compute.h"
#include "train/foreign_network.h"
#include "train/interrupt.h"
#include "train/supervisor.h"
#include "workflow/program_inputs.h"
#include "workflow/program_outputs.h"

namespace moproc::train {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point t) { return std::chrono::duration<double>(Clock::now() - t).count(); }

std::string only_program(const Plan& plan) {
  std::string name;
  for (const ProgramInfo& p : plan.programs) {
    if (std::string_view(p.name) == "refresh") continue;  // run by the session itself
    if (!name.empty()) throw InputError("which program? Its name is the first argument:\n" + describe_programs(plan));
    name = p.name;
  }
  return name;
}

/// The state of a run, and where it came from.
class State {
 public:
  State(const ProgramSettings& s, Session& session, const std::string& program, Console& console)
      : settings_(s), session_(session), program_(program), counter_("steps." + program) {
    const bool exists = !s.checkpoint.empty() && std::filesystem::exists(s.checkpoint);
    const std::string file = exists ? s.checkpoint : s.from.empty() ? beside_binary("init.safetensors") : s.from;
    if (exists && !s.from.empty()) console.line(s.checkpoint + " exists, so --from " + s.from + " is not read");
    if (file.empty()) {
      session.init_state(s.seed);
      if (session.plan().state.size > 0) console.line("the state begins from seed " + std::to_string(s.seed));
      return;
    }
    loaded_ = formats::open_checkpoint(file);
    for (const std::string& note : set_state(*loaded_, session)) console.line(note);
    if (loaded_->has_whole_state() && !loaded_->of_run()) counters_ = loaded_->metadata;
    std::erase_if(counters_, [](const auto& m) { return !m.first.starts_with("steps."); });
    done_ = count_of(counter_);
    console.line("the state is that of " + file + (done_ > 0 ? ", after " + std::to_string(done_) + " steps" : ""));
    if (const auto digest = loaded_->metadata.find("plan_digest");
        digest != loaded_->metadata.end() && digest->second != session.plan().digest)
      console.line("note: another version of this artefact wrote " + file +
                   "; names and shapes of its state are the same");
  }

  /// Steps of this program that the state has seen, over all runs.
  int64_t done() const { return done_; }
  void count() { ++done_; }

  /// Writes the checkpoint unless it would hold what it was read from. Returns a line for the user; "" if there is no
  /// checkpoint.
  std::string save() {
    if (settings_.checkpoint.empty()) return "";
    const bool changed = !loaded_ || !equals_state(*loaded_, session_);
    if (!changed && loaded_->path == settings_.checkpoint)
      return settings_.checkpoint + ": not written again, because " + program_ + " changes no state";
    if (changed) counters_[counter_] = std::to_string(done_);
    save_state(settings_.checkpoint, session_, counters_);
    return settings_.checkpoint + ": the state" + (changed ? " after " + std::to_string(done_) + " steps" : "");
  }

 private:
  int64_t count_of(const std::string& key) const {
    const auto found = counters_.find(key);
    int64_t n = 0;
    if (found == counters_.end()) return 0;
    const std::string& text = found->second;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
    if (error != std::errc() || end != text.data() + text.size() || n < 0)
      throw InputError(loaded_->path + ": __metadata__." + key + " is " + formats::in_quotes(text));
    return n;
  }

  const ProgramSettings& settings_;
  Session& session_;
  const std::string program_, counter_;
  std::optional<formats::Checkpoint> loaded_;
  formats::Metadata counters_;
  int64_t done_ = 0;
};

std::string types_of(const Plan& plan, const Span<int32_t>& tensors) {
  std::string text;
  for (const int32_t t : tensors)
    text += (text.empty() ? "" : ", ") + std::string(short_name(plan.tensors[t])) + " " + show_type(plan.tensors[t]);
  return text.empty() ? "nothing" : text;
}

}  // namespace

std::string describe_programs(const Plan& plan) {
  std::string text;
  for (const ProgramInfo& p : plan.programs)
    if (std::string_view(p.name) != "refresh")
      text += "  " + std::string(p.name) + ": " + types_of(plan, p.inputs) + " -> " + types_of(plan, p.outputs) + "\n";
  return text;
}

void require_program_targets(const ProgramSettings& s) {
  namespace fs = std::filesystem;
  const auto same = [](const std::string& a, const std::string& b) {
    std::error_code error;
    return !a.empty() && !b.empty() &&
           (fs::weakly_canonical(fs::absolute(a), error) == fs::weakly_canonical(fs::absolute(b), error) ||
            fs::equivalent(a, b, error));
  };
  const auto refuse = [](const std::string& path, const char* a, const char* b) {
    throw InputError(path + " is given as both " + a + " and " + b + "; give two different files");
  };
  if (same(s.outputs, s.inputs)) refuse(s.outputs, "--inputs", "--outputs");
  if (same(s.outputs, s.checkpoint)) refuse(s.outputs, "--checkpoint", "--outputs");
  if (same(s.outputs, s.from)) refuse(s.outputs, "--from", "--outputs");
  if (same(s.checkpoint, s.inputs)) refuse(s.checkpoint, "--inputs", "--checkpoint");
  if (!s.outputs.empty()) formats::require_safetensors(s.outputs, kOutputsFormat, "a file of a program's outputs");
  if (!s.checkpoint.empty()) require_state_file(s.checkpoint);
}

int run_program(const Plan& plan, const ProgramSettings& s) {
  require_program_targets(s);
  Console console(isatty(STDOUT_FILENO) == 1, false);
  const std::string name = s.program.empty() ? only_program(plan) : s.program;
  Session session(plan, session_options(s.compute));
  const int program = session.program(name);
  const ProgramInputs inputs(session, program, s.inputs, s.values, console);
  const int64_t steps = s.steps.value_or(std::max<int64_t>(inputs.length(), 1));
  ProgramOutputs outputs(session, program, s.only, s.outputs, s.steps.has_value() || inputs.length() > 0);
  State state(s, session, name, console);
  if (inputs.length() > 0 && steps > inputs.length())
    console.line(std::to_string(steps) + " steps repeat the series of " + std::to_string(inputs.length()) + " inputs");

  const Interrupt interrupt("run");
  const Clock::time_point start = Clock::now();
  Clock::time_point saved = start;
  int64_t ran = 0;
  while (ran < steps && interrupt.signal() == 0) {
    inputs.set(state.done());
    session.run(program);
    outputs.take();
    state.count();
    ++ran;
    console.status(name + " " + std::to_string(ran) + "/" + std::to_string(steps),
                   static_cast<double>(ran) / static_cast<double>(steps), outputs.numbers());
    if (ran < steps && seconds_since(saved) >= s.save_seconds) {
      state.save();
      saved = Clock::now();
    }
  }
  const double seconds = seconds_since(start);
  console.line(format("%s: %lld of %lld steps in %s (%.4g steps/s)", name.c_str(), static_cast<long long>(ran),
                      static_cast<long long>(steps), show_time(seconds).c_str(),
                      static_cast<double>(ran) / std::max(seconds, 1e-9)));
  if (ran > 0) console.line("last step: " + outputs.summary());
  if (const std::string line = state.save(); !line.empty()) console.line(line);
  if (const std::string line = outputs.write(); !line.empty()) console.line(line);
  if (s.compute.profile) console.line(session.profiler().report());
  if (ran == steps) return 0;
  console.line(std::string("stopped by ") + signal_name(interrupt.signal()) +
               (s.checkpoint.empty()
                    ? "; without --checkpoint, the state is lost"
                    : "; the same command with --steps " + std::to_string(steps - ran) + " continues"));
  return kStopped;
}

}  // namespace moproc::train
