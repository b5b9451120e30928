// Random inputs of a step, the same on every machine.
#pragma once

#include <cstdint>
#include <string_view>

#include "session/session.h"

namespace moproc::tools {

/// A number that the plan states about itself. Throws InputError if it does not.
int64_t stated(const Plan& plan, std::string_view key);

/// Fills in random images and labels, the keys in reverse order, the learning rate, and the hyper-parameters of the
/// first epochs. On a device with memory of its own they stay there.
void fill_inputs(Session& session, int program, float learning_rate);

}  // namespace moproc::tools
