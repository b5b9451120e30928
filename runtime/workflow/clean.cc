// The partial file begins with a line of settings, followed by the lines of the report. It grows by whole batches: a
// continued run truncates it to its last whole batch and goes on from there. At the end, both results are made from it.
#include "workflow/clean.h"

#include <unistd.h>

#include <chrono>
#include <cmath>
#include <filesystem>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "core/error.h"
#include "core/json.h"
#include "core/meta.h"
#include "cpu/cores.h"
#include "data/data_folder.h"
#include "formats/mapped_file.h"
#include "formats/output_file.h"
#include "formats/own_file.h"
#include "formats/sha256.h"
#include "log/console.h"
#include "session/session.h"
#include "train/checkpoint.h"
#include "train/compute.h"
#include "train/embed.h"
#include "train/interrupt.h"
#include "train/lists.h"
#include "train/readable.h"
#include "train/record.h"
#include "workflow/clean_files.h"
#include "workflow/clean_rule.h"
#include "workflow/decisions.h"

namespace moproc::train {
namespace {

namespace fs = std::filesystem;
using formats::MappedFile;
using formats::OutputFile;

constexpr double kSpeakEvery = 20;  // seconds between two lines if stdout is not a terminal

/// The training images, without those that the checkpoint's run held out for validation.
data::Dataset images_of(const Plan& plan, const CleanSettings& s, Console& console) {
  const DataOfRun run = data_of_run(s.checkpoint);
  const data::Dataset all = data::read_folder(s.data, data::Split::train,
                                              {.num_class = static_cast<int>(meta_number(plan, "num_class")),
                                               .google = s.google,
                                               .flickr = s.flickr,
                                               .first_label = s.first_label,
                                               .classes = run.classes});
  for (const std::string& note : all.notes()) console.line("warning: " + note);
  HoldOut h = s.hold_out;
  complete(h, run.hold_out, s.data);
  if (!h.holds()) return all;
  auto [judged, held] = data::hold_out(all, *h.share, h.seed.value_or(0));
  console.line(format("note: %zu images that are held out for validation are not judged", held.size()));
  return std::move(judged);
}

class Cleaning {
 public:
  Cleaning(const Plan& plan, const CleanSettings& settings)
      : settings_(settings),
        files_(settings.annotation),
        console_(isatty(STDOUT_FILENO) == 1, settings.compute.quiet),
        list_(images_of(plan, settings, console_)),
        session_(plan, session_options(settings.compute)),
        rule_{settings.used_alpha(), settings.pseudo_th},
        classes_(meta_number(plan, "num_class")),
        batch_(embed_batch(session_)) {
    if (!settings.decisions.empty()) decisions_ = read_decisions(settings.decisions, list_, classes_);
    session_.output(session_.program("embed"), "proto_logits");  // throws unless the artefact is one of MoPro
    if (settings.compat_released && settings.alpha != 0.5)
      console_.line("note: --compat released: the published code takes alpha 0.5, whatever --alpha says");
    require_readable(list_, "training images", {settings.max_broken, settings.compute.workers}, nullptr, console_);
    for (const std::string& note : load_checkpoint(settings.checkpoint, session_, Optimizer::unused).notes)
      console_.line("note: " + note);
    JsonLine line = JsonLine()
                        .add("format", kCleanPartial)
                        .add("checkpoint", formats::file_sha256(settings.checkpoint))
                        .add("images", static_cast<int64_t>(list_.size()))
                        .add("list", hex(list_.digest()))
                        .add("classes", classes_)
                        .add("plan", plan.digest);
    for (const Recorded& r : settings.record.values)
      if (!r.key.empty()) line.add_raw(r.key, json_value(r));  // what is held out shows in the list
    header_ = line.text();
  }

  int run() {
    Interrupt interrupt("clean");
    const int64_t total = static_cast<int64_t>(list_.size()), first = take_up();
    start_ = std::chrono::steady_clock::now();
    begun_at_ = first;
    partial_.emplace(files_.partial, first == 0 ? OutputFile::Open::begin : OutputFile::Open::append);
    if (first == 0) partial_->write(header_ + "\n");
    EmbedOptions o;
    o.workers = settings_.compute.workers > 0 ? settings_.compute.workers : usable_cores();
    o.first = first;
    o.temperature = settings_.temperature;
    if (first < total)
      embed(session_, list_, o, [&](const Embedded& e) {
        add(e);
        return interrupt.signal() == 0;
      });
    partial_->sync_and_close();
    partial_.reset();
    if (counts_.all() < total) {
      console_.line(format("stopped by signal %d after %lld of %lld images; the same command goes on from there",
                           interrupt.signal(), static_cast<long long>(counts_.all()), static_cast<long long>(total)));
      return 128 + interrupt.signal();
    }
    write_results();
    return 0;
  }

 private:
  /// Truncates the partial file of an earlier run with the same settings to whole batches, and reads it. Returns the
  /// index of the image to begin with.
  int64_t take_up() {
    formats::require_file(files_.partial, formats::json_mark(kCleanPartial));
    if (!fs::exists(files_.partial)) return 0;
    size_t keep = 0;
    {
      const MappedFile file(files_.partial);
      const std::string_view text(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
      const size_t head = text.find('\n');
      if (head == std::string_view::npos) return 0;
      if (text.substr(0, head) != header_)
        throw InputError(files_.partial + ": was begun with other settings; remove it to begin anew\n  then: " +
                         std::string(text.substr(0, head)) + "\n  now:  " + header_);
      std::vector<size_t> ends = {head + 1};  // of the header and of each complete line
      for (size_t at; (at = text.find('\n', ends.back())) != std::string_view::npos;) ends.push_back(at + 1);
      const size_t lines = std::min(ends.size() - 1, list_.size());
      const size_t whole =
          lines == list_.size() ? lines : lines / static_cast<size_t>(batch_) * static_cast<size_t>(batch_);
      for (size_t i = 0; i < whole; ++i) recall(i, text.substr(ends[i], ends[i + 1] - ends[i] - 1));
      keep = ends[whole];
    }
    fs::resize_file(files_.partial, keep);
    if (counts_.all() > 0)
      console_.line(format("%s: %lld of %zu images are done", files_.partial.c_str(),
                           static_cast<long long>(counts_.all()), list_.size()));
    return counts_.all();
  }

  /// Takes the judgement of image i from its line of the report.
  void recall(size_t i, std::string_view line) {
    const std::string where = files_.partial + " line " + std::to_string(i + 2);
    const Json json = parse_json(line, where);
    const Json* const verdict = json.find("verdict");
    const Json* const pseudo = json.find("pseudo");
    const std::string* const name = verdict ? verdict->string() : nullptr;
    if (!name || !pseudo) throw InputError(where + ": is not a line of a report; remove the file to begin anew");
    counts_.add(*name);
  }

  void add(const Embedded& e) {
    std::string lines;
    int64_t row = 0;
    for (int64_t i = e.first; i < e.end; ++i) {
      const bool read = row < e.count && e.sample[row] == i;
      lines += read ? judged(i, e.logits + row * classes_, e.proto + row * classes_) : unreadable(i);
      lines += '\n';
      row += read ? 1 : 0;
    }
    partial_->write(lines);
    show_progress();
  }

  JsonLine begin_line(int64_t i) const {
    return JsonLine()
        .add("image", list_.name(static_cast<size_t>(i)))
        .add("given", list_.label(static_cast<size_t>(i)));
  }

  std::string unreadable(int64_t i) {
    counts_.add("unreadable");
    return begin_line(i).add_raw("pseudo", "null").add("verdict", "unreadable").text();
  }

  std::string judged(int64_t i, const float* logits, const float* proto) {
    const Judgement j = judge(logits, proto, classes_, list_.label(static_cast<size_t>(i)), rule_);
    counts_.add(name_of(j.verdict));
    const auto number = [](double v) { return std::isfinite(v) ? format("%.6g", v) : std::string("null"); };
    const auto pair = [&](double of_given, double of_best) {
      return "[" + number(of_given) + ", " + number(of_best) + "]";
    };
    return begin_line(i)
        .add_raw("pseudo", j.label < 0 ? "null" : std::to_string(j.label))
        .add("best", j.best.label)
        .add_raw("cls", pair(j.given.cls, j.best.cls))
        .add_raw("proto", pair(j.given.proto, j.best.proto))
        .add_raw("score", pair(j.given.score, j.best.score))
        .add_raw("margin", number(j.margin))
        .add("verdict", name_of(j.verdict))
        .text();
  }

  double seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count(); }

  void show_progress() {
    const double total = static_cast<double>(list_.size()), done = static_cast<double>(counts_.all());
    const double now = seconds(), speed = (done - static_cast<double>(begun_at_)) / now;
    const std::string text =
        format("%.0f/%.0f  %.1f images/s  %s left", done, total, speed, show_time((total - done) / speed).c_str());
    console_.status("clean", done / total, text);
    if (console_.terminal() || now - spoken_ < kSpeakEvery) return;
    spoken_ = now;
    console_.line("clean: " + text);
  }

  void write_results() {
    CleanOutcome done;
    {
      const MappedFile judged(files_.partial);
      const std::string_view text(reinterpret_cast<const char*>(judged.bytes().data()), judged.bytes().size());
      done = write_clean_files(files_, {list_, header_, text.substr(header_.size() + 1), decisions_});
    }
    fs::remove(files_.partial);
    say_results(done);
  }

  void say_results(const CleanOutcome& done) {
    const double all = static_cast<double>(list_.size());
    const auto share = [&](const char* what, int64_t n) {
      console_.line(
          format("  %-11s %9lld  %5.1f %%", what, static_cast<long long>(n), 100 * static_cast<double>(n) / all));
    };
    const auto number = [](int64_t n) { return static_cast<long long>(n); };
    console_.line(format("%zu images judged in %s", list_.size(), show_time(seconds()).c_str()));
    share("kept", done.images.kept);
    share("relabelled", done.images.relabelled);
    share("dropped", done.images.dropped);
    if (done.images.unreadable > 0) share("unreadable", done.images.unreadable);
    const DecisionCounts& d = done.decisions;
    if (!settings_.decisions.empty()) {
      std::unordered_set<std::string_view> paths;
      for (const auto& [image, decision] : decisions_) paths.insert(list_.name(static_cast<size_t>(image)));
      const bool copies = paths.size() < decisions_.size();
      console_.line(
          format("%s: %zu decisions applied%s: %lld keep, %lld drop, %lld relabel; %lld of them differ from the "
                 "rule",
                 settings_.decisions.c_str(), paths.size(),
                 copies ? format(" to %zu entries of the list", decisions_.size()).c_str() : "", number(d.keep),
                 number(d.drop), number(d.relabel), number(d.changed)));
    }
    if (d.unreadable > 0)
      console_.line(
          format("warning: %lld decisions have no effect, because their images cannot be read", number(d.unreadable)));
    console_.line(files_.annotation + ": " + std::to_string(done.images.kept + done.images.relabelled) + " images");
    console_.line(files_.report + ": one line per image");
    console_.line(files_.csv + ": the same as a table");
  }

  const CleanSettings& settings_;
  const CleanFiles files_;
  Console console_;
  data::Dataset list_;
  Session session_;
  const CleanRule rule_;
  const int64_t classes_, batch_;
  std::unordered_map<int64_t, Decision> decisions_;
  VerdictCounts counts_;  // of the rule
  std::string header_;
  std::optional<OutputFile> partial_;
  std::chrono::steady_clock::time_point start_;
  int64_t begun_at_ = 0;
  double spoken_ = 0;
};

}  // namespace

void require_clean_targets(const CleanSettings& settings) {
  formats::require_place(settings.annotation);
  require_clean_files(CleanFiles(settings.annotation));
}

int run_clean(const Plan& plan, const CleanSettings& settings) { return Cleaning(plan, settings).run(); }

}  // namespace moproc::train
