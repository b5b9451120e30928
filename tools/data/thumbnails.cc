// `moproc-data thumbnails`: writes small JPEG files of named images, for HTML pages. `moproc-data formats`: for doctor.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <span>
#include <string>
#include <vector>

#include "commands.h"
#include "data/decode.h"
#include "data/files.h"
#include "data/resize.h"
#include "encode_jpeg.h"
#include "flags.h"
#include "formats/output_file.h"

namespace moproc::tools {
namespace {

constexpr const char* thumbnails_usage =
    "Usage: moproc-data thumbnails --data DIR --out DIR [flags] < NAMES\n"
    "\n"
    "Reads paths below --data, each with a NUL behind it, and writes the picture of path I (from 0) as --out/I.jpg.\n"
    "A picture that cannot be read is named on stderr and gets no file.\n"
    "\n";

// Shrinks the picture so that its longer side has at most `side` pixels.
void shrink(const data::Image& in, int side, data::Image& out, data::ResizeScratch& scratch) {
  const int longer = std::max(in.width(), in.height());
  const auto scaled = [&](int extent) {
    return longer <= side ? extent : std::max(1, static_cast<int>(std::int64_t{extent} * side / longer));
  };
  data::resize_box(in, {0, 0, in.height(), in.width()}, scaled(in.width()), scaled(in.height()), out, scratch);
}

}  // namespace

int run_thumbnails(const Args& args) {
  std::string folder, out;
  int side = 128, quality = 75;
  const std::vector<Flag> flags = {
      {"data", "DIR", "The folder that the paths are relative to.", &folder},
      {"out", "DIR", "The folder for the files; it is made if it is missing, and must be empty.", &out},
      {"side", "PIXELS", "The longer side of a thumbnail, at most.", &side, 8, 4096},
      {"quality", "N", "Quality of the JPEG files.", &quality, 1, 100}};
  const Arguments given = parse_flags(args, flags);
  if (given.help) {
    std::fputs(help_page(thumbnails_usage, describe_flags(flags)).c_str(), stdout);
    return 0;
  }
  if (folder.empty() || out.empty()) throw UsageError("--data DIR and --out DIR are needed");
  formats::require_folder(out);
  const auto files = data::Files::open(folder);
  std::filesystem::create_directories(out);
  std::vector<std::uint8_t> bytes, rgb;
  data::Image image, small;
  data::ResizeScratch scratch;
  std::string name;
  for (int i = 0; std::getline(std::cin, name, '\0'); ++i) {
    try {
      files->read(name, bytes, {});
      data::decode(bytes, image);
    } catch (const data::ImageError& e) {
      std::fprintf(stderr, "%s: %s\n", name.c_str(), e.what());
      continue;
    }
    shrink(image, side, small, scratch);
    rgb.resize(small.count() * 3);
    data::store_rgb(small, rgb.data());
    formats::OutputFile file(out + "/" + std::to_string(i) + ".jpg", formats::OutputFile::Open::fresh);
    const std::vector<std::uint8_t> jpeg = encode_jpeg(rgb.data(), small.width(), small.height(), quality);
    file.write(std::as_bytes(std::span(jpeg)));
  }
  return 0;
}

int run_formats(const Args&) {
  for (const std::string& kind : data::decoded_kinds()) std::printf("%s\n", kind.c_str());
  return 0;
}

}  // namespace moproc::tools
