// Makes a Trainer from settings.
#include "command/training_run.h"

#include "train/checkpoint.h"
#include "train/trainer.h"

namespace moproc::command {

Inputs training_inputs(const train::RunSettings& run, data::ListOptions lists, const std::string& pretrained,
                       const Confirmed& confirmed) {
  lists.first_label = run.first_label;
  Inputs inputs{run.synthetic ? "" : run.data, lists, pretrained, confirmed.classes()};
  inputs.trains = !run.evaluate;
  inputs.fits_size = run.recipe.automatic;
  inputs.hold_out = run.hold_out;
  if (!pretrained.empty()) return inputs;
  std::vector<std::string> notes;  // about damaged files, which the run prints itself
  inputs.checkpoint = run.resume == "auto" ? train::newest_whole_checkpoint(run.saving.exp_dir, notes) : run.resume;
  return inputs;
}

int run_training(Invocation& invocation, const FlagTable& flags, const RankSettings& ranks, train::RunSettings run,
                 const train::Job& job, const train::ReplaySettings& replay) {
  run.record = {invocation.verb, flags.recorded()};
  const bool trains = replay.file.empty();
  return run_as_ranks(invocation, ranks, run.saving.exp_dir, trains, [&](comm::World* world, bool restarted) {
    if (restarted && !run.saving.exp_dir.empty()) run.resume = "auto";
    if (!trains) {
      train::run_replay(invocation.plan, run, replay, world);
      return 0;
    }
    if (const std::string note = note_of_one_process(ranks, world, invocation.plan); !note.empty())
      run.notes.push_back(note);
    return train::Trainer(invocation.plan, run, job, world).run();
  });
}

}  // namespace moproc::command
