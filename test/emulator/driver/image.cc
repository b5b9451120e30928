// Images are shared objects of the same .cu files, compiled by g++ and loaded from memory. They find the emulator's
// core in this library, whose symbols are made global first.
#include <dlfcn.h>
#include <elf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "machine.h"

namespace emulator::driver {
namespace {

/// Size in bytes of a 64-bit ELF file, which its section headers end.
size_t elf_bytes(const void* image) {
  Elf64_Ehdr header;
  std::memcpy(&header, image, sizeof header);
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64) return 0;
  size_t end = header.e_shoff + size_t{header.e_shentsize} * header.e_shnum;
  for (int i = 0; i < header.e_shnum; ++i) {
    Elf64_Shdr section;
    std::memcpy(&section, static_cast<const char*>(image) + header.e_shoff + size_t{header.e_shentsize} * i,
                sizeof section);
    if (section.sh_type != SHT_NOBITS) end = std::max<size_t>(end, section.sh_offset + section.sh_size);
  }
  return end;
}

/// Makes the exports of this library visible to libraries that are loaded later.
bool make_global() {
  Dl_info info;
  return dladdr(reinterpret_cast<void*>(&make_global), &info) != 0 &&
         dlopen(info.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_GLOBAL) != nullptr;
}

}  // namespace

Image open_image(const void* image, std::string& why) {
  const size_t bytes = elf_bytes(image);
  if (bytes == 0) return why = "it is no shared object", Image{};
  if (!make_global()) return why = "the driver's own symbols cannot be made global", Image{};
  Image loaded{nullptr, memfd_create("image", MFD_CLOEXEC)};
  if (loaded.file >= 0 && write(loaded.file, image, bytes) == static_cast<ssize_t>(bytes)) {
    loaded.handle = dlopen(("/proc/self/fd/" + std::to_string(loaded.file)).c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!loaded.handle) why = dlerror();
  } else {
    why = "no memory for it";
  }
  if (!loaded.handle && loaded.file >= 0) close(loaded.file);
  return loaded;
}

void close_image(const Image& image) {
  dlclose(image.handle);
  close(image.file);
}

void* find_symbol(const Image& image, const char* name) { return dlsym(image.handle, name); }

}  // namespace emulator::driver
