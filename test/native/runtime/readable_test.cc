// The check of images before a run, on sets of more than 10,000 images, of which it looks at a sample.
#include "train/readable.h"

#include <cmath>
#include <cstdio>
#include <functional>
#include <optional>
#include <thread>
#include <vector>

#include "core/error.h"
#include "encode_jpeg.h"
#include "support.h"
#include "tap.h"

using namespace moproc;
using namespace moproc::test;

namespace {

constexpr size_t kImages = 25'000, kLooked = 10'000;

/// A list of kImages entries. Those that are not broken are one small picture.
struct Set {
  Set(int classes, const std::function<int(size_t)>& label, const std::function<bool(size_t)>& broken)
      : list(folder.path(), classes) {
    const std::vector<uint8_t> gray(8 * 8 * 3, 128), picture = tools::encode_jpeg(gray.data(), 8, 8, 90);
    write_bytes(folder / "picture.jpg", {picture.begin(), picture.end()});
    for (size_t i = 0; i < kImages; ++i)
      list.add(broken(i) ? "gone/" + std::to_string(i) + ".jpg" : "picture.jpg", label(i));
  }
  Folder folder;
  data::Dataset list;
};

/// What the check says; "" if the run may start.
std::string said(data::Dataset list, double max_broken, comm::World* world = nullptr, int workers = 2) {
  train::Console console(false, true, false);
  try {
    train::require_readable(list, "training images", {max_broken, workers}, world, console);
  } catch (const InputError& e) {
    return e.what();
  }
  return "";
}

/// The number of broken images in the sample, from the message about them; nothing if there is none.
std::optional<int> broken_in_sample(const std::string& message) {
  const size_t end = message.find(" of 10,000 training images that were looked at");
  if (end == std::string::npos) return std::nullopt;
  const size_t begin = message.rfind(' ', end - 1) + 1;
  std::string digits;
  for (const char c : message.substr(begin, end - begin))
    if (c != ',') digits += c;
  return std::stoi(digits);
}

/// The most that a count of `of` images may differ from its mean in a sample of kLooked from kImages without
/// replacement: 5 standard deviations of the hypergeometric distribution, 6e-7 of which lie beyond them.
double spread(double of) {
  const double n = kLooked, all = kImages;
  return 5 * std::sqrt(n * (of / all) * (1 - of / all) * (all - n) / (all - 1));
}

/// Runs `work` as each of `ranks` ranks of a world, and returns what each of them got.
std::vector<std::string> as_ranks(int ranks, const std::function<std::string(comm::World&)>& work) {
  const int port = comm::make_store({"localhost", 0}, 0, 1, 5)->port();  // one that is free
  std::vector<std::string> results(static_cast<size_t>(ranks));
  std::vector<std::thread> threads;
  for (int r = 0; r < ranks; ++r)
    threads.emplace_back([&, r] {
      comm::Launch launch;
      launch.by = "test";
      launch.rank = launch.local_rank = r;
      launch.ranks = launch.local_ranks = ranks;
      launch.master = {"localhost", port};
      try {
        comm::World world(launch, 60);
        results[static_cast<size_t>(r)] = work(world);
      } catch (const std::exception& e) {
        results[static_cast<size_t>(r)] = std::string("failed: ") + e.what();
      }
    });
  for (std::thread& t : threads) t.join();
  return results;
}

}  // namespace

TEST(
    "more than 10,000 images: the sample is spread over the whole list, and over classes that lie next to each other") {
  // 10 parts of 2,500 images, in each of which 1 image of 2 is broken in turn; as classes, parts and every tenth image
  for (const bool in_parts : {true, false}) {
    const auto class_of = [&](size_t i) { return static_cast<int>(in_parts ? i / (kImages / 10) : i % 10); };
    for (int c = 0; c < 10; ++c) {
      Set set(10, class_of, [&](size_t i) { return class_of(i) == c && i / 10 % 2 == 0; });
      const std::optional<int> found = broken_in_sample(said(set.list, 1));
      REQUIRE(found.has_value());
      CHECK(std::abs(*found - 500.0) < spread(1250));
    }
  }
}

TEST("more than 10,000 images: the sample is the same in every run and on any number of threads and ranks") {
  Set set(10, [](size_t i) { return static_cast<int>(i % 10); }, [](size_t i) { return i % 29 == 0; });
  const std::string alone = said(set.list, 1);
  REQUIRE(broken_in_sample(alone).has_value());
  CHECK_EQ(said(set.list, 1, nullptr, 5), alone);
  const std::vector<std::string> of_ranks =
      as_ranks(3, [&](comm::World& world) { return said(set.list, 1, &world, 1); });
  for (const std::string& text : of_ranks) CHECK_EQ(text, alone);
}

TEST("more than 10,000 images: a share within the limit starts, and one that chance could cause") {
  const auto share = [](size_t n) {
    Set set(1, [](size_t) { return 0; }, [&](size_t i) { return i % 1000 < n; });
    return said(set.list, 1);
  };
  CHECK_EQ(share(0), "");
  CHECK_EQ(share(8), "");
  CHECK_EQ(share(10), "");  // 1 %: half of all samples have more
  CHECK(broken_in_sample(share(20)).has_value());
}

TEST("more than 10,000 images: every class that cannot be read is seen, and none of which one image can be read") {
  // Classes 1 to 40 have 3 images, at ends and in the middle of the list. Of odd ones the last can be read.
  const auto small = [](size_t i) {
    const size_t third = i / 8'300, at = i % 8'300;
    return third < 3 && at < 40 ? static_cast<int>(at) + 1 : 0;
  };
  Set set(41, small, [&](size_t i) { return small(i) > 0 && (small(i) % 2 == 0 || i / 8'300 < 2); });
  const std::string alone = said(set.list, 1);
  CHECK(has(alone, "no image can be read of 20 classes: 2 (3 images), 4 (3 images), 6 (3 images) and 17 more"));
  CHECK(!broken_in_sample(alone).has_value());
  const std::vector<std::string> of_ranks =
      as_ranks(2, [&](comm::World& world) { return said(set.list, 1, &world, 1); });
  for (const std::string& text : of_ranks)
    CHECK(has(text, "no image can be read of 20 classes: 2 (3 images), 4 (3 images), 6 (3 images) and 17 more"));
}
