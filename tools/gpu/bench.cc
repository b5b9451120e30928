#include "bench.h"

#include <algorithm>
#include <chrono>

#include "inputs.h"
#include "session/session.h"

namespace moproc::tools {
namespace {

double run_ms(Session& session, int program, int runs) {
  const auto begin = std::chrono::steady_clock::now();
  int started = 0, ended = 0;
  while (ended < runs) {
    while (started < runs && started - ended < session.slots()) session.start(program), ++started;
    session.wait(), ++ended;
  }
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count() / runs;
}

}  // namespace

Bench bench(const Plan& plan, const std::string& name, const BenchOptions& o) {
  Bench result;
  result.batch = stated(plan, "batch");
  for (const bool profile : {false, true}) {
    SessionOptions options;
    options.gpu = o.gpu;
    options.profile = profile;
    Session session(plan, options);
    session.init_state(1);
    const int program = session.program(name);
    fill_inputs(session, program, 0);
    run_ms(session, program, o.warmup);
    if (profile) {
      session.profiler().reset();
      run_ms(session, program, o.runs);
      result.profile = session.profiler().report(o.slowest);
      continue;
    }
    result.gpu = session.device().name();
    for (int i = 0; i < o.samples; ++i) result.ms.push_back(run_ms(session, program, o.runs));
    const DeviceMemoryUse use = session.device().memory_use();
    result.memory_planned = use.planned;
    result.memory_taken = use.taken;
  }
  std::vector<double> sorted = result.ms;
  std::sort(sorted.begin(), sorted.end());
  result.median_ms = sorted[sorted.size() / 2];
  result.images_per_second = 1e3 * static_cast<double>(result.batch) / result.median_ms;
  return result;
}

}  // namespace moproc::tools
