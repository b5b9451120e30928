// Draws against numbers that recorded_draws.py computed: the draws of a run never change, and each of seed, epoch (or
// step), sample and view changes a draw. Tests that compare draws with each other cannot show this.
#include <array>
#include <cstdint>
#include <vector>

#include "../tap.h"
#include "core/rng.h"
#include "data/augment.h"
#include "data/sampler.h"
#include "data/subset.h"

using namespace moproc::data;

namespace {

struct Place {
  std::uint64_t seed;
  std::uint32_t epoch, item;
};
constexpr std::uint64_t kHigh = 1ull << 32;  // in a seed or a step: a bit of the upper word
/// The first, and others that differ from it in one number.
constexpr Place kPlaces[] = {{7, 3, 5}, {8, 3, 5}, {7 + kHigh, 3, 5}, {7, 4, 5}, {7, 3, 6}};

void check_crop(const Box& got, const std::array<int, 4>& top_left_height_width) {
  CHECK_EQ(got.top, top_left_height_width[0]);
  CHECK_EQ(got.left, top_left_height_width[1]);
  CHECK_EQ(got.height, top_left_height_width[2]);
  CHECK_EQ(got.width, top_left_height_width[3]);
}

using Order32 = std::vector<std::uint32_t>;
using Order64 = std::vector<std::int64_t>;

}  // namespace

TEST("recorded: every purpose has its own stream") {
  constexpr std::uint32_t first[] = {0x9cdde37d, 0x832a94f0, 0x72e716ef, 0x319975b0, 0xa02834f1,
                                     0x95b04b56, 0x78233a93, 0x94002d72, 0x8d1616aa, 0xe9fdcf6f};
  constexpr Purpose purposes[] = {
      Purpose::weak_view,    Purpose::strong_view,    Purpose::epoch_order, Purpose::key_shuffle, Purpose::sample_scene,
      Purpose::sample_label, Purpose::balanced_order, Purpose::subset,      Purpose::mixup,       Purpose::svm_order};
  for (std::size_t i = 0; i < std::size(first); ++i) CHECK_EQ(Stream(7, purposes[i], 3, 5).bits(), first[i]);
}

TEST("recorded: weak views by seed, epoch and sample") {
  struct Want {
    std::array<int, 4> crop;
    bool flip;
  };
  const Want want[] = {{{15, 90, 353, 367}, false},
                       {{98, 192, 217, 279}, false},
                       {{13, 57, 305, 354}, false},
                       {{49, 134, 301, 285}, true},
                       {{11, 96, 287, 252}, true}};
  for (std::size_t i = 0; i < std::size(want); ++i) {
    const Draw d = draw_weak(kPlaces[i].seed, kPlaces[i].epoch, kPlaces[i].item, 500, 375, {});
    check_crop(d.crop, want[i].crop);
    CHECK_EQ(d.flip, want[i].flip);
    CHECK(!d.gray && !d.jitters);
  }
}

TEST("recorded: strong views by seed, epoch and sample") {
  struct Want {
    std::array<int, 4> crop;
    bool flip, gray;
    std::array<int, 4> order;
    double brightness, contrast, saturation, hue;
  };
  const Want want[] = {
      {{33, 94, 341, 336}, false, false, {2, 1, 3, 0}, 0.624934379, 1.163433437, 0.753836939, -0.232468105},
      {{4, 178, 328, 275}, true, false, {3, 2, 1, 0}, 0.824973107, 1.086006632, 1.082316284, -0.315865306},
      {{79, 15, 284, 368}, true, false, {0, 3, 1, 2}, 1.237428946, 0.628585115, 0.757742861, 0.199737124},
      {{32, 135, 258, 204}, true, false, {3, 1, 2, 0}, 0.774654905, 0.676338152, 0.922009846, -0.155039372},
      {{47, 134, 227, 243}, false, false, {1, 2, 0, 3}, 0.726979889, 0.869082889, 1.398581183, -0.034575358}};
  for (std::size_t i = 0; i < std::size(want); ++i) {
    const Draw d = draw_strong(kPlaces[i].seed, kPlaces[i].epoch, kPlaces[i].item, 500, 375, {});
    check_crop(d.crop, want[i].crop);
    CHECK_EQ(d.flip, want[i].flip);
    CHECK_EQ(d.gray, want[i].gray);
    CHECK(d.jitters);
    for (std::size_t j = 0; j < 4; ++j) CHECK_EQ(static_cast<int>(d.order[j]), want[i].order[j]);
    CHECK_NEAR(d.brightness, want[i].brightness, 1e-6);
    CHECK_NEAR(d.contrast, want[i].contrast, 1e-6);
    CHECK_NEAR(d.saturation, want[i].saturation, 1e-6);
    CHECK_NEAR(d.hue, want[i].hue, 1e-9);
  }
}

TEST("recorded: the order of an epoch by seed and epoch, even and balanced") {
  CHECK((epoch_order(3, 1, 10) == Order32{5, 3, 0, 8, 2, 9, 7, 6, 1, 4}));
  CHECK((epoch_order(4, 1, 10) == Order32{1, 5, 6, 7, 9, 4, 0, 2, 3, 8}));
  CHECK((epoch_order(3, 2, 10) == Order32{7, 3, 2, 8, 9, 0, 1, 4, 5, 6}));
  const std::vector<std::int32_t> labels{0, 0, 0, 0, 0, 0, 1, 1};
  CHECK((balanced_order(3, 1, labels) == Order32{3, 3, 1, 4, 6, 6, 0, 7}));
  CHECK((balanced_order(4, 1, labels) == Order32{7, 4, 4, 3, 5, 1, 7, 1}));
  CHECK((balanced_order(3, 2, labels) == Order32{3, 7, 7, 7, 0, 3, 7, 2}));
}

TEST("recorded: subsets by seed and draw") {
  Dataset all("folder", 2);
  for (int i = 0; i < 20; ++i) all.add("image " + std::to_string(i), i % 2);
  CHECK((draw_subset(all, 0.3, 3, 1) == Order32{3, 9, 10, 13, 16, 19}));
  CHECK((draw_subset(all, 0.3, 4, 1) == Order32{1, 8, 9, 13, 15, 18}));
  CHECK((draw_subset(all, 0.3, 3, 2) == Order32{5, 6, 9, 11, 13, 17}));
}

TEST("recorded: the permutation of keys and the shares of mixup by seed and step") {
  CHECK((permutation(3, 1, 10) == Order64{7, 9, 0, 1, 5, 2, 3, 8, 4, 6}));
  CHECK((permutation(4, 1, 10) == Order64{8, 7, 1, 2, 3, 4, 9, 6, 0, 5}));
  CHECK((permutation(3, 2, 10) == Order64{0, 4, 2, 1, 3, 6, 5, 9, 8, 7}));
  CHECK((permutation(3, 1 + kHigh, 10) == Order64{1, 6, 0, 7, 9, 5, 4, 3, 2, 8}));
  struct Beta {
    std::uint64_t seed, step;
    double at_04, at_25;  // alpha 0.4 and 2.5
  };
  for (const Beta& b :
       {Beta{3, 1, 0.199671102488, 0.431962176593}, Beta{4, 1, 0.346001529956, 0.543630146879},
        Beta{3, 2, 0.992014591667, 0.438770770245}, Beta{3, 1 + kHigh, 0.960202519789, 0.735487919960}}) {
    CHECK_NEAR(beta_draw(b.seed, b.step, 0.4), b.at_04, 1e-9);
    CHECK_NEAR(beta_draw(b.seed, b.step, 2.5), b.at_25, 1e-9);
  }
}
