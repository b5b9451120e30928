// A file for writing. Every failure is an InputError with the file's name, because users can mend a full disk.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "formats/own_file.h"

namespace moproc::formats {

class OutputFile {
 public:
  /// begin: an empty file. Only after require_file(), as it loses what is there. fresh: a file that must not exist.
  enum class Open { begin, append, fresh };

  /// Opens the file, and creates it if it does not exist. Throws InputError.
  OutputFile(std::string path, Open how);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  const std::string& path() const { return path_; }
  /// Writes all bytes, unbuffered. Throws InputError ("No space left on device").
  void write(std::span<const std::byte> bytes);
  void write(std::string_view text) { write(std::as_bytes(std::span(text.data(), text.size()))); }
  /// The size in bytes; nothing for a device or a pipe.
  std::optional<int64_t> size() const;
  /// Removes everything after the first `size` bytes. False if the system refuses.
  bool cut(int64_t size);
  /// Flushes the file to the disk (fsync) and closes it. Throws InputError.
  void sync_and_close();

 private:
  std::string path_;
  int fd_;
};

/// Renames `from` to `to` and flushes the entry of the folder to the disk. Throws InputError.
void rename_durably(const std::string& from, const std::string& to);

/// A name beside `path` that no other file has: PATH.0123456789abcdef.tmp.
std::string temporary_name(const std::string& path);
/// The part of a name before the end that temporary_name() adds; "" for any other name.
std::string_view without_temporary_end(std::string_view name);

/// Lets `body` write a file beside `path`, which is then flushed and renamed, so that `path` is either complete or
/// unchanged. Throws InputError if anything except a file with the mark is at `path` (require_file), and the
/// exceptions of opening and of `body`, after it has removed the temporary file.
void write_atomically(const std::string& path, const Mark& mark, const std::function<void(OutputFile&)>& body);

/// Creates the folder and its parents if they are missing, and checks that files can be created in it. Throws
/// InputError with `flag`.
void make_writable_folder(const std::string& folder, const std::string& flag);

}  // namespace moproc::formats
