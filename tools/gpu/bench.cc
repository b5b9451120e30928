#include "bench.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string_view>

#include "core/error.h"
#include "session/session.h"

namespace moproc::tools {
namespace {

int64_t meta(const Plan& plan, std::string_view key) {
  for (const MetaInfo& m : plan.meta)
    if (key == m.key) return std::atoll(m.value);
  throw InputError(std::string(plan.name) + " does not state its " + std::string(key));
}

/// Fills in random images and labels, the keys in reverse order, and the hyper-parameters of the first epochs.
void fill_inputs(Session& session, int program, int64_t classes) {
  std::mt19937 random(1);
  for (const int32_t t : session.plan().programs[program].inputs) {
    const TensorInfo& info = session.info(t);
    const std::string_view name = info.name;
    const int64_t n = info.rank == 0 ? 1 : info.shape[0];
    if (info.dtype == DType::u8)
      for (std::byte& b : session.view<std::byte>(t)) b = static_cast<std::byte>(random());
    else if (info.dtype == DType::i64)
      for (int64_t i = 0; i < n; ++i)
        session.view<int64_t>(t)[static_cast<size_t>(i)] =
            name.ends_with("order") ? n - 1 - i : static_cast<int64_t>(random() % static_cast<uint64_t>(classes));
    else
      for (float& x : session.view<float>(t))
        x = name.ends_with("lr") ? 0.0f : name.ends_with("temperature") ? 0.1f : 0.5f;
    if (session.device().separate()) session.keep(t);
  }
}

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
  result.batch = meta(plan, "batch");
  for (const bool profile : {false, true}) {
    SessionOptions options;
    options.gpu = o.gpu;
    options.profile = profile;
    Session session(plan, options);
    session.init_state(1);
    const int program = session.program(name);
    fill_inputs(session, program, meta(plan, "num_class"));
    run_ms(session, program, o.warmup);
    if (profile) {
      session.profiler().reset();
      run_ms(session, program, o.runs);
      result.profile = session.profiler().report();
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
