// `moproc-data pixels`: writes the network's input for images in evaluation, to run an exported model elsewhere.
// `moproc-data images`: the names that it takes, of all images of a folder.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include "commands.h"
#include "data/augment.h"
#include "data/decode.h"
#include "data/files.h"
#include "data/image_folder.h"
#include "data/picture_kind.h"
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
    "line of the input is a path, relative to DIR. An image that cannot be read is an error, or\n"
    "with --skip a line `I REASON` of the output: its number, from 0, in the input.\n"
    "\n"
    "Example:\n"
    "  cut -d' ' -f1 sample/info/val_filelist.txt | moproc data pixels --data sample/val_images_256 --size 32 --out "
    "pixels.bin\n"
    "\n";

constexpr const char* images_usage =
    "Usage: moproc-data images --data DIR\n"
    "\n"
    "Prints the paths of all images in a folder and in its folders, plain or packed, sorted by their bytes. Each is\n"
    "relative to DIR and has a NUL behind it. Hidden files and folders are left out.\n"
    "\n";

/// The images of a folder that shards hold.
std::vector<std::string> packed_images(const data::Files& files) {
  std::vector<std::string> names;
  for (const std::string_view name : files.names())
    if (data::is_image_name(name)) names.emplace_back(name);
  return names;
}

}  // namespace

int run_images(const Args& args) {
  std::string folder;
  const std::vector<Flag> flags = {{"data", "DIR", "The folder.", &folder}};
  const Arguments given = parse_flags(args, flags);
  if (given.help) {
    std::fputs(help_page(images_usage, describe_flags(flags)).c_str(), stdout);
    return 0;
  }
  if (folder.empty()) throw UsageError("--data DIR is needed");
  const auto files = data::Files::open(folder);
  if (std::error_code error; !files->packed() && !std::filesystem::is_directory(folder, error))
    throw std::runtime_error(folder + ": no such folder");
  for (const std::string& name : files->packed() ? packed_images(*files) : data::images_below(folder).names) {
    std::fwrite(name.data(), 1, name.size(), stdout);
    std::fputc('\0', stdout);
  }
  return 0;
}

int run_pixels(const Args& args) {
  std::string folder, out;
  int size = 224;
  bool null = false, skip = false;
  const std::vector<Flag> flags = {{"data", "DIR", "The folder that the paths are relative to.", &folder},
                                   {"out", "FILE", "Where the bytes are written; must not exist, or be empty.", &out},
                                   {"size", "PIXELS", "Side of the crops.", &size, 1, 4096},
                                   {"null", "", "Paths end with a NUL, not with a line feed.", &null},
                                   {"skip", "", "Leaves images out that cannot be read.", &skip}};
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
    std::string name;
    for (int i = 0; std::getline(std::cin, name, null ? '\0' : '\n'); ++i) {
      try {
        files->read(name, w.bytes, {});
        data::decode(w.bytes, w.decoded);
      } catch (const data::ImageError& e) {
        if (!skip) throw std::runtime_error(name + ": " + e.what());
        std::printf("%d %s\n", i, e.what());
        continue;
      }
      data::apply_test(how, w, pixels.data());
      file.write(std::as_bytes(std::span(pixels)));
    }
  });
  return 0;
}

}  // namespace moproc::tools
