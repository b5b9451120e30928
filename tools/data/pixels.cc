// `moproc-data pixels`: writes the network's input for images in evaluation, to run an exported model elsewhere.
#include <cstdio>
#include <iostream>

#include "commands.h"
#include "data/augment.h"
#include "data/decode.h"
#include "data/files.h"
#include "flags.h"
#include "formats/output_file.h"

namespace moproc::tools {
namespace {

/// A mark that no file has: raw bytes have no room for a mark, so existing files are never replaced.
const formats::Mark nothing = {.begin = "no file begins like this", .at = std::size_t{1} << 20};

constexpr const char* pixels_usage =
    "Usage: moproc data pixels --data DIR --out FILE [flags] < PATHS\n"
    "\n"
    "Writes the test transform of images as raw bytes: shorter side scaled to 8/7 of --size, centre crop,\n"
    "rows of RGB, [N, SIZE, SIZE, 3], as a model exported with --input uint8 takes them. Each\n"
    "line of the input is a path, relative to DIR.\n"
    "\n"
    "Example:\n"
    "  cut -d' ' -f1 sample/info/val_filelist.txt | moproc data pixels --data sample/val_images_256 --size 32 --out "
    "pixels.bin\n"
    "\n";

}  // namespace

int run_pixels(const Args& args) {
  std::string folder, out;
  int size = 224;
  const std::vector<Flag> flags = {{"data", "DIR", "The folder that the paths are relative to.", &folder},
                                   {"out", "FILE", "Where the bytes are written; must not exist, or be empty.", &out},
                                   {"size", "PIXELS", "Side of the crops.", &size, 1, 4096}};
  const Arguments given = parse_flags(args, flags);
  if (given.help) {
    std::fputs(help_page(pixels_usage, describe_flags(flags)).c_str(), stdout);
    return 0;
  }
  if (folder.empty() || out.empty()) throw UsageError("--data DIR and --out FILE are needed");
  formats::require_file(out, nothing);
  const auto files = data::Files::open(folder);
  data::AugmentOptions how;
  how.size = size;
  data::Workspace w;
  std::vector<std::uint8_t> pixels(static_cast<std::size_t>(size) * size * 3);
  formats::write_atomically(out, nothing, [&](formats::OutputFile& file) {
    for (std::string name; std::getline(std::cin, name);) {
      try {
        files->read(name, w.bytes, {});
        data::decode(w.bytes, w.decoded);
      } catch (const data::ImageError& e) {
        throw std::runtime_error(name + ": " + e.what());
      }
      data::apply_test(how, w, pixels.data());
      file.write(std::as_bytes(std::span(pixels)));
    }
  });
  return 0;
}

}  // namespace moproc::tools
