// A kit: a folder with everything that a machine with a GPU needs for the whole check, made by tools/gpu-kit.mjs where
// there is a compiler. Each folder in it is an artefact:
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

/// Checks, then measures, printing as it goes; false when a result is wrong. Errors of one part do not stop the others.
bool run_kit(const std::string& dir, const KitOptions& options);

}  // namespace moproc::tools
