// The programs of a plan.
#pragma once

#include <string>

#include "core/plan.h"

namespace moproc::tools {

/// Index of a program; InputError listing what there is.
int find_program(const Plan& plan, const std::string& name);

/// A digest of what a program launches on what, the same for every architecture that it is compiled for: a kernel's
/// symbol is a digest of its source.
std::string signature(const Plan& plan, int program);

}  // namespace moproc::tools
