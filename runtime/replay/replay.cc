// The loop over a replay's steps. A checkpoint made here says how many steps of its epoch the file had.
#include "replay/replay.h"

#include <unistd.h>

#include <optional>

#include "comm/world.h"
#include "command/flags.h"
#include "core/error.h"
#include "core/meta.h"
#include "formats/output_file.h"
#include "log/console.h"
#include "replay/replay_file.h"
#include "replay/trace.h"
#include "train/checkpoint.h"
#include "train/dump.h"
#include "train/step.h"

namespace moproc::train {

using namespace formats;
namespace {

/// Where the state comes from; a replay starts anywhere, so only seed and images seen are taken over.
CheckpointInfo start_state(Session& session, const Options& options, Console& console) {
  CheckpointInfo info;
  std::string path = options.resume;
  if (path == "auto" && (path = newest_checkpoint(options.exp_dir)).empty())
    throw InputError("--resume auto: no checkpoint in " + options.exp_dir);
  if (path.empty()) session.init_state(options.seed_or_default());
  else info = load_checkpoint(path, session);
  if (options.seed || path.empty()) info.seed = options.seed_or_default();
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

void run_replay(const Plan& plan, const Options& options, comm::World* world) {
  check_against(options, plan);
  if (options.dump_step) require_kept_values(plan);
  if (options.dump_step && world) throw InputError("--dump-step runs as one process");
  const bool first = !world || world->rank() == 0;
  Console console(isatty(STDOUT_FILENO) == 1, options.quiet, first);
  Session session(plan, {options.threads, options.profile, options.check,
                         options.gpu.value_or(world ? world->launch().local_rank : 0), options.deterministic, world});
  if (!session.has_program("warmup"))
    throw InputError(std::string("--replay: ") + plan.name + " is no artefact of --task mopro");
  CheckpointInfo info = start_state(session, options, console);
  StepRunner runner(session, options.hyper, info.seed);
  const ReplayShape shape = shape_of(session, runner);
  info.global_batch = shape.batch;
  ReplayFile file(options.replay, shape, session);
  const auto& steps = file.steps();
  if (options.dump_step && *options.dump_step >= static_cast<int64_t>(steps.size()))
    throw InputError("--dump-step " + std::to_string(*options.dump_step) + ": " + options.replay + " has " +
                     std::to_string(steps.size()) + " steps");
  for (const auto& [folder, flag] :
       {std::pair{&options.trace_state, "--trace-state"}, {&options.dump, "--dump"}, {&options.exp_dir, "--exp-dir"}})
    if (!folder->empty() && first) make_writable_folder(*folder, flag);
  if (world)
    world->agree({{"artefact", plan.digest},
                  {"replay file", options.replay},
                  {"checkpoint", options.resume},
                  {"seed", std::to_string(info.seed)}});
  std::optional<Trace> trace;  // of rank 0, which has everything
  if (first) trace.emplace(options.trace);

  for (size_t i = 0; i < steps.size(); ++i) {
    const ReplayStep& step = steps[i];
    const int replaced = file.replace_state(i, session);
    if (trace) trace->before(session);
    if (world) world->at_step(static_cast<int64_t>(i));
    const StepResult result =
        runner.run(step.phase, file.batch(i, session.rank(), session.ranks(), runner.loads_keys()), step.lr, i);
    if (trace) trace->after(session, runner, step, options.hyper, shape.groups);
    if (options.dump_step == static_cast<int64_t>(i))
      dump_values(session, runner.program(step.phase), options.dump, *options.dump_step);
    info.at.step = info.at.epoch == step.epoch ? info.at.step + 1 : 1;
    info.at.epoch = step.epoch;
    info.at.samples += shape.batch;
    if (!options.trace_state.empty() && first)
      save_checkpoint(options.trace_state + "/" + step_file(static_cast<int64_t>(i)), session, info, options);
    if (!options.quiet || !result.finite) console.line(line_of(i, step, result, replaced));
  }
  if (!options.exp_dir.empty() && first)
    save_checkpoint(options.exp_dir + "/" + checkpoint_name(info.at.epoch, info.at.step), session, info, options);
  if (trace) trace->finish(session);
  if (world) world->exchange("the end", "");
  if (options.profile) console.line(session.profiler().report());
}

}  // namespace moproc::train
