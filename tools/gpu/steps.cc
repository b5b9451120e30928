#include "steps.h"

#include <cmath>
#include <numeric>
#include <sstream>

#include "core/error.h"
#include "formats/safetensors.h"
#include "program.h"
#include "session/session.h"

namespace moproc::tools {
namespace {

std::span<const std::byte> needed(const formats::SafetensorsFile& file, const std::string& name) {
  const formats::TensorEntry* const entry = file.find(name);
  if (!entry) throw InputError(file.path() + " has no tensor " + name);
  return file.bytes(*entry);
}

double loss_of(Session& session, int program) {
  const std::span<float> groups = session.view<float>(session.output(program, "loss"));
  return std::accumulate(groups.begin(), groups.end(), 0.0) / static_cast<double>(groups.size());
}

}  // namespace

double StepLoss::error() const { return std::abs(got - want) / std::abs(want); }

std::vector<StepLoss> run_steps(const Plan& plan, const Plan& cpu_plan, const std::string& path, int gpu_number) {
  const formats::SafetensorsFile file(path);
  const auto steps = file.metadata().find("steps");
  if (steps == file.metadata().end()) throw InputError(path + ": does not state which steps it contains");
  SessionOptions options;
  options.gpu = gpu_number;
  Session gpu(plan, options), cpu(cpu_plan);
  cpu.init_state(1);
  std::vector<std::byte> room;
  const auto take_state = [&] {
    for (const StateInfo& s : cpu_plan.state) {
      if (s.role == Role::derived) continue;
      room.resize(static_cast<size_t>(cpu.info(s.tensor).bytes));
      cpu.get(s.tensor, room);
      gpu.set(gpu.tensor(cpu.info(s.tensor).name), room);
    }
  };
  std::vector<StepLoss> losses;
  std::istringstream words(steps->second);
  for (std::string program; words >> program;) {
    const std::string step = std::to_string(losses.size());
    take_state();
    const auto run = [&](Session& session) {
      const int p = session.program(program);
      for (const int32_t t : session.plan().programs[p].inputs)
        session.set(t, needed(file, step + " " + plain_name(session.info(t))));
      session.run(p);
      return loss_of(session, p);
    };
    const double got = run(gpu);
    losses.push_back({program, got, run(cpu)});
  }
  return losses;
}

}  // namespace moproc::tools
