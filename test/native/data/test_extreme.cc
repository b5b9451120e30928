// Pictures of extreme sizes: what a transform allocates follows from the picture and the crop, not from the size that
// the whole picture would have after resizing. All memory of the C++ code is counted here, by operator new.
#include <atomic>
#include <cstdlib>
#include <new>

#include "../tap.h"
#include "data/augment.h"
#include "golden.h"
#include "support.h"

namespace {

std::atomic<std::size_t> allocated{0};  // bytes since the last reset, freed ones included

void* count(std::size_t bytes) {
  allocated += bytes;
  void* const memory = std::malloc(bytes);
  if (!memory) throw std::bad_alloc();
  return memory;
}

}  // namespace

void* operator new(std::size_t bytes) { return count(bytes); }
void* operator new[](std::size_t bytes) { return count(bytes); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }

using namespace moproc;
using namespace moproc::data;

namespace {

Image noise(int width, int height, std::uint32_t item) {
  Stream s(1, Purpose::sample_scene, 96, item);
  Image image(width, height);
  for (std::size_t i = 0; i < image.count(); ++i) image.data()[i] = s.bits();
  return image;
}

Image cut(const Image& in, const Box& box) {
  Image out;
  crop(in, box, out);
  return out;
}

bool same(const Image& a, const Image& b) {
  const tools::Difference d = tools::compare(a, b);
  return d.same_size && d.largest == 0;
}

std::vector<std::uint8_t> test_view(Workspace& w, const AugmentOptions& how) {
  std::vector<std::uint8_t> out(static_cast<std::size_t>(how.size) * how.size * 3);
  apply_test(how, w, out.data());
  return out;
}

/// The bytes that a call allocates.
template <class F>
std::size_t bytes_of(F&& body) {
  allocated = 0;
  body();
  return allocated;
}

constexpr std::size_t kMegabyte = std::size_t{1} << 20;
constexpr int kSizes[][2] = {{1, 60000},   {60000, 1},   {65535, 1}, {1, 65535},   {1, 1},      {2, 50000},
                             {1000000, 1}, {1, 1000000}, {3, 3},     {224, 20000}, {20000, 223}};

}  // namespace

TEST("a part of a resized picture has the bits of the whole") {
  const int sizes[][4] = {{50, 37, 341, 256}, {37, 50, 20, 27}, {1, 90, 16, 1440}, {90, 1, 1440, 16}, {64, 64, 64, 64},
                          {64, 30, 64, 91},   {30, 64, 91, 64}, {400, 3, 512, 3},  {3, 400, 3, 512},  {700, 5, 13, 40}};
  std::uint32_t item = 0;
  for (const auto& [w, h, to_w, to_h] : sizes) {
    const Image in = noise(w, h, ++item);
    Image whole, part;
    ResizeScratch scratch;
    resize_box(in, {0, 0, h, w}, to_w, to_h, whole, scratch);
    Stream s(3, Purpose::sample_scene, 95, item);
    for (int i = 0; i < 20; ++i) {
      const int pw = 1 + static_cast<int>(s.below(static_cast<std::uint32_t>(to_w)));
      const int ph = 1 + static_cast<int>(s.below(static_cast<std::uint32_t>(to_h)));
      const Box box{i == 0 ? to_h - ph : s.between(0, to_h - ph), i == 1 ? to_w - pw : s.between(0, to_w - pw), ph, pw};
      resize_part(in, {to_w, to_h}, {box.top, box.left, ph, pw}, part, scratch);
      if (!CHECK(same(part, cut(whole, box))))
        std::printf("# %d x %d to %d x %d, part %d x %d at %d, %d\n", w, h, to_w, to_h, pw, ph, box.left, box.top);
    }
  }
  Image out;
  ResizeScratch scratch;
  const Image in = noise(4, 4, 99);
  CHECK_THROWS(resize_part(in, {8, 8}, {0, 5, 4, 4}, out, scratch), "beyond");
  CHECK_THROWS(resize_part(in, {8, 8}, {-1, 0, 4, 4}, out, scratch), "beyond");
  CHECK_THROWS(resize_part(in, {8, 8}, {0, 0, 0, 4}, out, scratch), "empty");
}

TEST("the test view of 1 x 60,000 pixels is that of its middle, whose resized picture fits in memory") {
  AugmentOptions how;  // shorter side 1 to 256: every pixel becomes 256 rows, and 224 of the middle are kept
  for (const bool upright : {true, false}) {
    const int w = upright ? 1 : 60000, h = upright ? 60000 : 1;
    const Image all = noise(w, h, 7);
    const Box middle = upright ? Box{29968, 0, 64, 1} : Box{0, 29968, 1, 64};
    Image resized, view;
    ResizeScratch scratch;
    const Image near = cut(all, middle);
    resize_box(near, {0, 0, near.height(), near.width()}, near.width() * 256, near.height() * 256, resized, scratch);
    center_crop(resized, how.size, view);
    std::vector<std::uint8_t> wanted(view.count() * 3);
    store_rgb(view, wanted.data());
    Workspace work;
    work.decoded = cut(all, {0, 0, h, w});
    CHECK(test_view(work, how) == wanted);
  }
}

TEST("the test view of every size allocates some megabytes at most") {
  for (const auto& [width, height] : kSizes)
    for (const int size : {224, 8, 448}) {
      AugmentOptions how;
      how.size = size;
      Workspace w;
      w.decoded = noise(width, height, 8);
      const std::size_t bytes = bytes_of([&] { test_view(w, how); });
      if (!CHECK(bytes < 80 * kMegabyte))
        std::printf("# %d x %d at %d: %zu MB\n", width, height, size, bytes / kMegabyte);
    }
}

TEST("a resize beyond 2^31 pixels per side keeps its middle, too") {
  AugmentOptions how;
  how.size = 16;
  how.test_resize = 4096;
  Workspace w;
  w.decoded = Image(1, 1'000'000);  // 4,096 x 4,096,000,000 pixels
  std::fill_n(w.decoded.data(), w.decoded.count(), pixel(9, 8, 7));
  for (int y = 499'999; y < 500'001; ++y) w.decoded.row(y)[0] = pixel(250, 120, 60);
  const std::vector<std::uint8_t> view = test_view(w, how);
  for (std::size_t i = 0; i < view.size(); i += 3) CHECK(view[i] == 250 && view[i + 1] == 120 && view[i + 2] == 60);
}

TEST("random crops of every size stay inside the picture and allocate some megabytes at most") {
  for (const auto& [width, height] : kSizes) {
    AugmentOptions how;
    std::vector<std::uint8_t> out(224 * 224 * 3);
    for (std::uint32_t item = 0; item < 30; ++item) {
      Workspace w;
      w.decoded = noise(width, height, 9);
      const Draw draw =
          item % 2 ? draw_weak(5, 0, item, width, height, how) : draw_strong(5, 0, item, width, height, how);
      const std::size_t bytes = bytes_of([&] { apply(draw, how, w, out.data()); });
      if (!CHECK(bytes < 80 * kMegabyte)) std::printf("# %d x %d: %zu MB\n", width, height, bytes / kMegabyte);
      CHECK(draw.crop.width >= 1 && draw.crop.height >= 1 && draw.crop.left >= 0 && draw.crop.top >= 0 &&
            draw.crop.left + draw.crop.width <= width && draw.crop.top + draw.crop.height <= height);
    }
  }
}

int main(int argc, char** argv) { return moproc::test::run(argc, argv); }
