// All offsets are 64-bit, and each is compared with the archive's size before it is used.
#include "formats/zip_reader.h"

#include <algorithm>
#include <cstdint>

#include "core/error.h"
#include "formats/crc32.h"
#include "formats/zip_format.h"

namespace moproc::formats {
namespace {

using namespace zip;

/// The 64-bit values of an entry's zip64 extra field, in the order in which headers ask for them.
class Zip64Values {
 public:
  explicit Zip64Values(ByteSpan extra) {
    for (size_t at = 0; extra.size() - at >= 4;) {
      const uint16_t id = load<uint16_t>(extra, at), size = load<uint16_t>(extra, at + 2);
      if (extra.size() - at - 4 < size) break;
      if (id == kZip64Extra) values_ = extra.subspan(at + 4, size);
      at += 4u + size;
    }
  }
  /// If `field` is the sign for "see the extra field", replaces it by the next value there; false if there is none.
  bool take(uint64_t& field) {
    if (field != kSee64) return true;
    if (values_.size() < 8) return false;
    field = load<uint64_t>(values_, 0);
    values_ = values_.subspan(8);
    return true;
  }
  bool any() const { return !values_.empty(); }

 private:
  ByteSpan values_;
};

}  // namespace

bool ZipReader::looks_like_zip(ByteSpan bytes) {
  return bytes.size() >= 4 && (load<uint32_t>(bytes, 0) == kLocalHeader || load<uint32_t>(bytes, 0) == kEnd);
}

void ZipReader::fail(uint64_t at, const std::string& what) const {
  throw InputError(where_ + ": zip archive, byte " + std::to_string(at) + ": " + what);
}

/// Throws InputError unless bytes [at, at + size) are inside the archive.
void ZipReader::need(uint64_t at, uint64_t size, const char* what) const {
  if (at > bytes_.size() || size > bytes_.size() - at)
    fail(at, std::string(what) + " is outside the archive of " + std::to_string(bytes_.size()) + " bytes");
}

ZipReader::ZipReader(ByteSpan bytes, std::string where) : bytes_(bytes), where_(std::move(where)) {
  const Directory directory = find_directory();
  if (directory.count > directory.size / kCentralSize)
    fail(directory.begin, "a directory of " + std::to_string(directory.size) + " bytes cannot hold " +
                              std::to_string(directory.count) + " entries");
  entries_.reserve(directory.count);
  extents_.reserve(directory.count);
  uint64_t at = directory.begin;
  for (uint64_t i = 0; i < directory.count; ++i) at = read_entry(at, directory);
  if (at != directory.begin + directory.size) fail(at, "the directory has more bytes than entries");
  check_overlaps(directory);
}

ZipReader::Directory ZipReader::find_directory() const {
  if (bytes_.size() < kEndSize) fail(0, "truncated: too short for a zip archive");
  const uint64_t end = bytes_.size() - kEndSize;
  if (load<uint32_t>(bytes_, end) != kEnd || load<uint16_t>(bytes_, end + 20) != 0)
    fail(end, "no end of the directory here: the archive is truncated, or something follows it");
  const bool several = load<uint16_t>(bytes_, end + 4) != 0 || load<uint16_t>(bytes_, end + 6) != 0;
  const uint16_t here = load<uint16_t>(bytes_, end + 8), all = load<uint16_t>(bytes_, end + 10);
  if (several || here != all) fail(end, "an archive in several parts");
  const Directory d{all, load<uint32_t>(bytes_, end + 16), load<uint32_t>(bytes_, end + 12), end};
  const bool has64 = end >= kLocatorSize && load<uint32_t>(bytes_, end - kLocatorSize) == kLocator64;
  const Directory found = has64 ? read_zip64_end(end - kLocatorSize) : d;
  const auto agree = [&](uint64_t narrow, uint64_t wide, uint64_t sign) { return narrow == wide || narrow == sign; };
  if (!agree(d.count, found.count, 0xffff) || !agree(d.begin, found.begin, kSee64) ||
      !agree(d.size, found.size, kSee64))
    fail(end, "the two records of the directory's end contradict each other");
  need(found.begin, found.size, "the directory");
  if (found.begin + found.size != found.end) fail(found.begin, "the directory does not end where its end is recorded");
  return found;
}

ZipReader::Directory ZipReader::read_zip64_end(uint64_t locator) const {
  const uint64_t at = load<uint64_t>(bytes_, locator + 8);
  if (load<uint32_t>(bytes_, locator + 4) != 0 || load<uint32_t>(bytes_, locator + 16) > 1)
    fail(locator, "an archive in several parts");
  need(at, kEnd64Size, "the zip64 end of the directory");
  if (load<uint32_t>(bytes_, at) != kEnd64 || load<uint64_t>(bytes_, at + 4) != kEnd64Size - 12 ||
      at + kEnd64Size != locator)
    fail(at, "no zip64 end of the directory here");
  if (load<uint32_t>(bytes_, at + 16) != 0 || load<uint32_t>(bytes_, at + 20) != 0 ||
      load<uint64_t>(bytes_, at + 24) != load<uint64_t>(bytes_, at + 32))
    fail(at, "an archive in several parts");
  return {load<uint64_t>(bytes_, at + 32), load<uint64_t>(bytes_, at + 48), load<uint64_t>(bytes_, at + 40), at};
}

/// Reads the entry of the directory at `at`. Returns the offset of the next one.
uint64_t ZipReader::read_entry(uint64_t at, const Directory& directory) {
  need(at, kCentralSize, "an entry of the directory");
  if (load<uint32_t>(bytes_, at) != kCentralHeader) fail(at, "no entry of the directory here");
  const uint16_t flags = load<uint16_t>(bytes_, at + 8), method = load<uint16_t>(bytes_, at + 10);
  const uint16_t name_size = load<uint16_t>(bytes_, at + 28), extra_size = load<uint16_t>(bytes_, at + 30);
  const uint16_t comment_size = load<uint16_t>(bytes_, at + 32);
  const uint64_t next = at + kCentralSize + name_size + extra_size + comment_size;
  if (next > directory.begin + directory.size) fail(at, "an entry leaves the directory");
  ZipEntry entry;
  entry.name = as_text(bytes_.subspan(at + kCentralSize, name_size));
  entry.crc = load<uint32_t>(bytes_, at + 16);
  checksums_ = checksums_ || entry.crc != 0;
  const auto refuse = [&](const std::string& what) { fail(at, "entry " + in_quotes(entry.name) + ": " + what); };
  if (flags & kEncrypted) refuse("is encrypted");
  if (method != 0)
    refuse("is compressed (method " + std::to_string(method) +
           "); torch.save stores without compression. (A "
           "TorchScript program compresses its code; torch.save its state_dict instead.)");
  if (load<uint16_t>(bytes_, at + 34) != 0) refuse("lies in another part of the archive");
  uint64_t packed = load<uint32_t>(bytes_, at + 20), size = load<uint32_t>(bytes_, at + 24);
  uint64_t local = load<uint32_t>(bytes_, at + 42);
  Zip64Values wide(bytes_.subspan(at + kCentralSize + name_size, extra_size));
  if (!wide.take(size) || !wide.take(packed) || !wide.take(local)) refuse("its 64-bit sizes are missing");
  if (packed != size) refuse("is stored, but has two sizes");
  uint64_t data = 0;
  const uint64_t end = check_local(at, local, entry, size, flags, data);
  entry.data = bytes_.subspan(data, size);
  if (!index_.emplace(entry.name, entries_.size()).second) refuse("its name appears twice");
  extents_.push_back({local, end, entries_.size()});
  entries_.push_back(entry);
  return next;
}

/// Checks that the header before the data repeats the directory's values. Sets the offset of the data, and returns the
/// offset at which the entry ends.
uint64_t ZipReader::check_local(uint64_t central, uint64_t at, const ZipEntry& entry, uint64_t size, uint16_t flags,
                                uint64_t& data) {
  const std::string name = "entry " + in_quotes(entry.name);
  need(at, kLocalSize, (name + ": its header").c_str());
  if (load<uint32_t>(bytes_, at) != kLocalHeader) fail(at, name + ": no header here");
  const uint16_t name_size = load<uint16_t>(bytes_, at + 26), extra_size = load<uint16_t>(bytes_, at + 28);
  need(at + kLocalSize, uint64_t{name_size} + extra_size, (name + ": its header").c_str());
  data = at + kLocalSize + name_size + extra_size;
  need(data, size, (name + ": its data").c_str());
  const auto refuse = [&](const char* what) {
    fail(at, name + ": its header says another " + what + " than the directory (byte " + std::to_string(central) + ")");
  };
  if (as_text(bytes_.subspan(at + kLocalSize, name_size)) != entry.name) refuse("name");
  if (load<uint16_t>(bytes_, at + 6) != flags) refuse("set of flags");
  if (load<uint16_t>(bytes_, at + 8) != 0) refuse("compression");
  const uint32_t crc = load<uint32_t>(bytes_, at + 14);
  uint64_t packed = load<uint32_t>(bytes_, at + 18), real = load<uint32_t>(bytes_, at + 22);
  Zip64Values wide(bytes_.subspan(at + kLocalSize + name_size, extra_size));
  if (wide.any() && (!wide.take(real) || !wide.take(packed))) refuse("size");
  const bool later = flags & kDescriptor;  // CRC and sizes follow the data, so here they may be 0
  if (crc != entry.crc && !(later && crc == 0)) refuse("CRC");
  if ((real != size && !(later && real == 0)) || (packed != size && !(later && packed == 0))) refuse("size");
  return later ? check_descriptor(data + size, entry, size) : data + size;
}

/// Checks CRC and sizes (of 32 or 64 bits) after the data. Returns the offset at which they end.
uint64_t ZipReader::check_descriptor(uint64_t at, const ZipEntry& entry, uint64_t size) const {
  const std::string name = "entry " + in_quotes(entry.name);
  need(at, kDescriptorSize, (name + ": the record behind its data").c_str());
  if (load<uint32_t>(bytes_, at) != kDescriptorMark || load<uint32_t>(bytes_, at + 4) != entry.crc)
    fail(at, name + ": the record behind its data is missing, or says another CRC than the directory");
  const bool wide = bytes_.size() - at >= kDescriptor64Size && load<uint64_t>(bytes_, at + 8) == size &&
                    load<uint64_t>(bytes_, at + 16) == size;
  if (wide) return at + kDescriptor64Size;
  if (load<uint32_t>(bytes_, at + 8) != size || load<uint32_t>(bytes_, at + 12) != size)
    fail(at, name + ": the record behind its data says another size than the directory");
  return at + kDescriptorSize;
}

void ZipReader::check_overlaps(const Directory& directory) const {
  std::vector<Extent> order = extents_;
  std::sort(order.begin(), order.end(), [](const Extent& a, const Extent& b) { return a.begin < b.begin; });
  for (size_t i = 0; i < order.size(); ++i) {
    const bool last = i + 1 == order.size();
    if (order[i].end <= (last ? directory.begin : order[i + 1].begin)) continue;
    const std::string other = last ? "the directory" : "entry " + in_quotes(entries_[order[i + 1].entry].name);
    fail(order[i].begin, "entry " + in_quotes(entries_[order[i].entry].name) + " overlaps " + other);
  }
}

const ZipEntry* ZipReader::find(std::string_view name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : &entries_[found->second];
}

ByteSpan ZipReader::checked(const ZipEntry& entry) const {
  if (checksums_ && crc32(0, entry.data) != entry.crc)
    throw InputError(where_ + ": zip archive, entry " + in_quotes(entry.name) +
                     ": its data do not have the CRC the archive names: the file is damaged" +
                     (entry.crc == 0 ? ", or was saved without its numbers (torch.serialization.skip_data)" : ""));
  return entry.data;
}

}  // namespace moproc::formats
