// The zip reader: its directory, and the CRC of every entry.
#include "formats/zip_reader.h"

#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace moproc;
  fuzz::parse([&](const char* name) {
    const formats::ZipReader zip(fuzz::input(data, size), name);
    for (const formats::ZipEntry& e : zip.entries())
      if (zip.find(e.name) != &e) __builtin_trap();
    for (const formats::ZipEntry& e : zip.entries()) zip.checked(e);
  });
  return 0;
}
