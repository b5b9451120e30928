// The profile's table. Rates come from the plan's counts of flops and bytes per launch.
#include "session/profiler.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <numeric>
#include <string_view>

namespace moproc {
namespace {

struct Row {
  std::string name;
  int64_t calls = 0;
  double seconds = 0, flops = 0, bytes = 0, bound = 0;
};

/// Formats rows, with the columns of a CPU or of a GPU.
class Table {
 public:
  Table(bool gpu, const Roofline& roofline, int64_t runs) : gpu_(gpu), roofline_(roofline), runs_(runs) {}

  const char* columns() const {
    if (!gpu_) return "          ms   share   GFLOP/s     GB/s  calls  ";
    return "          ms   share  TFLOP/s     GB/s        MB roofline  calls  ";
  }

  std::string rows(std::vector<Row> rows, size_t most) const {
    std::stable_sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) { return a.seconds > b.seconds; });
    const double all =
        std::accumulate(rows.begin(), rows.end(), 0.0, [](double s, const Row& r) { return s + r.seconds; });
    std::string text;
    for (size_t i = 0; i < rows.size() && i < most; ++i) text += row(rows[i], all);
    if (rows.size() > most) text += "  (" + std::to_string(rows.size() - most) + " more)\n";
    return text;
  }

 private:
  /// Times in `r` are sums over all runs; flops, bytes and bounds are those of one run.
  std::string row(const Row& r, double all) const {
    const double seconds = r.seconds / static_cast<double>(runs_);
    const double rate = seconds > 0 ? 1e-9 / seconds : 0;
    const double share = all > 0 ? 100 * r.seconds / all : 0.0;
    const long long calls = r.calls;
    char text[256];
    if (!gpu_) {
      std::snprintf(text, sizeof text, "  %10.3f %6.2f%% %9.1f %8.1f %6lld  ", seconds * 1e3, share, r.flops * rate,
                    r.bytes * rate, calls);
      return text + r.name + "\n";
    }
    char bound[32] = "       -";
    if (roofline_.bytes_per_second > 0 && seconds > 0)
      std::snprintf(bound, sizeof bound, "%7.1f%%", 100 * r.bound / seconds);
    std::snprintf(text, sizeof text, "  %10.4f %6.2f%% %8.1f %8.1f %9.2f %s %6lld  ", seconds * 1e3, share,
                  r.flops * rate * 1e-3, r.bytes * rate, r.bytes * 1e-6, bound, calls);
    return text + r.name + "\n";
  }

  bool gpu_;
  Roofline roofline_;
  int64_t runs_;
};

bool is_gpu(const Plan& plan) { return std::string_view(plan.device) == "cuda"; }

/// The bytes that a step moves according to the plan. The plan counts no bytes for copies; for a GPU, they are added.
double bytes_of(const Plan& plan, const StepInfo& s) {
  const bool copy = is_gpu(plan) && s.kind == StepKind::copy;
  return copy ? 2.0 * static_cast<double>(plan.tensors[s.args[1]].bytes) : s.bytes;
}

/// A lower bound of a step's time in seconds; 0 if the roofline is not known.
double bound_of(double flops, double bytes, const Roofline& r) {
  if (r.bytes_per_second <= 0 || r.flops_per_second <= 0) return 0;
  return std::max(bytes / r.bytes_per_second, flops / r.flops_per_second);
}

/// The line below the heading of a GPU's table.
std::string show_roofline(const std::vector<Row>& rows, const Roofline& r) {
  double bytes = 0, bound = 0;
  for (const Row& row : rows) bytes += row.bytes, bound += row.bound;
  char text[256];
  int n = std::snprintf(text, sizeof text, "  predicted: %.3f GB a run", bytes * 1e-9);
  if (r.bytes_per_second > 0)
    n += std::snprintf(text + n, sizeof text - static_cast<size_t>(n),
                       ", %.3f ms at %.0f GB/s and %.0f TFLOP/s (data sheet)", bound * 1e3, r.bytes_per_second * 1e-9,
                       r.flops_per_second * 1e-12);
  else
    n += std::snprintf(text + n, sizeof text - static_cast<size_t>(n),
                       "; this GPU's roofline is not known: no shares of it");
  return std::string(text, static_cast<size_t>(n)) + "\n";
}

}  // namespace

std::string Profiler::report(int slowest) const {
  std::string text;
  for (int32_t p = 0; p < plan_.programs.size; ++p)
    if (times_.runs(p) > 0) text += report_program(p, slowest);
  return text;
}

std::string Profiler::report_program(int program, int slowest) const {
  const ProgramInfo& p = plan_.programs[program];
  const std::vector<double>& seconds = times_.seconds(program);
  const int64_t runs = times_.runs(program);
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
      r->seconds += seconds[i];
      r->flops += s.flops;
      const double bytes = bytes_of(plan_, s);
      r->bytes += bytes;
      r->bound += bound_of(s.flops, bytes, roofline_);
    }
  }
  std::vector<Row> rows;
  for (const auto& [name, row] : templates) rows.push_back(row);
  const double all = std::accumulate(seconds.begin(), seconds.end(), 0.0);
  char head[256];
  std::snprintf(head, sizeof head, "profile of %s: %lld runs, %.3f ms each\n", p.name, static_cast<long long>(runs),
                1e3 * all / static_cast<double>(runs));
  const Table table(is_gpu(plan_), roofline_, runs);
  const std::string bound = is_gpu(plan_) ? show_roofline(rows, roofline_) : "";
  return head + bound + table.columns() + "template\n" + table.rows(rows, rows.size()) + table.columns() + "step\n" +
         table.rows(steps, static_cast<size_t>(slowest));
}

}  // namespace moproc
