// The only verb of an artefact that no training verb can run: a user's own graphs.
#include "command/run_verb.h"

#include "command/shared_flags.h"
#include "core/error.h"
#include "core/meta.h"
#include "workflow/programs.h"

namespace moproc::command {
namespace {

using train::ProgramSettings;

void add_flags(FlagTable& t, ProgramSettings& s) {
  t.section("what runs");
  t.text({"--program"}, "NAME", s.program, "the program; the same as the first argument")
      .without("the only one that the artefact has");
  t.text({"--inputs"}, "FILE", s.inputs,
         "safetensors with the program's inputs by name; an input with one more axis in front is a series, one slice "
         "per step");
  t.texts({"--set"}, "NAME=NUMBER", s.values, "fills an input with a number, in every step");
  t.number({"--steps"}, "N", s.steps, int64_t{1}, kMaxLong, "steps to run; a series that is shorter is repeated")
      .without("length of the series, or 1");
  t.section("state");
  t.text({"--checkpoint"}, "FILE", s.checkpoint,
         "the state, as safetensors: read at the start if the file exists, written at the end");
  t.text({"--from"}, "FILE", s.from,
         "the state to begin with if there is no checkpoint yet: a checkpoint, or weights of PyTorch")
      .without("init.safetensors beside the binary, if there is one");
  t.number({"--seed"}, "N", s.seed, uint64_t{0}, std::numeric_limits<uint64_t>::max(),
           "seed of the initial state, if no file gives one");
  t.number({"--save-seconds"}, "SECONDS", s.save_seconds, 0.01, 1e9,
           "time after which a long run writes the checkpoint again");
  t.section("output");
  t.text({"--outputs"}, "FILE", s.outputs,
         "safetensors for the outputs; with --steps or a series, they are stacked along a new first axis");
  t.texts({"--only"}, "NAME", s.only, "writes these outputs only");
  t.section("machine");
  add_device_flags(t, s.compute);
  add_profile_flag(t, s.compute);
}

void check(const ProgramSettings& s) {
  if (!s.only.empty() && s.outputs.empty()) throw InputError("--only needs --outputs FILE");
}

void fits(const ProgramSettings& s, const Plan& plan) { check_compute(s.compute, plan); }

int run(const ProgramSettings& s, const FlagTable&, Invocation& at) { return train::run_program(at.plan, s); }

}  // namespace

Verb run_verb() {
  return VerbRecord<ProgramSettings>{
      .name = "run",
      .usage = "PROGRAM --inputs FILE --outputs FILE [--steps N] [--checkpoint FILE] [flags]",
      .about =
          "Runs one program of this artefact, step after step, and keeps its state in a checkpoint. A run that was "
          "stopped continues from it.",
      .flags = add_flags,
      .check = check,
      .fits = fits,
      .targets = train::require_program_targets,
      .inputs = [](const ProgramSettings&) { return Inputs{}; },
      .run = run,
      .one_process = true};
}

bool has_training_verbs(const Plan& plan) {
  const std::string task = meta(plan, "task");
  return !task.empty() && task != "user";
}

Request run_request(int argc, const char* const* argv) {
  static const Verb verb = run_verb();
  std::vector<std::string> flags(argv + 1, argv + argc);
  if (!flags.empty() && !flags[0].starts_with('-')) flags[0] = "--program=" + flags[0];
  return {verb, std::move(flags)};
}

}  // namespace moproc::command
