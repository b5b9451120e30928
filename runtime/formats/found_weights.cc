#include "formats/found_weights.h"

#include <algorithm>
#include <optional>

#include "core/error.h"

namespace moproc::formats {
namespace {

/// The keys under which programs save weights. Those of a moving average come last: a run continues with the weights
/// that were trained.
constexpr std::string_view kKeys[] = {
    "state_dict",
    "model_state_dict",
    "model_state",
    "model",
    "net_state_dict",
    "net",
    "network",
    "weights",
    "params",
    "module",
    "backbone",
    "encoder",
    "teacher",
    "student",
    "ema",
    "model_ema",
    "model_ema_state_dict",
    "ema_state_dict",
    "state_dict_ema",
    "ema_model",
    "ema_network",
    "shadow",
};
constexpr size_t kUnknown = std::size(kKeys);
constexpr int kDepth = 3;  // dicts in dicts

size_t place_of(std::string_view key) {
  return static_cast<size_t>(std::find(std::begin(kKeys), std::end(kKeys), key) - std::begin(kKeys));
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
  explicit Search(const Dict& root) {
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
      const size_t here = place_of(*key.text()), first = place.value_or(here);
      const std::string name = path + *key.text();
      const Dict& inner = *value.dict();
      if (any_layer(inner) || (here != kUnknown && any_tensor(inner))) found_.push_back({name, &inner, first});
      else if (depth < kDepth) visit(inner, name + ".", first, depth + 1);
    }
  }

  std::vector<Candidate> found_;
};

std::string list(const std::vector<Candidate>& candidates) {
  std::string text;
  for (const Candidate& c : candidates) text += (text.empty() ? "" : ", ") + shown(c.path);
  return text;
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
  for (const auto& [key, value] : root.members)
    if (key.text() && place_of(*key.text()) < place) place = place_of(*key.text()), first = &value;
  if (first) refuse_value(std::string(kKeys[place]), *first, where);
  for (const auto& [key, value] : root.members)
    if (!value.tensor())
      throw InputError(where + ": has no weights: " + (key.text() ? shown(*key.text()) : "a member") + " is " +
                       value.kind() + ", not a tensor");
  throw InputError(where + ": has no tensor");
}

}  // namespace

FoundWeights find_weights(const Dict& root, const std::string& key, const std::string& where) {
  const std::vector<Candidate> found = Search(root).found();
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
  FoundWeights result{chosen->path, chosen->dict, prefix, {}};
  for (auto c = found.begin(); c != found.end(); ++c)
    if (c != chosen) result.others.push_back(c->path);
  return result;
}

}  // namespace moproc::formats
