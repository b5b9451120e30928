// A kit: a folder with everything that a machine with a GPU needs for the whole check. tools/gpu-kit.mjs makes it on a
// machine with a compiler. Each folder in it is an artefact:
//   check-*  with *.record (launches), *.steps (batches) and cpu.so, the same programs for the CPU
//   bench-*  step programs to be timed and repeated
#pragma once

#include <string>

#include "bench.h"

namespace moproc::tools {

struct KitOptions {
  std::string out;  // folder of gpu-check.json and gpu-check.md
  std::string program = "clean";
  std::string only;      // runs parts whose name contains this
  int limit_s = 0;       // time limit of every part; 0: each part's own
  int repeats = 20;      // runs of `repeat`
  std::string progress;  // part: a file that names the launch under way
  BenchOptions bench;
};

/// Runs the parts of the check one after the other, each as a process of `self`, this program, with a time limit. The
/// report is written after each. Returns false if a part did not pass.
bool run_kit(const std::string& dir, const std::string& self, const KitOptions& options);

}  // namespace moproc::tools
