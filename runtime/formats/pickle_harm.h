// Tells names that a pickle mentions only to do harm from the names of classes and functions that are merely unknown.
#pragma once

#include <string>
#include <string_view>

namespace moproc::formats {

/// The end of the sentence for every harmful name.
inline constexpr const char* kHarm =
    "which no checkpoint needs: Python would run code, or reach files or the network, when it loads this file. Take "
    "the "
    "weights from a source that you trust";

/// Why a pickle that mentions MODULE.NAME is refused, as the end of a sentence; "" if the name is harmless. Nothing is
/// ever imported or called, so the list protects whoever reads the file in Python next.
std::string harm_in(std::string_view module, std::string_view name);

/// Whether a name, or the part of a dotted one, is spelled as classes are: Outer, _Outer.
bool is_class_like(std::string_view name);

}  // namespace moproc::formats
