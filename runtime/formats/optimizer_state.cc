#include "formats/optimizer_state.h"

#include <cmath>
#include <map>
#include <set>

#include "core/error.h"
#include "core/json.h"
#include "formats/published_names.h"

namespace moproc::formats {
namespace {

constexpr const char* kGroupNumbers[] = {"lr", "momentum", "weight_decay"};

/// Settings of a parameter group that tell which optimizer it is, and values per parameter that do.
struct OptimizerKey {
  std::string_view key;
  const char* optimizer;
};
constexpr OptimizerKey kSettings[] = {
    {"betas", "Adam"},        {"centered", "RMSprop"},
    {"alpha", "RMSprop"},     {"trust_coefficient", "LARS"},
    {"trust_coeff", "LARS"},  {"trust_coef", "LARS"},
    {"trust_clip", "LARS"},   {"always_adapt", "LARS"},
    {"eta", "LARS"},          {"lars_adaptation_filter", "LARS"},
    {"lars_exclude", "LARS"}, {"rho", "Adadelta or SAM"},
    {"lr_decay", "Adagrad"},  {"lambd", "ASGD"},
    {"etas", "Rprop"},
};
constexpr OptimizerKey kValues[] = {
    {"exp_avg", "Adam"}, {"exp_avg_sq", "Adam"}, {"square_avg", "RMSprop"}, {"acc_delta", "Adadelta"}, {"mu", "LARS"},
    {"sum", "Adagrad"},  {"ax", "ASGD"},         {"step_size", "Rprop"},
};

/// The optimizer whose mark is `key`; null if it is none.
template <size_t N>
const char* optimizer_of(const OptimizerKey (&marks)[N], std::string_view key) {
  for (const OptimizerKey& m : marks)
    if (key == m.key) return m.optimizer;
  return nullptr;
}

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
    check_settings(*group);
    read_numbers(*group);
    read_state(*state->dict(), places(*group));
    if (!state->dict()->members.empty() && c_.momentum.empty())
      fail("has no momentum (momentum_buffer) for any parameter");
  }

 private:
  [[noreturn]] void fail(const std::string& what) const { throw InputError(what); }

  /// Fails if there are values per parameter, but no momentum_buffer, or values beside it that another optimizer needs.
  void check_kind(const Dict& state) const {
    std::set<std::string> keys;
    for (const auto& [id, entry] : state.members)
      if (entry.dict())
        for (const auto& [key, value] : entry.dict()->members)
          keys.insert(key.text() ? shown(*key.text()) : key.kind());
    const char* other = nullptr;
    for (const std::string& key : keys) other = other ? other : optimizer_of(kValues, key);
    const bool momentum = keys.count("momentum_buffer") > 0;
    if (keys.empty() || (momentum && !other)) return;
    std::string text;
    for (const std::string& key : keys)
      if (key != "momentum_buffer") text += (text.empty() ? "" : ", ") + key;
    fail("is not SGD with momentum: its state has " + text + (other ? " (" + std::string(other) + "'s)" : "") +
         (momentum ? "" : ", and no momentum_buffer"));
  }

  /// Fails if the settings are another optimizer's, or of an SGD whose momentum means something else.
  void check_settings(const Dict& group) const {
    for (const auto& [key, value] : group.members)
      if (const char* const other = key.text() ? optimizer_of(kSettings, *key.text()) : nullptr)
        fail("is not SGD with momentum: its settings are " + std::string(other) + "'s (" + *key.text() + ")");
    const Value* const dampening = group.find("dampening");
    if (dampening && !(dampening->integer() && *dampening->integer() == 0) &&
        !(dampening->real() && *dampening->real() == 0))
      fail("has dampening " +
           (dampening->real() || dampening->integer() ? show(number_of(*dampening)) : "that is " + dampening->kind()) +
           ": its momentum was made of gradients that were made smaller, and training here has no dampening");
    const Value* const maximize = group.find("maximize");
    if (maximize && !(maximize->boolean() && !*maximize->boolean()) && !maximize->is_none())
      fail("has maximize: its momentum points the other way, and training here only minimizes");
  }

  static double number_of(const Value& v) { return v.real() ? *v.real() : static_cast<double>(*v.integer()); }

  static std::string show(double v) {
    std::string text;
    write_json(text, v);
    return text;
  }

  void read_numbers(const Dict& group) {
    for (const char* const name : kGroupNumbers) {
      const Value* const v = group.find(name);
      if (!v) continue;
      if (!v->real() && !v->integer()) fail(std::string("has param_groups[0].") + name + " that is " + v->kind());
      if (!std::isfinite(number_of(*v))) fail(std::string("has param_groups[0].") + name + " that is not finite");
      c_.metadata[name] = show(number_of(*v));
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
  try {
    OptimizerReader(c).read(optimizer);
  } catch (const InputError& e) {
    c.optimizer_fault = e.what();
    c.momentum.clear();
    for (const char* const name : kGroupNumbers) c.metadata.erase(name);
  }
}

}  // namespace moproc::formats
