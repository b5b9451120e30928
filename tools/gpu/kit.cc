#include "kit.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>

#include "compare.h"
#include "core/error.h"
#include "core/program_library.h"
#include "cuda/gpu.h"
#include "formats/output_file.h"
#include "program.h"
#include "steps.h"

namespace moproc::tools {
namespace {

namespace fs = std::filesystem;

std::string number(double x, const char* format = "%.4g") {
  if (!std::isfinite(x)) return "null";
  char text[64];
  std::snprintf(text, sizeof text, format, x);
  return text;
}

/// The text as a JSON string.
std::string quoted(const std::string& s) {
  std::string text = "\"";
  for (const char c : s) {
    if (c == '"' || c == '\\') text += '\\';
    text += c == '\n' ? std::string("\\n") : std::string(1, c);
  }
  return text + "\"";
}

std::vector<fs::path> sorted(const fs::path& dir, const std::string& prefix, const std::string& suffix) {
  std::vector<fs::path> found;
  for (const fs::directory_entry& e : fs::directory_iterator(dir)) {
    const std::string name = e.path().filename().string();
    if (name.starts_with(prefix) && name.ends_with(suffix)) found.push_back(e.path());
  }
  std::sort(found.begin(), found.end());
  return found;
}

/// The report, which is collected part by part and written at the end.
class Report {
 public:
  void check(const std::string& name, bool ok, const std::string& json, const std::string& line) {
    ok_ = ok_ && ok;
    checks_ += (checks_.empty() ? "" : ",\n  ") +
               ("{\"name\": " + quoted(name) + ", \"ok\": " + (ok ? "true" : "false") + json + "}");
    check_rows_ += "| " + name + " | " + (ok ? "pass" : "**FAIL**") + " | " + line + " |\n";
    std::printf("%s %s: %s\n", ok ? "pass" : "FAIL", name.c_str(), line.c_str());
    std::fflush(stdout);
  }
  /// Notes that a check was skipped, and why.
  void skip(const std::string& name, const std::string& why) {
    checks_ +=
        (checks_.empty() ? "" : ",\n  ") + ("{\"name\": " + quoted(name) + ", \"skipped\": " + quoted(why) + "}");
    check_rows_ += "| " + name + " | skipped | " + why + " |\n";
    std::printf("skipped %s: %s\n", name.c_str(), why.c_str());
  }
  void bench(const std::string& name, const Bench& b) {
    gpu_ = b.gpu;
    const std::string taken = number(static_cast<double>(b.memory_taken) / 1e9, "%.2f");
    const std::string planned = number(static_cast<double>(b.memory_planned) / 1e9, "%.2f");
    benches_ += (benches_.empty() ? "" : ",\n  ") + ("{\"name\": " + quoted(name)) +
                ", \"batch\": " + std::to_string(b.batch) + ", \"ms\": " + number(b.median_ms) +
                ", \"images_per_second\": " + number(b.images_per_second, "%.1f") + ", \"memory_gb\": " + taken +
                ", \"planned_gb\": " + planned + ", \"profile\": " + quoted(b.profile) + "}";
    bench_rows_ += "| " + name + " | " + std::to_string(b.batch) + " | " + number(b.median_ms) + " | " +
                   number(b.images_per_second, "%.0f") + " | " + taken + " (planned " + planned + ") |\n";
    profiles_ += "\n## " + name + "\n\n```\n" + b.profile + "```\n";
    std::printf("%s: %.2f ms per step, %.0f images/s, %s GB\n", name.c_str(), b.median_ms, b.images_per_second,
                taken.c_str());
    std::fflush(stdout);
  }
  bool ok() const { return ok_; }

  /// Throws InputError if the folder has a file of these names that no such check wrote.
  static void require(const fs::path& dir) {
    formats::require_file((dir / "gpu-check.json").string(), kJson);
    formats::require_file((dir / "gpu-check.md").string(), kMarkdown);
  }
  void write(const fs::path& dir) const {
    fs::create_directories(dir);
    const auto put = [&](const char* name, const formats::Mark& mark, const std::string& text) {
      formats::write_atomically((dir / name).string(), mark, [&](formats::OutputFile& out) { out.write(text); });
    };
    put("gpu-check.json", kJson,
        "{\"format\": \"moproc-gpu-check-1\", \"gpu\": " + quoted(gpu_) + ", \"ok\": " + (ok_ ? "true" : "false") +
            ",\n \"checks\": [\n  " + checks_ + "],\n \"bench\": [\n  " + benches_ + "]}\n");
    put("gpu-check.md", kMarkdown,
        kMarkdown.begin + "\n# " + (gpu_.empty() ? "no benchmark" : gpu_) + "\n\n| check | | |\n| --- | --- | --- |\n" +
            check_rows_ +
            "\n| artefact | batch | ms per step | images/s | memory, GB |\n| --- | --- | --- | --- | --- |\n" +
            bench_rows_ + profiles_);
  }

 private:
  static inline const formats::Mark kJson = formats::json_mark("moproc-gpu-check-1");
  static inline const formats::Mark kMarkdown = {.begin = "<!-- moproc gpu-check -->"};
  bool ok_ = true;
  std::string gpu_, checks_, check_rows_, benches_, bench_rows_, profiles_;
};

void check_launches(Report& report, const fs::path& dir, const fs::path& path, int gpu) {
  const ProgramLibrary library(dir.string());
  if (std::string_view(library.plan().arch) == "sm_90a") {  // the primitives that only sm_90a has
    const cuda::Driver driver(library.plan());
    const cuda::GpuInfo info = cuda::gpu_info(driver, gpu);
    if (info.major != 9 || info.minor != 0)
      return report.skip(dir.filename().string() + " " + path.stem().string(),
                         "for compute capability 9.0, not " + info.show());
  }
  const Record record(library.plan(), path.string());
  const std::vector<Result> results = compare(library.plan(), record, gpu);
  const auto wrong = std::count_if(results.begin(), results.end(), [](const Result& r) { return !r.ok; });
  if (wrong > 0) std::printf("%s", describe(library.plan(), record, results).c_str());
  report.check(dir.filename().string() + " " + path.stem().string(), wrong == 0 && !results.empty(),
               ", \"results\": " + std::to_string(results.size()) + ", \"wrong\": " + std::to_string(wrong),
               std::to_string(results.size()) + " results of launches, " + std::to_string(wrong) +
                   " differ from those of " + record.recorded_on());
}

double loss_bound(const Plan& plan) {
  for (const MetaInfo& m : plan.meta)
    if (std::string(m.key) == "loss_bound") return std::stod(m.value);
  throw InputError(std::string(plan.name) + " does not say how close its losses must come (meta loss_bound)");
}

void check_steps(Report& report, const fs::path& dir, const fs::path& path, int gpu) {
  const ProgramLibrary library(dir.string());
  const ProgramLibrary cpu((dir / "cpu.so").string());
  const std::vector<StepLoss> losses = run_steps(library.plan(), cpu.plan(), path.string(), gpu);
  const double bound = loss_bound(library.plan());
  double worst = 0;
  bool ok = !losses.empty();
  std::string json;
  for (const StepLoss& l : losses) {
    if (!(l.error() <= bound)) ok = false;
    worst = std::max(worst, l.error());
    json += (json.empty() ? "" : ", ") + ("[" + number(l.got, "%.7g") + ", " + number(l.want, "%.7g")) + "]";
  }
  report.check(dir.filename().string() + " steps", ok, ", \"losses\": [" + json + "]",
               std::to_string(losses.size()) + " steps, each from the CPU's state: losses within " +
                   number(worst, "%.1e") + " of the CPU's, allowed " + number(bound, "%.1e"));
}

template <class F>
void guarded(Report& report, const std::string& name, F f) {
  try {
    f();
  } catch (const std::exception& e) {
    report.check(name, false, ", \"error\": " + quoted(e.what()), e.what());
  }
}

}  // namespace

bool run_kit(const std::string& kit, const KitOptions& options) {
  Report::require(options.out);
  Report report;
  const int gpu = options.bench.gpu;
  for (const fs::path& dir : sorted(kit, "check-", "")) {
    for (const fs::path& path : sorted(dir, "", ".record"))
      guarded(report, dir.filename().string(), [&] { check_launches(report, dir, path, gpu); });
    for (const fs::path& path : sorted(dir, "", ".steps"))
      guarded(report, dir.filename().string(), [&] { check_steps(report, dir, path, gpu); });
  }
  for (const fs::path& dir : sorted(kit, "bench-", ""))
    guarded(report, dir.filename().string(), [&] {
      const ProgramLibrary library(dir.string());
      report.bench(dir.filename().string().substr(6), bench(library.plan(), options.program, options.bench));
    });
  report.write(options.out);
  std::printf("%s\n", (fs::path(options.out) / "gpu-check.md").c_str());
  return report.ok();
}

}  // namespace moproc::tools
