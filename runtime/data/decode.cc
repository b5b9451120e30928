// Reads a file into memory and chooses its decoder. decode_*.cc decode the formats.
#include "decode.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cerrno>
#include <cstring>

namespace moproc::data {

ImageError::ImageError(int error)
    : std::runtime_error(std::strerror(error)),
      may_pass_(error == EIO || error == ESTALE || error == ETIMEDOUT || error == EAGAIN || error == ENFILE ||
                error == EMFILE || error == ENOMEM) {}

ImageError ImageError::of_kind(const PictureKind& kind) {
  ImageError error("its format is " + std::string(kind.name) + "; only " + decoded_kinds_text("and") + " are read");
  error.unread_kind_ = kind.name;
  return error;
}

ImageFile::ImageFile(const std::string& path, const DecodeLimits& limits)
    : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
  struct stat info{};
  if (fd_ < 0) throw ImageError(errno);
  const int failed = ::fstat(fd_, &info) == 0 ? 0 : errno;
  bytes_ = static_cast<std::uint64_t>(info.st_size);
  if (!failed && S_ISREG(info.st_mode) && bytes_ <= limits.max_bytes) return;
  ::close(fd_);
  if (failed) throw ImageError(failed);
  if (!S_ISREG(info.st_mode)) throw ImageError("not a regular file");
  throw ImageError(std::to_string(bytes_) + " bytes, over the limit of " + std::to_string(limits.max_bytes));
}

ImageFile::~ImageFile() { ::close(fd_); }

void check_size(std::uint64_t width, std::uint64_t height, const DecodeLimits& limits) {
  const std::string size = std::to_string(width) + " x " + std::to_string(height) + " pixels";
  if (width == 0 || height == 0) throw ImageError("an empty picture: " + size);
  if (width > limits.max_pixels / height) {
    throw ImageError(size + ", over the limit of " + std::to_string(limits.max_pixels));
  }
}

void decode(std::span<const std::uint8_t> bytes, Image& out, const DecodeLimits& limits) {
  if (bytes.empty()) throw ImageError("the file is empty");
  const PictureKind* const kind = sniff(bytes);
  const std::string_view name = kind ? kind->name : "";
  if (name == "JPEG") return decode_jpeg(bytes, out, limits);
  if (name == "PNG") return decode_png(bytes, out, limits);
#if MOPROC_WEBP
  if (name == "WebP") return decode_webp(bytes, out, limits);
#endif
#if MOPROC_GIF
  if (name == "GIF") return decode_gif(bytes, out, limits);
#endif
  if (!kind) throw ImageError("not a " + decoded_kinds_text("or") + " file");
  if (!kind->picture) throw ImageError("not a " + decoded_kinds_text("or") + " file, it looks like " + kind->name);
  throw ImageError::of_kind(*kind);
}

void read_file(const std::string& path, std::vector<std::uint8_t>& out, const DecodeLimits& limits) {
  const ImageFile file(path, limits);
  out.resize(file.bytes());
  std::size_t done = 0;
  while (done < out.size()) {
    const ssize_t got = ::read(file.fd(), out.data() + done, out.size() - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw ImageError(errno);
    if (got == 0) break;  // the file shrank while it was read; the decoder reports missing data
    done += static_cast<std::size_t>(got);
  }
  out.resize(done);
}

}  // namespace moproc::data
