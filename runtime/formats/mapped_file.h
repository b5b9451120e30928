// A file mapped for reading: it takes memory only for the pages that are read, and makes no copy.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace moproc::formats {

class MappedFile {
 public:
  /// Throws InputError with the file if it cannot be read or is not a regular file. An empty file has an empty span.
  explicit MappedFile(std::string path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const std::string& path() const { return path_; }
  std::span<const std::byte> bytes() const { return bytes_; }

 private:
  std::string path_;
  std::span<const std::byte> bytes_;
};

}  // namespace moproc::formats
