// Session: construction, names, and the border where logical bytes become stored bytes. Running is in run.cc.
#include "core/session.h"

#include <algorithm>
#include <string>

#include "core/error.h"
#include "core/init.h"
#include "core/layout.h"
#include "cpu/cores.h"

namespace moproc {
namespace {

/// True when `full` is `name`, or `name` behind the program's own name and one separator.
bool is_named(std::string_view full, std::string_view program, std::string_view name) {
  if (full == name) return true;
  if (full.size() != program.size() + 1 + name.size() || !full.starts_with(program) || !full.ends_with(name))
    return false;
  const char separator = full[program.size()];
  return separator == '.' || separator == '/' || separator == ':';
}

int find_named(const Plan& plan, const ProgramInfo& program, const Span<int32_t>& list,
               std::string_view name) {
  for (const int32_t t : list)
    if (is_named(plan.tensors[t].name, program.name, name)) return t;
  return -1;
}

[[noreturn]] void no_such(const Plan& plan, const ProgramInfo& program, const Span<int32_t>& list,
                          const char* what, std::string_view name) {
  std::string text =
      std::string("program ") + program.name + " has no " + what + " " + std::string(name) + "; it has";
  for (const int32_t t : list) text += std::string(" ") + plan.tensors[t].name;
  throw InputError(text);
}

bool cpu_has(std::string_view arch) {
  if (arch == "x86-64" || arch == "x86-64-v1") return true;
  if (arch == "x86-64-v2") return __builtin_cpu_supports("x86-64-v2");
  if (arch == "x86-64-v3") return __builtin_cpu_supports("x86-64-v3");
  if (arch == "x86-64-v4") return __builtin_cpu_supports("x86-64-v4");
  throw InputError("the artefact is compiled for the unknown CPU level " + std::string(arch));
}

/// The plan itself, or InputError: checked before any memory is asked for.
const Plan& checked(const Plan& plan) {
  if (plan.version != 1)
    throw InputError("the artefact's plan has version " + std::to_string(plan.version) +
                     ", this runtime reads 1");
  if (std::string_view(plan.device) != "cpu")
    throw InputError(std::string("the artefact is compiled for ") + plan.device + ", this runtime runs cpu");
  if (!cpu_has(plan.arch))
    throw InputError(std::string("the artefact is compiled for ") + plan.arch +
                     ", which this machine's CPU does not have; compile it with a lower --arch");
  return plan;
}

constexpr int64_t kPage = 4096;

}  // namespace

Session::Session(const Plan& plan, SessionOptions options)
    : plan_(checked(plan)),
      options_(options),
      arenas_{ArenaMemory(plan.arena_bytes[0]), ArenaMemory(plan.arena_bytes[1]),
              ArenaMemory(plan.arena_bytes[2]), ArenaMemory(plan.arena_bytes[3])},
      pool_(options.threads > 0 ? options.threads : usable_cores()),
      scratch_stride_((plan.scratch_bytes + kPage - 1) / kPage * kPage),
      scratch_(scratch_stride_ * pool_.threads()),
      profiler_(plan) {
  for (int32_t t = 0; t < plan.tensors.size; ++t) tensors_.emplace(plan.tensors[t].name, t);
  refresh_ = find_program("refresh");
  bind_steps();
}

int Session::find_program(std::string_view name) const {
  for (int32_t p = 0; p < plan_.programs.size; ++p)
    if (name == plan_.programs[p].name) return p;
  return -1;
}

int Session::program(std::string_view name) const {
  const int found = find_program(name);
  if (found >= 0) return found;
  std::string text = std::string(plan_.name) + " has no program " + std::string(name) + "; it has";
  for (const ProgramInfo& p : plan_.programs) text += std::string(" ") + p.name;
  throw InputError(text);
}

int Session::find_tensor(std::string_view name) const {
  const auto found = tensors_.find(name);
  return found == tensors_.end() ? -1 : found->second;
}

int Session::tensor(std::string_view name) const {
  const int found = find_tensor(name);
  if (found < 0) throw InputError(std::string(plan_.name) + " has no tensor " + std::string(name));
  return found;
}

int Session::find_input(int program, std::string_view name) const {
  const ProgramInfo& p = plan_.programs[program];
  return find_named(plan_, p, p.inputs, name);
}

int Session::find_output(int program, std::string_view name) const {
  const ProgramInfo& p = plan_.programs[program];
  return find_named(plan_, p, p.outputs, name);
}

int Session::input(int program, std::string_view name) const {
  const int found = find_input(program, name);
  if (found < 0) no_such(plan_, plan_.programs[program], plan_.programs[program].inputs, "input", name);
  return found;
}

int Session::output(int program, std::string_view name) const {
  const int found = find_output(program, name);
  if (found < 0) no_such(plan_, plan_.programs[program], plan_.programs[program].outputs, "output", name);
  return found;
}

std::byte* Session::data(int tensor) const {
  const TensorInfo& t = info(tensor);
  return arenas_[static_cast<int>(t.arena)].data() + t.offset;
}

void Session::set(int tensor, std::span<const std::byte> logical) {
  const TensorInfo& t = info(tensor);
  if (static_cast<int64_t>(logical.size()) != t.bytes)
    throw InputError(std::string(t.name) + ": " + show_type(t) + " has " + std::to_string(t.bytes) +
                     " bytes, not " + std::to_string(logical.size()));
  to_stored(t, logical.data(), data(tensor));
  if (t.arena == Arena::state) stale_ = true;
}

void Session::get(int tensor, std::span<std::byte> logical) const {
  const TensorInfo& t = info(tensor);
  if (static_cast<int64_t>(logical.size()) != t.bytes)
    throw InputError(std::string(t.name) + ": " + show_type(t) + " has " + std::to_string(t.bytes) +
                     " bytes, not " + std::to_string(logical.size()));
  to_logical(t, data(tensor), logical.data());
}

void Session::init_state(uint64_t seed) {
  std::vector<std::byte> logical;
  const auto fill = [&](const StateInfo& s, const TensorInfo& t) {
    logical.resize(static_cast<size_t>(t.bytes));
    fill_initial(pool_, seed, s, t, logical.data());
    to_stored(t, logical.data(), data(s.tensor));
  };
  for (const StateInfo& s : plan_.state)
    if (s.init != InitKind::copy && s.role != Role::derived) fill(s, info(s.tensor));
  for (const StateInfo& s : plan_.state) {
    if (s.init != InitKind::copy || s.role == Role::derived) continue;
    const StateInfo* from = &s;
    while (from->init == InitKind::copy) from = &plan_.state[from->copy_of];
    std::copy_n(data(from->tensor), info(s.tensor).bytes, data(s.tensor));
  }
  stale_ = true;
}

int64_t Session::memory_bytes() const {
  int64_t sum = scratch_.bytes();
  for (const ArenaMemory& a : arenas_) sum += a.bytes();
  return sum;
}

}  // namespace moproc
