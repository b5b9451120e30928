#include "train/readable.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <vector>

#include "core/error.h"
#include "cpu/cores.h"
#include "data/look.h"
#include "data/sampler.h"

namespace fs = std::filesystem;

namespace moproc::train {
namespace {

using data::Broken;

constexpr size_t kShown = 3;  // files and classes that a message names

/// Images that cannot be read, of all ranks. A rank's text has a line "SAMPLE TAB KIND TAB REASON" for each of its own;
/// only the first ones have their reason, because only these are shown.
std::vector<Broken> of_all_ranks(const data::Dataset& list, const char* what, std::vector<Broken> own,
                                 comm::World* world) {
  if (!world) return own;
  std::string text;
  for (size_t i = 0; i < own.size(); ++i) {
    std::string reason = i < 2 * kShown ? own[i].reason : "";
    std::replace_if(reason.begin(), reason.end(), [](char c) { return c == '\n' || c == '\t'; }, ' ');
    text += std::to_string(own[i].sample) + "\t" + own[i].kind + "\t" + reason + "\n";
  }
  std::vector<Broken> all;
  for (const std::string& rank : world->exchange(what, text))
    for (size_t at = 0; at < rank.size();) {
      const size_t kind = rank.find('\t', at) + 1, reason = rank.find('\t', kind) + 1, end = rank.find('\n', reason);
      size_t sample = 0;
      std::from_chars(rank.data() + at, rank.data() + kind, sample);
      all.push_back({sample, std::string(list.name(sample)), rank.substr(reason, end - reason),
                     rank.substr(kind, reason - kind - 1)});
      at = end + 1;
    }
  std::sort(all.begin(), all.end(), [](const Broken& a, const Broken& b) { return a.sample < b.sample; });
  return all;
}

std::string grouped(size_t n) {
  std::string text = std::to_string(n);
  for (size_t at = text.size(); at > 3;) text.insert(at -= 3, ",");
  return text;
}

/// The folder that `moproc data check` takes for a list's folder: the one above if it is a split of class folders.
std::string data_folder(const std::string& folder) {
  const fs::path path(folder), name = path.filename();
  std::error_code error;
  const bool split = (name == "train" || name == "val") && path.has_parent_path();
  for (const char* part : {"info", "train", "val", "train.csv", "train.jsonl"})
    if (!split || fs::exists(path / part, error)) return folder;
  return path.parent_path().string();
}

class Check {
 public:
  Check(data::Dataset& list, const std::string& what, const ReadableOptions& options, comm::World* world,
        Console& console)
      : list_(list), what_(what), options_(options), world_(world), console_(console) {
    if (options_.workers == 0) options_.workers = usable_cores();
  }

  void run() {
    choose();
    data::LookOptions how{.threads = options_.workers};
    how.progress = [&](double share) { console_.status("checking the " + what_, share, ""); };
    broken_ = of_all_ranks(list_, "images that cannot be read", data::look(list_, own(chosen_), how), world_);
    for (const Broken& b : broken_)
      if (!b.kind.empty()) ++kinds_[b.kind];
    if (options_.max_broken < 100) {
      const bool too_many = static_cast<double>(broken_.size()) > allowed();
      find_classes(!too_many);
      if (too_many || !classes_.empty()) throw InputError(message(too_many));
    }
    const std::string kinds = data::unread_text(kinds_);
    if (!kinds.empty()) console_.line("warning: " + list_.folder() + ": " + of_the_sample() + kinds);
    list_.tell(kinds_);
  }

 private:
  size_t ranks() const { return world_ ? static_cast<size_t>(world_->ranks()) : 1; }
  size_t rank() const { return world_ ? static_cast<size_t>(world_->rank()) : 0; }
  bool is_sample() const { return chosen_.size() < list_.size(); }

  /// All images, or a sample that is the same in each run; in random order, so that those that are decoded are a
  /// sample, too.
  void choose() {
    chosen_ = data::epoch_order(0, 0, list_.size());
    chosen_.resize(std::min(chosen_.size(), data::kLookedAt));
  }

  template <class T>
  std::vector<T> own(const std::vector<T>& all) const {
    std::vector<T> part;
    for (size_t i = rank(); i < all.size(); i += ranks()) part.push_back(all[i]);
    return part;
  }

  /// How many of the images that were looked at may be unreadable.
  double allowed() const {
    const double n = static_cast<double>(chosen_.size()), p = options_.max_broken / 100;
    return n * p + (is_sample() ? 3 * std::sqrt(n * p * (1 - p)) : 0);
  }

  /// Finds the classes of which no image can be read. Without `reads_on`, only those whose images were all looked at.
  void find_classes(bool reads_on) {
    const auto count = static_cast<size_t>(list_.num_classes());
    std::vector<char> looked(list_.size()), readable(list_.size());
    for (const uint32_t i : chosen_) looked[i] = readable[i] = 1;
    for (const Broken& b : broken_) readable[b.sample] = 0;
    std::vector<size_t> images(count);
    std::vector<char> settled(count);
    for (size_t i = 0; i < list_.size(); ++i) {
      const auto c = static_cast<size_t>(list_.label(i));
      ++images[c];
      if (readable[i]) settled[c] = 1;
    }
    std::vector<size_t> open;
    for (size_t c = 0; c < count; ++c)
      if (images[c] > 0 && !settled[c]) open.push_back(c);
    if (open.empty()) return;
    std::vector<std::vector<uint32_t>> rest(count);
    for (size_t i = 0; i < list_.size(); ++i) {
      const auto c = static_cast<size_t>(list_.label(i));
      if (!settled[c] && !looked[i]) rest[c].push_back(static_cast<uint32_t>(i));
    }
    std::string dead;  // this rank's classes without a readable image
    for (const size_t c : own(open)) {
      if (!reads_on && !rest[c].empty()) continue;
      if (!data::any_readable(list_, rest[c], more_)) dead += std::to_string(c) + " ";
    }
    for (const std::string& text :
         world_ ? world_->exchange("classes that cannot be read", dead) : std::vector<std::string>{dead})
      for (const char *at = text.data(), *const end = at + text.size(); at < end;) {
        size_t c = 0;
        at = std::from_chars(at, end, c).ptr + 1;
        classes_.push_back({c, images[c]});
      }
    std::sort(classes_.begin(), classes_.end(), [](const Class& a, const Class& b) { return a.number < b.number; });
  }

  std::string of_the_sample() const {
    return is_sample() ? "of " + grouped(chosen_.size()) + " " + what_ + " that were looked at, " : "";
  }

  std::string message(bool too_many) const {
    std::string text = list_.folder() + ": ";
    if (too_many)
      text += grouped(broken_.size()) + " of " + grouped(chosen_.size()) + " " + what_ +
              (is_sample() ? " that were looked at" : "") +
              format(" (%.3g %%)", 100.0 * static_cast<double>(broken_.size()) / static_cast<double>(chosen_.size())) +
              " cannot be read, more than --max-broken " + format("%g", options_.max_broken) + " %";
    if (!classes_.empty()) {
      text += too_many ? "\n  " : "";
      text += "no image can be read of " + (classes_.size() == 1 ? "class " : grouped(classes_.size()) + " classes: ");
      for (size_t i = 0; i < std::min(kShown, classes_.size()); ++i)
        text += (i ? ", " : "") + name_of(classes_[i].number) + " (" + grouped(classes_[i].images) +
                (classes_[i].images == 1 ? " image)" : " images)");
      if (classes_.size() > kShown) text += " and " + grouped(classes_.size() - kShown) + " more";
    }
    if (const std::string kinds = data::unread_text(kinds_); !kinds.empty()) text += "\n  " + kinds;
    std::vector<Broken> files = broken_;
    files.insert(files.end(), more_.begin(), more_.end());
    std::stable_sort(files.begin(), files.end(),
                     [](const Broken& a, const Broken& b) { return a.kind.empty() > b.kind.empty(); });
    for (size_t i = 0; i < std::min(kShown, files.size()); ++i)
      text += "\n  " + files[i].name + (files[i].reason.empty() ? "" : ": " + files[i].reason);
    return text + "\n`moproc data check " + in_shell(data_folder(list_.folder())) +
           "` names all of them; --max-broken 100 goes on without them";
  }

  std::string name_of(size_t c) const {
    return c < list_.classes().size() ? list_.classes().name(c) : std::to_string(c);
  }

  struct Class {
    size_t number, images;
  };

  data::Dataset& list_;
  const std::string what_;
  ReadableOptions options_;
  comm::World* const world_;
  Console& console_;
  std::vector<uint32_t> chosen_;
  std::vector<Broken> broken_;  // of the chosen images
  std::vector<Broken> more_;    // found by this rank while it looked for a readable image of a class
  std::vector<Class> classes_;  // without a readable image
  data::KindCounts kinds_;
};

}  // namespace

void require_readable(data::Dataset& list, const std::string& what, const ReadableOptions& options, comm::World* world,
                      Console& console) {
  Check(list, what, options, world, console).run();
}

}  // namespace moproc::train
