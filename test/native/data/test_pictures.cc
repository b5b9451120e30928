// Formats of picture files: every kind has the pixels that Pillow reads; hostile and damaged files are refused.
#include <algorithm>
#include <cstring>

#include "../tap.h"
#include "data/decode.h"
#include "golden.h"
#include "support.h"

using namespace moproc;
using namespace moproc::data;

namespace {

const std::string pictures = MOPROC_PICTURES;

std::vector<std::uint8_t> bytes_of(std::string_view text) { return {text.begin(), text.end()}; }

std::vector<std::uint8_t> file(const std::string& name) { return test::read_bytes(pictures + "/in/" + name); }

/// The reason why a file is refused; "" if it is decoded.
std::string refusal(std::span<const std::uint8_t> bytes, const DecodeLimits& limits = {}) {
  Image image;
  try {
    decode(bytes, image, limits);
  } catch (const ImageError& e) {
    return e.what();
  }
  return "";
}

void need(const char* kind) {
  if (!is_decoded(kind)) test::skip(std::string("built without a library that reads ") + kind);
}

/// A little-endian 16-bit number of a GIF file.
void put16(std::vector<std::uint8_t>& bytes, std::size_t at, int value) {
  bytes[at] = static_cast<std::uint8_t>(value);
  bytes[at + 1] = static_cast<std::uint8_t>(value >> 8);
}

/// All files that this program reads.
std::vector<std::string> readable() {
  std::vector<std::string> names;
  for (const tools::GoldenCase& c : tools::read_golden(pictures).cases) {
    const PictureKind* const kind = sniff(file(c.in));
    if (CHECK(kind != nullptr) && is_decoded(kind->name)) names.push_back(c.in);
  }
  return names;
}

}  // namespace

TEST("every kind of file has the pixels that Pillow reads, whatever its name says") {
  const tools::Golden golden = tools::read_golden(pictures);
  const std::vector<std::string> names = readable();
  CHECK(names.size() >= 50);
  for (const tools::GoldenCase& c : golden.cases) {
    if (std::find(names.begin(), names.end(), c.in) == names.end()) continue;
    Image got, wanted;
    tools::run_case(golden, c, got);
    decode(test::read_bytes(pictures + "/out/" + c.out), wanted);
    const tools::Difference d = tools::compare(got, wanted);
    if (!CHECK(d.same_size && d.largest == 0))
      std::printf("# %s: %d x %d, %zu values differ, at most by %d\n", c.in.c_str(), got.width(), got.height(),
                  d.values, d.largest);
  }
}

TEST("a file of any kind that is cut anywhere is refused or complete") {
  int refused = 0, whole_files = 0;
  for (const std::string& name : readable()) {
    const auto bytes = file(name);
    Image whole, cut;
    decode(bytes, whole);
    for (std::size_t size = 0; size < bytes.size(); size += size + 30 < bytes.size() ? 1 + bytes.size() / 60 : 1) {
      // A copy of its own, so that the address sanitizer sees a read beyond the end.
      const std::vector<std::uint8_t> part(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
      try {
        decode(part, cut);
      } catch (const ImageError&) {
        ++refused;
        continue;
      }
      ++whole_files;
      const tools::Difference d = tools::compare(cut, whole);
      if (!CHECK(d.same_size && d.largest == 0)) std::printf("# %s cut to %zu bytes\n", name.c_str(), size);
    }
  }
  CHECK(refused > 3000);
  CHECK(whole_files > 10);
}

TEST("files of every kind with wrong bytes are decoded or refused, never a crash") {
  for (const std::string& name : readable()) {
    const auto good = file(name);
    for (std::uint32_t i = 0; i < 60; ++i) {
      Stream s(2, Purpose::sample_scene, 97, i);
      auto bytes = good;
      for (int k = 0; k < 3; ++k) {
        const auto reach =
            static_cast<std::uint32_t>(i % 2 == 0 ? std::min<std::size_t>(64, bytes.size()) : bytes.size());
        bytes[s.below(reach)] = static_cast<std::uint8_t>(s.bits());
      }
      refusal(bytes, {.max_pixels = 100'000});
    }
  }
}

TEST("a size over the limit is refused before memory is taken, in every format") {
  for (const char* name : {"s444.jpg", "colour2_8bit.png", "lossy.webp", "lossless.webp", "animated.webp", "old.gif"}) {
    const auto bytes = file(name);
    if (is_decoded(sniff(bytes)->name)) test::has(refusal(bytes, {.max_pixels = 600}), "limit");
  }
  if (is_decoded("GIF")) {
    auto screen = file("old.gif");  // 4.3 thousand million pixels of a screen, a small frame
    put16(screen, 6, 65535), put16(screen, 8, 65535);
    test::has(refusal(screen), "65535 x 65535 pixels, over the limit");
    auto frame = file("larger_than_screen.gif");  // the frame's place enlarges the canvas
    const auto at = static_cast<std::size_t>(std::find(frame.begin() + 13, frame.end(), ',') - frame.begin());
    put16(frame, at + 1, 65000), put16(frame, at + 3, 65000);
    test::has(refusal(frame), "over the limit");
  }
  if (is_decoded("WebP")) {
    auto canvas = file("animated.webp");  // bytes 24 to 29: width and height of the canvas minus 1
    std::fill_n(canvas.begin() + 24, 6, std::uint8_t{0xff});
    CHECK(!refusal(canvas).empty());
    canvas[26] = canvas[29] = 0, canvas[28] = 0x7f;
    test::has(refusal(canvas), "65536 x 32768 pixels, over the limit");
  }
}

TEST("GIF: what has no picture, or too few pixels, is refused with a reason") {
  need("GIF");
  test::has(refusal(bytes_of("GIF89a")), "truncated");
  test::has(refusal(bytes_of(std::string_view("GIF89a\2\0\2\0\0\0\0;", 14))), "no picture");
  test::has(refusal(bytes_of(std::string_view("GIF89a\2\0\2\0\0\0\0", 13))), "before its picture begins");
  // 2 x 2 pixels, but the codes (of 3 bits) are clear, 0 and the end.
  const std::string_view few("GIF89a\2\0\2\0\0\0\0,\0\0\0\0\2\0\2\0\0\2\2\x44\x01\0;", 29);
  test::has(refusal(bytes_of(few)), "truncated");
  auto empty = bytes_of(few);
  put16(empty, 18, 0);
  test::has(refusal(empty), "empty");
}

TEST("WebP: a frame that does not fit its canvas, and a file without a frame, are refused") {
  need("WebP");
  auto outside = file("animated_offset_lossy.webp");
  const std::string_view anmf = "ANMF";
  const auto at = std::search(outside.begin(), outside.end(), anmf.begin(), anmf.end());
  REQUIRE(at != outside.end());
  at[8] = 200;  // the frame's offset, in pairs of pixels
  CHECK(!refusal(outside).empty());
  auto cut = file("lossy.webp");
  cut[4] = static_cast<std::uint8_t>(cut[4] + 2);  // the length in the header of the file
  test::has(refusal(cut), "truncated");
  CHECK(!refusal(bytes_of(std::string_view("RIFF\4\0\0\0WEBP", 12))).empty());
}

TEST("a file's kind is found in its first bytes; a picture that is not read says which kind it is") {
  const auto kind = [](std::string_view text) {
    const auto bytes = bytes_of(text);
    const PictureKind* const k = sniff(bytes);
    return std::string(k ? k->name : "");
  };
  const std::pair<std::string_view, const char*> known[] = {
      {{"BM\x3a\0\0\0", 6}, "BMP"},
      {{"II*\0\x08\0\0\0", 8}, "TIFF"},
      {{"MM\0*\0\0\0\x08", 8}, "TIFF"},
      {"P6\n2 2\n255\n", "PPM"},
      {"P5 2 2 255\n", "PPM"},
      {{"\0\0\0\x1c"
        "ftypavif\0\0\0\0avifmif1miaf",
        28},
       "AVIF"},
      {{"\0\0\0\x18"
        "ftypmif1\0\0\0\0mif1avif",
        24},
       "AVIF"},
      {{"\0\0\0\x18"
        "ftypheic\0\0\0\0mif1heic",
        24},
       "HEIC"},
      {{"\0\0\0\x18"
        "ftypisom\0\0\0\0isommp41",
        24},
       "MP4 or QuickTime"},
      {"<svg xmlns=\"http://www.w3.org/2000/svg\"/>", "SVG"},
      {"\xef\xbb\xbf<?xml version=\"1.0\"?>\n<!DOCTYPE svg>\n<svg>", "SVG"},
      {"\n<!DOCTYPE html><html>", "HTML"},
      {"<HTML><body>", "HTML"},
      {"<?xml version=\"1.0\"?><a/>", "XML"},
      {"%PDF-1.7", "PDF"},
      {{"\0\0\0\x0cJXL \r\n\x87\n", 12}, "JPEG XL"},
      {{"\0\0\0\x0cjP  \r\n\x87\n", 12}, "JPEG 2000"},
      {"RIFF....WAVE", ""},
      {"no picture", ""},
      {"", ""},
  };
  for (const auto& [text, name] : known) CHECK_EQ(kind(text), name);
  Image image;
  try {
    decode(bytes_of(std::string_view("II*\0\x08\0\0\0", 8)), image);
    CHECK(false);
  } catch (const ImageError& e) {
    CHECK_EQ(e.unread_kind(), "TIFF");
    test::has(e.what(), "its format is TIFF; only JPEG, PNG");
  }
  try {
    decode(bytes_of("<html>404 Not Found</html>"), image);
    CHECK(false);
  } catch (const ImageError& e) {
    CHECK_EQ(e.unread_kind(), "");
    test::has(e.what(), "it looks like HTML");
  }
}

TEST("names of images: torchvision's endings and those of the web's other formats, in any case") {
  for (const char* name : {"a.jpg", "a.JPEG", "x/b.Png", "a.webp", "a.gif", "a.bmp", "a.ppm", "a.pgm", "a.tif",
                           "a.tiff", "a.heic", "a.avif", "a.svg", "two.dots.jpg"})
    if (!CHECK(is_image_name(name))) std::printf("# %s\n", name);
  for (const char* name : {"a.txt", "jpg", ".jpg", "x/.png", "a.jpg.part", "a.json", "", "a."})
    if (!CHECK(!is_image_name(name))) std::printf("# %s\n", name);
}

TEST("kinds that are not read are one sentence with their numbers, the largest first") {
  CHECK_EQ(unread_text({}), "");
  CHECK_EQ(unread_text({{"HEIC", 1}}), "1 HEIC file is not read: convert it to JPEG or PNG");
  CHECK_EQ(unread_text({{"HEIC", 3}, {"SVG", 1}, {"TIFF", 12}}),
           "12 TIFF files, 3 HEIC files and 1 SVG file are not read: convert them to JPEG or PNG");
  test::has(unread_text({{"WebP", 2}}), "or install libwebp-dev and build moproc's native part again");
}

int main(int argc, char** argv) { return moproc::test::run(argc, argv); }
