// `moproc-data check DIR`: decodes every listed file, so that broken ones are known before a long training
// run.
#include <atomic>
#include <cstdio>
#include <mutex>
#include <stdexcept>
#include <thread>

#include "commands.h"
#include "data/dataset.h"
#include "data/decode.h"
#include "flags.h"
#include "progress.h"

namespace moproc::tools {
namespace {

constexpr const char* usage =
    "usage: moproc-data check DIR [FLAGS]\n"
    "\n"
    "Reads the lists of a WebVision folder and decodes every file, training and validation. Prints each "
    "broken file\n"
    "with the reason, in list order, and a count; exit status 1 when there is one.\n"
    "\n";

// One reason a broken sample, "" a good one.
std::vector<std::string> check_all(const data::Dataset& set, int threads, const char* what) {
  std::vector<std::string> reasons(set.size());
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  int done = 0;
  const Interruptible guard;
  Progress progress(what);
  const auto work = [&] {
    std::vector<std::uint8_t> bytes;
    data::Image image;
    for (std::size_t i; !Interruptible::interrupted() && (i = next++) < set.size();) {
      try {
        data::read_file(set.path(i), bytes);
        data::decode(bytes, image);
      } catch (const data::ImageError& e) {
        reasons[i] = e.what();
      }
      const std::lock_guard lock(mutex);
      progress.show(++done, static_cast<int>(set.size()));
    }
  };
  {
    std::vector<std::jthread> pool;
    const unsigned count = threads > 0 ? static_cast<unsigned>(threads) : std::thread::hardware_concurrency();
    for (unsigned i = 1; i < count; ++i) pool.emplace_back(work);
    work();
  }
  if (Interruptible::interrupted()) throw std::runtime_error("check: interrupted");
  return reasons;
}

std::size_t report(const data::Dataset& set, int threads, const char* what) {
  const std::vector<std::string> reasons = check_all(set, threads, what);
  std::size_t broken = 0;
  for (std::size_t i = 0; i < reasons.size(); ++i) {
    if (reasons[i].empty()) continue;
    ++broken;
    std::printf("%s: %s\n", std::string(set.name(i)).c_str(), reasons[i].c_str());
  }
  std::printf("%s: %zu of %zu files are broken\n", what, broken, set.size());
  return broken;
}

}  // namespace

int run_check(const Args& args) {
  int num_class = 1000, threads = 0;
  bool mini = false;
  const std::vector<Flag> flags = {
      {"num-class", "N", "leave out images with a label of N or more", &num_class, 1, 1'000'000},
      {"mini", "", "only the images found through Google (mini-WebVision, with --num-class 50)", &mini},
      {"threads", "N", "0: as many as the machine has", &threads, 0, 1024},
  };
  const std::string flag_help = describe_flags(flags);
  const Arguments given = parse_flags("check", args, flags);
  if (given.help) {
    std::printf("%s%s", usage, flag_help.c_str());
    return 0;
  }
  if (given.positional.size() != 1) throw UsageError("check: one data folder is wanted");
  const data::WebVisionOptions options{num_class, mini};
  const data::Dataset train = data::read_webvision(given.positional[0], data::Split::train, options);
  const data::Dataset val = data::read_webvision(given.positional[0], data::Split::val, options);
  const std::size_t broken = report(train, threads, "training") + report(val, threads, "validation");
  return broken > 0 ? 1 : 0;
}

}  // namespace moproc::tools
