#include "formats/found_weights.h"

#include <algorithm>
#include <optional>
#include <span>

#include "core/error.h"

namespace moproc::formats {
namespace {

/// The keys under which programs save weights that were trained.
constexpr std::string_view kKeys[] = {
    "state_dict", "model_state_dict", "model_state", "model",    "net_state_dict", "net",     "network",
    "weights",    "params",           "module",      "backbone", "encoder",        "student",
};
/// Words of names of weights that follow others as a moving average: "teacher", "model_ema", "ema_state_dict".
constexpr std::string_view kAverages[] = {"ema",    "teacher", "average", "averaged", "avg",
                                          "shadow", "swa",     "target",  "momentum"};
/// The places of weights behind those of the list above: averages come last of what is known, because a run continues
/// with the weights that were trained.
constexpr size_t kAverage = std::size(kKeys), kUnknown = kAverage + 1;
constexpr int kDepth = 3;  // dicts in dicts
constexpr size_t kMostCandidates = 1000;

size_t place_of(std::string_view key) {
  const size_t place = static_cast<size_t>(std::find(std::begin(kKeys), std::end(kKeys), key) - std::begin(kKeys));
  return place < std::size(kKeys) ? place : is_average(key) ? kAverage : kUnknown;
}

bool any_tensor(const Dict& d) {
  return std::any_of(d.members.begin(), d.members.end(),
                     [](const auto& m) { return m.first.text() && m.second.tensor(); });
}

/// Whether a tensor has a name such as layer1.weight, which tells that the dict is a network's.
bool any_layer(const Dict& d) {
  return std::any_of(d.members.begin(), d.members.end(), [](const auto& m) {
    return m.first.text() && m.first.text()->find('.') != std::string::npos && m.second.tensor() &&
           is_floating(m.second.tensor()->dtype);
  });
}

bool all_tensors(const Dict& d) {
  return !d.members.empty() && std::all_of(d.members.begin(), d.members.end(),
                                           [](const auto& m) { return m.first.text() && m.second.tensor(); });
}

struct Candidate {
  std::string path;
  const Dict* dict;
  size_t place;  // of the first key in the list above
};

class Search {
 public:
  Search(const Dict& root, const std::string& where) : where_(where) {
    if (any_layer(root) || all_tensors(root)) found_.push_back({"", &root, 0});
    else visit(root, "", std::nullopt, 1);
    std::stable_sort(found_.begin(), found_.end(),
                     [](const Candidate& a, const Candidate& b) { return a.place < b.place; });
  }
  const std::vector<Candidate>& found() const { return found_; }

 private:
  void visit(const Dict& d, const std::string& path, std::optional<size_t> place, int depth) {
    for (const auto& [key, value] : d.members) {
      if (!key.text() || !value.dict()) continue;
      if (path.size() + key.text()->size() > kMaxTensorName)
        throw InputError(where_ + ": a dict in it has a name of " + std::to_string(path.size() + key.text()->size()) +
                         " bytes, which begins with " + shown((path + key.text()->substr(0, 40)).substr(0, 40)) +
                         "; at most " + std::to_string(kMaxTensorName) + " are read");
      const size_t here = place_of(*key.text());
      const size_t first = here == kAverage ? here : place.value_or(here);
      const std::string name = path + *key.text();
      const Dict& inner = *value.dict();
      if (any_layer(inner) || (here != kUnknown && any_tensor(inner))) add({name, &inner, first});
      else if (depth < kDepth) visit(inner, name + ".", first, depth + 1);
    }
  }

  void add(Candidate c) {
    if (found_.size() == kMostCandidates)
      throw InputError(where_ + ": has more than " + std::to_string(kMostCandidates) +
                       " dicts that could be a network's weights, such as " + shown(c.path));
    found_.push_back(std::move(c));
  }

  const std::string& where_;
  std::vector<Candidate> found_;
};

std::string list(const std::vector<Candidate>& candidates) {
  constexpr size_t kShown = 20;
  std::string text;
  for (const Candidate& c : std::span(candidates).first(std::min(candidates.size(), kShown)))
    text += (text.empty() ? "" : ", ") + shown(c.path);
  return text + (candidates.size() > kShown ? " and " + std::to_string(candidates.size() - kShown) + " more" : "");
}

/// Why `value`, which should have weights, has none.
[[noreturn]] void refuse_value(const std::string& name, const Value& value, const std::string& where) {
  const std::string remedy =
      value.opaque() ? "; in Python, save its weights alone: torch.save(model.state_dict(), FILE)" : "";
  if (!value.dict()) throw InputError(where + ": " + name + " is " + value.kind() + remedy);
  for (const auto& [key, member] : value.dict()->members) {
    const std::string full = name + ": " + (key.text() ? shown(*key.text()) : "a member whose key is " + key.kind());
    if (!member.tensor()) throw InputError(where + ": " + full + " is " + member.kind() + ", not a tensor");
  }
  throw InputError(where + ": " + name + ": has no tensor");
}

[[noreturn]] void refuse_root(const Dict& root, const std::string& where) {
  const Value* first = nullptr;
  size_t place = kUnknown;
  std::string name;
  for (const auto& [key, value] : root.members)
    if (key.text() && place_of(*key.text()) < place)
      place = place_of(*key.text()), name = shown(*key.text()), first = &value;
  if (first) refuse_value(name, *first, where);
  for (const auto& [key, value] : root.members)
    if (!value.tensor())
      throw InputError(where + ": has no weights: " + (key.text() ? shown(*key.text()) : "a member") + " is " +
                       value.kind() + ", not a tensor");
  throw InputError(where + ": has no tensor");
}

}  // namespace

bool is_average(std::string_view path) {
  if (("." + std::string(path) + ".").find(".encoder_k.") != std::string::npos) return true;  // MoCo's and MoPro's
  for (size_t begin = 0, end = 0; end != std::string_view::npos; begin = end + 1) {
    end = path.find_first_of("._", begin);
    const std::string_view word = path.substr(begin, end == std::string_view::npos ? end : end - begin);
    if (std::find(std::begin(kAverages), std::end(kAverages), word) != std::end(kAverages)) return true;
  }
  return false;
}

FoundWeights find_weights(const Dict& root, const std::string& key, const std::string& where) {
  const std::vector<Candidate> found = Search(root, where).found();
  if (found.empty()) refuse_root(root, where);
  auto chosen = found.begin();
  std::string prefix;
  if (!key.empty()) {
    chosen = std::find_if(found.begin(), found.end(),
                          [&](const Candidate& c) { return c.path == key || c.path.starts_with(key + "."); });
    if (chosen == found.end()) {  // then it is the beginning of names, or a path and that
      chosen = std::find_if(found.begin(), found.end(),
                            [&](const Candidate& c) { return !c.path.empty() && key.starts_with(c.path + "."); });
      prefix = (chosen == found.end() ? key : key.substr(chosen->path.size() + 1)) + ".";
      if (chosen == found.end()) chosen = found.begin();
    }
  } else if (found.size() > 1 && chosen->place == kUnknown) {
    throw InputError(where + ": has several networks: " + list(found) +
                     "; moproc convert FILE OUT --weights-key NAME takes one of them");
  }
  const bool trained = chosen == found.begin() && prefix.empty() && !is_average(chosen->path);
  FoundWeights result{chosen->path, chosen->dict, prefix, {}, trained};
  for (auto c = found.begin(); c != found.end(); ++c)
    if (c != chosen) result.others.push_back(c->path);
  return result;
}

}  // namespace moproc::formats
