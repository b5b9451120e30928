#include "check_report.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <unordered_map>
#include <unordered_set>

#include "core/json.h"
#include "data/class_spelling.h"
#include "data/list_file.h"
#include "data/look.h"

namespace fs = std::filesystem;

namespace moproc::tools {
namespace {

constexpr std::size_t kShown = 5;  // number of names per finding in the table

// The value of a sorted list below which the given share of its values lies.
template <class T>
T quantile(const std::vector<T>& sorted, double share) {
  return sorted.empty() ? T{} : sorted[static_cast<std::size_t>(share * static_cast<double>(sorted.size() - 1))];
}

std::vector<std::int64_t> sorted(std::vector<std::int64_t> v) {
  std::sort(v.begin(), v.end());
  return v;
}

template <class... T>
std::string line(const char* pattern, T... values) {
  char text[512];
  std::snprintf(text, sizeof text, pattern, values...);
  return text;
}

}  // namespace

CheckReport::CheckReport(const std::string& root, const DataFolder& folder,
                         const std::vector<std::vector<FileCheck>>& images)
    : root_(root), layout_(folder.layout) {
  findings_ = {
      {"missing", "listed, but not there: training takes another image in its place, evaluation leaves it out", {}},
      {"unreadable", "no picture, or damaged: treated as missing", {}},
      {"other format", "a picture that is neither " + data::decoded_kinds_text("nor") + ": treated as missing", {}},
      {"truncated", "the file ends early: treated as missing (the published loader fills the rest with grey)", {}},
      {"class", "no image of it can be read: a run would not start", {}},
      {"alike names", "different classes whose names differ in case, space or Unicode form: one class twice?", {}},
      {"share", "more than --max-broken allows, unless it is given a higher value", {}},
      {"cmyk", "four inks; converted to RGB as Pillow does, no action needed", {}},
      {"listed twice", "the same path twice in one list: it counts double", {}},
      {"two labels", "the same path twice in one list with different labels: one of them is wrong", {}},
      {"in two lists", "the same path in two lists: what is trained on is also tested", {}},
      {"same bytes", "the same file under two names in two lists: what is trained on is also tested", {}},
      {"not listed", "an image that no list names: it is not used", {}}};
  for (std::size_t s = 0; s < folder.sets.size(); ++s) count(folder.sets[s], images[s]);
  find_alike(folder);
  find_twice(folder, images);
  find_unlisted(root, folder);
}

CheckReport::Finding& CheckReport::finding(const std::string& name) {
  return *std::find_if(findings_.begin(), findings_.end(), [&](const Finding& f) { return f.name == name; });
}

void CheckReport::count(const NamedSet& set, const std::vector<FileCheck>& images) {
  static constexpr const char* names[] = {"", "cmyk", "truncated", "other format", "unreadable", "missing"};
  Set out;
  out.name = set.name;
  out.images = static_cast<std::int64_t>(images.size());
  out.labelled = set.labelled;
  out.notes = set.images.notes();
  if (set.labelled) out.per_class.assign(static_cast<std::size_t>(set.images.num_classes()), 0);
  std::vector<std::int64_t> readable(out.per_class.size());
  std::int64_t unusable = 0;
  for (std::size_t i = 0; i < images.size(); ++i) {
    if (images[i].width == 0) ++unusable;
    else if (set.labelled) ++readable[static_cast<std::size_t>(set.images.label(i))];
    if (set.labelled) ++out.per_class[static_cast<std::size_t>(set.images.label(i))];
    if (images[i].width > 0) out.shorter_sides.push_back(std::min(images[i].width, images[i].height));
    if (images[i].state == State::good) continue;
    if (!images[i].kind.empty()) ++out.unread[images[i].kind];
    const std::string name(set.images.name(i));
    finding(names[static_cast<int>(images[i].state)])
        .examples.push_back(images[i].reason.empty() ? name : name + ": " + images[i].reason);
  }
  const data::ClassTable& classes = set.images.classes();
  for (std::size_t c = 0; c < readable.size(); ++c)
    if (out.per_class[c] > 0 && readable[c] == 0)
      finding("class").examples.push_back(set.name + ": " + (c < classes.size() ? classes.name(c) : std::to_string(c)) +
                                          line(": none of its %lld images", static_cast<long long>(out.per_class[c])));
  const double share =
      100.0 * static_cast<double>(unusable) / static_cast<double>(std::max<std::size_t>(1, images.size()));
  if (share > data::kMaxBroken)
    finding("share").examples.push_back(
        set.name +
        line(": %lld of %zu images (%.3g %%) cannot be read, more than %g %%: ", static_cast<long long>(unusable),
             images.size(), share, data::kMaxBroken) +
        (images.size() > data::kLookedAt ? line("a run looks at %zu of them, and may not start", data::kLookedAt)
                                         : "a run would not start"));
  std::sort(out.shorter_sides.begin(), out.shorter_sides.end());
  sets_.push_back(std::move(out));
}

void CheckReport::find_alike(const DataFolder& folder) {
  std::vector<std::string>& out = finding("alike names").examples;
  for (const NamedSet& set : folder.sets)
    for (std::string& pair : data::alike_classes(set.images.classes()))
      if (std::find(out.begin(), out.end(), pair) == out.end()) out.push_back(std::move(pair));
}

void CheckReport::find_twice(const DataFolder& folder, const std::vector<std::vector<FileCheck>>& images) {
  struct First {
    std::size_t set, image;
  };
  std::unordered_map<std::string, First> by_path;
  std::unordered_map<std::uint64_t, First> by_content;
  for (std::size_t s = 0; s < folder.sets.size(); ++s) {
    const NamedSet& set = folder.sets[s];
    for (std::size_t i = 0; i < set.images.size(); ++i) {
      const std::string name(set.images.name(i));
      const auto [named, fresh] = by_path.emplace(data::plain_path(set.images.name(i)), First{s, i});
      if (!fresh) {
        const First& first = named->second;
        const bool same = first.set == s,
                   other = same && set.labelled && set.images.label(first.image) != set.images.label(i);
        const std::string before(folder.sets[first.set].images.name(first.image));
        finding(other  ? "two labels"
                : same ? "listed twice"
                       : "in two lists")
            .examples.push_back(name == before ? name : name + " is " + before);
        continue;
      }
      const std::uint64_t content = images[s][i].content;
      if (content == 0) continue;
      const auto [held, first_time] = by_content.emplace(content, First{s, i});
      if (first_time || held->second.set == s) continue;
      finding("same bytes")
          .examples.push_back(name + " is " +
                              std::string(folder.sets[held->second.set].images.name(held->second.image)));
    }
  }
}

void CheckReport::find_unlisted(const std::string& root, const DataFolder& folder) {
  std::unordered_set<std::string> listed;
  for (const NamedSet& set : folder.sets)
    for (std::size_t i = 0; i < set.images.size(); ++i) listed.insert(data::plain_path(set.images.name(i)));
  std::vector<std::string>& out = finding("not listed").examples;
  for (const std::string_view name : folder.sets[0].images.files().names())
    if (!listed.contains(std::string(name))) out.emplace_back(name);
  fs::recursive_directory_iterator at(root, fs::directory_options::skip_permission_denied);
  for (; at != fs::recursive_directory_iterator(); ++at) {
    const std::string file = at->path().filename().string();
    if (data::is_hidden(file)) at.disable_recursion_pending();
    if (data::is_hidden(file) || !data::is_image_name(file)) continue;
    const std::string name = at->path().lexically_relative(root).string();
    if (!listed.contains(name)) out.push_back(name);
  }
  std::sort(out.begin(), out.end());
}

std::int64_t CheckReport::unusable() const {
  std::int64_t n = 0;
  for (const Finding& f : findings_)
    if (f.name == "missing" || f.name == "unreadable" || f.name == "truncated" || f.name == "other format")
      n += static_cast<std::int64_t>(f.examples.size());
  return n;
}

std::string CheckReport::table() const {
  std::string text = root_ + ": layout " + layout_ + "\n\n";
  text += line("%-10s %9s %8s   %-28s %s\n", "set", "images", "classes", "images a class", "shorter side, pixels");
  text += line("%-10s %9s %8s   %-28s %s\n", "", "", "", "least / median / most", "least / 5 % / median / 95 % / most");
  for (const Set& s : sets_) {
    const auto counts = sorted(s.per_class);
    const std::string classes =
        !s.labelled ? ""
                    : line("%lld / %lld / %lld", static_cast<long long>(counts.front()),
                           static_cast<long long>(quantile(counts, 0.5)), static_cast<long long>(counts.back()));
    const auto& side = s.shorter_sides;
    const std::string sides = side.empty() ? ""
                                           : line("%d / %d / %d / %d / %d", side.front(), quantile(side, 0.05),
                                                  quantile(side, 0.5), quantile(side, 0.95), side.back());
    text += line("%-10s %9lld %8zu   %-28s %s\n", s.name.c_str(), static_cast<long long>(s.images), s.per_class.size(),
                 classes.c_str(), sides.c_str());
  }
  text += "\n";
  for (const Set& s : sets_) {
    const auto empty = std::count(s.per_class.begin(), s.per_class.end(), 0);
    if (empty > 0)
      text += line("%lld classes of %s have no image: they are never learned or tested\n",
                   static_cast<long long>(empty), s.name.c_str());
    for (const std::string& note : s.notes) text += note + "\n";
    if (!s.unread.empty()) text += s.name + ": " + data::unread_text(s.unread) + "\n";
    const auto small = std::lower_bound(s.shorter_sides.begin(), s.shorter_sides.end(), 224) - s.shorter_sides.begin();
    if (small > 0)
      text += line("%lld images of %s have a shorter side below 224 pixels: they are enlarged for 224-pixel crops\n",
                   static_cast<long long>(small), s.name.c_str());
  }
  text += "\n";
  for (const Finding& f : findings_) {
    text +=
        line("%-13s %9zu", f.name.c_str(), f.examples.size()) + (f.examples.empty() ? "" : "   " + f.meaning) + "\n";
    for (std::size_t i = 0; i < std::min(kShown, f.examples.size()); ++i)
      text += "                          " + f.examples[i] + "\n";
    if (f.examples.size() > kShown)
      text += line("                          and %zu more (--json lists all)\n", f.examples.size() - kShown);
  }
  return text + (unusable() > 0 ? line("\n%lld listed files cannot be used\n", static_cast<long long>(unusable()))
                                : "\nall listed files can be used\n");
}

std::string CheckReport::json() const {
  std::string sets, findings;
  for (const Set& s : sets_) {
    std::string notes = "[";
    for (const std::string& n : s.notes) write_json(notes += notes.size() > 1 ? ", " : "", n);
    std::string classes = "[";
    for (std::size_t c = 0; c < s.per_class.size(); ++c) classes += (c ? ", " : "") + std::to_string(s.per_class[c]);
    std::string sides = "{";
    for (const double share : {0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0})
      sides += line("%s\"%g\": %d", sides.size() > 1 ? ", " : "", share, quantile(s.shorter_sides, share));
    sets += (sets.empty() ? "\n  " : ",\n  ") + JsonLine()
                                                    .add("name", s.name)
                                                    .add("images", s.images)
                                                    .add_raw("images_a_class", classes + "]")
                                                    .add_raw("shorter_side_quantiles", sides + "}")
                                                    .add_raw("notes", notes + "]")
                                                    .text();
  }
  for (const Finding& f : findings_) {
    std::string names = "[";
    for (const std::string& e : f.examples) write_json(names += names.size() > 1 ? ", " : "", e);
    findings += (findings.empty() ? "\n  " : ",\n  ") + JsonLine()
                                                            .add("name", f.name)
                                                            .add("count", static_cast<std::int64_t>(f.examples.size()))
                                                            .add("meaning", f.meaning)
                                                            .add_raw("images", names + "]")
                                                            .text();
  }
  return "{\n \"format\": \"" + std::string(format) + "\",\n \"layout\": \"" + layout_ + "\",\n \"sets\": [" + sets +
         "\n ],\n \"findings\": [" + findings + "\n ],\n \"unusable\": " + std::to_string(unusable()) + "\n}\n";
}

}  // namespace moproc::tools
