// Reads the annotation, a list that cleaning writes and retraining uses: {"images": [paths], "labels": [classes]}.
#pragma once

#include <string>

#include "data/dataset.h"

namespace moproc::train {

/// Images are paths below `folder`, and labels are in [0, num_class). Throws InputError, naming the file and the entry,
/// if there is no such list, the two lists have different lengths, a label is out of range, or image files are missing
/// (the message says how many, and names the first).
data::Dataset read_annotation(const std::string& path, const std::string& folder, int num_class);

}  // namespace moproc::train
