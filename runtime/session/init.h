// Initial values of state. Every element is a function of (seed, tensor name, its logical index): Philox
// counters.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/plan.h"
#include "cpu/pool.h"

namespace moproc {

/// Fills `logical` (all of t, row-major logical order) by state.init, which is not `copy`.
/// Random kinds need an f32 tensor, unit_columns one of rank 2 (d, n). Throws std::logic_error otherwise.
void fill_initial(Pool& pool, uint64_t seed, const StateInfo& state, const TensorInfo& t, std::byte* logical);

}  // namespace moproc
