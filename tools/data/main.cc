// moproc-data: commands for data folders and images. Exit status: 0 success; 1 a check found something, or the output
// cannot be written; 2 bad use or input.
#include <csignal>
#include <cstdio>
#include <cstring>
#include <exception>
#include <string>

#include "commands.h"
#include "core/standard_output.h"

namespace {

constexpr const char* all_usage =
    "Usage: moproc data VERB [flags]\n"
    "\n"
    "  sample          Writes a data folder of drawn scenes, with wrong labels and out-of-class images.\n"
    "  check           Decodes every image of a data folder and says what is wrong with it.\n"
    "  pack            Writes a data folder as tar shards.\n"
    "  verify-pixels   Compares decoding, resizing and colour operations with reference images.\n"
    "  pixels          Writes images under the test transform as raw bytes.\n"
    "  thumbnails      Writes small JPEG files of named images.\n"
    "  images          Prints the paths of the images of a folder.\n"
    "  formats         Prints the formats of image files that are read, one per line.\n"
    "  bench           Measures decoding and augmentation on given image files.\n"
    "\n"
    "`moproc data VERB --help` shows the flags of a verb. moproc-data runs the same verbs, and alone the last four.\n";

struct Verb {
  const char* name;
  int (*run)(const moproc::tools::Args&);
};

constexpr Verb verbs[] = {
    {"sample", moproc::tools::run_sample}, {"check", moproc::tools::run_check},
    {"pack", moproc::tools::run_pack},     {"verify-pixels", moproc::tools::run_verify_pixels},
    {"pixels", moproc::tools::run_pixels}, {"thumbnails", moproc::tools::run_thumbnails},
    {"images", moproc::tools::run_images}, {"formats", moproc::tools::run_formats},
    {"bench", moproc::tools::run_bench},
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fputs(all_usage, stderr);
    return 2;
  }
  if (std::strcmp(argv[1], "--help") == 0 || std::strcmp(argv[1], "-h") == 0) {
    std::fputs(all_usage, stdout);
    return 0;
  }
  for (const Verb& verb : verbs) {
    if (std::strcmp(argv[1], verb.name) != 0) continue;
    std::signal(SIGXFSZ, SIG_IGN);  // if a file grows too large, write() fails
    try {
      const int status = verb.run(moproc::tools::Args(argv + 2, argv + argc));
      return moproc::after_output(status, std::string("moproc data ") + verb.name);
    } catch (const std::exception& e) {
      std::fprintf(stderr, "moproc data %s: %s\n", verb.name, e.what());
      return 2;
    }
  }
  std::fprintf(stderr,
               "moproc data: there is no verb '%s'; the verbs are sample, check, pack, verify-pixels, pixels, "
               "thumbnails, images, formats, bench\n",
               argv[1]);
  return 2;
}
