// A kit: a folder with everything that a machine with a GPU needs for the whole check. tools/gpu-kit.mjs makes it on a
// machine with a compiler. Each folder in it is an artefact:
//   check-*  with *.record (launches), *.steps (batches) and cpu.so, the same programs for the CPU
//   bench-*  step programs to be timed
#pragma once

#include <string>

#include "bench.h"

namespace moproc::tools {

struct KitOptions {
  std::string out;  // folder of gpu-check.json and gpu-check.md
  std::string program = "clean";
  BenchOptions bench;
};

/// Checks, then measures, and prints results as they come; returns false if a result is wrong. Errors of one part do
/// not stop the others.
bool run_kit(const std::string& dir, const KitOptions& options);

}  // namespace moproc::tools
