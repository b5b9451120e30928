// A log that grows by whole lines of JSON (https://jsonlines.org): whoever reads it finds no half a line inside,
// whatever happened to the processes that wrote it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "formats/output_file.h"

namespace moproc::formats {

class LineFile {
 public:
  /// Opens the file to append to it, and creates it if it does not exist. If its last line has no line feed, a process
  /// was killed or a disk was full while it was written: a whole JSON value gets its line feed, anything else is
  /// removed. Devices and pipes are written as they are. Throws InputError.
  explicit LineFile(const std::string& path);

  /// The bytes of the torn line that was removed; 0 if there was none.
  int64_t removed() const { return removed_; }
  /// Appends `text`, JSON without a line feed, and a line feed. If this fails, what was written of the line is removed
  /// again. Throws InputError.
  void line(std::string_view text);

 private:
  int64_t removed_;
  OutputFile file_;
  bool torn_ = false;  // a device or a pipe may have half a line
};

/// Removes, or ends with a line feed, the last line of a regular file as LineFile() does. Returns the bytes removed.
int64_t mend_last_line(const std::string& path);

}  // namespace moproc::formats
