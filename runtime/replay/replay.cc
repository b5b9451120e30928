// The loop over a replay's steps. In checkpoints written here, the step within the epoch counts the steps of the file
// (and those of the checkpoint that the replay began with, if it is of the same epoch).
#include "replay/replay.h"

#include <unistd.h>

#include <filesystem>
#include <optional>

#include "comm/world.h"
#include "core/error.h"
#include "core/meta.h"
#include "formats/output_file.h"
#include "formats/own_file.h"
#include "log/console.h"
#include "replay/replay_file.h"
#include "replay/trace.h"
#include "train/checkpoint.h"
#include "train/compute.h"
#include "train/dump.h"
#include "train/step.h"
#include "train/targets.h"

namespace moproc::train {

using namespace formats;
namespace {

/// Sets the state that the replay starts from. A replay can start anywhere, so it does not use the data, plan and
/// averages of a checkpoint's run.
CheckpointInfo start_state(Session& session, const RunSettings& settings, Console& console) {
  CheckpointInfo info;
  std::string path = settings.resume;
  if (path == "auto" && (path = newest_checkpoint(settings.saving.exp_dir)).empty())
    throw InputError("--resume auto: no checkpoint in " + settings.saving.exp_dir);
  if (path.empty()) session.init_state(settings.seed_or_default());
  else info = load_checkpoint(path, session, settings.reset_optimizer ? Optimizer::reset : Optimizer::needed);
  if (settings.seed || path.empty()) info.seed = settings.seed_or_default();
  info.at.meters = {};
  info.data_digest = "replay";
  info.plan_digest = session.plan().digest;
  console.line("replay from " + (path.empty() ? "seed " + std::to_string(info.seed) : path));
  return info;
}

ReplayShape shape_of(const Session& session, const StepRunner& runner) {
  const Plan& plan = session.plan();
  const int64_t groups = meta_number(plan, "groups");
  return {runner.batch(), groups, runner.image_size(), meta_number(plan, "num_class"), runner.image_dtype()};
}

std::string line_of(size_t i, const ReplayStep& step, const StepResult& r, int replaced) {
  std::string text = format("step %zu %s  loss %.6f", i, phase_name(step.phase), r.loss.value_or(0));
  if (r.target_new) text += format("  clean %.0f/%.0f", r.kept, r.samples);
  if (replaced > 0) text += format("  %d states replaced", replaced);
  return r.finite ? text : text + "  not finite: the update was skipped";
}

}  // namespace

void require_replay_targets(const RunSettings& settings, const ReplaySettings& replay) {
  require_dump_target(settings.dump);
  formats::require_file(replay.trace, formats::json_mark(kTraceFormat));
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(replay.state, error)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("step_") && name.ends_with(".safetensors"))
      formats::require_file(entry.path().string(), formats::safetensors_mark());
  }
  if (!settings.saving.exp_dir.empty())
    require_checkpoints(settings.saving.exp_dir, settings.saving.format, settings.resume);
}

void run_replay(const Plan& plan, const RunSettings& settings, const ReplaySettings& replay, comm::World* world) {
  if (settings.dump.step) require_kept_values(plan);
  if (settings.dump.step && world) throw InputError("--dump-step runs as one process");
  const bool first = !world || world->rank() == 0;
  Console console(isatty(STDOUT_FILENO) == 1, settings.compute.quiet, first);
  Session session(plan, session_options(settings.compute, world));
  if (!session.has_program("warmup"))
    throw InputError(std::string("--replay: ") + plan.name + " is not an artefact of --task mopro");
  CheckpointInfo info = start_state(session, settings, console);
  StepRunner runner(session, settings.hyper, info.seed);
  const ReplayShape shape = shape_of(session, runner);
  info.global_batch = shape.batch;
  ReplayFile file(replay.file, shape, session);
  const auto& steps = file.steps();
  if (settings.dump.step && *settings.dump.step >= static_cast<int64_t>(steps.size()))
    throw InputError("--dump-step " + std::to_string(*settings.dump.step) + ": " + replay.file + " has " +
                     std::to_string(steps.size()) + " steps");
  for (const auto& [folder, flag] : {std::pair{&replay.state, "--trace-state"},
                                     {&settings.dump.folder, "--dump"},
                                     {&settings.saving.exp_dir, "--exp-dir"}})
    if (!folder->empty() && first) make_writable_folder(*folder, flag);
  if (world)
    world->agree({{"artefact", plan.digest},
                  {"replay file", replay.file},
                  {"checkpoint", settings.resume},
                  {"seed", std::to_string(info.seed)}});
  std::optional<Trace> trace;  // only on rank 0, which has all outputs
  if (first) trace.emplace(replay.trace);

  for (size_t i = 0; i < steps.size(); ++i) {
    const ReplayStep& step = steps[i];
    const int replaced = file.replace_state(i, session);
    if (trace) trace->before(session);
    if (world) world->at_step(static_cast<int64_t>(i));
    const StepResult result =
        runner.run(step.phase, file.batch(i, session.rank(), session.ranks(), runner.loads_keys()), step.lr, i);
    if (trace) trace->after(session, runner, step, settings.hyper, shape.groups);
    if (settings.dump.step == static_cast<int64_t>(i))
      dump_values(session, runner.program(step.phase), settings.dump.folder, *settings.dump.step);
    info.at.step = info.at.epoch == step.epoch ? info.at.step + 1 : 1;
    info.at.epoch = step.epoch;
    info.at.samples += shape.batch;
    if (!replay.state.empty() && first)
      save_checkpoint(replay.state + "/" + step_file(static_cast<int64_t>(i)), session, info, settings.record);
    if (!settings.compute.quiet || !result.finite) console.line(line_of(i, step, result, replaced));
  }
  if (!settings.saving.exp_dir.empty() && first)
    save_checkpoint(
        settings.saving.exp_dir + "/" + checkpoint_name(info.at.epoch, info.at.step, settings.saving.format), session,
        info, settings.record, settings.saving.format);
  if (trace) trace->finish(session);
  if (world) world->exchange("the end", "");
  if (settings.compute.profile) console.line(session.profiler().report());
}

}  // namespace moproc::train
