// Features are computed only for the images that are drawn or tested: of Places' 2.4 million training images, some
// thirty thousand.
#include "workflow/lowshot.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numeric>

#include "core/error.h"
#include "core/json.h"
#include "cpu/cores.h"
#include "data/dataset.h"
#include "data/list_file.h"
#include "data/transfer_sets.h"
#include "formats/output_file.h"
#include "formats/own_file.h"
#include "formats/sha256.h"
#include "log/console.h"
#include "session/session.h"
#include "train/compute.h"
#include "train/features.h"
#include "train/interrupt.h"
#include "train/pretrained.h"
#include "train/readable.h"
#include "train/record.h"
#include "workflow/average_precision.h"
#include "workflow/svm.h"

namespace moproc::train {
namespace {

/// A data set for low-shot transfer.
struct Transfer {
  std::vector<std::string> classes;
  data::Dataset train, test;
  bool many;  // an image may show several classes: the result is average precision per class, not accuracy
  std::vector<int8_t> train_presence,
      test_presence;  // if many: (images, classes) 1, -1, or 0: left out

  int8_t shows(const data::Dataset& list, const std::vector<int8_t>& presence, size_t image, size_t c) const {
    if (many) return presence[image * classes.size() + c];
    return list.label(image) == static_cast<int64_t>(c) ? 1 : -1;
  }
  int8_t train_shows(size_t image, size_t c) const { return shows(train, train_presence, image, c); }
  int8_t test_shows(size_t image, size_t c) const { return shows(test, test_presence, image, c); }

  /// The classes without an image: "2 of 205 classes (7, 31)". "" if all have some.
  std::string without(const std::vector<std::vector<uint32_t>>& of_class) const {
    std::vector<std::string> names;
    for (size_t c = 0; c < classes.size(); ++c)
      if (of_class[c].empty()) names.push_back(classes[c]);
    if (names.empty()) return "";
    return std::to_string(names.size()) + " of " + std::to_string(classes.size()) + " classes (" + data::some(names) +
           ")";
  }

  /// For each class, the images of a list that show it.
  std::vector<std::vector<uint32_t>> of_class(const data::Dataset& list, const std::vector<int8_t>& presence) const {
    std::vector<std::vector<uint32_t>> images(classes.size());
    for (uint32_t i = 0; i < list.size(); ++i) {
      if (!many) images[static_cast<size_t>(list.label(i))].push_back(i);
      for (size_t c = 0; many && c < classes.size(); ++c)
        if (shows(list, presence, i, c) > 0) images[c].push_back(i);
    }
    return images;
  }
};

/// Counts difficult objects (0) as absent, as in the published script, unless `ignore` leaves them out.
std::vector<int8_t> without_difficult(std::vector<int8_t> presence, bool ignore) {
  if (!ignore) std::replace(presence.begin(), presence.end(), int8_t{0}, int8_t{-1});
  return presence;
}

Transfer voc(const LowshotSettings& o) {
  data::VocSet train = data::read_voc2007(o.voc_path, "trainval"), test = data::read_voc2007(o.voc_path, "test");
  return {{data::kVocClasses.begin(), data::kVocClasses.end()},
          std::move(train.images),
          std::move(test.images),
          true,
          without_difficult(std::move(train.presence), o.ignore_difficult),
          without_difficult(std::move(test.presence), o.ignore_difficult)};
}

Transfer places(const LowshotSettings& o) {
  Transfer t{{},
             data::read_places205(o.places_path, "train", o.first_label),
             data::read_places205(o.places_path, "val", o.first_label),
             false,
             {},
             {}};
  for (int c = 0; c < data::kPlacesClasses; ++c) t.classes.push_back(std::to_string(c));
  return t;
}

struct Draw {
  int k;
  std::vector<uint32_t> images;  // of the training list
};

/// The result of one draw, in percent.
struct Score {
  double mean = 0;
  std::vector<double> of_class;  // average precision; empty if the result is one accuracy
  int not_converged = 0;         // number of SVMs that reached max_passes
};

double mean_of(const std::vector<double>& v) {
  return std::accumulate(v.begin(), v.end(), 0.0) / static_cast<double>(v.size());
}

double deviation_of(const std::vector<double>& v) {
  const double mean = mean_of(v);
  double sum = 0;
  for (const double x : v) sum += (x - mean) * (x - mean);
  return std::sqrt(sum / static_cast<double>(v.size()));
}

std::string numbers(const std::vector<double>& v) {
  std::string text;
  for (const double x : v) {
    text += text.empty() ? "[" : ", ";
    write_json(text, x);
  }
  return text.empty() ? "[]" : text + "]";
}

class Lowshot {
 public:
  Lowshot(const Plan& plan, const LowshotSettings& settings)
      : settings_(settings),
        dataset_(settings.places ? "places" : "voc"),
        console_(isatty(STDOUT_FILENO) == 1, settings.compute.quiet),
        set_(settings.places ? places(settings) : voc(settings)),
        session_(plan, session_options(settings.compute)) {
    for (const std::string& note : settings.notes) console_.line("note: " + note);
    for (const data::Dataset* const list : {&set_.train, &set_.test})
      for (const std::string& note : list->notes()) console_.line("warning: " + note);
    session_.init_state(0);
    for (const std::string& note : load_pretrained(settings.checkpoint, session_, true, kNetworkFlags))
      console_.line("note: " + note);
  }

  int run() {
    const Interrupt interrupt("lowshot");
    draw();
    require_readable(wanted_, "images", {settings_.max_broken, settings_.compute.workers}, nullptr, console_);
    const std::string kept = settings_.output + ".features";
    const auto features = compute_features(session_, wanted_, formats::file_sha256(settings_.checkpoint), kept,
                                           settings_.compute.workers > 0 ? settings_.compute.workers : usable_cores(),
                                           console_, interrupt);
    if (!features) return 128 + interrupt.signal();
    features_ = std::move(*features);
    normalise_rows(features_);
    console_.line(
        format("%s: %zu training images, %zu test images, features of %zu in all%s", dataset_.c_str(),
               set_.train.size(), set_.test.size(), wanted_.size(),
               features_.broken.empty() ? "" : format(", %zu cannot be read", features_.broken.size()).c_str()));
    console_.line(format("%4s %8s %10s %10s   draws", "k", "images", set_.many ? "mAP, %" : "top-1, %", "deviation"));
    std::string results;
    for (const int k : settings_.shots) {
      std::vector<Score> scores;
      size_t images = 0;
      for (const Draw& d : draws_) {
        if (d.k != k) continue;
        console_.status("SVMs", static_cast<double>(scores.size()) / settings_.draws, format("k = %d", k));
        scores.push_back(score(d));
        images = std::max(images, d.images.size());
        if (interrupt.signal() != 0) return 128 + interrupt.signal();  // the file of features stays
      }
      results += (results.empty() ? "" : ",\n  ") + report(k, images, scores);
    }
    write_results(results);
    std::filesystem::remove(kept);
    console_.line(settings_.output + ": the same as JSON");
    return 0;
  }

 private:
  /// Draws all training images, and lists the images that need features: first the drawn ones, then the test images.
  /// Throws InputError if a class cannot be learned or, for average precision, cannot be tested.
  void draw() {
    const auto of_class = set_.of_class(set_.train, set_.train_presence);
    if (const std::string none = set_.without(of_class); !none.empty())
      throw InputError(dataset_ + ": " + none + " have no training image, so they cannot be learned");
    const std::string untested = set_.without(set_.of_class(set_.test, set_.test_presence));
    if (!untested.empty() && set_.many)
      throw InputError(dataset_ + ": " + untested + " have no test image, so they have no average precision");
    if (!untested.empty())
      console_.line("warning: " + dataset_ + ": " + untested +
                    " have no test image, so the accuracy does not count them");
    size_t least = 0;
    for (size_t c = 0; c < of_class.size(); ++c)
      if (of_class[c].size() < of_class[least].size()) least = c;
    data::PythonRandom random(settings_.seed);
    for (const int k : settings_.shots) {
      const auto few = std::count_if(of_class.begin(), of_class.end(),
                                     [k](const auto& v) { return v.size() < static_cast<size_t>(k); });
      if (few > 0)
        console_.line(format(
            "note: k = %d: %lld of %zu classes have fewer training images, all of which are taken; the fewest: %zu of "
            "%s",
            k, static_cast<long long>(few), of_class.size(), of_class[least].size(), set_.classes[least].c_str()));
      for (int i = 0; i < settings_.draws; ++i) draws_.push_back({k, draw_images(of_class, k, random)});
    }
    place_.assign(set_.train.size(), -1);
    for (const Draw& d : draws_)
      for (const uint32_t i : d.images) place_[i] = 0;
    for (size_t i = 0; i < place_.size(); ++i) {
      if (place_[i] < 0) continue;
      place_[i] = static_cast<int64_t>(wanted_.size());
      wanted_.add(set_.train.name(i), set_.train.label(i));
    }
    tested_from_ = static_cast<int64_t>(wanted_.size());
    for (size_t i = 0; i < set_.test.size(); ++i) wanted_.add(set_.test.name(i), set_.test.label(i));
  }

  bool readable(int64_t at) const { return !std::binary_search(features_.broken.begin(), features_.broken.end(), at); }

  SvmProblem problem_of(const Draw& d, size_t c) const {
    SvmProblem p;
    p.width = features_.width;
    p.cost_negative = settings_.cost;
    p.cost_positive = (set_.many ? 2 : 1) * settings_.cost;  // as published, VOC's positives count twice
    for (const uint32_t i : d.images) {
      const int8_t sign = set_.train_shows(i, c);
      if (sign == 0 || !readable(place_[i])) continue;
      p.rows.push_back(features_.row(place_[i]));
      p.signs.push_back(sign);
    }
    if (std::count(p.signs.begin(), p.signs.end(), int8_t{1}) == 0)
      throw InputError(dataset_ + ": none of the images drawn for class " + set_.classes[c] + " can be read");
    return p;
  }

  Score score(const Draw& d) {
    const size_t classes = set_.classes.size();
    std::vector<int64_t> tested;  // images of the test list that could be read
    for (size_t i = 0; i < set_.test.size(); ++i)
      if (readable(tested_from_ + static_cast<int64_t>(i))) tested.push_back(static_cast<int64_t>(i));
    std::vector<std::vector<double>> decisions(classes, std::vector<double>(tested.size()));
    std::vector<char> converged(classes);
    session_.pool().run(static_cast<int64_t>(classes), [&](int64_t begin, int64_t end, int) {
      for (auto c = static_cast<size_t>(begin); c < static_cast<size_t>(end); ++c) {
        const Svm svm = train_svm(problem_of(d, c), {settings_.tolerance, settings_.max_passes});
        converged[c] = svm.converged;
        for (size_t i = 0; i < tested.size(); ++i)
          decisions[c][i] = svm.decision(features_.row(tested_from_ + tested[i]));
      }
    });
    Score s = set_.many ? precisions(decisions, tested) : accuracy(decisions, tested);
    s.not_converged = static_cast<int>(std::count(converged.begin(), converged.end(), 0));
    return s;
  }

  /// Average precision of each class, and the mean over the classes.
  Score precisions(const std::vector<std::vector<double>>& decisions, const std::vector<int64_t>& tested) const {
    Score s;
    for (size_t c = 0; c < decisions.size(); ++c) {
      std::vector<double> scores;
      std::vector<int8_t> relevant;
      for (size_t i = 0; i < tested.size(); ++i) {
        const int8_t there = set_.test_shows(static_cast<size_t>(tested[i]), c);
        if (there == 0) continue;
        scores.push_back(decisions[c][i]);
        relevant.push_back(there > 0);
      }
      s.of_class.push_back(100 * average_precision(scores, relevant));
      if (std::isnan(s.of_class.back()))
        throw InputError(dataset_ + ": no test image of class " + set_.classes[c] + " can be read");
    }
    s.mean = mean_of(s.of_class);
    return s;
  }

  /// The percentage of test images whose class has the highest decision.
  Score accuracy(const std::vector<std::vector<double>>& decisions, const std::vector<int64_t>& tested) const {
    int64_t right = 0;
    for (size_t i = 0; i < tested.size(); ++i) {
      size_t best = 0;
      for (size_t c = 1; c < decisions.size(); ++c)
        if (decisions[c][i] > decisions[best][i]) best = c;
      right += set_.test_shows(static_cast<size_t>(tested[i]), best) > 0 ? 1 : 0;
    }
    Score s;
    s.mean = 100 * static_cast<double>(right) / static_cast<double>(tested.size());
    return s;
  }

  /// Prints a line of the table, and returns it as JSON.
  std::string report(int k, size_t images, const std::vector<Score>& scores) {
    std::vector<double> means;
    std::string draws;
    int64_t not_converged = 0;
    for (const Score& s : scores) {
      means.push_back(s.mean);
      draws += format(" %.2f", s.mean);
      not_converged += s.not_converged;
    }
    console_.line(format("%4d %8zu %10.2f %10.2f  %s", k, images, mean_of(means), deviation_of(means), draws.c_str()));
    if (not_converged > 0)
      console_.line(format("note: %lld SVMs were ended by --max-iter %d", static_cast<long long>(not_converged),
                           settings_.max_passes));
    JsonLine line;
    line.add("k", int64_t{k})
        .add("images", static_cast<int64_t>(images))
        .add("mean", mean_of(means))
        .add("deviation", deviation_of(means));
    line.add_raw("draws", numbers(means)).add("not_converged", not_converged);
    if (set_.many) {
      JsonLine of_class;
      for (size_t c = 0; c < set_.classes.size(); ++c) {
        double sum = 0;
        for (const Score& s : scores) sum += s.of_class[c];
        of_class.add(set_.classes[c], sum / static_cast<double>(scores.size()));
      }
      line.add_raw("classes", of_class.text());
    }
    return line.text();
  }

  void write_results(const std::string& results) {
    JsonLine line = JsonLine()
                        .add("checkpoint", settings_.checkpoint)
                        .add("metric", set_.many ? "mean average precision, percent" : "top-1 accuracy, percent")
                        .add("unreadable", static_cast<int64_t>(features_.broken.size()));
    for (const Recorded& r : settings_.record.values) line.add_raw(r.key, json_value(r));
    formats::write_atomically(settings_.output, formats::json_mark(kLowshotFormat), [&](formats::OutputFile& out) {
      out.write("{\"format\": \"" + std::string(kLowshotFormat) + "\",\n \"settings\": " + line.text() +
                ",\n \"results\": [\n  " + results + "\n ]}\n");
    });
  }

  const LowshotSettings& settings_;
  const std::string dataset_;  // its name
  Console console_;
  Transfer set_;
  Session session_;
  std::vector<Draw> draws_;
  data::Dataset wanted_ = set_.train.empty();
  std::vector<int64_t> place_;  // of each training image in wanted_; -1: in no draw
  int64_t tested_from_ = 0;     // place of the first test image in wanted_
  Features features_;
};

}  // namespace

std::vector<uint32_t> draw_images(std::vector<std::vector<uint32_t>> of_class, int k, data::PythonRandom& random) {
  std::vector<uint32_t> drawn;
  for (std::vector<uint32_t>& images : of_class) {
    random.shuffle(images);
    images.resize(std::min(images.size(), static_cast<size_t>(k)));
    drawn.insert(drawn.end(), images.begin(), images.end());
  }
  return drawn;
}

void require_lowshot_targets(const LowshotSettings& settings) {
  formats::require_place(settings.output);
  formats::require_file(settings.output, formats::json_mark(kLowshotFormat));
  formats::require_file(settings.output + ".features", formats::json_mark(kFeaturesFormat));
}

int run_lowshot(const Plan& plan, const LowshotSettings& settings) { return Lowshot(plan, settings).run(); }

}  // namespace moproc::train
