// The programs of a plan.
#pragma once

#include <string>

#include "core/plan.h"

namespace moproc::tools {

/// Index of a program. Throws InputError that lists the programs if there is none of that name.
int find_program(const Plan& plan, const std::string& name);

/// The name of a tensor in files of values and steps: an input's is without the program's name.
std::string plain_name(const TensorInfo& t);

/// A digest of a program's launches and their operands, the same for every architecture that it is compiled for,
/// because a kernel's symbol is a digest of its source.
std::string signature(const Plan& plan, int program);

}  // namespace moproc::tools
