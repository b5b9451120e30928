// The loader: batches depend only on their position; broken files are replaced, counted and named.
#include <algorithm>
#include <cstring>
#include <set>

#include "../tap.h"
#include "data/loader.h"
#include "data/sampler.h"
#include "support.h"

using namespace moproc::data;
using moproc::test::TempDir;

namespace {

constexpr int images = 26;

// 26 pictures in one folder; those in `broken` are cut in half.
struct Folder {
  explicit Folder(const std::set<int>& broken = {}) : set(dir.str(), 10) {
    for (int i = 0; i < images; ++i) {
      std::string name = "image " + std::to_string(i) + ".jpg";
      auto bytes = moproc::test::scene_jpeg(static_cast<std::uint32_t>(i));
      if (broken.contains(i)) bytes.resize(bytes.size() / 2);
      moproc::test::write_bytes(dir / name, bytes);
      set.add(name, i % 10);
    }
  }
  TempDir dir;
  Dataset set;
};

LoaderOptions small(Mode mode = Mode::training) {
  LoaderOptions o;
  o.mode = mode;
  o.batch = 8;
  o.threads = 2;
  o.seed = 42;
  o.epochs = 2;
  o.augment.size = 32;
  o.on_broken = [](const Broken&) {};
  return o;
}

struct Copy {
  std::uint32_t epoch;
  std::uint64_t index;
  std::vector<std::uint8_t> img, img_aug;
  std::vector<std::int64_t> target, sample;
  bool operator==(const Copy&) const = default;
};

Copy copy(const Batch& b) {
  const std::size_t bytes = static_cast<std::size_t>(b.count) * 32 * 32 * 3;
  Copy c{b.epoch, b.index, {b.img, b.img + bytes}, {}, {b.target, b.target + b.count}, {b.sample, b.sample + b.count}};
  if (b.img_aug != nullptr) c.img_aug.assign(b.img_aug, b.img_aug + bytes);
  return c;
}

std::vector<Copy> all(const Dataset& set, const LoaderOptions& options, std::vector<Broken>* broken = nullptr) {
  std::vector<Copy> out;
  Loader loader(set, options);
  while (const Batch* b = loader.next()) {
    out.push_back(copy(*b));
    loader.release();
  }
  if (broken != nullptr) *broken = loader.broken();
  return out;
}

}  // namespace

TEST("batches are the same with 1, 2 and 7 threads and any number of slots") {
  const Folder f({3, 11});
  LoaderOptions o = small();
  o.threads = 1;
  const auto one = all(f.set, o);
  CHECK_EQ(one.size(), 6u);  // 2 epochs of 26 / 8
  for (const int threads : {2, 7}) {
    for (const int slots : {1, 4}) {
      o.threads = threads;
      o.slots = slots;
      CHECK(all(f.set, o) == one);
    }
  }
}

TEST("a batch holds the epoch's order, the listed labels, and both views as drawn for the sample") {
  const Folder f;
  const LoaderOptions o = small();
  const auto batches = all(f.set, o);
  Workspace w;
  std::vector<std::uint8_t> view(32 * 32 * 3);
  for (const Copy& b : batches) {
    const auto order = epoch_order(42, b.epoch, images);
    for (std::size_t i = 0; i < 8; ++i) {
      const std::uint32_t sample = order[b.index * 8 + i];
      CHECK_EQ(b.sample[i], static_cast<std::int64_t>(sample));
      CHECK_EQ(b.target[i], static_cast<std::int64_t>(sample % 10));
      f.set.read(sample, w.bytes);
      decode(w.bytes, w.decoded);
      const int width = w.decoded.width(), height = w.decoded.height();
      apply(draw_weak(42, b.epoch, sample, width, height, o.augment), o.augment, w, view.data());
      CHECK(std::equal(view.begin(), view.end(), b.img.begin() + static_cast<std::ptrdiff_t>(i * view.size())));
      apply(draw_strong(42, b.epoch, sample, width, height, o.augment), o.augment, w, view.data());
      CHECK(std::equal(view.begin(), view.end(), b.img_aug.begin() + static_cast<std::ptrdiff_t>(i * view.size())));
    }
  }
}

TEST("starting in the middle gives the batches that were left") {
  const Folder f({5});
  LoaderOptions o = small();
  const auto whole = all(f.set, o);
  for (std::size_t done = 0; done <= 6; ++done) {
    o.start_epoch = static_cast<std::uint32_t>(done / 3);
    o.start_batch = done % 3;
    o.epochs = 2 - o.start_epoch;
    CHECK(all(f.set, o) == std::vector<Copy>(whole.begin() + static_cast<std::ptrdiff_t>(done), whole.end()));
  }
  o.start_epoch = 0;
  o.start_batch = 3;  // the end of epoch 0 is the start of epoch 1
  o.epochs = 2;
  CHECK(all(f.set, o) == std::vector<Copy>(whole.begin() + 3, whole.end()));
  o.start_batch = 4;
  CHECK_THROWS(Loader(f.set, o), "batch 4 of an epoch of 3");
}

TEST("a broken file is named once with its reason, and the next readable sample takes its place") {
  const std::set<int> broken = {3, 11, 12, 13, 20};
  const Folder f(broken);
  std::vector<Broken> found;
  const auto batches = all(f.set, small(), &found);
  std::set<std::size_t> names;
  for (const Broken& b : found) {
    names.insert(b.sample);
    CHECK(b.reason.find("truncated") != std::string::npos);
    CHECK_EQ(b.name, "image " + std::to_string(b.sample) + ".jpg");
  }
  CHECK_EQ(names.size(), found.size());
  for (const Copy& b : batches) {
    const auto order = epoch_order(42, b.epoch, images);
    for (std::size_t i = 0; i < 8; ++i) {
      std::size_t at = b.index * 8 + i;
      while (broken.contains(static_cast<int>(order[at % images]))) ++at;
      CHECK_EQ(b.sample[i], static_cast<std::int64_t>(order[at % images]));
      CHECK_EQ(b.target[i], b.sample[i] % 10);  // the label is that of the sample that is shown
    }
  }
}

TEST("a folder of broken files only is an error, not a hang") {
  std::set<int> every;
  for (int i = 0; i < images; ++i) every.insert(i);
  const Folder f(every);
  LoaderOptions o = small();
  o.threads = 4;
  Loader loader(f.set, o);
  CHECK_THROWS(loader.next(), "none of the 26 images can be read");
  CHECK_EQ(loader.broken_count(), 26u);
  const auto evaluated = all(f.set, small(Mode::evaluation));
  for (const Copy& b : evaluated) CHECK(b.sample.empty());
}

TEST("ranks share a batch: their parts together are the batch of one rank") {
  const Folder f({7});
  LoaderOptions o = small();
  const auto whole = all(f.set, o);
  o.ranks = 4;
  std::vector<std::vector<Copy>> parts;
  for (o.rank = 0; o.rank < 4; ++o.rank) parts.push_back(all(f.set, o));
  for (std::size_t b = 0; b < whole.size(); ++b) {
    Copy joined{whole[b].epoch, whole[b].index, {}, {}, {}, {}};
    for (const auto& part : parts) {
      const Copy& p = part[b];
      joined.img.insert(joined.img.end(), p.img.begin(), p.img.end());
      joined.img_aug.insert(joined.img_aug.end(), p.img_aug.begin(), p.img_aug.end());
      joined.target.insert(joined.target.end(), p.target.begin(), p.target.end());
      joined.sample.insert(joined.sample.end(), p.sample.begin(), p.sample.end());
    }
    CHECK(joined == whole[b]);
  }
}

TEST("evaluation goes through the list once, keeps the last partial batch and leaves broken files out") {
  const Folder f({0, 9, 25});
  std::vector<Broken> found;
  const auto batches = all(f.set, small(Mode::evaluation), &found);
  CHECK_EQ(found.size(), 3u);
  CHECK_EQ(batches.size(), 4u);
  std::vector<std::int64_t> seen;
  std::vector<std::size_t> counts;
  for (const Copy& b : batches) {
    counts.push_back(b.sample.size());
    seen.insert(seen.end(), b.sample.begin(), b.sample.end());
    for (std::size_t i = 0; i < b.sample.size(); ++i) CHECK_EQ(b.target[i], b.sample[i] % 10);
    CHECK(b.img_aug.empty());
  }
  CHECK((counts == std::vector<std::size_t>{7, 7, 8, 1}));
  std::vector<std::int64_t> expected;
  for (int i = 0; i < images; ++i)
    if (i != 0 && i != 9 && i != 25) expected.push_back(i);
  CHECK(seen == expected);
  Workspace w;
  f.set.read(10, w.bytes);
  decode(w.bytes, w.decoded);
  std::vector<std::uint8_t> view(32 * 32 * 3);
  AugmentOptions how;
  how.size = 32;
  CHECK_EQ(how.resize_side(), 37);
  apply_test(how, w, view.data());
  CHECK(std::equal(view.begin(), view.end(),
                   batches[1].img.begin() + 32 * 32 * 3));  // 8, (9), 10: second in its batch
}

TEST("evaluation on ranks: parts beyond the end of the last batch are empty, none is lost") {
  const Folder f;
  LoaderOptions o = small(Mode::evaluation);
  o.ranks = 4;
  std::multiset<std::int64_t> seen;
  for (o.rank = 0; o.rank < 4; ++o.rank) {
    const auto part = all(f.set, o);
    CHECK_EQ(part.size(), 4u);
    for (const Copy& b : part) seen.insert(b.sample.begin(), b.sample.end());
  }
  CHECK_EQ(seen.size(), 26u);
  CHECK_EQ(std::set<std::int64_t>(seen.begin(), seen.end()).size(), 26u);
}

TEST("unused places of a short batch are black, with sample -1") {
  const Folder f;
  Loader loader(f.set, small(Mode::evaluation));
  for (int i = 0; i < 3; ++i) {
    REQUIRE(loader.next() != nullptr);
    loader.release();
  }
  const Batch* last = loader.next();
  REQUIRE(last != nullptr);
  CHECK_EQ(last->count, 2);
  CHECK_EQ(last->capacity, 8);
  const std::size_t bytes = 32 * 32 * 3;
  CHECK(std::all_of(last->img + 2 * bytes, last->img + 8 * bytes, [](std::uint8_t x) { return x == 0; }));
  CHECK_EQ(last->sample[2], -1);
  loader.release();
  CHECK(loader.next() == nullptr);
}

TEST("several batches can be held; misuse and bad options are told") {
  const Folder f;
  LoaderOptions o = small();
  o.slots = 2;
  {
    Loader loader(f.set, o);
    const Batch* a = loader.next();
    const Copy before = copy(*a);
    const Batch* b = loader.next();
    CHECK(a != b && a->index == 0 && b->index == 1);
    CHECK(copy(*a) == before);
    CHECK_THROWS(loader.next(), "every slot is held");
    loader.release();
    loader.release();
    CHECK_THROWS(loader.release(), "no batch is held");
  }  // leaving with work under way must not hang
  o.batch = 27;
  CHECK_THROWS(Loader(f.set, o), "26 images are fewer than a batch of 27");
  o.batch = 8;
  o.ranks = 3;
  CHECK_THROWS(Loader(f.set, o), "multiple of the number of ranks");
}

TEST(
    "an order of one's own: repeated samples, draws by the place in the epoch, and options that are not the defaults") {
  const Folder f;
  LoaderOptions o = small();
  o.augment.scale_low = 0.6, o.augment.jitter = 0.1, o.augment.gray = 0.9, o.augment.flip = 1;
  o.order = [](std::uint32_t epoch) {
    std::vector<std::uint32_t> order;
    for (std::uint32_t i = 0; i < 17; ++i) order.push_back((i / 2 * 5 + epoch) % images);  // pairs of the same sample
    return order;
  };
  o.visits = 17;
  const auto batches = all(f.set, o);
  REQUIRE(batches.size() == 4);  // 2 epochs of 17 / 8
  Workspace w;
  const std::size_t bytes = 32 * 32 * 3;
  std::vector<std::uint8_t> view(bytes);
  for (const Copy& b : batches) {
    for (std::size_t i = 0; i < 8; ++i) {
      const auto place = static_cast<std::uint32_t>(b.index * 8 + i);
      const std::uint32_t sample = (place / 2 * 5 + b.epoch) % images;
      CHECK_EQ(b.sample[i], static_cast<std::int64_t>(sample));
      CHECK_EQ(b.target[i], static_cast<std::int64_t>(sample % 10));
      f.set.read(sample, w.bytes);
      decode(w.bytes, w.decoded);
      const int width = w.decoded.width(), height = w.decoded.height();
      const auto same = [&](const Draw& draw, const std::vector<std::uint8_t>& all_views) {
        apply(draw, o.augment, w, view.data());
        return std::equal(view.begin(), view.end(), all_views.begin() + static_cast<std::ptrdiff_t>(i * bytes));
      };
      CHECK(same(draw_weak(42, b.epoch, place, width, height, o.augment), b.img));
      CHECK(same(draw_strong(42, b.epoch, place, width, height, o.augment), b.img_aug));
    }
  }
}

TEST("the options of the augmentation change the pictures: each of them, of the views that it concerns") {
  const Folder f;
  LoaderOptions o = small();
  o.epochs = 1;
  const auto plain = all(f.set, o);
  const auto changed = [&](double AugmentOptions::* option, double value) {
    LoaderOptions other = o;
    other.augment.*option = value;
    std::string views;
    const auto batches = all(f.set, other);
    if (batches[0].img != plain[0].img) views += "weak ";
    if (batches[0].img_aug != plain[0].img_aug) views += "strong";
    return views;
  };
  CHECK_EQ(changed(&AugmentOptions::scale_low, 0.9), "weak strong");
  CHECK_EQ(changed(&AugmentOptions::scale_high, 0.3), "weak strong");
  CHECK_EQ(changed(&AugmentOptions::flip, 1), "weak strong");
  CHECK_EQ(changed(&AugmentOptions::gray, 1), "strong");
  CHECK_EQ(changed(&AugmentOptions::jitter, 0), "strong");
  const auto gray_and_still = [&] {
    LoaderOptions other = o;
    other.augment.gray = 1, other.augment.jitter = 0;
    return all(f.set, other);
  }();
  for (const Copy& b : gray_and_still)
    for (std::size_t i = 0; i < b.img_aug.size(); i += 3)
      if (b.img_aug[i] != b.img_aug[i + 1] || b.img_aug[i] != b.img_aug[i + 2]) {
        CHECK(!"every pixel of the strong views is grey");
        return;
      }
}

TEST("keys of other places: a rank's strong views are those of the whole batch's places") {
  const Folder f({5});
  LoaderOptions o = small();
  const auto whole = all(f.set, o);
  o.ranks = 2;
  o.keys = [](std::uint32_t epoch, std::uint64_t index) { return permutation(9, 100 * epoch + index, 8); };
  const std::size_t bytes = 32 * 32 * 3;
  for (o.rank = 0; o.rank < 2; ++o.rank) {
    const auto part = all(f.set, o);
    REQUIRE(part.size() == whole.size());
    for (std::size_t b = 0; b < whole.size(); ++b) {
      const auto keys = o.keys(part[b].epoch, part[b].index);
      for (int i = 0; i < 4; ++i) {
        const auto own = static_cast<std::ptrdiff_t>(4 * o.rank + i);
        const auto picture = [&](const std::vector<std::uint8_t>& views, std::ptrdiff_t at) {
          const auto from = views.begin() + at * static_cast<std::ptrdiff_t>(bytes);
          return std::vector<std::uint8_t>(from, from + static_cast<std::ptrdiff_t>(bytes));
        };
        CHECK(picture(part[b].img, i) == picture(whole[b].img, own));
        CHECK(picture(part[b].img_aug, i) == picture(whole[b].img_aug, keys[static_cast<std::size_t>(own)]));
        CHECK_EQ(part[b].sample[static_cast<std::size_t>(i)], whole[b].sample[static_cast<std::size_t>(own)]);
      }
    }
  }
}

int main(int argc, char** argv) { return moproc::test::run(argc, argv); }
