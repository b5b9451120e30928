// `moproc-data bench FILE...`: measures the images per second of one core, stage by stage, and of the whole loader.
// `moproc-data bench --data DIR`: the loader on a data folder, as files or shards.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <functional>

#include "commands.h"
#include "data/augment.h"
#include "data/color.h"
#include "data/data_folder.h"
#include "data/loader.h"
#include "flags.h"

namespace moproc::tools {
namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* bench_usage =
    "Usage: moproc-data bench FILE... [flags], or bench --data DIR [flags]\n"
    "\n"
    "Measures, for each image file, the milliseconds of processor time for decoding, for the weak and for the strong\n"
    "view, and how many pairs (one decode, both views) one core makes per second. Then it measures the loader on all\n"
    "of the files with --threads, by the clock. With --data it measures the loader on the training images of a data\n"
    "folder, as files or as shards, by the clock and per second of processor time.\n"
    "\n";

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

// Processor time of this thread or of all, so that other processes do not count.
double processor_seconds(clockid_t clock = CLOCK_THREAD_CPUTIME_ID) {
  timespec now{};
  ::clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

// Milliseconds of processor time per call, averaged over at least `seconds` of it.
double time_of(double seconds, const std::function<void(std::uint32_t)>& run) {
  run(0);  // warms up pages and tables
  const double begin = processor_seconds();
  std::uint32_t calls = 0;
  while (processor_seconds() - begin < seconds) run(++calls);
  return (processor_seconds() - begin) / calls * 1e3;
}

void bench_file(const std::string& file, const data::AugmentOptions& how, double seconds) {
  data::Workspace w;
  data::read_file(file, w.bytes);
  data::decode(w.bytes, w.decoded);
  const int width = w.decoded.width(), height = w.decoded.height();
  std::vector<std::uint8_t> out(static_cast<std::size_t>(how.size) * how.size * 3);
  const auto weak = [&](std::uint32_t i) {
    data::apply(data::draw_weak(1, 0, i, width, height, how), how, w, out.data());
  };
  const auto strong = [&](std::uint32_t i) {
    data::apply(data::draw_strong(1, 0, i, width, height, how), how, w, out.data());
  };
  const double decode_ms = time_of(seconds, [&](std::uint32_t) { data::decode(w.bytes, w.decoded); });
  const double weak_ms = time_of(seconds, weak);
  const double strong_ms = time_of(seconds, strong);
  const double pair_ms = time_of(seconds, [&](std::uint32_t i) {
    data::read_file(file, w.bytes);
    data::decode(w.bytes, w.decoded);
    weak(i);
    strong(i);
  });
  std::printf("%s (%d x %d, %zu KB): decode %.3f ms (%.0f/s), weak %.3f ms, strong %.3f ms, ", file.c_str(), width,
              height, w.bytes.size() / 1024, decode_ms, 1e3 / decode_ms, weak_ms, strong_ms);
  std::printf("pair %.3f ms (%.0f pairs/s)\n", pair_ms, 1e3 / pair_ms);
}

void bench_loader(const data::Dataset& set, const char* name, const data::AugmentOptions& how, int threads,
                  double seconds) {
  data::LoaderOptions options;
  options.batch = static_cast<int>(std::min<std::size_t>(64, set.size()));
  options.threads = threads;
  options.epochs = 1u << 30;
  options.augment = how;
  data::Loader loader(set, options);
  loader.next();  // the first batch warms up pages and tables
  loader.release();
  const auto begin = Clock::now();
  const double processor = processor_seconds(CLOCK_PROCESS_CPUTIME_ID);
  double images = 0;
  while (seconds_since(begin) < seconds) {
    images += loader.next()->count;
    loader.release();
  }
  const double passed = seconds_since(begin);
  const double used = processor_seconds(CLOCK_PROCESS_CPUTIME_ID) - processor;
  std::printf("loader, %d threads, %s: %.0f pairs/s, %.0f pairs per second of processor time\n", threads, name,
              images / passed, images / used);
}

data::Dataset repeated(const std::vector<std::string>& files) {
  data::Dataset set("", 1);
  for (int i = 0; i < 64; ++i) {
    for (const std::string& file : files) set.add(file[0] == '/' ? file.substr(1) : "proc/self/cwd/" + file, 0);
  }
  return set;
}

}  // namespace

int run_bench(const Args& args) {
  data::AugmentOptions how;
  int threads = 1;
  double seconds = 1;
  std::string folder;
  const std::vector<Flag> flags = {
      {"data", "DIR", "A data folder, packed or not: only the loader is measured.", &folder},
      {"size", "PIXELS", "Side of the views.", &how.size, 1, 4096},
      {"threads", "N", "Threads of the loader.", &threads, 1, 1024},
      {"seconds", "S", "Length of a measurement.", &seconds, 0.01, 1000},
  };
  const std::string flag_help = describe_flags(flags);
  const Arguments given = parse_flags(args, flags);
  if (given.help) {
    std::fputs(help_page(bench_usage, flag_help).c_str(), stdout);
    return 0;
  }
  if (!folder.empty()) {
    if (!given.positional.empty()) throw UsageError("image files and --data exclude each other");
    bench_loader(data::read_folder(folder, data::Split::train, {}), folder.c_str(), how, threads, seconds);
    return 0;
  }
  if (given.positional.empty()) throw UsageError("which image files, or which --data?");
  for (const std::string& file : given.positional) {
    try {
      bench_file(file, how, seconds);
    } catch (const data::ImageError& e) {
      throw data::ImageError(file + ": " + e.what());
    }
  }
  bench_loader(repeated(given.positional), "all files in turn", how, threads, seconds * 2);
  return 0;
}

}  // namespace moproc::tools
