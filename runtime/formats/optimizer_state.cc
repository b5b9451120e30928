#include "formats/optimizer_state.h"

#include <map>
#include <set>

#include "core/error.h"
#include "core/json.h"
#include "formats/published_names.h"

namespace moproc::formats {
namespace {

constexpr const char* kGroupNumbers[] = {"lr", "momentum", "weight_decay"};

std::string key_of(const Value& key) {
  return key.text() ? in_quotes(*key.text()) : key.integer() ? std::to_string(*key.integer()) : key.kind();
}

class OptimizerReader {
 public:
  explicit OptimizerReader(Checkpoint& c) : c_(c) {}

  void read(const Value& optimizer) {
    const Value* const groups = optimizer.dict() ? optimizer.dict()->find("param_groups") : nullptr;
    const Value* const state = optimizer.dict() ? optimizer.dict()->find("state") : nullptr;
    if (!groups || !groups->sequence() || !state || !state->dict())
      fail("is not {state, param_groups}, but " + optimizer.kind());
    check_kind(*state->dict());
    if (groups->sequence()->items.size() != 1)
      fail("has " + std::to_string(groups->sequence()->items.size()) + " parameter groups; one is read");
    const Dict* const group = groups->sequence()->items[0].dict();
    if (!group) fail("has param_groups[0] that is not a dict");
    if (group->find("betas"))
      fail("is not SGD with momentum: its settings are Adam's (betas), and it has no momentum_buffer");
    read_numbers(*group);
    read_state(*state->dict(), places(*group));
    if (!state->dict()->members.empty() && c_.momentum.empty())
      fail("has no momentum (momentum_buffer) for any parameter");
  }

 private:
  [[noreturn]] void fail(const std::string& what) const { throw InputError(what); }

  /// Fails if there are values per parameter, but no momentum_buffer, as Adam's.
  void check_kind(const Dict& state) const {
    std::set<std::string> keys;
    for (const auto& [id, entry] : state.members)
      if (entry.dict())
        for (const auto& [key, value] : entry.dict()->members)
          keys.insert(key.text() ? shown(*key.text()) : key.kind());
    if (keys.empty() || keys.count("momentum_buffer") > 0) return;
    std::string text;
    for (const std::string& key : keys) text += (text.empty() ? "" : ", ") + key;
    fail("is not SGD with momentum: its state has " + text + (keys.count("exp_avg") > 0 ? " (Adam's)" : "") +
         ", and no momentum_buffer");
  }

  void read_numbers(const Dict& group) {
    for (const char* const name : kGroupNumbers) {
      const Value* const v = group.find(name);
      if (!v) continue;
      if (!v->real() && !v->integer()) fail(std::string("has param_groups[0].") + name + " that is " + v->kind());
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
    if (!params || !params->sequence()) fail("has no list param_groups[0].params");
    std::vector<size_t> parameters;
    for (size_t i = 0; i < c_.tensors.size(); ++i)
      if (is_parameter(c_.tensors[i].name)) parameters.push_back(i);
    const std::vector<Value>& ids = params->sequence()->items;
    if (ids.size() != parameters.size())
      fail("lists " + std::to_string(ids.size()) + " parameters, the state_dict has " +
           std::to_string(parameters.size()));
    std::map<int64_t, size_t> places;
    for (size_t i = 0; i < ids.size(); ++i) {
      if (!ids[i].integer()) fail("has param_groups[0].params[" + std::to_string(i) + "] that is " + ids[i].kind());
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
      if (place == places.end()) fail("state has the key " + key_of(id) + ", which is none of the parameters");
      const NamedTensor& parameter = c_.tensors[place->second];
      if (!entry.dict()) fail("the state of " + shown(parameter.name) + " is " + entry.kind());
      for (const auto& [key, value] : entry.dict()->members) {
        if (!key.text() || *key.text() != "momentum_buffer") {
          others.insert(key.text() ? *key.text() : key.kind());
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
    if (value.tensor()->shape != parameter.tensor.shape || !is_floating(value.tensor()->dtype))
      fail(what + " is " + show_type(*value.tensor()) + ", the parameter " + show_type(parameter.tensor));
  }

  Checkpoint& c_;
};

}  // namespace

void read_optimizer(const Value& optimizer, Checkpoint& c) {
  c.has_optimizer = true;
  try {
    OptimizerReader(c).read(optimizer);
  } catch (const InputError& e) {
    c.optimizer_fault = e.what();
    c.momentum.clear();
    for (const char* const name : kGroupNumbers) c.metadata.erase(name);
  }
}

}  // namespace moproc::formats
