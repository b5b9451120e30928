// The list that cleaning writes and retraining reads: {"images": [paths], "labels": [classes]}.
#pragma once

#include <string>

#include "data/dataset.h"

namespace moproc::train {

/// Images below `folder`, labels below `num_class`. Throws InputError naming the file and the entry: no such list,
/// lists of different lengths, a label out of range, files that are not there (how many, and the first).
data::Dataset read_annotation(const std::string& path, const std::string& folder, int num_class);

}  // namespace moproc::train
