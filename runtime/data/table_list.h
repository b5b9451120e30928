// The user's own lists: CSV and JSON lines.
#pragma once

#include <string>

#include "dataset.h"

namespace moproc::data {

// Reads `file`, which lists images below `folder`. It is a `.csv` (RFC 4180, with quotes if a path has a comma; the
// first line is `path,label`) or a `.jsonl` (one line {"path": "...", "label": 3} per image; other members are
// ignored). A label is the number of a class, counted from options.first_label, or its name if FOLDER/classes.txt has
// one name per line or the run's classes have names. If both have names, numbers are mapped by the names. Throws
// DatasetError with file and line, also for a label that the network has no class for.
Dataset read_table(const std::string& file, const std::string& folder, const ListOptions& options);

}  // namespace moproc::data
