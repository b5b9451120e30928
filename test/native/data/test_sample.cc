// Sample data: deterministic, consistent with its truth, and too hard for a linear model.
#include <algorithm>
#include <cmath>
#include <map>

#include "../tap.h"
#include "core/json.h"
#include "data/loader.h"
#include "sample.h"
#include "support.h"

using namespace moproc;
using moproc::data::Mode;
using moproc::test::TempDir;

namespace {

tools::SampleOptions tiny(const std::string& out) {
  tools::SampleOptions o;
  o.out = out;
  o.images = 300;
  o.val = 40;
  o.size = 32;
  o.threads = 2;
  return o;
}

struct Pixels {
  std::vector<std::vector<float>> x;
  std::vector<int> y;
};

Pixels pixels_of(const data::Dataset& set, int side) {
  data::LoaderOptions o;
  o.mode = Mode::evaluation;
  o.batch = 64;
  o.augment.size = side;
  Pixels out;
  data::Loader loader(set, o);
  const std::size_t values = static_cast<std::size_t>(side) * side * 3;
  while (const data::Batch* b = loader.next()) {
    for (int i = 0; i < b->count; ++i) {
      const std::uint8_t* p = b->img + static_cast<std::size_t>(i) * values;
      std::vector<float> x;
      for (std::size_t k = 0; k < values; ++k) x.push_back(static_cast<float>(p[k]) / 128.0f - 1.0f);
      out.x.push_back(std::move(x));
      out.y.push_back(static_cast<int>(b->target[i]));
    }
    loader.release();
  }
  return out;
}

std::vector<float> scores(const std::vector<float>& weights, const std::vector<float>& x, int classes) {
  std::vector<float> out(static_cast<std::size_t>(classes));
  for (int c = 0; c < classes; ++c) {
    const float* w = &weights[static_cast<std::size_t>(c) * (x.size() + 1)];
    float sum = w[x.size()];
    for (std::size_t k = 0; k < x.size(); ++k) sum += w[k] * x[k];
    out[static_cast<std::size_t>(c)] = sum;
  }
  return out;
}

double accuracy(const std::vector<float>& weights, const Pixels& set, int classes) {
  int right = 0;
  for (std::size_t i = 0; i < set.x.size(); ++i) {
    const auto s = scores(weights, set.x[i], classes);
    right += std::max_element(s.begin(), s.end()) - s.begin() == set.y[i];
  }
  return static_cast<double>(right) / static_cast<double>(set.x.size());
}

// Softmax regression on raw pixels by SGD with weight decay; returns the best validation accuracy of its
// epochs, which is more than a linear model honestly chosen would reach.
double linear_probe(const Pixels& train, const Pixels& val, int classes, double* fit) {
  const std::size_t values = train.x[0].size();
  std::vector<float> w(static_cast<std::size_t>(classes) * (values + 1));
  double best = 0;
  for (std::uint32_t epoch = 0; epoch < 25; ++epoch) {
    const float rate = 2e-4f * (epoch < 15 ? 1.0f : 0.3f);
    data::Stream s(1, data::Purpose::epoch_order, epoch, 1);
    for (std::size_t n = 0; n < train.x.size(); ++n) {
      const std::size_t i = s.below(static_cast<std::uint32_t>(train.x.size()));
      auto p = scores(w, train.x[i], classes);
      const float top = *std::max_element(p.begin(), p.end());
      float sum = 0;
      for (float& v : p) sum += v = std::exp(v - top);
      for (int c = 0; c < classes; ++c) {
        const float g = p[static_cast<std::size_t>(c)] / sum - (c == train.y[i] ? 1.0f : 0.0f);
        float* row = &w[static_cast<std::size_t>(c) * (values + 1)];
        for (std::size_t k = 0; k < values; ++k) row[k] -= rate * (g * train.x[i][k] + 1e-3f * row[k]);
        row[values] -= rate * g;
      }
    }
    best = std::max(best, accuracy(w, val, classes));
  }
  *fit = accuracy(w, train, classes);
  return best;
}

}  // namespace

TEST("the same flags give the same files, whatever the number of threads; another seed gives others") {
  TempDir dir;
  tools::SampleOptions o = tiny(dir / "a");
  tools::write_sample(o, {});
  o.out = dir / "b/";
  o.threads = 1;
  tools::write_sample(o, {});
  o.out = dir / "c";
  o.seed = 2;
  tools::write_sample(o, {});
  CHECK_EQ(test::hash_folder(dir / "a"), test::hash_folder(dir / "b"));
  CHECK(test::hash_folder(dir / "a") != test::hash_folder(dir / "c"));
}

TEST("lists and truth fit together, shares are as asked, every file decodes") {
  TempDir dir;
  tools::SampleOptions o = tiny(dir / "s");
  o.images = 1000;
  const tools::SampleSummary summary = tools::write_sample(o, {});
  const data::Dataset train = data::read_webvision(o.out, data::Split::train, {.num_class = 10});
  const data::Dataset val = data::read_webvision(o.out, data::Split::val, {.num_class = 10});
  CHECK_EQ(train.size(), 1000u);
  CHECK_EQ(val.size(), 40u);
  const auto bytes = test::read_bytes(dir / "s/truth.json");
  const Json json = parse_json(std::string(bytes.begin(), bytes.end()), "truth.json");
  CHECK_EQ(json.find("classes")->array()->size(), 10u);
  const Json::Object& truth = *json.find("train")->object();
  CHECK_EQ(truth.size(), 1000u);
  std::map<std::string, int> label;
  for (std::size_t i = 0; i < train.size(); ++i) {
    label[std::string(train.name(i))] = static_cast<int>(train.label(i));
  }
  CHECK_EQ(label.size(), 1000u);
  int wrong = 0, none = 0, google = 0;
  for (const auto& [name, shown] : truth) {
    REQUIRE(label.contains(name));
    none += shown.is_null();
    wrong += !shown.is_null() && *shown.number() != label[name];
    google += name.starts_with("google/");
  }
  CHECK_EQ(none, summary.out_of_class);
  CHECK_EQ(wrong, summary.wrong);
  CHECK_NEAR(none, 100, 35);
  CHECK_NEAR(wrong, 360, 55);
  CHECK_NEAR(google, 500, 60);
  data::LoaderOptions lo;
  lo.mode = Mode::evaluation;
  lo.augment.size = 32;
  data::Loader loader(train, lo);
  while (loader.next() != nullptr) loader.release();
  CHECK_EQ(loader.broken_count(), 0u);
}

TEST("nothing half-written: existing folders are refused, an error leaves nothing behind") {
  TempDir dir;
  tools::SampleOptions o = tiny(dir / "s");
  test::write_text(dir / "s/mine.txt", "x");
  CHECK_THROWS(tools::write_sample(o, {}), "is not an empty folder; choose another path");
  std::filesystem::remove(dir / "s/mine.txt");
  const auto stop = [](int done, int) {
    if (done == 50) throw std::runtime_error("stop here");
  };
  CHECK_THROWS(tools::write_sample(o, stop), "stop here");
  CHECK(std::filesystem::is_empty(dir / "s"));
  CHECK(!std::filesystem::exists(dir / "s.partial"));
  tools::write_sample(o, {});  // an empty folder is fine
  CHECK(std::filesystem::exists(dir / "s/truth.json"));
  test::write_text(dir / "t.partial/other.txt", "x");
  o.out = dir / "t";
  CHECK_THROWS(tools::write_sample(o, {}), "t.partial: is in the way, and moproc did not make it; choose another path");
  CHECK(std::filesystem::exists(dir / "t.partial/other.txt"));
}

TEST("a linear model on pixels fails on clean labels") {
  TempDir dir;
  tools::SampleOptions o = tiny(dir / "s");
  o.images = 1500;
  o.val = 500;
  o.noise = 0;
  o.ood = 0;
  tools::write_sample(o, {});
  const Pixels train = pixels_of(data::read_webvision(o.out, data::Split::train, {.num_class = 10}), 20);
  const Pixels val = pixels_of(data::read_webvision(o.out, data::Split::val, {.num_class = 10}), 20);
  double fit = 0;
  const double best = linear_probe(train, val, 10, &fit);
  std::printf("# softmax regression: %.1f %% of validation images, %.1f %% of training images; chance is 10 %%\n",
              100 * best, 100 * fit);
  CHECK(fit > 0.25);  // it did learn what it could
  CHECK(best < 0.3);
}

int main(int argc, char** argv) { return moproc::test::run(argc, argv); }
