// Writes zip archives like torch.save's: stored entries whose data begins at multiples of 64 bytes, with CRCs behind
// the data, so that one pass is enough. The zip64 end record is always written, zip64 sizes only if they are needed.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "formats/bytes.h"
#include "formats/output_file.h"

namespace moproc::formats {

class ZipWriter {
 public:
  /// Appends to `file`, which must be empty and outlive the writer. Numbers from `limit` upwards are written in 64
  /// bits; only tests need a limit other than that of the format.
  explicit ZipWriter(OutputFile& file, uint64_t limit = 0xffffffff) : file_(file), limit_(limit) {}

  /// Begins an entry of `size` bytes. write() must supply exactly these bytes before the next begin() or finish().
  void begin(std::string_view name, uint64_t size);
  void write(ByteSpan bytes);
  void add(std::string_view name, ByteSpan bytes) { begin(name, bytes.size()), write(bytes); }
  /// Writes the directory.
  void finish();

 private:
  struct Entry {
    std::string name;
    uint64_t at = 0, size = 0, written = 0;
    uint32_t crc = 0;
    uint16_t flags() const;
  };
  void emit(std::string_view text);
  void close_entry();
  std::string central_header(const Entry& entry) const;
  std::string end_records(uint64_t begin) const;
  uint32_t narrow(uint64_t value) const { return value >= limit_ ? 0xffffffff : static_cast<uint32_t>(value); }

  OutputFile& file_;
  uint64_t limit_;
  uint64_t at_ = 0;
  bool open_ = false;
  std::vector<Entry> entries_;
};

}  // namespace moproc::formats
