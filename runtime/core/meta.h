// The plan's meta: texts by name in which the compiler describes an artefact (task, arch, batch, ...).
#pragma once

#include <cstdint>
#include <string>

#include "core/plan.h"

namespace moproc {

/// The text under this key, or "" if there is none.
std::string meta(const Plan& plan, const std::string& key);
/// The same as a whole number. Throws InputError if it is missing or is not one.
int64_t meta_number(const Plan& plan, const std::string& key);

}  // namespace moproc
