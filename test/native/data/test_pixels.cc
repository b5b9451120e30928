// Pixels: reference pictures, vector code against plain code, and damaged files.
#include <algorithm>
#include <cstring>

#include "../tap.h"
#include "data/augment.h"
#include "data/color.h"
#include "data/decode.h"
#include "data/hue_forms.h"
#include "data/resize_forms.h"
#include "data/resize_passes.h"
#include "golden.h"
#include "support.h"

using namespace moproc;
using namespace moproc::data;

namespace {

const std::string golden_folder = MOPROC_IMAGE_GOLDEN;

Image noise(int width, int height, std::uint32_t item) {
  Stream s(1, Purpose::sample_scene, 99, item);
  Image image(width, height);
  for (std::size_t i = 0; i < image.count(); ++i)
    image.data()[i] = s.bits();  // the fourth byte too: it must not matter
  return image;
}

bool same(const Image& a, const Image& b) {
  const tools::Difference d = tools::compare(a, b);
  return d.same_size && d.largest == 0;
}

Image decoded(const std::vector<std::uint8_t>& bytes) {
  Image image;
  decode(bytes, image);
  return image;
}

// Cuts a file everywhere (at `step` places): it must be refused, or every pixel must be there. Returns
// refusals.
int check_cuts(const std::string& name, std::size_t step) {
  const auto bytes = test::read_bytes(golden_folder + "/in/" + name);
  const Image whole = decoded(bytes);
  int refused = 0;
  for (std::size_t size = 0; size < bytes.size(); size += size + 200 < bytes.size() ? step : 1) {
    Image cut;
    try {
      decode(std::span(bytes).first(size), cut);
    } catch (const ImageError&) {
      ++refused;
      continue;
    }
    if (!CHECK(same(cut, whole))) std::printf("# %s cut to %zu bytes\n", name.c_str(), size);
  }
  return refused;
}

}  // namespace

TEST("every kind of operation is bit-equal to the reference pictures") {
  const tools::Golden golden = tools::read_golden(golden_folder);
  const tools::Verdict verdict = tools::verify(golden);
  CHECK_EQ(verdict.kinds.size(), 10u);
  for (const auto& [kind, tally] : verdict.kinds) {
    if (!CHECK_EQ(tally.exact, tally.cases)) std::printf("# %s, off by %d\n", kind.c_str(), tally.largest);
    CHECK(tally.cases >= 6);
  }
  for (const std::string& failure : verdict.failures) CHECK_EQ(failure, "");
}

TEST("files that are no pictures, or truncated ones, are refused with a reason") {
  const tools::Verdict verdict = tools::verify(tools::read_golden(golden_folder));
  CHECK_EQ(verdict.refusals.size(), 3u);
  for (const auto& [name, reason] : verdict.refusals) {
    if (!CHECK(!reason.empty())) std::printf("# %s was accepted\n", name.c_str());
  }
  Image image;
  CHECK_THROWS(decode({}, image), "empty");
  const std::string bmp = "BM........";
  CHECK_THROWS(decode(std::span(reinterpret_cast<const std::uint8_t*>(bmp.data()), bmp.size()), image), "BMP");
  std::vector<std::uint8_t> bytes;
  CHECK_THROWS(read_file("/nowhere/at all.jpg", bytes), "No such file");
  CHECK_THROWS(read_file("/", bytes), "not a regular file");
}

TEST("a file cut anywhere is refused or complete: no pixel is ever made up") {
  CHECK(check_cuts("s420_500x375.jpg", 397) > 150);
  CHECK(check_cuts("progressive_640x480.jpg", 397) > 150);
  CHECK(check_cuts("cmyk_320x240.jpg", 997) > 80);
  CHECK(check_cuts("png_named_200x150.jpg", 397) > 100);
  CHECK(check_cuts("tiny_40x30.jpg", 1) > 1000);
}

TEST("files with flipped bytes are decoded or refused, never a crash") {
  int refused = 0, accepted = 0;
  for (const char* name : {"tiny_40x30.jpg", "png_named_200x150.jpg", "progressive_640x480.jpg", "cmyk_320x240.jpg"}) {
    const auto good = test::read_bytes(golden_folder + "/in/" + name);
    for (std::uint32_t i = 0; i < 150; ++i) {
      Stream s(2, Purpose::sample_scene, 98, i);
      auto bytes = good;
      for (int k = 0; k < 3; ++k) {
        const std::uint32_t reach =
            static_cast<std::uint32_t>(i % 2 == 0 ? std::min<std::size_t>(700, bytes.size()) : bytes.size());
        bytes[s.below(reach)] = static_cast<std::uint8_t>(s.bits());
      }
      Image image;
      DecodeLimits limits;
      limits.max_pixels = 4'000'000;
      try {
        decode(bytes, image, limits);
        ++accepted;
      } catch (const ImageError&) {
        ++refused;
      }
    }
  }
  CHECK(refused > 100);
  CHECK_EQ(refused + accepted, 600);
}

TEST("sizes over the limit are refused before memory is taken") {
  DecodeLimits limits;
  limits.max_pixels = 1000;
  Image image;
  CHECK_THROWS(decode(test::read_bytes(golden_folder + "/in/tiny_40x30.jpg"), image, limits), "limit");
  CHECK_THROWS(decode(test::read_bytes(golden_folder + "/in/png_named_200x150.jpg"), image, limits), "limit");
}

TEST("hue agrees with its definition for every one of 2^24 colours") {
  Image row(4096, 1), narrow(4096, 1);
  for (const double factor : {0.0, 0.2345, -0.4}) {
    const int turn = static_cast<int>(factor * 255) & 255;
    std::uint32_t wrong = 0;
    for (std::uint32_t base = 0; base < 1u << 24; base += 4096) {
      for (std::uint32_t i = 0; i < 4096; ++i) row.data()[i] = narrow.data()[i] = base + i;
      if (has_avx2()) turn_avx2(narrow.data(), 4096, turn);
      hue(row, factor);
      for (std::uint32_t i = 0; i < 4096; ++i) {
        const std::uint32_t hsv = rgb_to_hsv(base + i);
        const std::uint32_t wanted = hsv_to_rgb(pixel((red(hsv) + turn) & 255, green(hsv), blue(hsv)));
        wrong += row.data()[i] != wanted;
        if (has_avx2()) wrong += narrow.data()[i] != wanted;
      }
    }
    CHECK_EQ(wrong, 0u);
  }
}

TEST("brightness and contrast agree with their definition for every channel, factor and length") {
  const auto blend = [](int from, int to, float factor) {
    const float mixed = static_cast<float>(from) + factor * static_cast<float>(to - from);
    return static_cast<int>(std::clamp(mixed, 0.0f, 255.0f));
  };
  for (const int length : {1, 7, 15, 16, 17, 100, 256}) {
    for (const float factor : {0.0f, 0.6f, 0.85713f, 1.0f, 1.4f, 2.5f, -1.0f}) {
      Image bright(length, 1), contrasted(length, 1);
      double sum = 0;
      const auto colour = [](int i) { return pixel(i, 255 - i, (i * 7) & 255); };
      for (int i = 0; i < length; ++i) {
        const std::uint32_t p = colour(i);
        bright.data()[i] = contrasted.data()[i] = p;
        sum += (red(p) * 19595 + green(p) * 38470 + blue(p) * 7471 + 0x8000) >> 16;
      }
      const int mean = static_cast<int>(sum / length + 0.5);
      brightness(bright, factor);
      contrast(contrasted, factor);
      const auto wanted = [&](int constant, std::uint32_t p) {
        return pixel(blend(constant, red(p), factor), blend(constant, green(p), factor),
                     blend(constant, blue(p), factor));
      };
      int wrong = 0;
      for (int i = 0; i < length; ++i) {
        wrong += bright.data()[i] != wanted(0, colour(i));
        wrong += contrasted.data()[i] != wanted(mean, colour(i));
      }
      CHECK_EQ(wrong, 0);
    }
  }
}

TEST("vector and plain resizing agree on odd sizes") {
  const int sizes[][4] = {{1, 1, 7, 5},     {3, 2, 64, 64},  {500, 375, 224, 224}, {37, 91, 17, 9},
                          {640, 2, 3, 224}, {9, 300, 9, 31}, {1031, 17, 8, 16},    {225, 225, 224, 224}};
  std::uint32_t item = 0;
  for (const auto& [w, h, to_w, to_h] : sizes) {
    const Image in = noise(w, h, ++item);
    for (const Box box : {Box{0, 0, h, w}, Box{h / 3, w / 4, h - h / 3, w - w / 4}}) {
      Weights across, down;
      make_weights(box.width, to_w, across);
      make_weights(box.height, to_h, down);
      std::vector<std::int32_t> packed;
      Image fast, plain, fast2, plain2;
      pass_across(in, box, across, packed, fast);
      pass_across_portable(in, box, across, plain);
      CHECK(same(fast, plain));
      pass_down(plain, down, fast2);
      pass_down_portable(plain, down, plain2);
      CHECK(same(fast2, plain2));
#if MOPROC_X86
      if (!has_avx2()) continue;  // the form that a CPU with AVX-512 does not take
      pack_weights(across, packed);
      fast.reset(to_w, box.height);
      across_avx2(in, box, across, packed.data(), fast);
      CHECK(same(fast, plain));
      fast2.reset(to_w, to_h);
      down_avx2(plain, down, fast2);
      CHECK(same(fast2, plain2));
#endif
    }
  }
}

TEST("packing to RGB is exact for every length") {
  for (int n = 1; n < 70; ++n) {
    const Image in = noise(n, 1, static_cast<std::uint32_t>(n));
    std::vector<std::uint8_t> out(static_cast<std::size_t>(n) * 3 + 8, 0xAA), expected = out;
    for (int i = 0; i < n; ++i) std::memcpy(&expected[static_cast<std::size_t>(i) * 3], in.data() + i, 3);
    store_rgb(in, out.data());
    CHECK(out == expected);
  }
}

TEST("crops outside the picture are refused; sizes follow torchvision's roundings") {
  const Image in = noise(20, 10, 1);
  Image out;
  ResizeScratch scratch;
  CHECK_THROWS(resize_box(in, {0, 15, 10, 6}, 8, 8, out, scratch), "does not fit");
  CHECK_THROWS(resize_box(in, {-1, 0, 5, 5}, 8, 8, out, scratch), "does not fit");
  CHECK_THROWS(resize_box(in, {0, 0, 0, 5}, 8, 8, out, scratch), "does not fit");
  CHECK_EQ(shorter_side(500, 375, 256).width, 341);
  CHECK_EQ(shorter_side(375, 500, 256).height, 341);
  center_crop(noise(5, 4, 2), 2, out);  // offsets 1.5 -> 2 (even) and 1
  CHECK_EQ(out.row(0)[0] & 0xffffff, noise(5, 4, 2).row(1)[2] & 0xffffff);
  center_crop(noise(3, 3, 3), 6, out);  // smaller than the crop: a black border, 1 before and 2 behind
  CHECK_EQ(out.row(0)[0], 0u);
  CHECK_EQ(out.row(1)[1] & 0xffffff, noise(3, 3, 3).row(0)[0] & 0xffffff);
}

TEST("a draw is applied as crop and resize, grey, the jitters in the order drawn, flip") {
  AugmentOptions how;
  how.size = 24;
  Draw draw;
  draw.crop = {3, 8, 30, 25};
  draw.brightness = 1.3f, draw.contrast = 0.7f, draw.saturation = 1.4f, draw.hue = 0.3;
  draw.jitters = true;
  const auto applied = [&](const Draw& d) {
    Workspace w;
    w.decoded = noise(50, 40, 5);
    std::vector<std::uint8_t> out(24 * 24 * 3);
    apply(d, how, w, out.data());
    return out;
  };
  const auto by_hand = [&](const Draw& d) {
    Image image;
    ResizeScratch scratch;
    resize_box(noise(50, 40, 5), d.crop, 24, 24, image, scratch);
    if (d.gray) grayscale(image);
    for (const Jitter j : d.order) {
      if (j == Jitter::brightness) brightness(image, d.brightness);
      if (j == Jitter::contrast) contrast(image, d.contrast);
      if (j == Jitter::saturation) saturation(image, d.saturation);
      if (j == Jitter::hue) hue(image, d.hue);
    }
    if (d.flip) flip_horizontal(image);
    std::vector<std::uint8_t> out(24 * 24 * 3);
    store_rgb(image, out.data());
    return out;
  };
  std::vector<std::vector<std::uint8_t>> seen;
  for (const bool flip : {false, true}) {
    for (const auto& order : {std::array{Jitter::brightness, Jitter::contrast, Jitter::saturation, Jitter::hue},
                              std::array{Jitter::hue, Jitter::saturation, Jitter::contrast, Jitter::brightness},
                              std::array{Jitter::contrast, Jitter::hue, Jitter::brightness, Jitter::saturation}}) {
      draw.flip = flip, draw.order = order;
      CHECK(applied(draw) == by_hand(draw));
      for (const auto& other : seen) CHECK(applied(draw) != other);  // each of them shows
      seen.push_back(applied(draw));
    }
  }
  draw.gray = true;
  draw.contrast = 1.7f, draw.brightness = 1.9f;  // what is clipped in one channel shows whether grey came first
  CHECK(applied(draw) == by_hand(draw));
  draw.jitters = false;
  const auto gray = applied(draw);
  for (std::size_t i = 0; i < gray.size(); i += 3) CHECK(gray[i] == gray[i + 1] && gray[i] == gray[i + 2]);
}

TEST("the test view: the shorter side to size * 256 / 224, then the middle") {
  AugmentOptions how;
  how.size = 28;
  Workspace w;
  w.decoded = noise(60, 45, 6);
  std::vector<std::uint8_t> out(28 * 28 * 3), want(28 * 28 * 3);
  apply_test(how, w, out.data());
  Image resized, middle;
  ResizeScratch scratch;
  resize_box(noise(60, 45, 6), {0, 0, 45, 60}, 42, 32, resized, scratch);  // 32 = 28 * 256 / 224; 60 * 32 / 45 = 42.7
  crop(resized, {2, 7, 28, 28}, middle);
  store_rgb(middle, want.data());
  CHECK(out == want);
  how.test_resize = 40;
  apply_test(how, w, out.data());
  resize_box(noise(60, 45, 6), {0, 0, 45, 60}, 53, 40, resized, scratch);
  crop(resized, {6, 12, 28, 28}, middle);  // 12.5 goes to the even one
  store_rgb(middle, want.data());
  CHECK(out == want);
}

int main(int argc, char** argv) { return moproc::test::run(argc, argv); }
