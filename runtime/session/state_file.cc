#include "session/state_file.h"

#include <algorithm>
#include <string_view>
#include <unordered_map>

#include "core/error.h"
#include "core/layout.h"
#include "formats/own_file.h"

namespace moproc {

using namespace formats;

namespace {

bool fits(const Tensor& t, const TensorInfo& want) {
  return t.dtype == want.dtype && std::equal(t.shape.begin(), t.shape.end(), want.shape, want.shape + want.rank);
}

bool of_optimizer(std::string_view name) { return name.starts_with(kOptimizerPrefix); }

/// The tensors of a file by the plan's names, which give momenta a prefix.
std::unordered_map<std::string, const Tensor*> by_name(const Checkpoint& c, bool with_optimizer = true) {
  std::unordered_map<std::string, const Tensor*> tensors;
  for (const NamedTensor& t : c.tensors) tensors.emplace(t.name, &t.tensor);
  for (const NamedTensor& t : c.training)
    if (with_optimizer || !of_optimizer(t.name)) tensors.emplace(t.name, &t.tensor);
  if (!with_optimizer) return tensors;
  for (const NamedTensor& t : c.momentum) tensors.emplace(kMomentumPrefix + t.name, &t.tensor);
  return tensors;
}

/// A tensor of the session, and the file's tensor; null: set to zero.
struct Match {
  int tensor;
  const Tensor* from;
};

/// Pairs all of `wanted` with tensors of the file. Throws InputError if one is missing, does not fit, or is left over.
std::vector<Match> match_tensors(const Checkpoint& c, const Session& session, const std::vector<int>& wanted,
                                 bool zero_optimizer, std::vector<std::string>& notes) {
  std::unordered_map<std::string, const Tensor*> have = by_name(c, !zero_optimizer);
  std::vector<Match> matches;
  int momenta = 0, counters = 0;
  for (const int t : wanted) {
    const TensorInfo& want = session.info(t);
    const auto found = have.find(want.name);
    const std::string_view name(want.name);
    int* const absent = of_optimizer(name) ? &momenta : name.ends_with("num_batches_tracked") ? &counters : nullptr;
    if (found == have.end()) {
      if (is_training_state(name) && !of_optimizer(name) && c.of_run()) continue;  // dropout, which begins now
      const bool may_lack = absent == &momenta ? zero_optimizer || !c.has_whole_state() : !c.has_whole_state();
      if (!absent || !may_lack) throw InputError(c.path + ": " + missing(c, want.name));
      ++*absent;
      matches.push_back({t, nullptr});
      continue;
    }
    if (!fits(*found->second, want))
      throw InputError(c.path + ": tensor " + want.name + " is " + show_type(*found->second) + ", the artefact needs " +
                       show_type(want));
    matches.push_back({t, found->second});
    have.erase(found);
  }
  std::erase_if(have, [&](const auto& t) {  // of dropout, which the run no longer has
    return is_training_state(t.first) && !of_optimizer(t.first) && c.of_run();
  });
  if (!have.empty()) throw InputError(c.path + ": the artefact has no tensor " + shown(have.begin()->first));
  const auto say = [&](int n, const char* what) {
    if (n > 0)
      notes.push_back(c.path + " has no " + what + " for " + std::to_string(n) + " tensors: they begin with zero");
  };
  if (!zero_optimizer) say(momenta, "momentum");
  say(counters, "BatchNorm counter");
  return matches;
}

}  // namespace

std::vector<int> saved_tensors(const Plan& plan) {
  std::vector<int> tensors;
  for (const StateInfo& s : plan.state)
    if (s.role != Role::derived) tensors.push_back(s.tensor);
  return tensors;
}

void require_state_file(const std::string& path) {
  require_safetensors(path, kStateFormat, "a file of an artefact's state");
}

void save_state(const std::string& path, const Session& session, Metadata metadata) {
  require_state_file(path);
  const Plan& plan = session.plan();
  metadata["format"] = kStateFormat;
  metadata["artefact"] = plan.name;
  metadata["plan_digest"] = plan.digest;
  const std::vector<int> saved = saved_tensors(plan);
  std::vector<TensorEntry> entries;
  for (const int t : saved) {
    const TensorInfo& info = session.info(t);
    entries.push_back({info.name, info.dtype, {info.shape, info.shape + info.rank}});
  }
  write_safetensors(path, std::move(entries), std::move(metadata),
                    [&](size_t i, std::span<std::byte> bytes) { session.get(saved[i], bytes); });
}

std::vector<std::string> set_state(const Checkpoint& from, Session& session, bool zero_optimizer) {
  std::vector<std::string> notes;
  const std::vector<Match> matches = match_tensors(from, session, saved_tensors(session.plan()), zero_optimizer, notes);
  std::vector<std::byte> buffer;
  for (const Match& m : matches) {
    const size_t bytes = static_cast<size_t>(session.info(m.tensor).bytes);
    if (m.from) session.set(m.tensor, row_major_bytes(*m.from, buffer));
    else session.set(m.tensor, std::vector<std::byte>(bytes));
  }
  return notes;
}

void set_initial(const Checkpoint& from, Session& session) {
  const auto& state = session.plan().state;
  const auto root = [&](const StateInfo& s) {
    const StateInfo* of = &s;
    while (of->init == InitKind::copy) of = &state[static_cast<size_t>(of->copy_of)];
    return of->tensor;
  };
  std::vector<std::byte> buffer;
  for (const NamedTensor& t : from.tensors) {
    const int tensor = session.find_tensor(t.name);
    if (tensor < 0) throw InputError(from.path + ": the artefact has no tensor " + shown(t.name));
    if (const TensorInfo& want = session.info(tensor); !fits(t.tensor, want))
      throw InputError(from.path + ": tensor " + t.name + " is " + show_type(t.tensor) + ", the artefact needs " +
                       show_type(want));
    const ByteSpan bytes = row_major_bytes(t.tensor, buffer);
    for (const StateInfo& s : state)
      if (s.role != Role::derived && root(s) == tensor) session.set(s.tensor, bytes);
  }
}

bool equals_state(const Checkpoint& from, const Session& session) {
  const std::unordered_map<std::string, const Tensor*> have = by_name(from);
  std::vector<std::byte> buffer, now;
  for (const int t : saved_tensors(session.plan())) {
    const auto found = have.find(session.info(t).name);
    if (found == have.end()) return false;
    now.resize(static_cast<size_t>(session.info(t).bytes));
    session.get(t, now);
    if (!std::ranges::equal(row_major_bytes(*found->second, buffer), now)) return false;
  }
  return true;
}

}  // namespace moproc
