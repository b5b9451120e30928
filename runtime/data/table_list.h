// Lists of one's own: CSV and JSON lines.
#pragma once

#include <string>

#include "dataset.h"

namespace moproc::data {

// Reads FILE, a `.csv` (RFC 4180: quotes where a path has a comma; a first line `path,label`) or a `.jsonl` (a line
// {"path": "...", "label": 3} an image, other members are passed over), of images below `folder`. A label is a class's
// number, or its name where FOLDER/classes.txt has a name a line. Images with a label of num_class or above are left
// out. Throws DatasetError naming file and line.
Dataset read_table(const std::string& file, const std::string& folder, int num_class);

}  // namespace moproc::data
