// An exponent of all ones is NaN or infinity, in every floating-point type.
#include "core/check.h"

#include <string>

#include "core/layout.h"

namespace moproc {
namespace {

template <class T>
int64_t first_masked(const std::byte* data, int64_t n, T mask) {
  const T* const p = reinterpret_cast<const T*>(data);
  for (int64_t i = 0; i < n; ++i)
    if ((p[i] & mask) == mask) return i;
  return -1;
}

bool is_float(DType d) { return d == DType::f32 || d == DType::f64 || d == DType::bf16 || d == DType::f16; }

/// Index of the first value of the tensor that is not finite, or -1. Calls `bytes` only for tensors of a float type.
int64_t find(const Plan& plan, int tensor, const TensorBytes& bytes) {
  const TensorInfo& t = plan.tensors[tensor];
  return is_float(t.dtype) ? first_nonfinite(t, bytes(tensor)) : -1;
}

std::string element(const Plan& plan, int tensor, int64_t at) {
  return std::string(plan.tensors[tensor].name) + "[" + std::to_string(at) + "] is not finite ";
}

}  // namespace

int64_t first_nonfinite(const TensorInfo& t, const std::byte* stored) {
  const int64_t n = elements(t);
  switch (t.dtype) {
    case DType::f32: return first_masked<uint32_t>(stored, n, 0x7f800000);
    case DType::f64: return first_masked<uint64_t>(stored, n, 0x7ff0000000000000);
    case DType::bf16: return first_masked<uint16_t>(stored, n, 0x7f80);
    case DType::f16: return first_masked<uint16_t>(stored, n, 0x7c00);
    default: return -1;
  }
}

void check_inputs(const Plan& plan, int program, const TensorBytes& bytes) {
  const ProgramInfo& p = plan.programs[program];
  const auto check = [&](int32_t t) {
    const int64_t at = find(plan, t, bytes);
    if (at >= 0) throw NonFiniteError(element(plan, t, at) + "before program " + p.name + " starts");
  };
  for (const int32_t t : p.inputs) check(t);
  for (const StateInfo& s : plan.state)
    if (s.role != Role::derived) check(s.tensor);
}

void check_step(const Plan& plan, int program, int step, const TensorBytes& bytes) {
  const ProgramInfo& p = plan.programs[program];
  const StepInfo& s = p.steps[step];
  for (const int32_t t : s.args) {
    const int64_t at = find(plan, t, bytes);
    if (at < 0) continue;
    const std::string after = s.kind == StepKind::launch
                                  ? std::string("kernel ") + plan.kernels[s.kernel].symbol + " of step " + s.name
                              : s.kind == StepKind::copy ? "a copy"
                                                         : std::string("collective ") + s.name;
    throw NonFiniteError(element(plan, t, at) + "after " + after + " in program " + p.name);
  }
}

}  // namespace moproc
