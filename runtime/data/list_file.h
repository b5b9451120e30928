// Lists with one image per line, `PATH LABEL`, and helpers that the readers of data folders share.
#pragma once

#include <cstdint>
#include <fstream>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "class_table.h"

namespace moproc::data {

// What some editors put in front of UTF-8 text. Every list may begin with it.
inline constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

// A list that is open for reading. Throws DatasetError if it is not a regular file, or cannot be read.
std::ifstream open_list(const std::string& file);

// Calls `add` with the path and label of each line, and skips blank lines. A path may contain spaces: the label follows
// the last one. Throws DatasetError with file and line; a std::string that `add` throws becomes the message of one.
void read_list(const std::string& file, const std::function<void(std::string_view path, std::int64_t label)>& add);

// The names in a file with one per line, without white space at their ends; an empty table if there is no such file.
// Throws DatasetError if a name is there twice, unless `number_twins`: then later ones get their line's number, as in
// "crane (class 517)".
ClassTable read_names(const std::string& file, bool number_twins = false);

// Throws DatasetError("FILE:LINE: WHAT").
[[noreturn]] void bad_line(const std::string& file, std::size_t line, const std::string& what);

// The message "label 7 is out of range 0..4", for `add` to throw.
std::string out_of_range(std::int64_t label, std::int64_t classes);

// The first names of a list for a message: "a, b, c and 7 more".
std::string some(const std::vector<std::string>& names);

// Throws DatasetError unless `path` is a folder. `what` says in the message what the folder should hold.
void need_directory(const std::string& path, const std::string& what);

// The path without slashes at its end.
std::string without_slash(std::string path);

// A path in one form: img/x.jpg for ./img//x.jpg.
std::string plain_path(std::string_view path);

// The text without white space at both ends.
std::string_view trimmed(std::string_view text);

// The text in quotes for a message: printable, at most 80 bytes of it.
std::string quoted(std::string_view text);

}  // namespace moproc::data
