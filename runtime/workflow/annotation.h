// Reads the annotation, a list that cleaning writes and retraining uses: {"images": [paths], "labels": [numbers]}, as
// in the published code, and "classes": [names], which says what the numbers mean.
#pragma once

#include <string>

#include "data/dataset.h"

namespace moproc::train {

/// Images are paths below `folder`. If both the file and `options` name the classes, labels are mapped by name;
/// otherwise they are numbers in [0, options.num_class). Throws InputError, naming the file and the entry, if there is
/// no such list, the two lists have different lengths, a label is out of range or of a class that options.classes
/// lacks, or image files are missing (the message says how many, and names the first).
data::Dataset read_annotation(const std::string& path, const std::string& folder, const data::ListOptions& options);

}  // namespace moproc::train
