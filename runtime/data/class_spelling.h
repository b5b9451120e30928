// Names of classes that a person takes for the same: they differ only in case, in white space at their ends, or in
// Unicode normal form. (A Mac writes the name of a file as "e" and an accent, most other systems as one character.)
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "class_table.h"

namespace moproc::data {

// A text that such names have in common and others do not. Characters of Latin, Greek, Cyrillic and Japanese writing
// and of Hangul are known; of others, and of ancient Greek, the two normal forms remain different.
std::string spelling_of(std::string_view name);

// The classes of a table that are spelled so, each with the first class of the same spelling: "'Dog' and 'dog' (case)".
std::vector<std::string> alike_classes(const ClassTable& classes);

// "; did you mean NAME?" for the class that is spelled as `name` except for spaces anywhere; "" if there is none.
std::string did_you_mean(const ClassTable& classes, std::string_view name);

}  // namespace moproc::data
