// Tables as CSV files (RFC 4180).
#pragma once

#include <string>

namespace moproc::formats {

/// A field, in quotes if it needs them.
std::string csv_field(const std::string& text);

/// Throws InputError, with the remedy, unless the file is absent or empty: a table has no room for a mark, and may have
/// been edited.
void require_new_table(const std::string& path);

}  // namespace moproc::formats
