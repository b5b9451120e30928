// A file mapped for reading: as many bytes of memory as are looked at, and no copy.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace moproc::formats {

class MappedFile {
 public:
  /// Throws InputError naming the file: unreadable, no regular file. A file of no bytes has an empty span.
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
