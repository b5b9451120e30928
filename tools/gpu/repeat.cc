#include "repeat.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <span>

#include "inputs.h"
#include "program.h"
#include "session/session.h"
#include "step_runner.h"

namespace moproc::tools {
namespace {

using Bytes = std::vector<std::byte>;

constexpr float kLearningRate = 0.1f;  // so that parameters change
constexpr int kStepwiseRuns = 4;

/// FNV-1a over words of 8 bytes, which are many.
uint64_t hash(std::span<const std::byte> bytes) {
  uint64_t h = 0xcbf29ce484222325;
  size_t i = 0;
  for (uint64_t word; i + sizeof word <= bytes.size(); i += sizeof word) {
    std::memcpy(&word, bytes.data() + i, sizeof word);
    h = (h ^ word) * 0x100000001b3;
    h ^= h >> 29;  // otherwise the upper bits of a word would only reach the hash's upper bits
  }
  for (; i < bytes.size(); ++i) h = (h ^ static_cast<uint64_t>(bytes[i])) * 0x100000001b3;
  return h;
}

/// The state before the first run and the inputs, as stored bytes by tensor.
struct Start {
  std::map<int, Bytes> state, inputs;
};

Bytes stored(const Session& s, int tensor) {
  Bytes bytes(static_cast<size_t>(s.info(tensor).bytes));
  s.read(tensor, bytes);
  return bytes;
}

/// Tensors that are compared: outputs, then state.
std::vector<int> results(const Plan& plan, int program) {
  std::vector<int> all(plan.programs[program].outputs.begin(), plan.programs[program].outputs.end());
  for (const StateInfo& s : plan.state)
    if (s.role != Role::derived) all.push_back(s.tensor);
  return all;
}

Start run_whole(const Plan& plan, const std::string& name, int gpu, Repeat& r) {
  SessionOptions options;
  options.gpu = gpu;
  Session session(plan, options);
  session.init_state(1);
  const int program = session.program(name);
  fill_inputs(session, program, kLearningRate);
  Start start;
  for (const StateInfo& s : plan.state)
    if (s.role != Role::derived) start.state[s.tensor] = stored(session, s.tensor);
  for (const int32_t t : plan.programs[program].inputs) start.inputs[t] = stored(session, t);
  const std::vector<int> tensors = results(plan, program);
  std::vector<uint64_t> first;
  std::vector<bool> differs(tensors.size());
  Bytes room;
  for (int run = 0; run < r.runs; ++run) {
    for (const auto& [tensor, bytes] : start.state) session.write(tensor, bytes);
    session.mark_stale();
    session.run(program);
    std::vector<uint64_t> hashes;
    for (const int t : tensors) hashes.push_back(hash(session.stored(t, room)));
    if (run == 0) first = hashes;
    r.different += hashes != first;
    for (size_t i = 0; i < tensors.size(); ++i) differs[i] = differs[i] || hashes[i] != first[i];
  }
  for (size_t i = 0; i < tensors.size(); ++i)
    if (differs[i]) r.tensors.push_back(plan.tensors[tensors[i]].name);
  return start;
}

/// Hashes of the tensors of each step after it, for one run step by step.
std::vector<std::vector<uint64_t>> run_steps_once(const Plan& plan, int program, StepRunner& runner,
                                                  const Start& start) {
  runner.spoil();
  for (const auto& [tensor, bytes] : start.state) runner.write(tensor, bytes.data());
  const int refresh = find_program(plan, "refresh");
  for (int i = 0; i < plan.programs[refresh].steps.size; ++i) runner.run(refresh, i);
  for (const auto& [tensor, bytes] : start.inputs) runner.write(tensor, bytes.data());
  std::vector<std::vector<uint64_t>> hashes;
  Bytes room;
  for (int i = 0; i < plan.programs[program].steps.size; ++i) {
    runner.run(program, i);
    hashes.emplace_back();
    for (const int t : tensors_of(plan.programs[program].steps[i])) {
      room.resize(static_cast<size_t>(plan.tensors[t].bytes));
      runner.read(t, room.data());
      hashes.back().push_back(hash(room));
    }
  }
  return hashes;
}

std::string find_launch(const Plan& plan, int program, const Start& start, int gpu) {
  const std::unique_ptr<StepRunner> runner = make_step_runner(plan, gpu);
  const auto first = run_steps_once(plan, program, *runner, start);
  for (int run = 1; run < kStepwiseRuns; ++run) {
    const auto again = run_steps_once(plan, program, *runner, start);
    for (size_t i = 0; i < first.size(); ++i) {
      if (again[i] == first[i]) continue;
      const StepInfo& s = plan.programs[program].steps[static_cast<int32_t>(i)];
      const size_t k = static_cast<size_t>(std::ranges::mismatch(first[i], again[i]).in1 - first[i].begin());
      const std::string kernel =
          s.kind == StepKind::launch ? std::string(", kernel ") + plan.kernels[s.kernel].symbol : std::string();
      return "step " + std::to_string(i) + " " + s.name + kernel + ": tensor " + plan.tensors[tensors_of(s)[k]].name;
    }
  }
  return "";
}

}  // namespace

Repeat repeat(const Plan& plan, const std::string& program, int runs, int gpu) {
  Repeat r;
  r.runs = runs;
  const Start start = run_whole(plan, program, gpu, r);
  if (r.different > 0) r.launch = find_launch(plan, find_program(plan, program), start, gpu);
  return r;
}

std::string describe(const Repeat& r) {
  std::string text =
      std::to_string(r.runs) + " runs from one state, " + std::to_string(r.different) + " differ from the first";
  if (r.different == 0) return text;
  text += r.launch.empty() ? "; launches one by one do not differ, so launches disturb each other"
                           : "; one by one, the first launch that differs is " + r.launch;
  text += "; tensors:";
  const size_t most = 8;
  for (size_t i = 0; i < std::min(most, r.tensors.size()); ++i) text += " " + r.tensors[i];
  if (r.tensors.size() > most) text += " and " + std::to_string(r.tensors.size() - most) + " more";
  return text;
}

}  // namespace moproc::tools
