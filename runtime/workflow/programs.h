// run: drives one program of an artefact that no training verb can drive, with inputs from a file.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/plan.h"
#include "train/settings.h"

namespace moproc::train {

struct ProgramSettings {
  std::string program;              // "": the artefact's only one
  std::string inputs;               // safetensors with the inputs by name; "": none
  std::vector<std::string> values;  // "NAME=NUMBER": inputs that are filled with a number
  std::optional<int64_t> steps;     // nothing: as many as the series of inputs is long, or 1
  std::string outputs;              // safetensors for the outputs; "": not written
  std::vector<std::string> only;    // the outputs that are written; empty: all
  std::string checkpoint;           // state: read if it exists, and kept up to date; "": neither
  std::string from;                 // state to begin with if `checkpoint` does not exist; "": that of the seed
  double save_seconds = 600;        // between two checkpoints while the steps run
  uint64_t seed = 0;                // of a state that comes from no file
  Compute compute;                  // threads, gpu, check and profile are used
};

/// A line per program: its name, inputs and outputs with their types.
std::string describe_programs(const Plan& plan);

/// Throws InputError, naming file and remedy, if a file to write is not moproc's own or is read, too.
void require_program_targets(const ProgramSettings& settings);

/// Runs the steps. An input with one axis more than the program's is a series: the program's step k, counted over all
/// runs that share the checkpoint, takes slice k modulo the length. With `steps` or a series, outputs are stacked
/// along a new first axis. The checkpoint is written after the last step, and every `save_seconds`, unless the program
/// changed no state. Returns 0, or kStopped (75) if a signal ended the run after a step; checkpoint and outputs are
/// then those of the steps that ran. Throws InputError for settings and files that do not fit the program.
int run_program(const Plan& plan, const ProgramSettings& settings);

}  // namespace moproc::train
