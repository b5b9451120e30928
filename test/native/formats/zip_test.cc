// Archives that were written here are read back. To test zip64, small numbers are treated as large.
#include "core/error.h"
#include "formats/mapped_file.h"
#include "formats/zip_reader.h"
#include "formats/zip_writer.h"
#include "support.h"
#include "tap.h"

using namespace moproc;
using namespace moproc::formats;
using namespace moproc::test;

namespace {

std::string content(size_t size) {
  std::string text;
  for (size_t i = 0; i < size; ++i) text += static_cast<char>(i * 31 + size);
  return text;
}

}  // namespace

TEST("zip: what is written is read, at any border between 32 and 64 bits, data aligned to 64 bytes") {
  Folder folder;
  const std::vector<std::pair<std::string, size_t>> entries = {
      {"a/data.pkl", 100}, {"a/data/0", 0}, {"a/data/1", 1}, {"a/data/2", 64}, {"a/data/3", 4097}, {"a/version", 2}};
  for (const uint64_t limit : {uint64_t{0xffffffff}, uint64_t{1}, uint64_t{65}, uint64_t{200}, uint64_t{1000}}) {
    const std::string path = folder / "z";
    write_atomically(path, checked_mark(), [&](OutputFile& file) {
      ZipWriter zip(file, limit);
      for (const auto& [name, size] : entries) {
        const std::string text = content(size);
        zip.begin(name, size);
        zip.write(as_bytes(text).subspan(0, size / 3));
        zip.write(as_bytes(text).subspan(size / 3));
      }
      zip.finish();
    });
    const MappedFile file(path);
    const ZipReader zip(file.bytes(), path);
    REQUIRE(zip.entries().size() == entries.size());
    for (const auto& [name, size] : entries) {
      const ZipEntry* const entry = zip.find(name);
      REQUIRE(entry != nullptr);
      CHECK(as_text(zip.checked(*entry)) == content(size));
      CHECK_EQ((entry->data.data() - file.bytes().data()) % 64, 0);
    }
    CHECK(zip.find("a/data/4") == nullptr);
  }
}

TEST("zip: an entry of another size than announced is our own mistake") {
  Folder folder;
  OutputFile file(folder / "z", OutputFile::Open::fresh);
  ZipWriter zip(file);
  zip.begin("a", 3);
  zip.write(as_bytes("ab"));
  CHECK_THROWS(zip.finish(), "another size than announced");
}

TEST("zip: a changed byte in an entry is found by its CRC") {
  Folder folder;
  write_atomically(folder / "z", checked_mark(), [&](OutputFile& file) {
    ZipWriter zip(file);
    zip.add("a", as_bytes("hello"));
    zip.finish();
  });
  std::string bytes = read_bytes(folder / "z");
  bytes[bytes.find("hello")] = 'j';
  const ZipReader zip(as_bytes(bytes), "f.zip");
  CHECK_THROWS(zip.checked(zip.entries()[0]), "f.zip: zip archive, entry 'a': its data do not have the CRC");
}
