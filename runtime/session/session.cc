// Session: construction, look-up of names, and conversion between logical and stored order. The device runs programs.
#include "session/session.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "comm/world.h"
#include "core/error.h"
#include "core/layout.h"
#include "cpu/cores.h"
#include "cpu/device.h"
#include "cuda/device.h"
#include "session/init.h"

namespace moproc {
namespace {

/// Whether `full` is `name`, or the program's name, a separator and `name`.
bool is_named(std::string_view full, std::string_view program, std::string_view name) {
  if (full == name) return true;
  if (full.size() != program.size() + 1 + name.size() || !full.starts_with(program) || !full.ends_with(name))
    return false;
  const char separator = full[program.size()];
  return separator == '.' || separator == '/' || separator == ':';
}

/// The prefix of the names of a program's tensors: its name and, if it is for several ranks, their number.
std::string prefix_of(const ProgramInfo& p) {
  return p.ranks > 1 ? std::string(p.name) + "@" + std::to_string(p.ranks) : p.name;
}

int find_named(const Plan& plan, const ProgramInfo& program, const Span<int32_t>& list, std::string_view name) {
  const std::string prefix = prefix_of(program);
  for (const int32_t t : list)
    if (is_named(plan.tensors[t].name, prefix, name)) return t;
  return -1;
}

[[noreturn]] void no_such(const Plan& plan, const ProgramInfo& program, const Span<int32_t>& list, const char* what,
                          std::string_view name) {
  std::string text = std::string("program ") + program.name + " has no " + what + " " + std::string(name) + "; it has";
  for (const int32_t t : list) text += std::string(" ") + short_name(plan.tensors[t]);
  throw InputError(text);
}

/// Returns the plan. Throws InputError if its version or device is not supported, before any memory is allocated.
const Plan& checked(const Plan& plan) {
  if (plan.version != kPlanVersion)
    throw InputError("the artefact's plan has version " + std::to_string(plan.version) + ", this runtime reads " +
                     std::to_string(kPlanVersion));
  const std::string_view device = plan.device;
  if (device != "cpu" && device != "cuda")
    throw InputError(std::string("the artefact is compiled for ") + plan.device + ", this runtime runs cpu and cuda");
  return plan;
}

std::unique_ptr<Device> make_device(const Plan& plan, const SessionOptions& o, Pool& pool, StepTimes* times) {
  if (std::string_view(plan.device) == "cpu") return std::make_unique<CpuDevice>(plan, pool, times, o.check, o.world);
  return std::make_unique<cuda::CudaDevice>(plan, o.gpu, times, o.check, o.world, o.deterministic);
}

}  // namespace

Session::Session(const Plan& plan, SessionOptions options)
    : plan_(checked(plan)),
      world_(options.world),
      pool_(options.threads > 0 ? options.threads : usable_cores()),
      profiler_(plan),
      device_(make_device(plan, options, pool_, options.profile ? &profiler_.times() : nullptr)) {
  profiler_.set_roofline(device_->roofline());
  for (int32_t t = 0; t < plan.tensors.size; ++t) tensors_.emplace(plan.tensors[t].name, t);
  refresh_ = find_program("refresh");
}

int Session::find_program(std::string_view name) const {
  for (int32_t p = 0; p < plan_.programs.size; ++p) {
    const ProgramInfo& program = plan_.programs[p];
    if (name == program.name && (program.ranks == 0 || program.ranks == ranks())) return p;
  }
  return -1;
}

int Session::ranks() const { return world_ ? world_->ranks() : 1; }
int Session::rank() const { return world_ ? world_->rank() : 0; }

int Session::program(std::string_view name) const {
  const int found = find_program(name);
  if (found >= 0) return found;
  std::string held;
  for (const ProgramInfo& p : plan_.programs)
    if (name == p.name) held += (held.empty() ? "" : ",") + std::to_string(p.ranks);
  if (!held.empty())
    throw InputError(std::string(plan_.name) + " holds programs for " + held + " ranks, this run has " +
                     std::to_string(ranks()) + "; compile it with --ranks " + held + "," + std::to_string(ranks()));
  std::string text = std::string(plan_.name) + " has no program " + std::string(name) + "; it has";
  for (const ProgramInfo& p : plan_.programs)
    if (std::string_view(p.name) != "refresh") text += " " + prefix_of(p);
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
  std::byte* const bytes = device_->host(tensor);
  if (!bytes)
    throw std::logic_error(std::string(info(tensor).name) + " is in the memory of " + device_->name() +
                           ": it can be copied, not seen");
  return bytes;
}

void Session::require_size(int tensor, size_t bytes) const {
  const TensorInfo& t = info(tensor);
  if (static_cast<int64_t>(bytes) != t.bytes)
    throw InputError(std::string(t.name) + ": " + show_type(t) + " has " + std::to_string(t.bytes) + " bytes, not " +
                     std::to_string(bytes));
}

void Session::set(int tensor, std::span<const std::byte> logical) {
  require_size(tensor, logical.size());
  const TensorInfo& t = info(tensor);
  if (std::byte* const bytes = device_->host(tensor)) {
    to_stored(t, logical.data(), bytes);
  } else {
    std::vector<std::byte> room(logical.size());
    to_stored(t, logical.data(), room.data());
    device_->write(tensor, room.data());
  }
  if (t.arena == Arena::state) stale_ = true;
}

void Session::get(int tensor, std::span<std::byte> logical) const {
  require_size(tensor, logical.size());
  std::vector<std::byte> room;
  to_logical(info(tensor), stored(tensor, room).data(), logical.data());
}

void Session::write(int tensor, std::span<const std::byte> stored) {
  require_size(tensor, stored.size());
  device_->write(tensor, stored.data());
  if (info(tensor).arena == Arena::state) stale_ = true;
}

void Session::read(int tensor, std::span<std::byte> stored) const {
  require_size(tensor, stored.size());
  device_->read(tensor, stored.data());
}

std::span<const std::byte> Session::stored(int tensor, std::vector<std::byte>& room) const {
  const size_t bytes = static_cast<size_t>(info(tensor).bytes);
  if (const std::byte* const here = device_->host(tensor)) return {here, bytes};
  room.resize(bytes);
  device_->read(tensor, room.data());
  return room;
}

void Session::init_state(uint64_t seed) {
  const auto root = [this](const StateInfo& s) {
    const StateInfo* from = &s;
    while (from->init == InitKind::copy) from = &plan_.state[from->copy_of];
    return from;
  };
  std::vector<std::byte> logical;
  for (const StateInfo& s : plan_.state) {
    if (s.init == InitKind::copy || s.role == Role::derived) continue;
    logical.resize(static_cast<size_t>(info(s.tensor).bytes));
    fill_initial(pool_, seed, s, info(s.tensor), logical.data());
    for (const StateInfo& to : plan_.state)
      if (to.role != Role::derived && root(to) == &s) set(to.tensor, logical);
  }
  stale_ = true;
}

void Session::share_first_rank() {
  if (!world_) return;
  for (const StateInfo& s : plan_.state)
    if (s.first_rank) device_->from_first_rank(s.tensor);
}

void Session::refresh() {
  if (!stale_) return;
  if (started_ > 0) throw std::logic_error("state was set while a run was under way: wait for it first");
  stale_ = false;  // before it runs
  if (refresh_ >= 0) device_->run(refresh_, {});
}

void Session::run(int program, const Progress& progress) {
  if (started_ > 0) throw std::logic_error("run() while a run is under way: wait for it first");
  if (program == refresh_) stale_ = false;
  refresh();
  device_->run(program, progress);
}

void Session::start(int program, const Progress& progress) {
  if (started_ == slots()) throw std::logic_error("start() while all slots are taken: wait for a run first");
  if (program == refresh_) stale_ = false;
  refresh();
  device_->start(program, progress);
  ++started_;
}

void Session::wait() {
  if (started_ == 0) throw std::logic_error("wait() and nothing was started");
  --started_;
  device_->wait();
}

}  // namespace moproc
