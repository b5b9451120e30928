// The profile's table. Rates come from the plan's own counts of flops and bytes a launch.
#include "core/profiler.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <numeric>

namespace moproc {
namespace {

struct Row {
  std::string name;
  int64_t calls = 0;
  double seconds = 0, flops = 0, bytes = 0;
};

/// Times are sums over `runs` runs, flops and bytes are of one.
std::string show(const Row& r, int64_t runs, double all) {
  const double seconds = r.seconds / runs;
  const double rate = seconds > 0 ? 1e-9 / seconds : 0;
  char text[256];
  std::snprintf(text, sizeof text, "  %10.3f %6.2f%% %9.1f %8.1f %6lld  ", seconds * 1e3,
                all > 0 ? 100 * r.seconds / all : 0.0, r.flops * rate, r.bytes * rate,
                static_cast<long long>(r.calls));
  return text + r.name + "\n";
}

std::string show_all(std::vector<Row> rows, int64_t runs, size_t most) {
  std::stable_sort(rows.begin(), rows.end(),
                   [](const Row& a, const Row& b) { return a.seconds > b.seconds; });
  const double all =
      std::accumulate(rows.begin(), rows.end(), 0.0, [](double s, const Row& r) { return s + r.seconds; });
  std::string text;
  for (size_t i = 0; i < rows.size() && i < most; ++i) text += show(rows[i], runs, all);
  if (rows.size() > most) text += "  (" + std::to_string(rows.size() - most) + " more)\n";
  return text;
}

}  // namespace

Profiler::Profiler(const Plan& plan) : plan_(plan), runs_(plan.programs.size, 0) {
  for (const ProgramInfo& p : plan.programs) seconds_.emplace_back(p.steps.size, 0.0);
}

void Profiler::reset() {
  std::fill(runs_.begin(), runs_.end(), 0);
  for (auto& s : seconds_) std::fill(s.begin(), s.end(), 0.0);
}

std::string Profiler::report(int slowest) const {
  std::string text;
  for (int32_t p = 0; p < plan_.programs.size; ++p)
    if (runs_[p] > 0) text += report_program(p, slowest);
  return text;
}

std::string Profiler::report_program(int program, int slowest) const {
  const ProgramInfo& p = plan_.programs[program];
  std::map<std::string, Row> templates;
  std::vector<Row> steps;
  for (int32_t i = 0; i < p.steps.size; ++i) {
    const StepInfo& s = p.steps[i];
    const bool launch = s.kind == StepKind::launch;
    const std::string tmpl = launch ? plan_.kernels[s.kernel].tmpl : "copy";
    Row& row = templates[tmpl];
    row.name = tmpl;
    for (Row* r : {&row, &steps.emplace_back(Row{tmpl + "  " + s.name})}) {
      r->calls += 1;
      r->seconds += seconds_[program][i];
      r->flops += s.flops;
      r->bytes += s.bytes;
    }
  }
  std::vector<Row> rows;
  for (const auto& [name, row] : templates) rows.push_back(row);
  const double all = std::accumulate(seconds_[program].begin(), seconds_[program].end(), 0.0);
  char head[256];
  std::snprintf(head, sizeof head, "profile of %s: %lld runs, %.3f ms each\n", p.name,
                static_cast<long long>(runs_[program]), 1e3 * all / runs_[program]);
  const std::string columns = "          ms   share   GFLOP/s     GB/s  calls  ";
  return head + columns + "template\n" + show_all(rows, runs_[program], rows.size()) + columns + "step\n" +
         show_all(steps, runs_[program], static_cast<size_t>(slowest));
}

}  // namespace moproc
