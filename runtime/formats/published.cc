// Parameters of a PyTorch optimizer have no names, only positions: the i-th id of param_groups[0].params is the i-th
// parameter of the state_dict.
#include "formats/published.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <set>

#include "core/error.h"
#include "core/json.h"
#include "formats/published_names.h"

namespace moproc::formats {
namespace {

constexpr std::string_view kParallel = "module.";
constexpr const char* kGroupNumbers[] = {"lr", "momentum", "weight_decay"};
constexpr double kPublishedNumbers[] = {0.1, 0.9, 1e-4};  // their values if a file has none

std::string list(const std::vector<std::string>& items) {
  std::string text;
  for (const std::string& item : items) text += (text.empty() ? "" : ", ") + shown(item);
  return text;
}

/// Reads {name: tensor}. Throws InputError for other members.
std::vector<NamedTensor> named_tensors(const Dict& dict, const std::string& what) {
  std::vector<NamedTensor> tensors;
  for (const auto& [key, value] : dict.members) {
    if (!key.text()) throw InputError(what + ": has a key that is not a name");
    if (!value.tensor()) throw InputError(what + ": " + shown(*key.text()) + " is " + value.kind() + ", not a tensor");
    tensors.push_back({*key.text(), *value.tensor()});
  }
  if (tensors.empty()) throw InputError(what + ": has no tensor");
  return tensors;
}

void strip_parallel(std::vector<NamedTensor>& tensors) {
  const auto wrapped = [](const NamedTensor& t) {
    return t.name.size() > kParallel.size() && t.name.starts_with(kParallel);
  };
  if (!std::all_of(tensors.begin(), tensors.end(), wrapped)) return;
  for (NamedTensor& t : tensors) t.name.erase(0, kParallel.size());
}

/// Reads an optimizer's state_dict into c.momentum and c.metadata.
class OptimizerReader {
 public:
  OptimizerReader(Checkpoint& c, const std::string& where) : c_(c), where_(where + ": optimizer") {}

  void read(const Value& optimizer) {
    const Value* const groups = optimizer.dict() ? optimizer.dict()->find("param_groups") : nullptr;
    const Value* const state = optimizer.dict() ? optimizer.dict()->find("state") : nullptr;
    if (!groups || !groups->sequence() || !state || !state->dict()) fail("is not {state, param_groups}");
    if (groups->sequence()->items.size() != 1)
      fail("has " + std::to_string(groups->sequence()->items.size()) + " parameter groups; one is read");
    const Dict* const group = groups->sequence()->items[0].dict();
    if (!group) fail("param_groups[0] is not a dict");
    read_numbers(*group);
    read_state(*state->dict(), places(*group));
  }

 private:
  [[noreturn]] void fail(const std::string& what) const { throw InputError(where_ + ": " + what); }

  void read_numbers(const Dict& group) {
    for (const char* const name : kGroupNumbers) {
      const Value* const v = group.find(name);
      if (!v) continue;
      if (!v->real() && !v->integer()) fail(std::string("param_groups[0].") + name + " is " + v->kind());
      std::string text;
      write_json(text, v->real() ? *v->real() : static_cast<double>(*v->integer()));
      c_.metadata[name] = text;
    }
    const Value* const nesterov = group.find("nesterov");
    if (nesterov && nesterov->boolean() && *nesterov->boolean())
      c_.left_out.push_back("optimizer: that it uses Nesterov momentum");
  }

  /// Maps each id to an index into c_.tensors.
  std::map<int64_t, size_t> places(const Dict& group) const {
    const Value* const params = group.find("params");
    if (!params || !params->sequence()) fail("param_groups[0].params is not a list");
    std::vector<size_t> parameters;
    for (size_t i = 0; i < c_.tensors.size(); ++i)
      if (is_parameter(c_.tensors[i].name)) parameters.push_back(i);
    const std::vector<Value>& ids = params->sequence()->items;
    if (ids.size() != parameters.size())
      fail("param_groups[0].params lists " + std::to_string(ids.size()) + " parameters, the state_dict has " +
           std::to_string(parameters.size()));
    std::map<int64_t, size_t> places;
    for (size_t i = 0; i < ids.size(); ++i) {
      if (!ids[i].integer()) fail("param_groups[0].params[" + std::to_string(i) + "] is " + ids[i].kind());
      if (!places.emplace(*ids[i].integer(), parameters[i]).second)
        fail("param_groups[0].params has " + std::to_string(*ids[i].integer()) + " twice");
    }
    return places;
  }

  void read_state(const Dict& state, const std::map<int64_t, size_t>& places) {
    std::map<size_t, const Tensor*> found;  // in the order of parameters
    std::set<std::string> others;
    for (const auto& [id, entry] : state.members) {
      const auto place = id.integer() ? places.find(*id.integer()) : places.end();
      if (place == places.end())
        fail("state has the key " + (id.text() ? in_quotes(*id.text()) : std::to_string(*id.integer())) +
             ", which is none of the parameters");
      const NamedTensor& parameter = c_.tensors[place->second];
      if (!entry.dict()) fail("the state of " + shown(parameter.name) + " is " + entry.kind());
      for (const auto& [key, value] : entry.dict()->members) {
        if (!key.text() || *key.text() != "momentum_buffer") {
          others.insert(key.text() ? *key.text() : "a number");
        } else if (!value.is_none()) {
          check_momentum(parameter, value);
          found[place->second] = value.tensor();
        }
      }
    }
    for (const auto& [place, tensor] : found) c_.momentum.push_back({c_.tensors[place].name, *tensor});
    for (const std::string& name : others)
      c_.left_out.push_back("optimizer: " + shown(name) + ", which SGD with momentum does not have");
  }

  void check_momentum(const NamedTensor& parameter, const Value& value) const {
    const std::string what = "the momentum of " + shown(parameter.name);
    if (!value.tensor()) fail(what + " is " + value.kind());
    if (value.tensor()->shape != parameter.tensor.shape || value.tensor()->dtype != parameter.tensor.dtype)
      fail(what + " is " + show_type(*value.tensor()) + ", the parameter " + show_type(parameter.tensor));
  }

  Checkpoint& c_;
  std::string where_;
};

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

Checkpoint from_published(const Dict& root, const std::string& where) {
  Checkpoint c;
  c.kind = CheckpointKind::published;
  const Value& state = *root.find("state_dict");
  if (!state.dict()) throw InputError(where + ": state_dict is " + state.kind());
  c.tensors = named_tensors(*state.dict(), where + ": state_dict");
  strip_parallel(c.tensors);
  if (const Value* optimizer = root.find("optimizer")) OptimizerReader(c, where).read(*optimizer);
  if (const Value* run = root.find("moproc")) c.metadata = run_metadata(*run, where);
  if (const Value* arch = root.find("arch")) {
    if (!arch->text()) throw InputError(where + ": arch is " + arch->kind() + ", not text");
    c.metadata["arch"] = *arch->text();
  }
  if (const Value* epoch = root.find("epoch")) {
    if (!epoch->integer() || *epoch->integer() < 0) throw InputError(where + ": epoch is not a whole number from 0");
    const std::string text = std::to_string(*epoch->integer());
    if (c.of_run() && c.metadata["epoch"] != text)
      throw InputError(where + ": epoch is " + text + ", but moproc.epoch " + in_quotes(c.metadata["epoch"]));
    c.metadata["epoch"] = text;
  }
  constexpr std::string_view kKnown[] = {"epoch", "arch", "state_dict", "optimizer", "moproc"};
  for (const auto& [key, value] : root.members)
    if (!key.text() || std::find(std::begin(kKnown), std::end(kKnown), *key.text()) == std::end(kKnown))
      c.left_out.push_back(key.text() ? *key.text() : "a member whose key is a number");
  return c;
}

Checkpoint from_state_dict(const Dict& root, const std::string& where) {
  Checkpoint c;
  c.kind = CheckpointKind::state_dict;
  c.tensors = named_tensors(root, where);
  strip_parallel(c.tensors);
  return c;
}

Checkpoint from_model(const Dict& root, const std::string& where) {
  Checkpoint c;
  c.kind = CheckpointKind::detectron2;
  c.tensors = named_tensors(*root.find("model")->dict(), where + ": model");
  std::vector<std::string> others;
  for (const auto& [key, value] : root.members)
    if (key.text() && *key.text() != "model" && *key.text() != "__author__" && *key.text() != "matching_heuristics")
      others.push_back(*key.text());
  if (!others.empty()) c.left_out.push_back(list(others));
  return c;
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
