// Lists with an image a line, `PATH LABEL`: what the readers of data folders share.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace moproc::data {

// Calls `add` with each line's path and label; blank lines are passed over. A path may contain spaces: the label is
// what follows the last one. Throws DatasetError naming file and line; what `add` throws as std::string becomes one.
void read_list(const std::string& file, const std::function<void(std::string_view path, std::int64_t label)>& add);

// The same for errors that a caller finds: "FILE:LINE: WHAT".
[[noreturn]] void bad_line(const std::string& file, std::size_t line, const std::string& what);

// "label 7 is out of range 0..4", for `add` to throw.
std::string out_of_range(std::int64_t label, std::int64_t classes);

// Throws DatasetError unless `path` is a folder; `what` says what it should be.
void need_directory(const std::string& path, const std::string& what);

// Without white space at both ends.
std::string_view trimmed(std::string_view text);

// In quotes, fit to be printed, at most 80 bytes of it.
std::string quoted(std::string_view text);

}  // namespace moproc::data
