#include "compare.h"

#include <bit>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <map>

#include "step_runner.h"

namespace moproc::tools {
namespace {

float widen(uint16_t bits) { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }

/// Distance of two bf16 numbers in representable steps.
double steps_between(uint16_t a, uint16_t b) {
  const auto ordered = [](uint16_t x) { return x & 0x8000 ? -static_cast<int>(x & 0x7fff) : static_cast<int>(x); };
  return std::abs(ordered(a) - ordered(b));
}

template <class T>
T element(std::span<const std::byte> bytes, size_t i) {
  T x;
  std::memcpy(&x, bytes.data() + i * sizeof(T), sizeof(T));
  return x;
}

template <class T, class Widen, class Steps>
Difference of_floats(std::span<const std::byte> got, std::span<const std::byte> want, Widen widen, Steps steps) {
  Difference d;
  double off = 0, size = 0;
  for (size_t i = 0; i < want.size() / sizeof(T); ++i) {
    const T a = element<T>(got, i), b = element<T>(want, i);
    const double x = widen(a), y = widen(b);
    if (!std::isfinite(x) || !std::isfinite(y)) {
      const bool alike = (std::isnan(x) && std::isnan(y)) || x == y;
      if (!alike) d.finite = false;
      continue;
    }
    d.ulps = std::max(d.ulps, steps(a, b));
    off += (x - y) * (x - y);
    size += y * y;
  }
  d.norm = off == 0 ? 0 : std::sqrt(off / size);  // infinite if the norm of the expected values is 0
  return d;
}

}  // namespace

Difference difference(DType type, std::span<const std::byte> got, std::span<const std::byte> want) {
  if (type == DType::bf16) return of_floats<uint16_t>(got, want, widen, steps_between);
  if (type == DType::f32)
    return of_floats<float>(
        got, want, [](float x) { return static_cast<double>(x); }, [](float, float) { return 0.0; });
  Difference d;
  for (size_t i = 0; i < want.size(); ++i)
    if (got[i] != want[i]) d.ulps = 1;
  return d;
}

bool agrees(DType type, const Difference& d) {
  if (!d.finite) return false;
  if (type == DType::bf16) return d.ulps <= 2 || d.norm <= 1e-3;
  if (type == DType::f32) return d.norm <= 1e-4;
  return d.ulps == 0;
}

std::vector<Result> compare(const Plan& plan, const Record& record, int gpu, const std::function<void(int)>& begin) {
  const std::unique_ptr<StepRunner> made = make_step_runner(plan, gpu);
  StepRunner& runner = *made;
  runner.spoil();
  const ProgramInfo& program = plan.programs[record.program()];
  std::vector<Result> results;
  std::vector<std::byte> got;
  for (int i = 0; i < program.steps.size; ++i) {
    if (begin) begin(i);
    const std::vector<int> tensors = tensors_of(program.steps[i]);
    for (const int t : tensors) runner.write(t, record.before(i, t).data());
    runner.run(record.program(), i);
    for (const int t : tensors) {
      // A tensor that the recorded launch did not change must not change here either.
      const bool changed = !record.after(i, t).empty();
      const std::span<const std::byte> want = changed ? record.after(i, t) : record.before(i, t);
      got.resize(want.size());
      runner.read(t, got.data());
      if (!changed && std::memcmp(got.data(), want.data(), want.size()) == 0) continue;
      const DType type = plan.tensors[t].dtype;
      const Difference d = difference(type, got, want);
      results.push_back({i, t, d, agrees(type, d)});
    }
  }
  return results;
}

std::string describe(const Plan& plan, const Record& record, const std::vector<Result>& results) {
  struct Sum {
    int count = 0, wrong = 0;
    double ulps = 0, norm = 0;
  };
  std::map<std::string, Sum> sums;
  std::string text;
  char line[512];
  const ProgramInfo& program = plan.programs[record.program()];
  for (const Result& r : results) {
    const StepInfo& s = program.steps[r.step];
    const std::string tmpl = s.kind == StepKind::launch ? plan.kernels[s.kernel].tmpl : "copy";
    Sum& sum = sums[tmpl];
    ++sum.count;
    sum.ulps = std::max(sum.ulps, r.difference.ulps);
    sum.norm = std::max(sum.norm, r.difference.norm);
    if (r.ok) continue;
    ++sum.wrong;
    std::snprintf(line, sizeof line, "WRONG step %d %s %s: %s: %g last places, %.2e of the norm%s\n", r.step,
                  s.kind == StepKind::launch ? plan.kernels[s.kernel].symbol : "copy", s.name,
                  plan.tensors[r.tensor].name, r.difference.ulps, r.difference.norm,
                  r.difference.finite ? "" : ", not finite");
    text += line;
  }
  for (const auto& [name, sum] : sums) {
    std::snprintf(line, sizeof line, "  %-28s %5d results, %d wrong; at most %g last places (bf16), %.1e of the norm\n",
                  name.c_str(), sum.count, sum.wrong, sum.ulps, sum.norm);
    text += line;
  }
  return text;
}

}  // namespace moproc::tools
