// Zip archives as torch.save writes them: entries stored without compression, with or without zip64. Both
// directories, the central one and the headers before the data, must say the same.
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
  /// `bytes` must outlive the reader; `where` begins every message. Throws InputError naming the entry and
  /// the byte: truncated, compressed, encrypted, in several parts, ranges that leave the archive or overlap,
  /// names that appear twice, headers that contradict each other, anything behind the end.
  ZipReader(ByteSpan bytes, std::string where);

  static bool looks_like_zip(ByteSpan bytes);

  const std::vector<ZipEntry>& entries() const { return entries_; }
  /// Null when there is no entry of this name.
  const ZipEntry* find(std::string_view name) const;
  /// The entry's data. Throws InputError when their CRC is not the one the archive names.
  ByteSpan checked(const ZipEntry& entry) const;

 private:
  struct Directory {
    uint64_t count, begin, size, end;  // end: where the records of the end begin
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
  std::unordered_map<std::string_view, size_t> index_;
};

}  // namespace moproc::formats
