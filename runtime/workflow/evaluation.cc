#include "workflow/evaluation.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <numeric>
#include <optional>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/meta.h"
#include "cpu/cores.h"
#include "data/data_folder.h"
#include "data/subset.h"
#include "formats/csv.h"
#include "formats/output_file.h"
#include "formats/own_file.h"
#include "formats/sha256.h"
#include "log/console.h"
#include "session/session.h"
#include "train/checkpoint.h"
#include "train/compute.h"
#include "train/evaluate.h"
#include "train/interrupt.h"
#include "train/lists.h"
#include "train/pretrained.h"
#include "train/written_list.h"

namespace moproc::train {
namespace {

namespace fs = std::filesystem;

constexpr size_t kLowest = 5;  // classes that are named in the summary

/// Of the images of a folder, those that the run of a checkpoint held out, by the list beside it. Nothing if it names
/// less than half of them in this folder, which is then another one.
std::optional<data::Dataset> listed_as_held_out(const std::string& checkpoint, const data::Dataset& all,
                                                Console& console) {
  const std::string folder = fs::path(checkpoint).parent_path().string();
  const std::vector<std::string> names = written_names(folder.empty() ? "." : folder, kHeldOutList);
  const std::unordered_set<std::string_view> held(names.begin(), names.end());
  std::vector<uint32_t> found;
  for (uint32_t i = 0; i < all.size(); ++i)
    if (held.contains(all.name(i))) found.push_back(i);
  if (found.empty() || 2 * found.size() < held.size()) return std::nullopt;
  console.line(
      format("note: %s is not as it was when %s held images out of it; %zu of the %zu are there, and are "
             "evaluated (--val-split 0 evaluates all %zu images)",
             all.folder().c_str(), checkpoint.c_str(), found.size(), held.size(), all.size()));
  return data::part_of(all, found);
}

/// The images to evaluate. Prints which ones they are.
data::Dataset images_of(const EvaluationSettings& s, const Plan& plan, Console& console) {
  const DataOfRun run = data_of_run(s.checkpoint);
  data::ListOptions options{.num_class = static_cast<int>(meta_number(plan, "num_class")),
                            .google = s.google,
                            .flickr = s.flickr,
                            .first_label = s.first_label,
                            .classes = run.classes};
  HoldOut h = s.hold_out;
  complete(h, run.hold_out, s.data);
  const auto read = [&] {
    try {
      DataSets sets = read_sets(s.data, h, options, false);
      // Without the flag, only the images that the run itself has held out count, not a part of another folder.
      const bool others = sets.held_out && !s.hold_out.share && hex(sets.val->digest()) != run.held_out_digest;
      if (sets.held_out && !others) console.line("note: " + sets.note);
      if (sets.val && !others) return std::move(*sets.val);
      data::Dataset all = data::read_folder(s.data, data::Split::train, options);
      if (others)
        if (auto listed = listed_as_held_out(s.checkpoint, all, console)) return std::move(*listed);
      console.line((others ? "warning: " : "note: ") + s.data + " has no validation images" +
                   (others ? ", and is not the folder, or not as it was, from which " + s.checkpoint + " held some out"
                           : std::string()) +
                   ": all of its images are evaluated" +
                   (others ? ", also those that the run has seen; --val-split SHARE, with the run's share, evaluates "
                             "those that it held out"
                           : std::string()));
      return all;
    } catch (const data::UnknownClass& e) {
      if (run.classes.empty()) throw;
      throw InputError(std::string(e.what()) + "; these are the classes of " + s.checkpoint);
    }
  };
  data::Dataset images = read();
  for (const std::string& note : images.notes()) console.line("warning: " + note);
  if (run.classes.empty() && !images.classes().empty())
    console.line("note: " + s.checkpoint + " does not name its classes; they are taken to be those of " + s.data +
                 ", in the same order");
  return images;
}

std::string name_of(const data::ClassTable& classes, size_t c) {
  return c < classes.size() ? classes.name(c) : "class " + std::to_string(c);
}

double share(int64_t part, int64_t whole) {
  return whole > 0 ? 100 * static_cast<double>(part) / static_cast<double>(whole) : 0;
}

/// "3 dog 40.0 % of 10", the classes with the lowest top-1 first; "" if there is one class only.
std::string lowest_classes(const EvaluateResult& r, const data::ClassTable& classes) {
  std::vector<size_t> order(r.of_class.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::erase_if(order, [&](size_t c) { return r.of_class[c] == 0; });
  if (order.size() < 2) return "";
  std::ranges::stable_sort(order, {}, [&](size_t c) { return share(r.of_class1[c], r.of_class[c]); });
  if (order.size() > kLowest) order.resize(kLowest);
  std::string text;
  for (const size_t c : order)
    text += (text.empty() ? "" : ", ") + name_of(classes, c) +
            format(" %.1f %% of %lld", share(r.of_class1[c], r.of_class[c]), static_cast<long long>(r.of_class[c]));
  return text;
}

std::string table(const EvaluateResult& r, const data::ClassTable& classes) {
  std::string text = std::string(kEvaluationColumns) + "\n";
  for (size_t c = 0; c < r.of_class.size(); ++c) {
    const std::string name = c < classes.size() ? formats::csv_field(classes.name(c)) : "";
    text += format("%zu,%s,%lld,%lld,%lld,", c, name.c_str(), static_cast<long long>(r.of_class[c]),
                   static_cast<long long>(r.of_class1[c]), static_cast<long long>(r.of_class5[c]));
    if (r.of_class[c] > 0)
      text += format("%.4f,%.4f", share(r.of_class1[c], r.of_class[c]), share(r.of_class5[c], r.of_class[c]));
    else text += ",";
    text += "\n";
  }
  return text;
}

}  // namespace

void require_evaluation_targets(const EvaluationSettings& s) {
  if (s.csv.empty()) return;
  formats::require_place(s.csv);
  formats::require_new_table(s.csv);
}

int run_evaluation(const Plan& plan, const EvaluationSettings& s, comm::World* world) {
  const bool first = !world || world->rank() == 0;
  Console console(isatty(STDOUT_FILENO) == 1, s.compute.quiet, first);
  const data::Dataset images = images_of(s, plan, console);
  if (world)
    world->agree({{"artefact", plan.digest},
                  {"list of the images", hex(images.digest())},
                  {"names of the classes", images.classes().json()},
                  {"checkpoint", formats::file_sha256(s.checkpoint)}});
  Session session(plan, session_options(s.compute, world));
  session.init_state(0);
  for (const std::string& note : load_pretrained(s.checkpoint, session, true)) console.line("note: " + note);
  console.line(format("%s: %zu images of %s", s.checkpoint.c_str(), images.size(), s.data.c_str()));

  const Interrupt interrupt("evaluate");
  int signal = 0;
  const int own_cores = std::max(1, usable_cores() / (world ? world->launch().local_ranks : 1));
  const auto result =
      evaluate(session, images, s.compute.workers > 0 ? s.compute.workers : own_cores, [&](int64_t done, int64_t all) {
        console.status("evaluate", static_cast<double>(done) / static_cast<double>(all),
                       format("%lld/%lld", static_cast<long long>(done), static_cast<long long>(all)));
        signal = interrupt.signal();
        if (world)
          for (const std::string& other : world->exchange("signals", std::to_string(signal)))
            signal = std::max(signal, std::stoi(other));
        return signal == 0;
      });
  if (!result) return console.line(format("stopped by %s", signal_name(signal))), 128 + signal;
  const EvaluateResult& r = *result;
  if (r.images == 0) throw InputError(s.data + ": no image could be read");
  console.line(format("top-1 %.2f %%  top-5 %.2f %%  (%lld and %lld of %lld images, %s)", r.top1(), r.top5(),
                      static_cast<long long>(r.correct1), static_cast<long long>(r.correct5),
                      static_cast<long long>(r.images), show_time(r.seconds).c_str()));
  if (r.broken > 0) console.line(format("%lld images could not be read", static_cast<long long>(r.broken)));
  if (r.uneven())
    console.line(format("mean over classes: top-1 %.2f %%  top-5 %.2f %%", *r.balanced1(), *r.balanced5()));
  if (const std::string lowest = lowest_classes(r, images.classes()); !lowest.empty())
    console.line("lowest top-1: " + lowest);
  if (s.csv.empty() || !first) return 0;
  const std::string text = table(r, images.classes());
  formats::write_atomically(s.csv, formats::checked_mark(), [&](formats::OutputFile& out) { out.write(text); });
  console.line(s.csv + ": one row per class");
  return 0;
}

}  // namespace moproc::train
