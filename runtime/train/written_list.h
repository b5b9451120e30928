// Lists of images that a run writes to its folder: NAME.txt, with one image per line as --list reads it, and its digest
// NAME.sha256, as sha256sum --check reads it. The digest shows that the list is moproc's, as it has no room for a mark.
#pragma once

#include <string>
#include <vector>

#include "data/dataset.h"

namespace moproc::train {

inline constexpr const char* kHeldOutList = "val_split";

/// Throws InputError unless NAME.txt is absent, empty, or has the digest in NAME.sha256.
void require_list(const std::string& folder, const std::string& name);

/// Writes the names of the images. Throws InputError as require_list does, or if a file cannot be written.
void write_list(const std::string& folder, const std::string& name, const data::Dataset& images);

/// The names in NAME.txt of the folder; none if there is no such list that moproc wrote.
std::vector<std::string> written_names(const std::string& folder, const std::string& name);

}  // namespace moproc::train
