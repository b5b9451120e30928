// Warnings about runs that go wrong: each kind at its threshold, what the numbers mean, when a warning is given again,
// and that a healthy run gets none.
#include "train/health.h"

#include <cmath>
#include <random>

#include "core/error.h"
#include "support.h"
#include "tap.h"

using namespace moproc;
using namespace moproc::test;
using namespace moproc::train;

namespace {

/// The published values on 1,200 images.
const Tunable kPublished{{18, 20, 64, 120}, 0.999, 0.999, 0.1, 0.8, 11};

/// An epoch of the clean phase without anything wrong.
EpochNumbers healthy(int epoch) {
  EpochNumbers e;
  e.epoch = epoch, e.num_class = 10;
  e.labels = 1000, e.corrected = 300, e.dropped = 100;
  e.largest = {.label = 3, .of_corrected = 0.15, .of_given = 0.1, .taken = 0.05};
  e.loss = 1.5 - 0.02 * epoch, e.accuracy = 60, e.guess = {std::log(10.0), 0.1};
  e.top1 = 40 + epoch, e.prototypes = 0.3;
  return e;
}

std::vector<std::string> kinds(const std::vector<HealthWarning>& warnings) {
  std::vector<std::string> names;
  for (const HealthWarning& w : warnings) names.push_back(w.kind);
  return names;
}
using Kinds = std::vector<std::string>;

Kinds judged(const EpochNumbers& e) {
  Health h;
  const Kinds found = kinds(h.judge(e, kPublished));
  CHECK_EQ(h.is_ill(), !found.empty());
  return found;
}

}  // namespace

TEST("health: a run whose accuracy rises while a third of its labels is corrected gets no warning") {
  Health h;
  for (int epoch = 0; epoch < 90; ++epoch) CHECK(h.judge(healthy(epoch), kPublished).empty());
  CHECK(!h.is_ill());
}

TEST("health: shares of corrected and of dropped labels, up to the threshold and from it on") {
  EpochNumbers e = healthy(12);
  e.corrected = 749;
  CHECK(judged(e).empty());
  e.corrected = 750;
  CHECK(judged(e) == Kinds{"corrected"});
  e = healthy(12);
  e.dropped = 749;
  CHECK(judged(e).empty());
  e.dropped = 750;
  CHECK(judged(e) == Kinds{"dropped"});
}

TEST("health: one class that takes in the others' images; among two classes mistakes may have one direction") {
  EpochNumbers e = healthy(12);
  e.largest = {.label = 3, .of_corrected = 0.9, .of_given = 0.1, .taken = 0.24};
  CHECK(judged(e).empty());
  e.largest.taken = 0.25;
  CHECK(judged(e) == Kinds{"one_class"});
  e.num_class = 2;
  CHECK(judged(e).empty());
  e.largest.taken = 0.5;
  CHECK(judged(e) == Kinds{"one_class"});
}

TEST("health: labels are counted by class in steps that are finite, of images that are kept") {
  const int64_t given[] = {0, 0, 1, 1, 2, 2, 2, 2}, now[] = {1, 1, 1, 1, 1, 0, 1, 2};
  const float kept[] = {1, 1, 1, 1, 1, 1, 0, 1};
  StepResult r;
  r.samples = 8;
  r.target_new = now, r.kept_flags = kept;
  LabelTally tally(3);
  CHECK_EQ(tally.largest().label, int64_t{-1});
  CHECK(!tally.guess());
  tally.add(r, given);
  r.finite = false;
  tally.add(r, given);
  const LabelTally::Largest c = tally.largest();
  CHECK_EQ(c.label, int64_t{1});
  CHECK_EQ(c.of_corrected, 0.75);  // three of four
  CHECK_EQ(c.of_given, 0.25);
  CHECK_EQ(c.taken, 0.5);  // three of the six others
  CHECK_EQ(tally.guess()->accuracy, 0.5);
  CHECK(std::fabs(tally.guess()->loss - 1.5 * std::log(2.0)) < 1e-12);  // 1/4, 1/4, 1/2
}

TEST("health: accuracy that falls in four evaluations while more labels are corrected or dropped") {
  const auto run = [](std::vector<double> top1, std::vector<double> corrected) {
    Health h;
    Kinds last;
    for (size_t i = 0; i < top1.size(); ++i) {
      EpochNumbers e = healthy(static_cast<int>(i));
      e.top1 = top1[i], e.corrected = corrected[i];
      last = kinds(h.judge(e, kPublished));
    }
    return last;
  };
  const std::vector<double> more{0, 200, 300, 400};
  CHECK(run({40, 36, 34, 30}, more) == Kinds{"falling"});
  CHECK(run({40, 10, 10, 10}, more) == Kinds{"falling"});      // at once, and it does not recover
  CHECK(run({40, 36, 37, 30}, more).empty());                  // it rose in between
  CHECK(run({40, 39, 38, 36}, more).empty());                  // a tenth
  CHECK(run({12, 11, 10, 8}, more).empty());                   // a third, but only 4 points
  CHECK(run({40, 36, 34, 30}, {400, 400, 300, 300}).empty());  // corrections are not the reason
  CHECK(run({50, 40, 36, 34, 30}, {0, 0, 0, 0, 400}) == Kinds{"falling"});
}

TEST("health: a classifier loss that stands still at that of guessing, but not at another height or after learning") {
  const auto run = [](std::vector<double> losses, double accuracy) {
    Health h;
    Kinds last;
    for (size_t i = 0; i < losses.size(); ++i) {
      EpochNumbers e = healthy(static_cast<int>(i));
      e.loss = losses[i], e.accuracy = accuracy;
      last = kinds(h.judge(e, kPublished));
    }
    return last;
  };
  CHECK(run({2.303, 2.301, 2.302, 2.304, 2.303}, 10) == Kinds{"loss"});
  CHECK(run({2.303, 2.301, 2.302, 2.304}, 10).empty());         // four epochs
  CHECK(run({2.303, 2.301, 2.302, 2.304, 2.303}, 20).empty());  // its accuracy is twice that of guessing
  CHECK(run({2.35, 2.33, 2.31, 2.3, 2.29}, 10).empty());        // it falls
  CHECK(run({1.2, 1.2, 1.2, 1.2, 1.2}, 10).empty());            // it has learned all it can
}

TEST("health: the mean cosine of all pairs is that of plain loops; rows of zeros do not count") {
  std::mt19937 random(5);
  std::normal_distribution<float> normal(0.5, 1);
  const int64_t size = 7, n = 40;
  std::vector<float> rows;
  for (int64_t i = 0; i < n * size; ++i) rows.push_back(i / size % 10 == 9 ? 0 : normal(random));
  double sum = 0, pairs = 0;
  const auto dot = [&](int64_t a, int64_t b) {
    double d = 0;
    for (int64_t k = 0; k < size; ++k)
      d += static_cast<double>(rows[static_cast<size_t>(a * size + k)]) * rows[static_cast<size_t>(b * size + k)];
    return d;
  };
  for (int64_t a = 0; a < n; ++a)
    for (int64_t b = 0; b < a; ++b)
      if (a % 10 != 9 && b % 10 != 9) sum += dot(a, b) / std::sqrt(dot(a, a) * dot(b, b)), pairs += 1;
  CHECK(std::fabs(*mean_cosine(rows, size) - sum / pairs) < 1e-9);
  CHECK(!mean_cosine(std::vector<float>(14, 0.0f), 7));
  CHECK(!mean_cosine(std::vector<float>{1, NAN, 1, 1}, 2));
  CHECK_EQ(*mean_cosine(std::vector<float>{2, 0, 5, 0}, 2), 1.0);
}

TEST("health: prototypes that coincide in four epochs of corrections in a row, and do harm") {
  const auto run = [](std::vector<double> cosines, std::optional<double> top1, double corrected = 300) {
    Health h;
    Kinds last;
    for (size_t i = 0; i < cosines.size(); ++i) {
      EpochNumbers e = healthy(static_cast<int>(i));
      e.prototypes = cosines[i], e.corrected = corrected;
      if (i > 0 || !top1) e.top1 = top1;
      if (cosines[i] == 0) e.prototypes.reset();
      last = kinds(h.judge(e, kPublished));
    }
    return last;
  };
  CHECK(run({0, 0.96, 0.96, 0.96, 0.96}, 30) == Kinds{"prototypes"});
  CHECK(run({0, 0.96, 0.96, 0.96, 0.94}, 30).empty());
  CHECK(run({0, 0.96, 0.94, 0.96, 0.96}, 30).empty());
  CHECK(run({0, 0, 0.96, 0.96, 0.96}, 30).empty());
  CHECK(run({0, 0.96, 0.96, 0.96, 0.96}, 31).empty());                                // of 40: less than a quarter
  CHECK(run({0, 0.96, 0.96, 0.96, 0.96}, std::nullopt, 450) == Kinds{"prototypes"});  // and 100 dropped
  CHECK(run({0, 0.96, 0.96, 0.96, 0.96}, std::nullopt, 400).empty());
}

TEST("health: a kind is said once, and again when what is left to the worst has halved, also after a checkpoint") {
  Health h;
  const auto judge = [&](double corrected) {
    h = Health::from_json(parse_json(h.to_json(), "health"), "health");
    EpochNumbers e = healthy(12);
    e.corrected = corrected, e.dropped = 0;
    return h.judge(e, kPublished).size();
  };
  CHECK_EQ(judge(760), size_t{1});
  CHECK_EQ(judge(760), size_t{0});
  CHECK_EQ(judge(870), size_t{0});
  CHECK(h.is_ill());
  CHECK_EQ(judge(890), size_t{1});
  CHECK_EQ(judge(995), size_t{1});
  CHECK_EQ(judge(1000), size_t{0});
  CHECK_EQ(judge(300), size_t{0});
  CHECK(!h.is_ill());
  CHECK_EQ(judge(900), size_t{0});
}

TEST("health: the history of evaluations and losses is in the checkpoint") {
  Health whole, cut;
  for (int i = 0; i < 6; ++i) {
    EpochNumbers e = healthy(i);
    e.top1 = 60 - 7 * i, e.corrected = 100 * i;
    e.loss = 2.3, e.accuracy = 10;
    cut = Health::from_json(parse_json(cut.to_json(), "health"), "health");
    CHECK(kinds(whole.judge(e, kPublished)) == kinds(cut.judge(e, kPublished)));
  }
  CHECK_EQ(whole.to_json(), cut.to_json());
  for (const char* bad :
       {"{}", "[]", R"({"top1": [1], "changed": [], "losses": [], "said": {}})",
        R"({"top1": [], "changed": [], "losses": ["x"], "said": {}})",
        R"({"top1": [], "changed": [], "losses": [], "best": 1, "said": {}})",
        R"({"top1": [], "changed": [], "losses": [], "best": 1, "coinciding": 0, "said": {"dropped": true}})"}) {
    try {
      Health::from_json(parse_json(bad, "health"), "file: health");
      CHECK(!"refused");
    } catch (const InputError& e) {
      CHECK(has(e.what(), "file: health: "));
    }
  }
}

TEST("health: the advice names the flags that do not fit the run's size; if all fit, later and rarer corrections") {
  const auto text = [](const Tunable& s) {
    Health h;
    EpochNumbers e = healthy(12);
    e.corrected = 990;
    return h.judge(e, s).at(0).text;
  };
  CHECK(has(text(kPublished), "try --moco_m 0.9722 --proto_m 0.9808"));
  Tunable early = kPublished;
  early.start_clean_epoch = 2;
  CHECK(has(text(early), "--start_clean_epoch 10"));
  const Tunable fits{{18, 20, 64, 120}, 0.97, 0.95, 0.05, 0.5, 10};
  CHECK(has(text(fits), "try --start_clean_epoch 15 or --pseudo_th 0.75"));
  const Tunable webvision{{9535, 90, 256, 2440}, 0.999, 0.999, 0.1, 0.8, 11};
  CHECK(has(text(webvision), "try --start_clean_epoch 50 or --pseudo_th 0.9"));
}

TEST("health: a record has its numbers as numbers, and the class as a whole number") {
  Health h;
  EpochNumbers e = healthy(12);
  e.largest = {.label = 3, .of_corrected = 1, .of_given = 0.1, .taken = 1};
  e.largest_name = "key";
  const HealthWarning w = h.judge(e, kPublished).at(0);
  CHECK(has(w.text, "class 3 (key)"));
  const Json r = parse_json(w.record.text(), "record");
  CHECK_EQ(*r.find("event")->string(), "health");
  CHECK_EQ(*r.find("kind")->string(), "one_class");
  CHECK_EQ(number_of(r, "epoch"), 12.0);
  CHECK_EQ(number_of(r, "given_share"), 0.1);
  CHECK(has(w.record.text(), "\"class\": 3"));
  CHECK(has(w.record.text(), "\"taken_share\": 1.0"));
}

TEST("recipe: the published values at WebVision's size, and ones that fit a small run") {
  const Recipe published = recipe_for({9535, 90, 256, 2440});
  CHECK_EQ(published.moco_m, 0.999);
  CHECK_EQ(published.proto_m, 0.999);
  CHECK_EQ(published.lr, 0.1);
  CHECK_EQ(published.start_clean_epoch, 11);
  const Recipe small = recipe_for({18, 14, 64, 120});
  CHECK(std::fabs(1 / (1 - small.moco_m) - 25.2) < 1e-9);  // a tenth of the steps
  CHECK(std::fabs(std::pow(small.proto_m, 119) - 0.1) < 1e-12);
  CHECK_EQ(small.lr, 0.05);
  CHECK_EQ(small.start_clean_epoch, 7);
  for (const RunSize& size : {RunSize{1, 1, 1, 1}, RunSize{1, 2, 8, 0}, RunSize{1000000, 1000, 8192, 1000000}}) {
    const Recipe r = recipe_for(size);
    CHECK(r.moco_m >= 0.9 && r.moco_m <= 0.999 && r.proto_m >= 0 && r.proto_m <= 0.999);
    CHECK(r.lr > 0 && r.lr <= 0.1 && r.start_clean_epoch >= 1);
  }
}

TEST("recipe: without a number of images per class, prototypes have the published momentum") {
  CHECK_EQ(recipe_for({100, 20, 64, 0}).proto_m, 0.999);
  CHECK_EQ(recipe_for({100, 20, 64, 1}).proto_m, 0.0);  // the only image is the prototype
}

TEST("recipe: values are unfit from a half of a prototype and from a tenth of the first weights on") {
  const auto unfit = [](double proto_m, double moco_m) {
    // 11 images per class, 100 steps
    return unfit_for({{5, 20, 64, 11}, moco_m, proto_m, 0.05, 0.8, 10}, 0, 1200).size();
  };
  const double half = std::pow(0.5, 0.1), tenth = std::pow(0.1, 0.01);
  CHECK_EQ(unfit(half - 0.001, tenth - 0.001), size_t{0});
  CHECK_EQ(unfit(half + 0.001, tenth - 0.001), size_t{1});
  CHECK_EQ(unfit(half - 0.001, tenth + 0.001), size_t{1});
}

TEST(
    "recipe: what does not fit a run is named with its reason; a run with the recipe's values, or a large one, is "
    "fine") {
  const RunSize size{18, 30, 64, 120};
  const Recipe fit = recipe_for(size);
  const Tunable good{size, fit.moco_m, fit.proto_m, fit.lr, 0.8, fit.start_clean_epoch};
  CHECK(unfit_for(good, 600, 1200).empty());
  CHECK(unfit_for({{9535, 90, 256, 2440}, 0.999, 0.999, 0.1, 0.8, 11}, 8192, 2440928).empty());
  const auto only = [&](const Tunable& t, int64_t keys, const std::string& begins) {
    const std::vector<std::string> found = unfit_for(t, keys, 1200);
    CHECK_EQ(found.size(), size_t{1});
    CHECK(!found.empty() && found[0].starts_with(begins));
  };
  Tunable t = good;
  t.proto_m = 0.999;
  only(t, 600, "--proto_m 0.999: after epoch 0 the prototype of a class of 120 images (the median here) is still 89 %");
  t = good, t.moco_m = 0.999;
  only(t, 600, "--moco_m 0.999: after all 540 steps the key encoder still consists to 58 % of the weights");
  t = good, t.start_clean_epoch = 30;
  only(t, 600, "--start_clean_epoch 30: in 30 epochs no label is corrected; 15 would begin in time");
  t.start_clean_epoch = 29;
  CHECK(unfit_for(t, 1200, 1200).empty());
  only(good, 1201, "the queue of 1201 keys holds 1.0 of each of the 1200 images");
  CHECK(unfit_for(good, 0, 1200).empty());  // a program without a queue
  CHECK_EQ(unfit_for(kPublished, 8192, 1200).size(), size_t{3});
}
