// Tables as CSV files (RFC 4180, except that lines end with a line feed alone).
#pragma once

#include <string>
#include <string_view>

namespace moproc::formats {

/// A field: in quotes if it has a comma, a quote or a line break, with each quote doubled.
std::string csv_field(std::string_view text);

/// Throws InputError, with the remedy, unless the file is absent or empty: a table has no room for a mark, and may have
/// been edited.
void require_new_table(const std::string& path);

}  // namespace moproc::formats
