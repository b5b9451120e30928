// Lists with one image per line, `PATH LABEL`, and helpers that the readers of data folders share.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace moproc::data {

// Calls `add` with the path and label of each line, and skips blank lines. A path may contain spaces: the label follows
// the last one. Throws DatasetError with file and line; a std::string that `add` throws becomes the message of one.
void read_list(const std::string& file, const std::function<void(std::string_view path, std::int64_t label)>& add);

// Throws DatasetError("FILE:LINE: WHAT").
[[noreturn]] void bad_line(const std::string& file, std::size_t line, const std::string& what);

// The message "label 7 is out of range 0..4", for `add` to throw.
std::string out_of_range(std::int64_t label, std::int64_t classes);

// Throws DatasetError unless `path` is a folder. `what` says in the message what the folder should hold.
void need_directory(const std::string& path, const std::string& what);

// The text without white space at both ends.
std::string_view trimmed(std::string_view text);

// The text in quotes for a message: printable, at most 80 bytes of it.
std::string quoted(std::string_view text);

}  // namespace moproc::data
