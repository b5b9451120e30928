// A file that is written, with every failure an InputError naming it: full disks are the user's to mend.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "formats/own_file.h"

namespace moproc::formats {

class OutputFile {
 public:
  /// begin: an empty file. Only after require_file(), as it loses what is there. fresh: a file that must not exist.
  enum class Open { begin, append, fresh };

  /// Opens or makes the file. Throws InputError.
  OutputFile(std::string path, Open how);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  const std::string& path() const { return path_; }
  /// Writes all bytes, unbuffered. Throws InputError ("No space left on device").
  void write(std::span<const std::byte> bytes);
  void write(std::string_view text) { write(std::as_bytes(std::span(text.data(), text.size()))); }
  /// Puts the file on the disk and closes it. Throws InputError.
  void sync_and_close();

 private:
  std::string path_;
  int fd_;
};

/// Renames `from` to `to` and puts the folder's entry on the disk. Throws InputError.
void rename_durably(const std::string& from, const std::string& to);

/// A name beside `path` that nobody has: PATH.0123456789abcdef.tmp.
std::string temporary_name(const std::string& path);
/// What stands before the end that temporary_name() gives; "" for any other name.
std::string_view without_temporary_end(std::string_view name);

/// Lets `body` write a file beside `path`, which is then synced and renamed: `path` is complete or what it was before. Throws
/// InputError where something else than a file with the mark is there (require_file), and what opening or `body` throws; the
/// temporary file is then gone.
void write_atomically(const std::string& path, const Mark& mark, const std::function<void(OutputFile&)>& body);

/// Makes the folder (and its parents) if it is missing and makes sure that files can be made in it.
/// Throws InputError naming `flag`.
void make_writable_folder(const std::string& folder, const std::string& flag);

}  // namespace moproc::formats
