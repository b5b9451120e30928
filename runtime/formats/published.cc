// Reads checkpoints of the published layout and of other programs, and writes the published layout.
#include "formats/published.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <set>

#include "core/error.h"
#include "core/json.h"
#include "formats/found_weights.h"
#include "formats/optimizer_state.h"
#include "formats/own_file.h"
#include "formats/published_names.h"

namespace moproc::formats {
namespace {

constexpr std::string_view kParallel = "module.";
constexpr std::string_view kWrappers[] = {kParallel, "_orig_mod."};  // DataParallel and its like, torch.compile
constexpr std::string_view kPublishedWeights = "state_dict";
constexpr std::string_view kOptimizers[] = {"optimizer", "optimizer_state_dict", "optimizer_state", "optim"};
constexpr std::string_view kIgnored[] = {"moproc", "__author__", "matching_heuristics", kPickleKey};
constexpr const char* kGroupNumbers[] = {"lr", "momentum", "weight_decay"};
constexpr double kPublishedNumbers[] = {0.1, 0.9, 1e-4};  // their values if a file has none

/// Reads {name: tensor}. Members that are no tensors are left out.
void read_tensors(const Dict& dict, Checkpoint& c) {
  for (const auto& [key, value] : dict.members) {
    if (!key.text()) c.not_tensors.emplace("a member whose key is " + key.kind(), value.kind());
    else if (key.text()->size() > kMaxTensorName && value.tensor())
      throw InputError(c.path + ": " + long_name(*key.text()));
    else if (!value.tensor()) c.not_tensors.emplace(*key.text(), value.kind());
    else c.tensors.push_back({*key.text(), *value.tensor()});
  }
}

/// Removes the prefixes that PyTorch's wrappers of a whole model give to all names, in any order and number.
void strip_wrappers(Checkpoint& c) {
  for (;;) {
    const auto prefix = std::find_if(std::begin(kWrappers), std::end(kWrappers), [&](std::string_view p) {
      return std::all_of(c.tensors.begin(), c.tensors.end(),
                         [&](const NamedTensor& t) { return t.name.size() > p.size() && t.name.starts_with(p); });
    });
    if (c.tensors.empty() || prefix == std::end(kWrappers)) return;
    for (NamedTensor& t : c.tensors) t.name.erase(0, prefix->size());
    c.stripped += *prefix;
  }
}

/// Reads the texts under `moproc`, the metadata of one of our runs.
Metadata run_metadata(const Value& value, const std::string& where) {
  Metadata metadata;
  if (!value.dict()) throw InputError(where + ": moproc is " + value.kind() + ", not a dict");
  for (const auto& [key, v] : value.dict()->members) {
    if (!key.text() || !v.text()) throw InputError(where + ": moproc is not {text: text}");
    metadata[*key.text()] = *v.text();
  }
  return metadata;
}

/// Adds what was not read: members of the weights that are no tensors, and objects that are no data.
Checkpoint with_unread(Checkpoint c, const PickledData& file) {
  constexpr size_t kShown = 20;
  std::string text;
  size_t n = 0;
  for (const auto& [name, kind] : c.not_tensors)
    if (n++ < kShown) text += (text.empty() ? "" : ", ") + shown(name) + " (" + kind + ")";
  if (n > kShown) text += " and " + std::to_string(n - kShown) + " more";
  if (n > 0) c.left_out.push_back("what is no tensor among the weights: " + text);
  size_t objects = 0;
  text.clear(), n = 0;
  for (const auto& [name, count] : file.unread) {
    objects += count;
    if (n++ < kShown) text += (text.empty() ? "" : ", ") + std::to_string(count) + " " + shown(name);
  }
  if (n > kShown) text += " and " + std::to_string(n - kShown) + " more classes";
  if (n > 0)
    c.left_out.push_back(std::to_string(objects) + (objects == 1 ? " object that is" : " objects that are") +
                         " no data: " + text);
  return c;
}

/// Why the optimizer does not fit the weights that were found, as the end of a sentence.
std::string other_weights(const FoundWeights& found, const std::string& weights_key) {
  if (!weights_key.empty())
    return "belongs to the weights that were trained, not to those that --weights-key " + shown(weights_key) + " takes";
  return "belongs to weights that were trained, but " + shown(found.path) + " is their average";
}

/// Reads arch and epoch. Those of another program that cannot be used are returned, with the reason. Throws InputError
/// if the file of a run of ours contradicts itself.
std::map<std::string, std::string> read_place(const Dict& root, Checkpoint& c) {
  std::map<std::string, std::string> unused;
  const auto take = [&](const char* key, const std::string& text, const std::string& fault) {
    if (!c.of_run() && !fault.empty()) {
      unused[key] = fault;
      return;
    }
    if (c.of_run() && c.metadata[key] != text)
      throw InputError(c.path + ": " + key + " is " + shown(text) + ", but moproc." + key + " " +
                       in_quotes(c.metadata[key]));
    c.metadata[key] = text;
  };
  if (const Value* const arch = root.find("arch")) {
    const std::string text = arch->text() ? *arch->text() : arch->kind();
    take("arch", text, arch->text() ? arch_fault(text) : text + ", not text");
  }
  if (const Value* const epoch = root.find("epoch")) {
    const std::string text = epoch->integer() ? std::to_string(*epoch->integer()) : epoch->kind();
    take("epoch", text, epoch->integer() ? epoch_fault(text) : text + ", not a whole number");
  }
  return unused;
}

double group_number(const Checkpoint& c, size_t i) {
  const auto found = c.metadata.find(kGroupNumbers[i]);
  if (found == c.metadata.end()) return kPublishedNumbers[i];
  double v = 0;
  const std::string& text = found->second;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), v);
  if (error != std::errc() || end != text.data() + text.size())
    throw InputError(c.path + ": " + found->first + " is " + in_quotes(text) + ", not a number");
  return v;
}

Value optimizer_of(const Checkpoint& c, const std::vector<NamedTensor>& ordered) {
  Dict state, group, optimizer;
  Sequence params;
  std::map<std::string_view, const Tensor*> momentum;
  for (const NamedTensor& m : c.momentum) momentum.emplace(m.name, &m.tensor);
  for (const NamedTensor& t : ordered) {
    if (!is_parameter(t.name)) continue;
    const int64_t place = static_cast<int64_t>(params.items.size());
    params.items.push_back(Value(place));
    const auto m = momentum.find(t.name);
    if (m == momentum.end()) continue;
    Dict entry;
    entry.add("momentum_buffer", Value(*m->second));
    state.members.emplace_back(Value(place), Value(std::move(entry)));
    momentum.erase(m);
  }
  if (!momentum.empty())
    throw InputError(c.path + ": has momentum for " + shown(momentum.begin()->first) + ", but no such parameter");
  group.add("lr", Value(group_number(c, 0)));
  group.add("momentum", Value(group_number(c, 1)));
  group.add("dampening", Value(int64_t{0}));
  group.add("weight_decay", Value(group_number(c, 2)));
  group.add("nesterov", Value(false));
  group.add("params", Value(std::move(params)));
  optimizer.add("state", Value(std::move(state)));
  optimizer.add("param_groups", Value(Sequence{{Value(std::move(group))}}));
  return Value(std::move(optimizer));
}

}  // namespace

Checkpoint from_pickle(const PickledData& file, const std::string& weights_key, const std::string& where) {
  const Dict& root = *file.root.dict();
  const FoundWeights found = find_weights(root, weights_key, where);
  Checkpoint c;
  c.path = where;
  const Value* const run = root.find("moproc");
  if (run) c.metadata = run_metadata(*run, where);
  read_tensors(*found.dict, c);
  strip_wrappers(c);
  keep_prefix(c, found.prefix);
  if (c.tensors.empty())
    throw InputError("--weights-key " + weights_key + ": " + where + " has no weights under this key, and no tensor " +
                     "whose name begins so");
  if (run) c.stripped.clear();  // a file of ours
  if (!file.checksums)
    c.notes.push_back("has no checksums (torch.serialization.set_crc32_options(False)), so damage is not noticed");
  c.kind = found.path.empty()                                                  ? CheckpointKind::state_dict
           : file.form == PickleForm::plain && found.path != kPublishedWeights ? CheckpointKind::detectron2
                                                                               : CheckpointKind::published;
  if (!found.path.empty() && found.path != kPublishedWeights && c.kind == CheckpointKind::published)
    c.notes.push_back("its weights are those under " + shown(found.path));
  constexpr size_t kShown = 20;
  for (size_t i = 0; i < found.others.size() && i < kShown; ++i)
    c.notes.push_back("has weights under " + shown(found.others[i]) + ", too; moproc convert " + shown(where) +
                      " OUT --weights-key " + shown(found.others[i]) + " takes those");
  if (found.others.size() > kShown)
    c.notes.push_back("has weights under " + std::to_string(found.others.size() - kShown) + " more keys");
  if (found.path.empty()) return with_unread(std::move(c), file);

  std::string_view optimizer_key;
  for (const std::string_view key : kOptimizers)
    if (const Value* const optimizer = root.find(key); optimizer && optimizer_key.empty()) {
      optimizer_key = key;
      if (found.trained) read_optimizer(*optimizer, c);
      else c.optimizer_fault = other_weights(found, weights_key);
    }
  c.of_convert = root.find(kPickleKey) != nullptr;
  const auto unused = read_place(root, c);
  const std::string_view top = std::string_view(found.path).substr(0, found.path.find('.'));
  std::set<std::string_view> said;
  for (const std::string& other : found.others)
    said.insert({other, std::string_view(other).substr(0, other.find('.'))});
  std::string others;
  for (const auto& [key, value] : root.members) {
    const std::string name = key.text() ? *key.text() : "a member whose key is " + key.kind();
    const bool read = name == top || name == optimizer_key ||
                      ((name == "arch" || name == "epoch") && c.metadata.count(name)) ||
                      std::find(std::begin(kIgnored), std::end(kIgnored), name) != std::end(kIgnored);
    if (read || said.contains(name)) continue;
    const auto why = unused.find(name);
    others += (others.empty() ? "" : ", ") + shown(name) + (why == unused.end() ? "" : " (" + why->second + ")");
  }
  if (!others.empty()) c.left_out.push_back(others);
  return with_unread(std::move(c), file);
}

std::vector<NamedTensor> in_published_order(const std::vector<NamedTensor>& tensors) {
  std::vector<std::string> names;
  for (const NamedTensor& t : tensors) names.push_back(t.name);
  std::vector<NamedTensor> ordered;
  for (const size_t i : published_order(names)) ordered.push_back(tensors[i]);
  return ordered;
}

Value to_published(const Checkpoint& c) {
  const std::vector<NamedTensor> ordered = in_published_order(c.tensors);
  Dict state{{}, true}, root;
  for (const NamedTensor& t : ordered) state.add(std::string(kParallel) + t.name, Value(t.tensor));
  const std::string& epoch = c.metadata.at("epoch");
  int64_t number = 0;
  const auto [end, error] = std::from_chars(epoch.data(), epoch.data() + epoch.size(), number);
  if (error != std::errc() || end != epoch.data() + epoch.size() || number < 0)
    throw InputError(c.path + ": epoch is " + in_quotes(epoch) + ", not a whole number");
  root.add("epoch", Value(number));
  root.add("arch", Value(c.metadata.at("arch")));
  root.add("state_dict", Value(std::move(state)));
  root.add("optimizer", optimizer_of(c, ordered));
  if (c.of_run()) {
    Dict run;
    for (const auto& [key, text] : c.metadata)
      if (key != "sha256") run.add(key, Value(text));  // sha256 is the digest of a safetensors file's data
    root.add("moproc", Value(std::move(run)));
  }
  return Value(std::move(root));
}

Value to_state_dict(const Checkpoint& c) {
  Dict state{{}, true};
  for (const NamedTensor& t : in_published_order(c.tensors)) state.add(t.name, Value(t.tensor));
  return Value(std::move(state));
}

}  // namespace moproc::formats
