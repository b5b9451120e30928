// Evaluation. If a batch is not full, the program learns it from its input `weight` (one per row, 0 for empty rows) or
// `count` (the number of rows).
#include "train/evaluate.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstring>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "comm/world.h"
#include "core/error.h"
#include "core/layout.h"
#include "core/meta.h"
#include "data/loader.h"

namespace moproc::train {
namespace {

class Program {
 public:
  /// `input`: "img" or "feature".
  Program(Session& session, const char* name, const char* input) : s_(session), program_(session.program(name)) {
    img_ = s_.input(program_, input);
    target_ = s_.input(program_, "target");
    weight_ = s_.find_input(program_, "weight");
    count_ = s_.find_input(program_, "count");
    correct1_ = s_.output(program_, "correct1");
    correct5_ = s_.output(program_, "correct5");
    logits_ = s_.find_output(program_, "logits");
    const TensorInfo& img = s_.info(img_);
    if (weight_ < 0 && count_ < 0) throw InputError("program evaluate has neither an input weight nor count");
    if (img.rank == 2 && img.dtype == DType::f32) return;
    if (img.dtype != DType::u8 || img.rank != 4 || img.shape[1] != 3 || img.shape[2] != img.shape[3])
      throw InputError(std::string("program evaluate: img is ") + show_type(img) + ", not u8[N,3,S,S]");
  }

  int64_t batch() const { return s_.info(img_).shape[0]; }
  int64_t image_size() const { return s_.info(img_).shape[2]; }

  bool full() const { return static_cast<int>(started_.size()) == s_.slots(); }
  bool idle() const { return started_.empty(); }

  /// Starts a batch. Its inputs are a whole batch, of which only the first targets.size() rows count.
  void start(const void* inputs, std::vector<int64_t> targets) {
    std::memcpy(s_.data(img_), inputs, static_cast<size_t>(s_.info(img_).bytes));
    const auto count = static_cast<int64_t>(targets.size());
    const auto target = s_.view<int64_t>(target_);
    for (int64_t i = 0; i < batch(); ++i) target[i] = i < count ? targets[static_cast<size_t>(i)] : 0;
    if (weight_ >= 0) {
      const auto weight = s_.view<float>(weight_);
      for (size_t i = 0; i < weight.size(); ++i) weight[i] = static_cast<int64_t>(i) < count ? 1.0f : 0.0f;
    }
    if (count_ >= 0) set_count(count);
    s_.start(program_);
    started_.push_back(std::move(targets));
  }

  /// Waits for the oldest batch that was started, and adds its counts.
  void finish(EvaluateResult& result) {
    s_.wait();
    const std::vector<int64_t> targets = std::move(started_.front());
    started_.pop_front();
    result.correct1 += total(correct1_);
    result.correct5 += total(correct5_);
    if (logits_ >= 0) count_classes(targets, result);
  }

 private:
  /// Top-k is right if fewer than k classes have a higher logit than the image's own class.
  void count_classes(const std::vector<int64_t>& targets, EvaluateResult& result) const {
    const auto classes = static_cast<size_t>(s_.info(logits_).shape[1]);
    const auto logits = s_.view<float>(logits_);
    for (auto* v : {&result.of_class, &result.of_class1, &result.of_class5}) v->resize(classes, 0);
    for (size_t i = 0; i < targets.size(); ++i) {
      const auto row = logits.subspan(i * classes, classes);
      const auto own = static_cast<size_t>(targets[i]);
      const auto higher = std::count_if(row.begin(), row.end(), [&](float v) { return !(v <= row[own]); });
      ++result.of_class[own];
      result.of_class1[own] += higher < 1 ? 1 : 0;
      result.of_class5[own] += higher < 5 ? 1 : 0;
      if (higher < 1) continue;
      const auto seen = static_cast<int64_t>(std::max_element(row.begin(), row.end()) - row.begin());
      ++result.confused[{targets[i], seen}];
    }
  }

  void set_count(int64_t n) {
    switch (s_.info(count_).dtype) {
      case DType::i64: s_.view<int64_t>(count_)[0] = n; return;
      case DType::i32: s_.view<int32_t>(count_)[0] = static_cast<int32_t>(n); return;
      case DType::f32: s_.view<float>(count_)[0] = static_cast<float>(n); return;
      default: throw InputError(std::string("program evaluate: count is ") + show_type(s_.info(count_)));
    }
  }

  int64_t total(int output) const {
    double sum = 0;
    switch (s_.info(output).dtype) {
      case DType::f32:
        for (const float v : s_.view<float>(output)) sum += v;
        break;
      case DType::i64:
        for (const int64_t v : s_.view<int64_t>(output)) sum += static_cast<double>(v);
        break;
      default: throw InputError(std::string("program evaluate: ") + show_type(s_.info(output)) + " is not a count");
    }
    return std::llround(sum);
  }

  Session& s_;
  int program_, img_, target_, weight_, count_, correct1_, correct5_, logits_;
  std::deque<std::vector<int64_t>> started_;  // labels of the batches under way
};

}  // namespace

std::optional<double> EvaluateResult::balanced(const std::vector<int64_t>& right) const {
  double sum = 0;
  int64_t classes = 0;
  for (size_t c = 0; c < of_class.size(); ++c) {
    if (of_class[c] == 0) continue;
    sum += static_cast<double>(right[c]) / static_cast<double>(of_class[c]);
    ++classes;
  }
  if (classes == 0) return std::nullopt;
  return 100 * sum / static_cast<double>(classes);
}

bool EvaluateResult::uneven() const {
  int64_t first = 0;
  for (const int64_t n : of_class) {
    if (n == 0) continue;
    if (first != 0 && n != first) return true;
    first = n;
  }
  return false;
}

namespace {

/// Each rank evaluates a part of the list; this adds up the counts of all ranks.
void add_ranks(comm::World& world, size_t classes, EvaluateResult& r) {
  std::vector<int64_t*> counts{&r.images, &r.broken, &r.correct1, &r.correct5};
  for (auto* v : {&r.of_class, &r.of_class1, &r.of_class5}) {
    v->resize(classes, 0);
    for (int64_t& n : *v) counts.push_back(&n);
  }
  std::string own;
  for (const int64_t* n : counts) own += std::to_string(*n) + " ";
  for (const auto& [pair, n] : std::exchange(r.confused, {}))
    own += std::to_string(pair.first) + " " + std::to_string(pair.second) + " " + std::to_string(n) + " ";
  for (int64_t* n : counts) *n = 0;
  for (const std::string& text : world.exchange("counts of an evaluation", own)) {
    const char *at = text.data(), *const end = at + text.size();
    const auto next = [&] {
      int64_t value = 0;
      at = std::from_chars(at, end, value).ptr + 1;
      return value;
    };
    for (int64_t* n : counts) *n += next();
    while (at < end) {
      const int64_t of = next(), seen = next();
      r.confused[{of, seen}] += next();
    }
  }
}

}  // namespace

std::optional<EvaluateResult> evaluate(Session& session, const data::Dataset& list, int workers,
                                       const std::function<bool(int64_t, int64_t)>& go_on) {
  const auto start = std::chrono::steady_clock::now();
  Program program(session, "evaluate", "img");
  data::LoaderOptions options;
  options.mode = data::Mode::evaluation;
  options.batch = static_cast<int>(program.batch()) * session.ranks();
  options.rank = session.rank();
  options.ranks = session.ranks();
  options.threads = workers;
  options.strong = false;
  options.augment.size = static_cast<int>(program.image_size());
  data::Loader loader(list, options);
  EvaluateResult result;
  while (const data::Batch* batch = loader.next()) {
    if (program.full()) program.finish(result);
    if (batch->count > 0) program.start(batch->img, {batch->target, batch->target + batch->count});
    result.images += batch->count;
    loader.release();
    // The ranks go through the list side by side, so that this one's part says how far all are.
    const auto all = static_cast<int64_t>(list.size());
    if (go_on(std::min(all, result.images * session.ranks()), all)) continue;
    while (!program.idle()) program.finish(result);
    return std::nullopt;
  }
  while (!program.idle()) program.finish(result);
  result.broken = static_cast<int64_t>(loader.broken_count());
  if (session.world())
    add_ranks(*session.world(), static_cast<size_t>(meta_number(session.plan(), "num_class")), result);
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

EvaluateResult evaluate_features(Session& session, const data::Dataset& list, const Features& features) {
  const auto start = std::chrono::steady_clock::now();
  Program program(session, "evaluate_features", "feature");
  EvaluateResult result;
  std::vector<float> rows(static_cast<size_t>(program.batch() * features.width));
  std::vector<int64_t> targets;
  const auto flush = [&] {
    if (program.full()) program.finish(result);
    program.start(rows.data(), std::exchange(targets, {}));
  };
  for (size_t i = 0; i < list.size(); ++i) {
    if (std::binary_search(features.broken.begin(), features.broken.end(), static_cast<int64_t>(i))) continue;
    std::copy_n(features.row(static_cast<int64_t>(i)), features.width,
                rows.begin() + static_cast<std::ptrdiff_t>(targets.size()) * features.width);
    targets.push_back(list.label(i));
    ++result.images;
    if (static_cast<int64_t>(targets.size()) == program.batch()) flush();
  }
  if (!targets.empty()) flush();
  while (!program.idle()) program.finish(result);
  result.broken = static_cast<int64_t>(features.broken.size());
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

}  // namespace moproc::train
