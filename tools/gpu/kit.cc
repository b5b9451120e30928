#include "kit.h"

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "core/error.h"
#include "parts.h"
#include "process.h"
#include "report.h"

namespace moproc::tools {
namespace {

namespace fs = std::filesystem;

/// A folder for the results of parts, which goes with this object.
class Work {
 public:
  Work() {
    std::string name = (fs::temp_directory_path() / "moproc-gpu-check-XXXXXX").string();
    if (!mkdtemp(name.data()))
      throw std::runtime_error("cannot make a folder in " + fs::temp_directory_path().string());
    dir_ = name;
  }
  ~Work() {
    std::error_code ignored;
    fs::remove_all(dir_, ignored);
  }
  Work(const Work&) = delete;
  Work& operator=(const Work&) = delete;
  std::string file() const { return (dir_ / "result").string(); }

 private:
  fs::path dir_;
};

/// Why another program's part cannot run here; empty if it can.
std::string lacks(const Part& part) {
  const std::string& program = part.command[0];
  if (program == "python3") {
    const Ended e = run_limited({"python3", "-c", "import torch; assert torch.cuda.is_available()"}, 60, false);
    return e.status == 0 ? "" : "python3 has no PyTorch with CUDA: no comparison with PyTorch";
  }
  return run_limited({program, "--version"}, 20, false).status == 0 ? "" : "there is no " + program;
}

void run(const Part& part, const Work& work, Report& report) {
  if (!part.own)
    if (const std::string why = lacks(part); !why.empty()) return report.skip(part, why);
  std::printf("-- %s, at most %d s\n", part.name.c_str(), part.limit_s);
  std::fflush(stdout);
  std::vector<std::string> command = part.command;
  fs::remove(work.file());
  fs::remove(progress_file(work.file()));
  if (part.own) command.insert(command.end(), {"--result", work.file()});
  Ended ended = run_limited(command, part.limit_s);
  if (ended.status > 1)
    if (std::ifstream at(progress_file(work.file())); at) {
      const std::string said = last_line(ended.output);
      std::string where;
      std::getline(at, where);
      ended.output = said + (said.empty() ? "" : ", ") + where;
    }
  if (!part.own || !fs::exists(work.file()) || ended.status > 1) return report.add(part, ended, nullptr);
  const PartResult result = read_result(work.file());
  report.add(part, ended, &result);
}

}  // namespace

bool run_kit(const std::string& dir, const std::string& self, const KitOptions& options) {
  Report report(options.out);
  const std::vector<Part> parts = parts_of(dir, self, options);
  if (parts.empty())
    throw InputError(dir + ": has no part of a check" + (options.only.empty() ? "" : " with " + options.only));
  const Work work;
  for (size_t i = 0; i < parts.size(); ++i) {
    run(parts[i], work, report);
    report.write(parts.size() - i - 1);
  }
  std::printf("%s\n", (fs::path(options.out) / "gpu-check.md").c_str());
  return report.ok();
}

}  // namespace moproc::tools
