// The parts of low-shot transfer against the results of scikit-learn, numpy and Python for the same problems.
#include <cmath>
#include <string>
#include <vector>

#include "core/json.h"
#include "data/python_random.h"
#include "formats/mapped_file.h"
#include "tap.h"
#include "workflow/average_precision.h"
#include "workflow/lowshot.h"
#include "workflow/svm.h"

using namespace moproc;
using namespace moproc::train;

namespace {

const Json& cases() {
  static const Json json = [] {
    const formats::MappedFile file(MOPROC_SVM_CASES);
    return parse_json({reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()}, "cases.json");
  }();
  return json;
}

template <class T>
std::vector<T> numbers(const Json& json, const char* key) {
  std::vector<T> v;
  for (const Json& x : *json.find(key)->array()) v.push_back(static_cast<T>(*x.number()));
  return v;
}

std::vector<std::vector<float>> matrix(const Json& json, const char* key) {
  std::vector<std::vector<float>> rows;
  for (const Json& row : *json.find(key)->array()) {
    rows.emplace_back();
    for (const Json& x : *row.array()) rows.back().push_back(static_cast<float>(*x.number()));
  }
  return rows;
}

}  // namespace

TEST(
    "svm: decisions as scikit-learn's LinearSVC, within 1e-6 when both converge; less than that when it is ended "
    "early") {
  for (const Json& c : *cases().find("svm")->array()) {
    const auto rows = matrix(c, "rows"), test = matrix(c, "test");
    SvmProblem p;
    p.width = static_cast<int64_t>(rows[0].size());
    for (const auto& r : rows) p.rows.push_back(r.data());
    p.signs = numbers<int8_t>(c, "signs");
    p.cost_negative = *c.find("cost")->number();
    p.cost_positive = p.cost_negative * *c.find("positive_weight")->number();
    const auto want = numbers<double>(c, "decisions");
    const auto worst = [&](const Svm& svm) {
      double most = 0;
      for (size_t i = 0; i < test.size(); ++i) most = std::max(most, std::abs(svm.decision(test[i].data()) - want[i]));
      return most;
    };
    const Svm svm = train_svm(p, {1e-9, 10000000});
    CHECK(svm.converged);
    CHECK(worst(svm) < 1e-6);
    const Svm early = train_svm(p, {1e-9, 1});
    CHECK(!early.converged);
    CHECK_EQ(early.passes, 1);
    CHECK(worst(early) > 1e-6);
    const Svm again = train_svm(p, {1e-9, 10000000});
    CHECK(again.weight == svm.weight && again.bias == svm.bias);
  }
}

TEST("average precision: as numpy computes the published formula") {
  for (const Json& c : *cases().find("ranking")->array())
    CHECK(std::abs(average_precision(numbers<double>(c, "scores"), numbers<int8_t>(c, "relevant")) -
                   *c.find("precision")->number()) < 1e-12);
  const std::vector<double> scores = {1, 2};
  const std::vector<int8_t> none = {0, 0};
  CHECK(std::isnan(average_precision(scores, none)));
}

TEST("draws: lists are shuffled as Python's random does") {
  for (const Json& c : *cases().find("shuffles")->array()) {
    data::PythonRandom random(static_cast<uint64_t>(*c.find("seed")->number()));
    for (const Json& want : *c.find("lists")->array()) {
      std::vector<int> items(want.array()->size());
      for (size_t i = 0; i < items.size(); ++i) items[i] = static_cast<int>(i);
      random.shuffle(items);
      for (size_t i = 0; i < items.size(); ++i) CHECK_EQ(items[i], static_cast<int>(*(*want.array())[i].number()));
    }
  }
}

TEST("draws: k images a class, all of a smaller class, and one of two classes twice") {
  data::PythonRandom random(3);
  const auto drawn = draw_images({{0, 1, 2, 3}, {7}, {7, 8}}, 2, random);
  CHECK_EQ(drawn.size(), 5u);
  CHECK(drawn[0] < 4 && drawn[1] < 4 && drawn[0] != drawn[1]);
  CHECK_EQ(drawn[2], 7u);
  CHECK_EQ(drawn[3] + drawn[4], 15u);
}
