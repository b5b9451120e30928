// Reads zip archives as torch.save writes them: entries without compression, with or without zip64. The central
// directory and the headers before the data must agree.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "formats/bytes.h"

namespace moproc::formats {

struct ZipEntry {
  std::string_view name;
  ByteSpan data;
  uint32_t crc = 0;
};

class ZipReader {
 public:
  /// `bytes` must outlive the reader; `where` begins every message. Throws InputError with the entry and the byte if
  /// the archive is truncated, compressed, encrypted or in several parts, if ranges leave it or overlap, if a name
  /// appears twice, if headers contradict each other, or if anything follows the end.
  ZipReader(ByteSpan bytes, std::string where);

  static bool looks_like_zip(ByteSpan bytes);

  const std::vector<ZipEntry>& entries() const { return entries_; }
  /// The entry with this name, or null.
  const ZipEntry* find(std::string_view name) const;
  /// The data of an entry. Throws InputError if its CRC differs from the one in the archive, which has some.
  ByteSpan checked(const ZipEntry& entry) const;
  /// Whether any entry has a CRC. torch.save can leave all of them out.
  bool has_checksums() const { return checksums_; }

 private:
  struct Directory {
    uint64_t count, begin, size, end;  // end: first byte of the end records
  };
  struct Extent {
    uint64_t begin, end;
    size_t entry;
  };
  [[noreturn]] void fail(uint64_t at, const std::string& what) const;
  void need(uint64_t at, uint64_t size, const char* what) const;
  Directory find_directory() const;
  Directory read_zip64_end(uint64_t locator) const;
  uint64_t read_entry(uint64_t at, const Directory& directory);
  uint64_t check_local(uint64_t central, uint64_t at, const ZipEntry& entry, uint64_t size, uint16_t flags,
                       uint64_t& data);
  uint64_t check_descriptor(uint64_t at, const ZipEntry& entry, uint64_t size) const;
  void check_overlaps(const Directory& directory) const;

  ByteSpan bytes_;
  std::string where_;
  std::vector<ZipEntry> entries_;
  std::vector<Extent> extents_;
  bool checksums_ = false;
  std::unordered_map<std::string_view, size_t> index_;
};

}  // namespace moproc::formats
