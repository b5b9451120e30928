// `moproc-data sample`: the flags and the report of write_sample().
#include <cstdio>
#include <stdexcept>

#include "commands.h"
#include "flags.h"
#include "kinds.h"
#include "progress.h"
#include "sample.h"

namespace moproc::tools {
namespace {

constexpr const char* sample_usage =
    "Usage: moproc data sample --out DIR [flags]\n"
    "\n"
    "Writes a folder of drawn scenes as JPEG files, in WebVision V1's layout by default. A class is a kind of object\n"
    "(mug, key, house, ...); colours, backgrounds, places, scales and tilts are random. The validation images are\n"
    "clean; truth.json has the true class of every training image, or null if none of the classes is shown. The same\n"
    "flags give the same files.\n"
    "\n"
    "Examples:\n"
    "  moproc data sample --out sample --classes 10 --images 2000 --val 400 --size 40 --noise 0.3 --variation 0.2\n"
    "  moproc data sample --out imagenet --layout imagenet --classes 10 --images 600 --val 100 --size 40\n"
    "  moproc data sample --out voc --layout voc --images 400 --val 200 --size 40\n"
    "  moproc data sample --out places --layout places --images 410 --val 205 --size 40\n"
    "\n";

std::vector<Flag> flags_of(SampleOptions& o) {
  return {
      {"layout", "NAME", "Layout: webvision, imagenet (a folder per class), voc (20 classes) or places (205).",
       &o.layout},
      {"out", "DIR", "The folder to write; it must not exist, or be empty.", &o.out},
      {"classes", "N", "Number of classes.", &o.classes, 2, most_classes},
      {"images", "N", "Number of training images.", &o.images, 1, 10'000'000},
      {"val", "N", "Number of validation images.", &o.val, 1, 1'000'000},
      {"size", "PIXELS", "Shorter side of the images; the longer one is up to 4/3 of it.", &o.size, 16, 2048},
      {"noise", "SHARE", "Share of in-class training images that get a wrong label.", &o.noise, 0, 1},
      {"ood", "SHARE", "Share of training images that show none of the classes.", &o.ood, 0, 1},
      {"variation", "SHARE", "How much place, scale, tilt and clutter vary.", &o.variation, 0, 1},
      {"seed", "N", "Seed of everything that is drawn.", &o.seed, 0, 18446744073709551615.0},
      {"threads", "N", "Threads that draw; 0: one per core.", &o.threads, 0, 1024},
  };
}

}  // namespace

int run_sample(const Args& args) {
  SampleOptions options;
  const std::vector<Flag> flags = flags_of(options);
  const std::string flag_help = describe_flags(flags);
  const Arguments given = parse_flags(args, flags);
  if (given.help) {
    std::fputs(help_page(sample_usage, flag_help).c_str(), stdout);
    return 0;
  }
  if (!given.positional.empty()) throw UsageError("unexpected argument '" + given.positional[0] + "'");
  if (options.out.empty()) throw UsageError("--out DIR is missing");
  SampleSummary s;
  {
    const Interruptible guard;
    Progress progress("drawing");
    s = write_sample(options, [&](int done, int all) {
      if (Interruptible::interrupted()) throw std::runtime_error("interrupted; nothing was kept");
      progress.show(done, all);
    });
  }
  std::printf("%s: %d training images of %d classes (%d with a wrong label, %d out of class), %d validation images\n",
              options.out.c_str(), s.images, s.classes, s.wrong, s.out_of_class, s.val);
  return 0;
}

}  // namespace moproc::tools
