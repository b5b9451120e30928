// Archives with wrong headers: a correct archive in which numbers at known places are changed.
#include <cstring>

#include "formats/zip_writer.h"
#include "hostile.h"
#include "support.h"

namespace moproc::test {

std::string zip_of(const std::vector<std::pair<std::string, std::string>>& entries) {
  const Folder folder;
  formats::write_atomically(folder / "z", formats::checked_mark(), [&](formats::OutputFile& file) {
    formats::ZipWriter zip(file);
    for (const auto& [name, data] : entries) zip.add(name, formats::as_bytes(data));
    zip.finish();
  });
  return read_bytes(folder / "z");
}

namespace {

using pickle::little;

/// A good archive, and where its parts begin.
struct Archive {
  std::string bytes = zip_of({{"a/data.pkl", pickle::proto2 + "}" + pickle::text("x") + "Ns."},
                              {"a/data/0", "0123456789abcdef"},
                              {"a/version", "3\n"}});
  size_t local(int n) const { return nth("PK\x03\x04", n); }
  size_t central(int n) const { return nth("PK\x01\x02", n); }
  size_t descriptor(int n) const { return nth("PK\x07\x08", n); }
  size_t end64() const { return nth("PK\x06\x06", 0); }
  size_t locator() const { return nth("PK\x06\x07", 0); }
  size_t end() const { return bytes.size() - 22; }
  size_t nth(const char* mark, int n) const {
    size_t at = bytes.find(mark, 0, 4);
    while (n-- > 0) at = bytes.find(mark, at + 1, 4);
    return at;
  }
  template <class T>
  Archive set(size_t at, T value) const {
    Archive a = *this;
    std::memcpy(a.bytes.data() + at, &value, sizeof value);
    return a;
  }
  template <class T>
  T get(size_t at) const {
    T v;
    std::memcpy(&v, bytes.data() + at, sizeof v);
    return v;
  }
};

void add_entries(std::vector<Hostile>& out) {
  const Archive a;
  const auto add = [&](const char* name, const Archive& bad, const char* says) {
    out.push_back({name, bad.bytes, says});
  };
  add("encrypted", a.set<uint16_t>(a.central(1) + 8, 0x809), "entry 'a/data/0': is encrypted");
  add("compressed", a.set<uint16_t>(a.central(1) + 10, 8), "entry 'a/data/0': is compressed (method 8)");
  add("compressed-in-header-only", a.set<uint16_t>(a.local(1) + 8, 8),
      "entry 'a/data/0': its header says another compression");
  add("in-another-part", a.set<uint16_t>(a.central(1) + 34, 1), "entry 'a/data/0': lies in another part");
  add("two-sizes", a.set<uint32_t>(a.central(1) + 20, 15), "entry 'a/data/0': is stored, but has two sizes");
  add("size-of-4-gigabytes",
      a.set<uint32_t>(a.central(1) + 20, 0xfffffffe).set<uint32_t>(a.central(1) + 24, 0xfffffffe),
      "entry 'a/data/0': its data is outside the archive");
  add("size-in-64-bits-missing", a.set<uint32_t>(a.central(1) + 24, 0xffffffff),
      "entry 'a/data/0': its 64-bit sizes are missing");
  add("larger-than-it-is", a.set<uint32_t>(a.central(1) + 20, 20).set<uint32_t>(a.central(1) + 24, 20),
      "entry 'a/data/0': the record behind its data is missing");
  add("smaller-than-it-is", a.set<uint32_t>(a.central(1) + 20, 8).set<uint32_t>(a.central(1) + 24, 8),
      "entry 'a/data/0': the record behind its data is missing");
  add("size-in-header", a.set<uint32_t>(a.local(1) + 22, 17), "entry 'a/data/0': its header says another size");
  add("size-behind-data", a.set<uint32_t>(a.descriptor(1) + 8, 17),
      "entry 'a/data/0': the record behind its data says another size");
  add("crc-behind-data", a.set<uint32_t>(a.descriptor(1) + 4, 17),
      "entry 'a/data/0': the record behind its data is missing, or says another CRC");
  add("crc-in-header", a.set<uint32_t>(a.local(1) + 14, 17), "entry 'a/data/0': its header says another CRC");
  add("flags-differ", a.set<uint16_t>(a.local(1) + 6, 0x808 ^ 2),
      "entry 'a/data/0': its header says another set of flags");
  add("name-differs", a.set<char>(a.local(1) + 30, 'b'), "entry 'a/data/0': its header says another name");
  add("header-elsewhere", a.set<uint32_t>(a.central(1) + 42, 1), "entry 'a/data/0': no header here");
  add("header-beyond", a.set<uint32_t>(a.central(1) + 42, 0xfffffff0),
      "entry 'a/data/0': its header is outside the archive");
  add("header-of-another", a.set<uint32_t>(a.central(1) + 42, 0), "entry 'a/data/0': its header says another name");
  add("extra-field-beyond", a.set<uint16_t>(a.local(1) + 28, 0xffff),
      "entry 'a/data/0': its header is outside the archive");
  Archive twice = a;
  twice.bytes.replace(twice.central(2) + 46, 9, "a/data.pk");
  twice = twice.set<uint16_t>(twice.central(2) + 28, 9);
  add("name-changed-in-directory", twice, "entry 'a/data.pk': its header says another name");
  const Archive damaged = a.set<char>(a.bytes.find("0123456789abcdef"), 'x');
  Archive used = damaged;
  used.bytes = zip_of({{"a/data.pkl", pickle::proto2 + "}" + pickle::text("x") +
                                          pickle::tensor(pickle::storage("ByteStorage", "0", 16), 0, {16}, {1}) + "s."},
                       {"a/data/0", "0123456789abcdef"}});
  add("data-damaged", used.set<char>(used.bytes.find("0123456789abcdef"), 'x'),
      "entry 'a/data/0': its data do not have the CRC");
}

void add_directories(std::vector<Hostile>& out) {
  const Archive a;
  const auto add = [&](const char* name, const Archive& bad, const char* says) {
    out.push_back({name, bad.bytes, says});
  };
  const auto both = [&](size_t narrow, size_t wide, uint64_t value) {
    return a.set<uint32_t>(a.end() + narrow, static_cast<uint32_t>(value)).set<uint64_t>(a.end64() + wide, value);
  };
  add("ends-differ", a.set<uint32_t>(a.end() + 16, 5), "the two records of the directory's end contradict each other");
  add("counts-differ", a.set<uint16_t>(a.end() + 8, 2), "an archive in several parts");
  add("directory-beyond", both(16, 48, 1 << 30), "the directory is outside the archive");
  add("directory-wraps", a.set<uint32_t>(a.end() + 16, 0xffffffff).set<uint64_t>(a.end64() + 48, UINT64_MAX - 10),
      "the directory is outside the archive");
  add("directory-shorter", both(12, 40, 20), "the directory does not end where its end is recorded");
  add("directory-of-many",
      a.set<uint16_t>(a.end() + 8, 0xffff)
          .set<uint16_t>(a.end() + 10, 0xffff)
          .set<uint64_t>(a.end64() + 24, UINT64_MAX)
          .set<uint64_t>(a.end64() + 32, UINT64_MAX),
      "cannot hold 18446744073709551615 entries");
  add("directory-of-fewer",
      a.set<uint16_t>(a.end() + 8, 2)
          .set<uint16_t>(a.end() + 10, 2)
          .set<uint64_t>(a.end64() + 24, 2)
          .set<uint64_t>(a.end64() + 32, 2),
      "the directory has more bytes than entries");
  add("directory-entry-lost", a.set<char>(a.central(1), 'Q'), "no entry of the directory here");
  add("name-leaves-directory", a.set<uint16_t>(a.central(2) + 28, 0xffff), "an entry leaves the directory");
  add("zip64-end-elsewhere", a.set<uint64_t>(a.locator() + 8, 0), "no zip64 end of the directory here");
  add("zip64-end-beyond", a.set<uint64_t>(a.locator() + 8, UINT64_MAX),
      "the zip64 end of the directory is outside the archive");
  add("zip64-end-in-parts", a.set<uint32_t>(a.locator() + 16, 2), "an archive in several parts");
  add("zip64-end-longer", a.set<uint64_t>(a.end64() + 4, UINT64_MAX), "no zip64 end of the directory here");
  Archive behind = a;
  behind.bytes += "hello, this is another file";
  add("something-behind", behind, "the archive is truncated, or something follows it");
  add("comment", a.set<uint16_t>(a.end() + 20, 5), "the archive is truncated, or something follows it");
  add("not-of-torch", {zip_of({{"hello.txt", "hello"}})}, "a zip archive without ARCHIVE/data.pkl");
  add("two-pickles", {zip_of({{"a/data.pkl", "x"}, {"b/data.pkl", "y"}})}, "two entries are named data.pkl");
  add("name-twice", {zip_of({{"a/data.pkl", "x"}, {"a/data.pkl", "y"}})}, "its name appears twice");
  add("torchscript", {zip_of({{"a/data.pkl", "x"}, {"a/constants.pkl", "y"}})}, "a TorchScript program");
  add("big-endian", {zip_of({{"a/data.pkl", "x"}, {"a/byteorder", "big"}})}, "its numbers are 'big'-endian");
  add("pickle-empty", {zip_of({{"a/data.pkl", ""}})}, "no pickle begins here");
  add("nothing-but-an-end", {a.bytes.substr(a.end())}, "the directory is outside the archive");
  Archive overlap = a;  // the second entry also claims the bytes of the third
  const size_t size = overlap.local(2) - overlap.local(1) + 20;
  overlap = overlap.set<uint16_t>(overlap.local(1) + 6, 0x800).set<uint16_t>(overlap.central(1) + 8, 0x800);
  for (const size_t at :
       {overlap.local(1) + 18, overlap.local(1) + 22, overlap.central(1) + 20, overlap.central(1) + 24})
    overlap = overlap.set<uint32_t>(at, static_cast<uint32_t>(size));
  overlap = overlap.set<uint32_t>(overlap.local(1) + 14, overlap.get<uint32_t>(overlap.central(1) + 16));
  add("overlapping-entries", overlap, "entry 'a/data/0' overlaps entry 'a/version'");
}

}  // namespace

std::vector<Hostile> hostile_zips() {
  std::vector<Hostile> all;
  add_entries(all);
  add_directories(all);
  for (Hostile& h : all) h.name += ".zip";
  return all;
}

}  // namespace moproc::test
