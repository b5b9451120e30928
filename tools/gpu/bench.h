// Measures a step program's images per second, and how its time is spent.
#pragma once

#include <string>
#include <vector>

#include "core/plan.h"

namespace moproc::tools {

struct BenchOptions {
  int gpu = 0;
  int warmup = 5;    // runs before the first measured one
  int runs = 20;     // per sample
  int samples = 5;   // the result is their median
  int slowest = 40;  // steps that the profile lists
};

struct Bench {
  std::string gpu;
  int64_t batch = 0;
  std::vector<double> ms;  // per run, of each sample
  double median_ms = 0, images_per_second = 0;
  int64_t memory_planned = 0, memory_taken = 0;  // bytes
  std::string profile;                           // kernel table, from runs of their own
};

/// Runs `program` from initial state with random images and labels that stay on the GPU.
Bench bench(const Plan& plan, const std::string& program, const BenchOptions& options);

}  // namespace moproc::tools
