// The parts of a kit's check, each of which is a process of its own, in the order in which they say most.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "kit.h"

namespace moproc::tools {

struct Part {
  std::string name;                  // "check-tiny-bf16 clean", "bench-resnet50-b256"
  int limit_s;                       // time limit
  std::vector<std::string> command;  // with this program as first word, a verb of it; otherwise another program
  bool own;                          // whether it is a verb of this program, which writes a PartResult
};

/// What a part reports to the one that began it, as a file.
struct PartResult {
  std::string json;      // more members of the part's JSON object: `, "results": 5`
  std::string line;      // for people
  std::string gpu;       // a benchmark's
  std::string row;       // a row of the table of benchmarks, or empty
  std::string text;      // a section of the page, or empty
  bool skipped = false;  // it cannot run here; `line` says why
};

/// All parts of the kit in `dir` that options.only allows. `self`: this program; `work`: a folder for results.
std::vector<Part> parts_of(const std::filesystem::path& dir, const std::string& self, const KitOptions& options);

/// Runs one part of this program: `what` is "launches", "steps", "bench" or "repeat"; `artefact` is its folder and
/// `file` its record or steps. Returns the exit status: 0 or 1.
int run_part(const std::string& what, const std::string& artefact, const std::string& file, const KitOptions& options,
             PartResult& result);

/// The file beside a result that names the launch under way.
inline std::string progress_file(const std::string& result) { return result + ".at"; }
void write_result(const PartResult& r, const std::string& path);
/// Throws InputError if the file is not complete.
PartResult read_result(const std::string& path);

/// The text as a JSON string.
std::string quoted(const std::string& s);
/// A number in JSON: null if it is not finite.
std::string number(double x, const char* format = "%.4g");

}  // namespace moproc::tools
