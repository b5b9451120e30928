#include "report.h"

#include <cstdio>

#include "formats/output_file.h"

namespace moproc::tools {
namespace {

namespace fs = std::filesystem;

const formats::Mark kJson = formats::json_mark("moproc-gpu-check-1");
const formats::Mark kMarkdown = {.begin = "<!-- moproc gpu-check -->"};

constexpr const char* kMeaning = R"(
# What the outcomes mean

- **pass**: the results agree, or the measurement is complete.
- **FAIL (1)**: the kernels ran and gave other results than the emulator or the CPU, or two runs gave different bits.
- **ERROR (2)**: nothing was computed. The code did not load (the driver is too old, or there is no code for this GPU),
  memory did not suffice, or a call of the driver failed. The message says which.
- **HANG (124)**: the part was ended at its time limit, most likely because nobody completes a barrier. The line names
  the launch. Other parts lose nothing, because each is a process of its own.
- **CRASH (128 + signal)**: the process crashed, which is a fault of the runtime.
- **STUCK**: the process did not even end when it was killed, because it waits in the driver. Parts after it may wait,
  too: look at dmesg for Xid errors.

# Where to look first

- check-primitives fails: cp.async, ldmatrix or the fragments of mma. Every convolution and product is affected.
- check-primitives-sm_90a:
  - only `along_along` products: the distance of groups of eight lines in the descriptor, or the swizzle;
  - only products across k with 128 columns or more: the distance of blocks of 64 columns in the descriptor;
  - only `tma_pixels_stride2`: corners and strides of im2col tensor maps;
  - all of TMA: the encoding of tensor maps;
  - a hang: the arrivals or the bytes that a barrier expects.
- check-tiny-bf16: only conv1's kernels: loading threads that end while their copies are in flight. Only kernels with a
  prologue: the fence between stores to shared memory and the products that read it.
- repeat: a race. The line names the launch if the bits also differ when launches run one by one. If they do not,
  launches disturb each other: workspaces, or the order of streams.
- memcheck: an access out of bounds. The text names kernel and address.
- bench is slower than predicted: compare the kernels of its profile with docs/benchmarks. Nothing is wrong.
)";

std::string after(std::string text, const std::string& separator, const std::string& more) {
  return text.empty() ? more : text + separator + more;
}

}  // namespace

std::string outcome(const Ended& e) {
  char seconds[32];
  std::snprintf(seconds, sizeof seconds, "%.0f s", e.seconds);
  if (!e.gone) return "STUCK: still there after " + std::string(seconds);
  if (e.status == 0) return "pass";
  if (e.status == 1) return "FAIL (1)";
  if (e.status == kHang) return "HANG (124): ended after " + std::string(seconds);
  if (e.status > 128) return "CRASH (" + std::to_string(e.status) + ")";
  return "ERROR (" + std::to_string(e.status) + ")";
}

Report::Report(fs::path dir) : dir_(std::move(dir)) {
  formats::require_file((dir_ / "gpu-check.json").string(), kJson);
  formats::require_file((dir_ / "gpu-check.md").string(), kMarkdown);
}

void Report::skip(const Part& part, const std::string& why) {
  checks_ = after(checks_, ",\n  ", "{\"name\": " + quoted(part.name) + ", \"skipped\": " + quoted(why) + "}");
  check_rows_ += "| " + part.name + " | skipped | " + why + " |\n";
  std::printf("skipped %s: %s\n", part.name.c_str(), why.c_str());
}

void Report::add(const Part& part, const Ended& ended, const PartResult* result) {
  const bool ok = ended.status == 0 && ended.gone;
  if (ok && result && result->skipped) return skip(part, result->line);
  ok_ = ok_ && ok;
  const std::string line = result ? result->line : last_line(ended.output);
  const std::string said = outcome(ended);
  const std::string json = "{\"name\": " + quoted(part.name) + ", \"ok\": " + (ok ? "true" : "false") +
                           ", \"status\": " + std::to_string(ended.status) +
                           ", \"seconds\": " + number(ended.seconds, "%.1f") +
                           (ok ? "" : ", \"error\": " + quoted(line)) + (result ? result->json : "") + "}";
  const bool bench = result && !result->row.empty();
  std::string& list = bench ? benches_ : checks_;
  list = after(list, ",\n  ", json);
  check_rows_ += "| " + part.name + " | " + (ok ? said : "**" + said + "**") + " | " + line + " |\n";
  if (bench) bench_rows_ += result->row + "\n", gpu_ = result->gpu;
  if (result && !result->text.empty()) sections_ += "\n## " + part.name + "\n\n```\n" + result->text + "```\n";
  if (!part.own) sections_ += "\n## " + part.name + "\n\n" + ended.output;
  std::printf("%s %s: %s (%.0f s)\n", said.c_str(), part.name.c_str(), line.c_str(), ended.seconds);
  std::fflush(stdout);
}

void Report::write(size_t left) const {
  fs::create_directories(dir_);
  const auto put = [&](const char* name, const formats::Mark& mark, const std::string& text) {
    formats::write_atomically((dir_ / name).string(), mark, [&](formats::OutputFile& out) { out.write(text); });
  };
  put("gpu-check.json", kJson,
      "{\"format\": \"moproc-gpu-check-1\", \"gpu\": " + quoted(gpu_) + ", \"ok\": " + (ok_ ? "true" : "false") +
          ", \"left\": " + std::to_string(left) + ",\n \"checks\": [\n  " + checks_ + "],\n \"bench\": [\n  " +
          benches_ + "]}\n");
  put("gpu-check.md", kMarkdown,
      kMarkdown.begin + "\n# " + (gpu_.empty() ? "no benchmark" : gpu_) + "\n\n" +
          (left > 0 ? std::to_string(left) + " parts have not run yet.\n\n" : std::string()) +
          "| part | outcome | |\n| --- | --- | --- |\n" + check_rows_ +
          "\n| artefact | batch | ms per step | images/s | memory, GB |\n| --- | --- | --- | --- | --- |\n" +
          bench_rows_ + sections_ + kMeaning);
}

}  // namespace moproc::tools
