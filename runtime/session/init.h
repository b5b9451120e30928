// Initial values of state. Every random element depends only on the seed, the tensor's name and the element's logical
// index (Philox counters).
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/plan.h"
#include "cpu/pool.h"

namespace moproc {

/// Fills `logical` (t.bytes bytes, in row-major logical order) by state.init, which must not be `copy`. Random kinds
/// need an f32 tensor, and unit_columns also rank 2 (d, n). Throws std::logic_error otherwise.
void fill_initial(Pool& pool, uint64_t seed, const StateInfo& state, const TensorInfo& t, std::byte* logical);

}  // namespace moproc
