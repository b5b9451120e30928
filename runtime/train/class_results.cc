// Each evaluation is one line of the file, so that an earlier one can be kept without being taken apart.
#include "train/class_results.h"

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "core/error.h"
#include "core/json.h"
#include "formats/output_file.h"
#include "formats/own_file.h"

namespace moproc::train {
namespace {

constexpr std::string_view kEvaluationLine = "{\"epoch\": ";

std::string list_of(const std::vector<int64_t>& counts) {
  std::string text = "[";
  for (const int64_t n : counts) text += (text.size() == 1 ? "" : ", ") + std::to_string(n);
  return text + "]";
}

/// [[own class, class seen instead, images], ...], the most frequent first.
std::string pairs_of(const EvaluateResult& r) {
  std::vector<std::vector<int64_t>> all;
  for (const auto& [pair, n] : r.confused) all.push_back({pair.first, pair.second, n});
  std::ranges::stable_sort(all, [](const auto& a, const auto& b) { return a[2] > b[2]; });
  std::string text = "[";
  for (const auto& p : all) text += (text.size() == 1 ? "" : ", ") + list_of(p);
  return text + "]";
}

/// The member of this name, which a file of ours has.
const Json& member(const Json& json, const char* name) {
  const Json* const found = json.find(name);
  if (!found) throw InputError(std::string("it has no \"") + name + "\"");
  return *found;
}

}  // namespace

std::string evaluation_file(const std::string& exp_dir) { return exp_dir + "/evaluation.json"; }

ClassResults::ClassResults(const std::string& exp_dir, data::ClassTable classes, int64_t from_epoch, std::string& note)
    : path_(evaluation_file(exp_dir)), classes_(std::move(classes)) {
  std::error_code error;
  if (from_epoch == 0 && formats::is_own_file(path_, formats::json_mark(kEvaluationFormat)))
    std::filesystem::remove(path_, error);  // of another run, or of one that begins again
  if (from_epoch == 0 || !std::filesystem::exists(path_, error)) return;
  try {
    read(path_, from_epoch);
  } catch (const InputError& e) {
    sets_.clear();
    note = path_ + ": cannot be read, so it begins anew: " + e.what();
  }
}

void ClassResults::read(const std::string& path, int64_t from_epoch) {
  std::ifstream file(path, std::ios::binary);
  std::string line;
  while (std::getline(file, line)) {
    if (line.starts_with("{\"set\": ")) {
      line += "]}";  // its evaluations follow
      const std::string* const title = member(parse_json(line, path), "set").string();
      if (!title) throw InputError("the name of a set is no text");
      sets_.push_back({*title, {}});
    } else if (line.starts_with(kEvaluationLine) && !sets_.empty()) {
      if (line.ends_with(',')) line.pop_back();  // another one follows
      const Json json = parse_json(line, path);
      const double* const top1 = member(json, "top1").number();
      Evaluation e{0, top1 ? *top1 : 0, line};
      if (!member(json, "epoch").integer(e.epoch) || !top1) throw InputError("an evaluation has no epoch");
      if (e.epoch < from_epoch) sets_.back().kept.push_back(std::move(e));
    }
  }
}

void ClassResults::add(const Validation& list, int64_t epoch, const EvaluateResult& r) {
  if (r.of_class.empty()) return;
  auto set = std::ranges::find(sets_, list.title, &Set::title);
  if (set == sets_.end()) set = sets_.insert(set, {list.title, {}});
  Evaluation e{epoch, r.top1(),
               JsonLine()
                   .add("epoch", epoch)
                   .add("top1", r.top1())
                   .add("top5", r.top5())
                   .add("images", r.images)
                   .add_raw("of_class", list_of(r.of_class))
                   .add_raw("right1", list_of(r.of_class1))
                   .add_raw("right5", list_of(r.of_class5))
                   .add_raw("confused", pairs_of(r))
                   .text()};
  std::vector<Evaluation>& kept = set->kept;
  std::erase_if(kept, [&](const Evaluation& k) { return k.epoch >= epoch; });
  const auto best = std::ranges::max_element(kept, {}, &Evaluation::top1);
  if (best == kept.end() || best->top1 < e.top1) kept.clear();
  else kept = {Evaluation(*best)};
  kept.push_back(std::move(e));
  write();
}

void ClassResults::write() const {
  formats::write_atomically(path_, formats::json_mark(kEvaluationFormat), [&](formats::OutputFile& out) {
    out.write("{\"format\": \"" + std::string(kEvaluationFormat) +
              "\",\n\"names\": " + (classes_.empty() ? "null" : classes_.json()) + ",\n\"sets\": [");
    for (const Set& s : sets_) {
      std::string name;
      write_json_ascii(name, s.title);
      out.write((&s == sets_.data() ? "\n" : ",\n") + ("{\"set\": " + name) + ", \"evaluations\": [");
      for (const Evaluation& e : s.kept) out.write((&e == s.kept.data() ? "\n" : ",\n") + e.json);
      out.write("\n]}");
    }
    out.write("\n]}\n");
  });
}

}  // namespace moproc::train
