// Each kind of trouble is one function from numbers to a warning; Health remembers what was said.
#include "train/health.h"

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <utility>

#include "core/error.h"
#include "log/console.h"

namespace moproc::train {
namespace {

constexpr double kClearly = 1.5;  // factor between two memories of a moving average that is worth a change

/// Whether a moving average with momentum `own` remembers much longer than one with `other`.
bool remembers_longer(double own, double other) { return (1 - other) > kClearly * (1 - own); }

/// The changes that keep labels from collapsing: the flags whose values do not fit the size of the run, or later and
/// more careful corrections if all of them do.
std::string advice(const Tunable& s) {
  const Recipe fit = recipe_for(s.size);
  std::string flags;
  if (remembers_longer(s.moco_m, fit.moco_m)) flags += format(" --moco_m %.4g", fit.moco_m);
  if (remembers_longer(s.proto_m, fit.proto_m)) flags += format(" --proto_m %.4g", fit.proto_m);
  if (s.start_clean_epoch < fit.start_clean_epoch) flags += format(" --start_clean_epoch %d", fit.start_clean_epoch);
  if (!flags.empty()) return "for a run of this size try" + flags;
  const int later = std::min(s.size.epochs - 1, (s.start_clean_epoch + s.size.epochs) / 2);
  flags = later > s.start_clean_epoch ? format(" --start_clean_epoch %d", later) : "";
  if (s.pseudo_th < 1) flags += format("%s --pseudo_th %.4g", flags.empty() ? "" : " or", (s.pseudo_th + 1) / 2);
  return flags.empty() ? "try a smaller --lr" : "try" + flags;
}

/// Whether top-1 is clearly lower than it was.
bool has_fallen(double from, double to) { return from - to >= kFallingPoints && from - to >= kFallingShare * from; }

/// The share of labels that the epoch corrected or dropped.
double changed_share(const EpochNumbers& e) { return e.labels > 0 ? (e.corrected + e.dropped) / e.labels : 0; }

using Found = std::optional<HealthWarning>;

/// `numbers`: their names in the record, and values.
HealthWarning warning(const char* kind, int epoch, std::string text, double severity,
                      std::initializer_list<std::pair<const char*, double>> numbers) {
  HealthWarning w{kind, std::move(text), std::clamp(severity, 0.0, 1.0), {}};
  w.record.add("event", "health").add("kind", kind).add("epoch", int64_t{epoch});
  for (const auto& [name, value] : numbers) w.record.add(name, value);
  w.record.add("text", w.text);
  return w;
}

Found one_class(const EpochNumbers& e, const Tunable& s) {
  const LabelTally::Largest& c = e.largest;
  if (c.label < 0 || c.taken < much_in_one_class(e.num_class)) return std::nullopt;
  const std::string name = e.largest_name.empty() ? "" : " (" + e.largest_name + ")";
  HealthWarning w = warning(
      "one_class", e.epoch,
      format("the labels become one class: %.1f %% of the corrected labels are now class %lld%s, which has %.1f %% of "
             "the labels in the list; it took in %.1f %% of the images of all other classes; ",
             100 * c.of_corrected, static_cast<long long>(c.label), name.c_str(), 100 * c.of_given, 100 * c.taken) +
          advice(s),
      c.taken, {{"corrected_to_class", c.of_corrected}, {"given_share", c.of_given}, {"taken_share", c.taken}});
  w.record.add("class", c.label);
  return w;
}

Found corrected(const EpochNumbers& e, const Tunable& s) {
  const double share = e.labels > 0 ? e.corrected / e.labels : 0;
  if (share < kMuchCorrected) return std::nullopt;
  return warning(
      "corrected", e.epoch,
      format("%.1f %% of the labels were corrected: the network learns its own guesses instead of the labels "
             "in the list; ",
             100 * share) +
          advice(s),
      share, {{"corrected_share", share}});
}

Found dropped(const EpochNumbers& e, const Tunable& s) {
  const double share = e.labels > 0 ? e.dropped / e.labels : 0;
  if (share < kMuchDropped) return std::nullopt;
  return warning("dropped", e.epoch,
                 format("%.1f %% of the images were dropped, because the network finds their labels less likely than "
                        "chance: little is left to learn from; ",
                        100 * share) +
                     advice(s),
                 share, {{"dropped_share", share}});
}

HealthWarning prototypes(const EpochNumbers& e, const Tunable& s) {
  return warning("prototypes", e.epoch,
                 format("the prototypes coincide: the mean cosine of two of them is %.4f, in the last %d epochs they "
                        "could not tell which label an image should have; ",
                        *e.prototypes, kCoincidingEpochs) +
                     advice(s),
                 *e.prototypes, {{"mean_cosine", *e.prototypes}});
}

/// `losses`: of the last epochs, the newest at the end.
Found still(const EpochNumbers& e, const std::vector<double>& losses, const Tunable& s) {
  if (!e.guess || losses.size() < kStillEpochs || e.accuracy > kBetterThanGuess * 100 * e.guess->accuracy)
    return std::nullopt;
  const auto [low, high] = std::minmax_element(losses.begin(), losses.end());
  if (*low < (1 - kNothingLearned) * e.guess->loss || *high - *low > kStillShare * *high) return std::nullopt;
  const double rate = recipe_for(s.size).lr;
  return warning("loss", e.epoch,
                 format("the classifier has learned nothing in %d epochs: its loss stands still at %.4f, and guessing "
                        "has %.4f (ln %lld = %.4f); try --lr %.4g",
                        kStillEpochs, losses.back(), e.guess->loss, static_cast<long long>(e.num_class),
                        std::log(static_cast<double>(e.num_class)), s.lr < rate / 10 ? rate : s.lr / 10),
                 1, {{"loss", losses.back()}, {"guess_loss", e.guess->loss}});
}

Found falling(const EpochNumbers& e, const std::vector<HealthEvaluation>& last, const Tunable& s) {
  if (last.size() < kFallingEvaluations) return std::nullopt;
  for (size_t i = 1; i < last.size(); ++i)
    if (last[i].top1 > last[i - 1].top1) return std::nullopt;
  const HealthEvaluation &from = last.front(), &to = last.back();
  if (to.changed <= from.changed || !has_fallen(from.top1, to.top1)) return std::nullopt;
  return warning("falling", e.epoch,
                 format("top-1 fell from %.2f %% to %.2f %% in %d evaluations, while the share of corrected and "
                        "dropped labels rose from %.1f %% to %.1f %%: the correction harms more than it helps; ",
                        from.top1, to.top1, kFallingEvaluations, 100 * from.changed, 100 * to.changed) +
                     advice(s),
                 1 - to.top1 / from.top1,
                 {{"top1_before", from.top1},
                  {"top1", to.top1},
                  {"changed_share_before", from.changed},
                  {"changed_share", to.changed}});
}

}  // namespace

void LabelTally::add(const StepResult& r, const int64_t* given) {
  if (!r.finite) return;
  const auto is_class = [&](int64_t c) { return c >= 0 && c < static_cast<int64_t>(given_.size()); };
  for (int64_t i = 0; i < static_cast<int64_t>(r.samples); ++i) {
    if (!is_class(given[i])) continue;
    given_[static_cast<size_t>(given[i])] += 1;
    if (!r.target_new || !r.kept_flags || r.kept_flags[i] == 0) continue;
    const int64_t now = r.target_new[i];
    if (now != given[i] && is_class(now)) corrected_[static_cast<size_t>(now)] += 1;
  }
}

LabelTally::Largest LabelTally::largest() const {
  double labels = 0, changed = 0;
  for (const double n : given_) labels += n;
  for (const double n : corrected_) changed += n;
  if (changed == 0) return {};
  const size_t c = static_cast<size_t>(std::max_element(corrected_.begin(), corrected_.end()) - corrected_.begin());
  const double others = labels - given_[c];
  return {static_cast<int64_t>(c), corrected_[c] / changed, given_[c] / labels, corrected_[c] / others};
}

std::optional<LabelTally::Guess> LabelTally::guess() const {
  double labels = 0, loss = 0, most = 0;
  for (const double n : given_) labels += n, most = std::max(most, n);
  if (labels == 0) return std::nullopt;
  for (const double n : given_)
    if (n > 0) loss -= n / labels * std::log(n / labels);
  return Guess{loss, most / labels};
}

std::optional<double> mean_cosine(std::span<const float> rows, int64_t size) {
  std::vector<double> sum(static_cast<size_t>(size));
  double n = 0;
  for (size_t at = 0; at + sum.size() <= rows.size(); at += sum.size()) {
    double square = 0;
    for (size_t i = 0; i < sum.size(); ++i) square += static_cast<double>(rows[at + i]) * rows[at + i];
    if (square == 0) continue;
    n += 1;
    for (size_t i = 0; i < sum.size(); ++i) sum[i] += rows[at + i] / std::sqrt(square);
  }
  double square = 0;
  for (const double v : sum) square += v * v;
  if (n < 2 || !std::isfinite(square)) return std::nullopt;
  return (square - n) / (n * (n - 1));
}

std::vector<HealthWarning> Health::judge(const EpochNumbers& e, const Tunable& settings) {
  const auto keep = [](auto& last, auto value, size_t most) {
    last.push_back(value);
    if (last.size() > most) last.erase(last.begin());
  };
  std::vector<Found> found;
  if (e.loss) {
    keep(losses_, *e.loss, kStillEpochs);
    found.push_back(still(e, losses_, settings));
  }
  if (e.top1) {
    keep(evaluations_, HealthEvaluation{*e.top1, changed_share(e)}, kFallingEvaluations);
    found.push_back(falling(e, evaluations_, settings));
  }
  best_ = std::max(best_, e.top1.value_or(-1));
  coinciding_ = e.prototypes.value_or(0) >= kCoinciding ? coinciding_ + 1 : 0;
  const bool harms = e.top1 ? has_fallen(best_, *e.top1) : changed_share(e) > kMuchChanged;
  if (coinciding_ >= kCoincidingEpochs && harms) found.push_back(prototypes(e, settings));
  for (const auto find : {corrected, one_class, dropped}) found.push_back(find(e, settings));
  std::vector<HealthWarning> news;
  ill_ = false;
  for (Found& f : found) {
    if (!f) continue;
    ill_ = true;
    const auto before = said_.find(f->kind);
    if (before != said_.end() &&
        (f->severity - before->second < kMuchWorse || 1 - f->severity > (1 - before->second) / 2))
      continue;
    said_[f->kind] = f->severity;
    news.push_back(std::move(*f));
  }
  return news;
}

std::string Health::to_json() const {
  const auto list = [](const auto& values, auto value) {
    std::string text;
    for (const auto& v : values) write_json(text += text.empty() ? "[" : ", ", value(v));
    return text.empty() ? "[]" : text + "]";
  };
  JsonLine said;
  for (const auto& [kind, severity] : said_) said.add(kind, severity);
  return JsonLine()
      .add_raw("top1", list(evaluations_, [](const HealthEvaluation& v) { return v.top1; }))
      .add_raw("changed", list(evaluations_, [](const HealthEvaluation& v) { return v.changed; }))
      .add_raw("losses", list(losses_, [](double v) { return v; }))
      .add("best", best_)
      .add("coinciding", coinciding_)
      .add_raw("said", said.text())
      .text();
}

Health Health::from_json(const Json& json, const std::string& where) {
  const auto wrong = [&](const char* what) { return InputError(where + ": " + what + " is not as a run writes it"); };
  const auto list = [&](const char* name) {
    const Json* const v = json.find(name);
    if (!v || !v->array()) throw wrong(name);
    std::vector<double> values;
    for (const Json& item : *v->array()) {
      if (!item.number()) throw wrong(name);
      values.push_back(*item.number());
    }
    return values;
  };
  Health h;
  const std::vector<double> top1 = list("top1"), changed = list("changed");
  if (top1.size() != changed.size()) throw wrong("top1");
  for (size_t i = 0; i < top1.size(); ++i) h.evaluations_.push_back({top1[i], changed[i]});
  h.losses_ = list("losses");
  for (const auto& [name, value] : {std::pair{"best", &h.best_}, {"coinciding", &h.coinciding_}}) {
    const Json* const v = json.find(name);
    if (!v || !v->number()) throw wrong(name);
    *value = *v->number();
  }
  const Json* const said = json.find("said");
  if (!said || !said->object()) throw wrong("said");
  for (const auto& [kind, severity] : *said->object()) {
    if (!severity.number()) throw wrong("said");
    h.said_[kind] = *severity.number();
  }
  return h;
}

}  // namespace moproc::train
