// moproc-gpu-check: the program that tools/gpu/check calls, one verb each. Exit status: 0 success, 1 results differ, 2
// bad usage or input.
#include <algorithm>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <string>

#include "bench.h"
#include "compare.h"
#include "core/error.h"
#include "core/program_library.h"
#include "flags.h"
#include "kit.h"
#include "parts.h"
#include "program.h"
#include "record.h"
#include "repeat.h"

namespace {

using namespace moproc;
using namespace moproc::tools;

const char* const kUsage =
    "Usage: moproc-gpu-check kit FOLDER                      Runs all checks and measurements of a kit (gpu-kit), "
    "each\n"
    "                                                        as a process of its own with a time limit.\n"
    "       moproc-gpu-check record DIR PROGRAM VALUES OUT   Records the tensors before and after every launch.\n"
    "       moproc-gpu-check compare DIR RECORD              Repeats these launches on this GPU; the exit code is 1\n"
    "                                                        when results differ.\n"
    "       moproc-gpu-check repeat DIR PROGRAM              Runs a step --repeats times from one state and compares\n"
    "                                                        all bits; the exit code is 1 when they differ.\n"
    "       moproc-gpu-check bench DIR PROGRAM               Measures images per second, kernels and memory; one line\n"
    "                                                        of JSON comes first.\n"
    "\n"
    "DIR is an artefact directory; record and compare also take one that is compiled for the CPU. MOPROC_CUDA_DRIVER "
    "names another driver, the emulated\n"
    "one for example. VALUES is a safetensors file with all states and inputs.\n"
    "\n";

std::string json_of(const Bench& b) {
  char text[512];
  std::snprintf(
      text, sizeof text,
      "{\"gpu\": \"%s\", \"batch\": %lld, \"ms\": %.4f, \"images_per_second\": %.1f, \"memory_planned\": %lld, "
      "\"memory_taken\": %lld}\n",
      b.gpu.c_str(), static_cast<long long>(b.batch), b.median_ms, b.images_per_second,
      static_cast<long long>(b.memory_planned), static_cast<long long>(b.memory_taken));
  return text;
}

int run(const std::vector<std::string>& words, const KitOptions& options, const std::string& result) {
  const std::string& verb = words[0];
  const int gpu = options.bench.gpu;
  if (verb == "kit" && words.size() == 2)
    return run_kit(words[1], std::filesystem::read_symlink("/proc/self/exe"), options) ? 0 : 1;
  if (verb == "part" && words.size() >= 3) {  // for kit
    PartResult part;
    KitOptions part_options = options;
    if (!result.empty()) part_options.progress = progress_file(result);
    const int status = run_part(words[1], words[2], words.size() > 3 ? words[3] : "", part_options, part);
    if (!result.empty()) write_result(part, result);
    return status;
  }
  const ProgramLibrary library(words[1]);
  const Plan& plan = library.plan();
  if (verb == "record" && words.size() == 5) {
    record(plan, words[2], words[3], words[4], gpu);
    return 0;
  }
  if (verb == "compare" && words.size() == 3) {
    const Record recorded(plan, words[2]);
    const std::vector<Result> results = compare(plan, recorded, gpu);
    int wrong = 0;
    for (const Result& r : results) wrong += !r.ok;
    const ProgramInfo& program = plan.programs[recorded.program()];
    const auto launches = std::ranges::count(program.steps, StepKind::launch, &StepInfo::kind);
    std::printf("%s, %s: %zu results of %td launches, %d wrong (recorded on %s)\n%s", plan.name, program.name,
                results.size(), launches, wrong, recorded.recorded_on().c_str(),
                describe(plan, recorded, results).c_str());
    return wrong == 0 && !results.empty() ? 0 : 1;
  }
  if (verb == "bench" && words.size() == 3) {
    const Bench b = bench(plan, words[2], options.bench);
    std::printf("%s%s", json_of(b).c_str(), b.profile.c_str());
    return 0;
  }
  if (verb == "repeat" && words.size() == 3) {
    const Repeat r = repeat(plan, words[2], options.repeats, gpu);
    std::printf("%s\n", describe(r).c_str());
    return r.different == 0 ? 0 : 1;
  }
  throw UsageError("unknown use: " + verb);
}

}  // namespace

int main(int argc, char** argv) {
  KitOptions options;
  options.out = ".";
  std::string result;
  BenchOptions& b = options.bench;
  const std::vector<Flag> flags = {
      {"gpu", "N", "Which of the GPUs that the driver shows.", &b.gpu, 0, 1023},
      {"out", "FOLDER", "kit: the folder for gpu-check.json and gpu-check.md.", &options.out},
      {"program", "NAME", "kit: the step that is measured.", &options.program},
      {"only", "TEXT", "kit: runs only parts whose name contains TEXT.", &options.only},
      {"limit", "SECONDS", "kit: time limit of every part; 0: each has its own.", &options.limit_s, 0, 1e6},
      {"repeats", "N", "repeat: runs of the step.", &options.repeats, 2, 1e6},
      {"result", "FILE", "For kit's own use.", &result},
      {"warmup", "RUNS", "bench: runs before anything is measured.", &b.warmup, 0, 1e6},
      {"runs", "N", "bench: runs per sample.", &b.runs, 1, 1e6},
      {"samples", "N", "bench: samples, of which the median counts.", &b.samples, 1, 1e6},
      {"slowest", "N", "bench: steps that its table lists.", &b.slowest, 1, 1e6},
  };
  try {
    const Arguments given = parse_flags({argv + 1, argv + argc}, flags);
    if (given.help || given.positional.size() < 2) {
      std::fputs((kUsage + describe_flags(flags)).c_str(), given.help ? stdout : stderr);
      return given.help ? 0 : 2;
    }
    return run(given.positional, options, result);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "moproc-gpu-check: %s\n", e.what());
    return 2;
  }
}
