// Random numbers: the generator's known answers, permutations, and torchvision's crop rules.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "../tap.h"
#include "core/rng.h"
#include "data/augment.h"
#include "data/sampler.h"

using namespace moproc::data;

namespace {

template <class T>
bool is_permutation_of_n(std::vector<T> order) {
  std::sort(order.begin(), order.end());
  for (std::size_t i = 0; i < order.size(); ++i) {
    if (order[i] != static_cast<T>(i)) return false;
  }
  return true;
}

}  // namespace

TEST("Philox4x32-10 gives its authors' known answers") {
  CHECK((philox4x32_10({0, 0, 0, 0}, {0, 0}) == Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  const std::uint32_t f = 0xffffffff;
  CHECK((philox4x32_10({f, f, f, f}, {f, f}) == Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  CHECK((philox4x32_10({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
         Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST("streams differ by seed, purpose, epoch and item, and repeat") {
  const auto first = [](std::uint64_t seed, Purpose p, std::uint32_t epoch, std::uint32_t item) {
    return Stream(seed, p, epoch, item).bits();
  };
  const std::set<std::uint32_t> all = {first(1, Purpose::weak_view, 0, 0),
                                       first(2, Purpose::weak_view, 0, 0),
                                       first(1ull << 32 | 1, Purpose::weak_view, 0, 0),
                                       first(1, Purpose::strong_view, 0, 0),
                                       first(1, Purpose::weak_view, 1, 0),
                                       first(1, Purpose::weak_view, 0, 1)};
  CHECK_EQ(all.size(), 6u);
  CHECK_EQ(first(1, Purpose::weak_view, 3, 4), first(1, Purpose::weak_view, 3, 4));
}

TEST("bounded draws are even and stay in bounds") {
  Stream s(5, Purpose::epoch_order, 0, 1);
  std::vector<int> seen(7);
  for (int i = 0; i < 70000; ++i) ++seen.at(s.below(7));
  double chi = 0;
  for (const int n : seen) chi += (n - 10000.0) * (n - 10000.0) / 10000.0;
  CHECK(chi < 22.5);  // 6 degrees of freedom: above this once in a thousand seeds
  double least = 1, most = 0;
  for (int i = 0; i < 100000; ++i) {
    const double u = s.unit();
    least = std::min(least, u);
    most = std::max(most, u);
  }
  CHECK(least >= 0 && least < 1e-3 && most < 1 && most > 1 - 1e-3);
  for (int i = 0; i < 1000; ++i) CHECK_EQ(s.below(1), 0u);
}

TEST("an epoch's order is a permutation, another one each epoch and seed, the same when asked again") {
  for (const std::uint64_t n : {0ull, 1ull, 2ull, 1000ull}) CHECK(is_permutation_of_n(epoch_order(3, 0, n)));
  CHECK(epoch_order(3, 0, 1000) == epoch_order(3, 0, 1000));
  CHECK(epoch_order(3, 0, 1000) != epoch_order(3, 1, 1000));
  CHECK(epoch_order(3, 0, 1000) != epoch_order(4, 0, 1000));
  CHECK(!std::is_sorted(epoch_order(3, 0, 1000).begin(), epoch_order(3, 0, 1000).end()));
  CHECK(is_permutation_of_n(permutation(3, 17, 256)));
  CHECK(permutation(3, 17, 256) != permutation(3, 18, 256));
  CHECK(permutation(3, 17, 256) != permutation(3, 17 + (1ull << 32), 256));
  CHECK_THROWS(epoch_order(3, 0, 1ull << 33), "more than 32 bits");
}

TEST("every item is as likely to be first: shuffling has no favourites") {
  std::vector<int> first(6);
  for (std::uint32_t epoch = 0; epoch < 12000; ++epoch) ++first[epoch_order(11, epoch, 6)[0]];
  double chi = 0;
  for (const int n : first) chi += (n - 2000.0) * (n - 2000.0) / 2000.0;
  CHECK(chi < 20.5);  // 5 degrees of freedom, one in a thousand
}

TEST("training drops the last incomplete batch, evaluation keeps it") {
  CHECK_EQ(batches_in_epoch(1000, 256, true), 3u);
  CHECK_EQ(batches_in_epoch(1000, 256, false), 4u);
  CHECK_EQ(batches_in_epoch(1024, 256, false), 4u);
  CHECK_EQ(batches_in_epoch(255, 256, true), 0u);
}

TEST("random crops keep to area and ratio; impossible pictures get the largest centred crop") {
  const AugmentOptions how;
  double area = 0;
  for (std::uint32_t i = 0; i < 5000; ++i) {
    Stream s(1, Purpose::weak_view, 0, i);
    const Box b = draw_crop(s, 500, 375, how);
    REQUIRE(b.top >= 0 && b.left >= 0 && b.top + b.height <= 375 && b.left + b.width <= 500);
    const double share = b.width * b.height / (500.0 * 375.0), ratio = static_cast<double>(b.width) / b.height;
    CHECK(share > 0.195 && share <= 1);
    CHECK(ratio > 0.74 && ratio < 1.35);
    area += share;
  }
  // Not 0.6: large areas fit in few ratios. 0.4954 is the mean of 200,000 crops by torchvision's rule in
  // Python.
  CHECK_NEAR(area / 5000, 0.4954, 0.01);
  Stream s(1, Purpose::weak_view, 0, 0);
  const Box wide = draw_crop(s, 3000, 100, how);  // any allowed crop of a fifth of it is higher than it is
  CHECK_EQ(wide.height, 100);
  CHECK_EQ(wide.width, 133);
  CHECK_EQ(wide.left, (3000 - 133) / 2);
  const Box tall = draw_crop(s, 100, 3000, how);
  CHECK_EQ(tall.height, 133);
  CHECK_EQ(tall.top, (3000 - 133) / 2);
}

TEST("strong views: grey one in five, flips one in two, factors and orders over their whole range") {
  const AugmentOptions how;
  int gray = 0, flip = 0;
  double low = 9, high = 0, hue_low = 9, hue_high = -9;
  std::set<std::array<Jitter, 4>> orders;
  for (std::uint32_t i = 0; i < 4000; ++i) {
    const Draw d = draw_strong(1, 2, i, 400, 300, how);
    gray += d.gray;
    flip += d.flip;
    for (const float f : {d.brightness, d.contrast, d.saturation}) {
      low = std::min<double>(low, f);
      high = std::max<double>(high, f);
    }
    hue_low = std::min(hue_low, d.hue);
    hue_high = std::max(hue_high, d.hue);
    orders.insert(d.order);
  }
  CHECK_NEAR(gray, 800, 90);
  CHECK_NEAR(flip, 2000, 110);
  CHECK(low >= 0.6f && low < 0.602 && high <= 1.4f && high > 1.398);
  CHECK(hue_low >= -0.4 && hue_low < -0.398 && hue_high < 0.4 && hue_high > 0.398);
  CHECK_EQ(orders.size(), 24u);
  const Draw weak = draw_weak(1, 2, 3, 400, 300, how), strong = draw_strong(1, 2, 3, 400, 300, how);
  CHECK(!weak.jitters && !weak.gray && strong.jitters);
  CHECK(weak.crop.left != strong.crop.left || weak.crop.top != strong.crop.top || weak.crop.width != strong.crop.width);
}

TEST("options of the draws: least area, jitter's reach, the share of grey and of flips") {
  constexpr int n = 4000, width = 400, height = 300;
  const auto least_area = [](double low) {
    AugmentOptions how;
    how.scale_low = low;
    double least = 1;
    for (std::uint32_t i = 0; i < n; ++i) {
      for (const Draw& d : {draw_weak(1, 2, i, width, height, how), draw_strong(1, 2, i, width, height, how)})
        least = std::min(least, d.crop.width * d.crop.height / (1.0 * width * height));
    }
    return least;
  };
  for (const double low : {0.08, 0.5, 0.7}) CHECK_NEAR(least_area(low), low, 0.01);  // sides are whole pixels
  AugmentOptions top;
  top.scale_high = 0.3;
  for (std::uint32_t i = 0; i < n; ++i) {
    const Box b = draw_weak(1, 2, i, width, height, top).crop;
    CHECK(b.width * b.height <= 0.305 * width * height);
  }
  for (const double reach : {0.0, 0.1, 0.8}) {
    AugmentOptions how;
    how.jitter = reach;
    double factor = 0, hue = 0;
    for (std::uint32_t i = 0; i < n; ++i) {
      const Draw d = draw_strong(1, 2, i, width, height, how);
      for (const float f : {d.brightness, d.contrast, d.saturation}) factor = std::max(factor, std::fabs(f - 1.0));
      hue = std::max(hue, std::fabs(d.hue));
    }
    CHECK(factor <= reach + 1e-7 && factor >= reach * 0.99);
    CHECK(hue <= reach && hue >= reach * 0.99);
  }
  for (const double share : {0.0, 0.5, 0.9, 1.0}) {
    AugmentOptions how;
    how.gray = share;
    how.flip = 1 - share;
    int gray = 0, strong_flips = 0, weak_flips = 0;
    for (std::uint32_t i = 0; i < n; ++i) {
      const Draw d = draw_strong(1, 2, i, width, height, how);
      gray += d.gray, strong_flips += d.flip;
      weak_flips += draw_weak(1, 2, i, width, height, how).flip;
    }
    const double bound = 4 * std::sqrt(n * share * (1 - share));  // four standard deviations; exact at 0 and 1
    CHECK_NEAR(gray, n * share, bound);
    CHECK_NEAR(strong_flips, n * (1 - share), bound);
    CHECK_NEAR(weak_flips, n * (1 - share), bound);
  }
}

int main(int argc, char** argv) { return moproc::test::run(argc, argv); }

TEST("balanced sampling copies classes as numpy's arithmetic has it, to the last bit") {
  CHECK((balanced_copies(std::vector<std::uint64_t>{24, 32, 47, 2, 31}) ==
         std::vector<std::uint32_t>{13, 12, 9, 48, 12}));
  CHECK((balanced_copies(std::vector<std::uint64_t>{18, 0, 24}) == std::vector<std::uint32_t>{11, 0, 9}));
  struct Case {
    std::uint32_t classes, hash;
  };
  // hash = hash 31 + copies, of numpy 1.24's copies
  for (const auto& [classes, want] : {Case{7, 1758452457u},
                                      {8, 4060209804u},
                                      {50, 310088253u},
                                      {128, 1118100062u},
                                      {129, 2607404652u},
                                      {1000, 2767101767u},
                                      {5000, 3662710440u}}) {
    std::vector<std::uint64_t> counts;
    std::uint32_t x = classes, hash = 0;
    for (std::uint32_t c = 0; c < classes; ++c) {
      x = x * 1664525u + 1013904223u;
      counts.push_back(1 + (x >> 16) % 3000);
    }
    for (const std::uint32_t n : balanced_copies(counts)) hash = hash * 31 + n;
    CHECK_EQ(hash, want);
  }
}

TEST("a balanced epoch has as many visits as samples, in the shares of the copies, and is another one each epoch") {
  std::vector<std::int32_t> labels;
  for (int i = 0; i < 4000; ++i) labels.push_back(i % 100 == 0 ? 2 : i % 2);
  const auto order = balanced_order(5, 3, labels);
  CHECK_EQ(order.size(), labels.size());
  CHECK(order == balanced_order(5, 3, labels));
  CHECK(order != balanced_order(5, 4, labels));
  CHECK(order != balanced_order(6, 3, labels));
  std::vector<std::uint64_t> counts(3);
  for (const std::int32_t c : labels) ++counts[static_cast<std::size_t>(c)];
  const auto copies = balanced_copies(counts);
  double all = 0, rare = 0;
  for (std::size_t c = 0; c < 3; ++c) all += static_cast<double>(counts[c]) * copies[c];
  std::set<std::uint32_t> seen;
  for (const std::uint32_t i : order) rare += labels[i] == 2, seen.insert(i);
  const double want = static_cast<double>(counts[2]) * copies[2] / all * static_cast<double>(order.size());
  CHECK(rare > 0.8 * want && rare < 1.2 * want);
  CHECK(seen.size() < order.size());
}

TEST("beta draws have the mean and variance of Beta(a, a), each step its own") {
  for (const double a : {0.2, 0.4, 1.0, 2.5}) {
    double sum = 0, squares = 0;
    const int n = 40000;
    for (int i = 0; i < n; ++i) {
      const double x = beta_draw(7, static_cast<std::uint64_t>(i), a);
      CHECK(x >= 0 && x <= 1);
      sum += x;
      squares += (x - 0.5) * (x - 0.5);
    }
    const double variance = 1 / (4 * (2 * a + 1));
    CHECK(std::fabs(sum / n - 0.5) < 5 * std::sqrt(variance / n));
    CHECK(std::fabs(squares / n / variance - 1) < 0.03);
  }
  CHECK_EQ(beta_draw(7, 3, 0.4), beta_draw(7, 3, 0.4));
  CHECK(beta_draw(7, 3, 0.4) != beta_draw(8, 3, 0.4));
}
