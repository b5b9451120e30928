#include "parts.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <sstream>

#include "compare.h"
#include "core/error.h"
#include "core/program_library.h"
#include "cuda/gpu.h"
#include "inputs.h"
#include "repeat.h"
#include "steps.h"

namespace moproc::tools {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> sorted(const fs::path& dir, const std::string& prefix, const std::string& suffix) {
  std::vector<fs::path> found;
  for (const fs::directory_entry& e : fs::directory_iterator(dir)) {
    const std::string name = e.path().filename().string();
    if (name.starts_with(prefix) && name.ends_with(suffix)) found.push_back(e.path());
  }
  std::sort(found.begin(), found.end());
  return found;
}

int launches(const Plan& plan, const std::string& file, const KitOptions& options, PartResult& r) {
  const int gpu = options.bench.gpu;
  if (std::string_view(plan.arch) == "sm_90a") {  // the primitives that only sm_90a has
    const cuda::Driver driver(plan);
    const cuda::GpuInfo info = cuda::gpu_info(driver, gpu);
    r.skipped = info.major != 9 || info.minor != 0;
    r.line = "for compute capability 9.0, not " + info.show();
    if (r.skipped) return 0;
  }
  const Record record(plan, file);
  const auto begin = [&](int i) {  // what the report says if the step never ends
    const StepInfo& s = plan.programs[record.program()].steps[i];
    const char* const kernel = s.kind == StepKind::launch ? plan.kernels[s.kernel].symbol : "copy";
    if (options.progress.empty()) return;
    std::ofstream(options.progress) << "in step " << i << ' ' << s.name << ", kernel " << kernel << '\n';
  };
  const std::vector<Result> results = compare(plan, record, gpu, begin);
  const auto wrong = std::ranges::count(results, false, &Result::ok);
  if (wrong > 0) r.text = describe(plan, record, results);
  std::printf("%s", r.text.c_str());
  r.json = ", \"results\": " + std::to_string(results.size()) + ", \"wrong\": " + std::to_string(wrong);
  r.line = std::to_string(results.size()) + " results of launches, " + std::to_string(wrong) +
           " differ from those of " + record.recorded_on();
  return wrong == 0 && !results.empty() ? 0 : 1;
}

double loss_bound(const Plan& plan) {
  for (const MetaInfo& m : plan.meta)
    if (std::string(m.key) == "loss_bound") return std::stod(m.value);
  throw InputError(std::string(plan.name) + " does not say how close its losses must come (meta loss_bound)");
}

int steps(const Plan& plan, const std::string& artefact, const std::string& file, int gpu, PartResult& r) {
  const ProgramLibrary cpu((fs::path(artefact) / "cpu.so").string());
  const std::vector<StepLoss> losses = run_steps(plan, cpu.plan(), file, gpu);
  const double bound = loss_bound(plan);
  double worst = 0;
  bool ok = !losses.empty();
  std::string json;
  for (const StepLoss& l : losses) {
    if (!(l.error() <= bound)) ok = false;
    worst = std::max(worst, l.error());
    json += (json.empty() ? "" : ", ") + ("[" + number(l.got, "%.7g") + ", " + number(l.want, "%.7g")) + "]";
  }
  r.json = ", \"losses\": [" + json + "]";
  r.line = std::to_string(losses.size()) + " steps, each from the CPU's state: losses within " + number(worst, "%.1e") +
           " of the CPU's, allowed " + number(bound, "%.1e");
  return ok ? 0 : 1;
}

int timed(const Plan& plan, const std::string& name, const KitOptions& options, PartResult& r) {
  const Bench b = bench(plan, options.program, options.bench);
  const std::string taken = number(static_cast<double>(b.memory_taken) / 1e9, "%.2f");
  const std::string planned = number(static_cast<double>(b.memory_planned) / 1e9, "%.2f");
  r.gpu = b.gpu;
  r.json = ", \"batch\": " + std::to_string(b.batch) + ", \"ms\": " + number(b.median_ms) +
           ", \"images_per_second\": " + number(b.images_per_second, "%.1f") + ", \"memory_gb\": " + taken +
           ", \"planned_gb\": " + planned + ", \"profile\": " + quoted(b.profile);
  r.row = "| " + name + " | " + std::to_string(b.batch) + " | " + number(b.median_ms) + " | " +
          number(b.images_per_second, "%.0f") + " | " + taken + " (planned " + planned + ") |";
  r.text = b.profile;
  r.line = number(b.median_ms, "%.2f") + " ms per step, " + number(b.images_per_second, "%.0f") + " images/s, " +
           taken + " GB";
  return 0;
}

int repeated(const Plan& plan, const KitOptions& options, PartResult& r) {
  const Repeat done = repeat(plan, options.program, options.repeats, options.bench.gpu);
  r.json = ", \"runs\": " + std::to_string(done.runs) + ", \"different\": " + std::to_string(done.different) +
           ", \"launch\": " + quoted(done.launch);
  r.line = describe(done);
  return done.different == 0 ? 0 : 1;
}

/// The arguments of a part of this program.
class Commands {
 public:
  Commands(std::string self, const KitOptions& o) : self_(std::move(self)), o_(o) {}
  Part part(const std::string& name, int limit, const char* what, const fs::path& artefact, const std::string& file,
            bool quick = false) const {
    BenchOptions b = o_.bench;
    if (quick) b.warmup = std::min(b.warmup, 2), b.runs = std::min(b.runs, 5), b.samples = std::min(b.samples, 3);
    return {name,
            o_.limit_s > 0 ? o_.limit_s : limit,
            {self_, "part", what, artefact.string(), file, "--gpu", std::to_string(b.gpu), "--program", o_.program,
             "--warmup", std::to_string(b.warmup), "--runs", std::to_string(b.runs), "--samples",
             std::to_string(b.samples), "--repeats", std::to_string(o_.repeats)},
            true};
  }
  Part other(const std::string& name, int limit, std::vector<std::string> command) const {
    return {name, o_.limit_s > 0 ? o_.limit_s : limit, std::move(command), false};
  }

 private:
  std::string self_;
  const KitOptions& o_;
};

}  // namespace

std::vector<Part> parts_of(const fs::path& dir, const std::string& self, const KitOptions& options) {
  const Commands make(self, options);
  std::vector<std::pair<int, Part>> found;  // with their places in the order
  for (const fs::path& artefact : sorted(dir, "check-", "")) {
    const std::string name = artefact.filename().string();
    const bool bf16 = name.ends_with("-bf16"), primitives = name.starts_with("check-primitives");
    for (const fs::path& file : sorted(artefact, "", ".record")) {
      const Part launches =
          make.part(name + " " + file.stem().string(), primitives ? 40 : 60, "launches", artefact, file.string());
      found.emplace_back(primitives ? 0 : bf16 ? 1 : 7, launches);
      if (!bf16) continue;
      std::vector<std::string> under = {"compute-sanitizer", "--tool", "memcheck", "--error-exitcode", "1"};
      under.insert(under.end(), launches.command.begin(), launches.command.end());
      found.emplace_back(4, make.other("memcheck " + launches.name, 90, under));
    }
    for (const fs::path& file : sorted(artefact, "", ".steps"))
      found.emplace_back(bf16 ? 6 : 7, make.part(name + " steps", 120, "steps", artefact, file.string()));
  }
  const std::vector<fs::path> benches = sorted(dir, "bench-", "");
  const auto first = [](const fs::path& p) {
    const std::string name = p.filename().string();
    return name.ends_with("-b64") || name.ends_with("-b256");
  };
  for (const fs::path& artefact : benches) {
    const std::string name = artefact.filename().string();
    const bool early = first(artefact) || benches.size() == 1;
    if (first(artefact)) found.emplace_back(2, make.part(name + " quick", 60, "bench", artefact, "", true));
    if (early) found.emplace_back(3, make.part("repeat-" + name.substr(6), 120, "repeat", artefact, ""));
    found.emplace_back(8, make.part(name, 120, "bench", artefact, ""));
  }
  const fs::path baselines = dir / "baselines.py";
  if (fs::exists(baselines)) {
    const auto pytorch = [&](const char* name, int limit, std::vector<std::string> more, const char* file) {
      std::vector<std::string> command = {"python3", baselines.string(), "--json",
                                          (fs::path(options.out) / file).string()};
      command.insert(command.end(), more.begin(), more.end());
      return make.other(name, limit, command);
    };
    found.emplace_back(5, pytorch("pytorch b256", 90, {"--batches", "256", "--quick"}, "pytorch-b256.json"));
    found.emplace_back(9, pytorch("pytorch", 1800, {}, "pytorch.json"));
  }
  std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<Part> parts;
  for (auto& [_, part] : found)
    if (part.name.find(options.only) != std::string::npos) parts.push_back(std::move(part));
  return parts;
}

int run_part(const std::string& what, const std::string& artefact, const std::string& file, const KitOptions& options,
             PartResult& result) {
  const ProgramLibrary library(artefact);
  const Plan& plan = library.plan();
  if (what == "launches") return launches(plan, file, options, result);
  if (what == "steps") return steps(plan, artefact, file, options.bench.gpu, result);
  if (what == "bench") return timed(plan, fs::path(artefact).filename().string().substr(6), options, result);
  if (what == "repeat") return repeated(plan, options, result);
  throw InputError("part: there is no " + what);
}

void write_result(const PartResult& r, const std::string& path) {
  std::ofstream out(path);
  out << r.skipped << '\n' << r.json << '\n' << r.line << '\n' << r.gpu << '\n' << r.row << '\n' << r.text << "end\n";
  if (!out.flush()) throw InputError(path + ": cannot be written");
}

PartResult read_result(const std::string& path) {
  std::ifstream in(path);
  PartResult r;
  std::string skipped, rest;
  std::getline(in, skipped), std::getline(in, r.json), std::getline(in, r.line);
  std::getline(in, r.gpu), std::getline(in, r.row);
  std::ostringstream text;
  text << in.rdbuf();
  rest = text.str();
  if (!rest.ends_with("end\n")) throw InputError(path + ": is not a complete result");
  r.skipped = skipped == "1";
  r.text = rest.substr(0, rest.size() - 4);
  return r;
}

std::string number(double x, const char* format) {
  if (!std::isfinite(x)) return "null";
  char text[64];
  std::snprintf(text, sizeof text, format, x);
  return text;
}

std::string quoted(const std::string& s) {
  std::string text = "\"";
  for (const char c : s) {
    if (c == '"' || c == '\\') text += '\\';
    if (c == '\n') text += "\\n";
    else if (static_cast<unsigned char>(c) < ' ') text += ' ';
    else text += c;
  }
  return text + "\"";
}

}  // namespace moproc::tools
