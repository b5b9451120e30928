#include "workflow/predict.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <numeric>

#include "core/error.h"
#include "core/meta.h"
#include "cpu/cores.h"
#include "data/class_table.h"
#include "data/image_folder.h"
#include "data/list_file.h"
#include "formats/csv.h"
#include "formats/output_file.h"
#include "formats/own_file.h"
#include "log/console.h"
#include "session/session.h"
#include "train/checkpoint.h"
#include "train/compute.h"
#include "train/embed.h"
#include "train/interrupt.h"
#include "train/pretrained.h"

namespace moproc::train {
namespace {

namespace fs = std::filesystem;

/// The paths of all images as the user would type them: files as they are given, folders with what is below them.
std::vector<std::string> paths_of(const std::vector<std::string>& given, Console& console) {
  std::vector<std::string> paths;
  for (const std::string& path : given) {
    std::error_code error;
    if (!fs::is_directory(path, error)) {
      if (!fs::exists(path, error)) throw InputError(path + ": no such file or folder");
      paths.push_back(path);
      continue;
    }
    const data::FolderImages found = data::images_below(path);
    if (found.names.empty()) throw InputError(path + ": has no image in it or in its folders");
    if (found.hidden > 0)
      console.line(format("note: %s: %zu hidden files and folders are not used", path.c_str(), found.hidden));
    for (const std::string& name : found.names) paths.push_back((fs::path(path) / name).string());
  }
  return paths;
}

data::ClassTable names_of(const PredictSettings& s, size_t outputs) {
  if (s.classes.empty()) return data_of_run(s.checkpoint).classes;
  if (!fs::exists(s.classes)) throw InputError("--classes " + s.classes + ": no such file");
  const data::ClassTable names = data::read_names(s.classes, true);
  if (names.size() != outputs)
    throw InputError("--classes " + s.classes + ": has " + std::to_string(names.size()) + " names, the network has " +
                     std::to_string(outputs) + " classes");
  return names;
}

struct Guess {
  int64_t c;
  double probability;
};

/// The most probable classes by the softmax of the logits; of equal ones, the first class first.
std::vector<Guess> top_of(const float* logits, size_t classes, size_t top) {
  const double most = *std::max_element(logits, logits + classes);
  double sum = 0;
  std::vector<Guess> all;
  for (size_t c = 0; c < classes; ++c) {
    all.push_back({static_cast<int64_t>(c), std::exp(static_cast<double>(logits[c]) - most)});
    sum += all.back().probability;
  }
  std::stable_sort(all.begin(), all.end(),
                   [](const Guess& a, const Guess& b) { return a.probability > b.probability; });
  all.resize(std::min(top, classes));
  for (Guess& g : all) g.probability /= sum;
  return all;
}

class Predictions {
 public:
  Predictions(const data::ClassTable& names, size_t top) : names_(names), top_(top) {}

  std::string name(int64_t c) const {
    return static_cast<size_t>(c) < names_.size() ? names_.name(static_cast<size_t>(c)) : "";
  }
  /// "photo.jpg  dog 93.1 %, wolf 4.0 %"
  std::string line(const std::string& path, const std::vector<Guess>& guesses) const {
    std::string text = path;
    for (size_t i = 0; i < guesses.size(); ++i) {
      const std::string called = name(guesses[i].c);
      text += (i ? ", " : "  ") + (called.empty() ? "class " + std::to_string(guesses[i].c) : called) +
              format(" %.1f %%", 100 * guesses[i].probability);
    }
    return text;
  }
  std::string header() const {
    std::string text = kPredictColumns;
    for (size_t i = 2; i <= top_; ++i) {
      const std::string n = std::to_string(i);
      text += ",class_" + n + ",name_" + n + ",probability_" + n;
    }
    return text + "\n";
  }
  std::string row(const std::string& path, const std::vector<Guess>& guesses) const {
    std::string text = formats::csv_field(path);
    for (size_t i = 0; i < top_; ++i)
      text += i < guesses.size() ? "," + std::to_string(guesses[i].c) + "," + formats::csv_field(name(guesses[i].c)) +
                                       format(",%.6f", guesses[i].probability)
                                 : ",,,";
    return text + "\n";
  }

 private:
  const data::ClassTable& names_;
  const size_t top_;
};

}  // namespace

void require_predict_targets(const PredictSettings& s) {
  if (s.csv.empty()) return;
  formats::require_place(s.csv);
  formats::require_new_table(s.csv);
}

int run_predict(const Plan& plan, const PredictSettings& s) {
  require_predict_targets(s);
  Console console(isatty(STDOUT_FILENO) == 1, s.compute.quiet);
  const std::vector<std::string> paths = paths_of(s.images, console);
  data::Dataset list("", 1);  // the names of images are absolute paths without their first slash
  for (const std::string& p : paths) list.add(fs::absolute(p).lexically_normal().string().substr(1), 0);

  Session session(plan, session_options(s.compute));
  const auto classes = static_cast<size_t>(meta_number(plan, "num_class"));
  session.init_state(0);
  for (const std::string& note : load_pretrained(s.checkpoint, session, true, kNetworkFlags))
    console.line("note: " + note);
  const data::ClassTable names = names_of(s, classes);
  const size_t top = std::min(static_cast<size_t>(s.top), classes);
  const Predictions show(names, top);

  const Interrupt interrupt("predict");
  std::string csv = show.header();
  int64_t read = 0, next = 0;
  const auto total = static_cast<int64_t>(paths.size());
  const auto without = [&](int64_t end) {
    for (; next < end; ++next)
      if (!s.csv.empty()) csv += show.row(paths[static_cast<size_t>(next)], {});
  };
  EmbedOptions o;
  o.workers = s.compute.workers > 0 ? s.compute.workers : usable_cores();
  data::KindCounts unread;
  o.on_broken = [&](const data::Broken& broken) {
    if (broken.kind.empty()) std::fprintf(stderr, "warning: /%s: %s\n", broken.name.c_str(), broken.reason.c_str());
    else ++unread[broken.kind];
  };
  embed(session, list, o, [&](const Embedded& e) {
    if (!e.logits) throw InputError("this artefact's program embed has no logits; compile one with --task predict");
    for (int64_t i = 0; i < e.count; ++i) {
      without(e.sample[i]);
      const std::string& path = paths[static_cast<size_t>(next++)];
      const std::vector<Guess> guesses = top_of(e.logits + static_cast<size_t>(i) * classes, classes, top);
      if (s.csv.empty()) console.line(show.line(path, guesses));
      else csv += show.row(path, guesses);
      ++read;
    }
    without(e.end);
    console.status(format("predict %lld/%lld", static_cast<long long>(e.end), static_cast<long long>(total)),
                   static_cast<double>(e.end) / static_cast<double>(total), "");
    return interrupt.signal() == 0;
  });
  if (next < total) {
    console.line(format("stopped by %s after %lld of %lld images", signal_name(interrupt.signal()),
                        static_cast<long long>(next), static_cast<long long>(total)));
    return 128 + interrupt.signal();
  }
  const std::string kinds = data::unread_text(unread);
  if (read == 0) throw InputError("no image could be read" + (kinds.empty() ? "" : ": " + kinds));
  if (!kinds.empty()) std::fprintf(stderr, "warning: %s\n", kinds.c_str());
  if (!s.csv.empty())
    formats::write_atomically(s.csv, formats::checked_mark(), [&](formats::OutputFile& out) { out.write(csv); });
  const std::string left = read < total ? format(", %lld could not be read", static_cast<long long>(total - read)) : "";
  if (!s.csv.empty() || read < total)
    console.line((s.csv.empty() ? "" : s.csv + ": ") +
                 format("%lld %s", static_cast<long long>(read), read == 1 ? "prediction" : "predictions") + left);
  return 0;
}

}  // namespace moproc::train
