// Reads a file into memory and recognises its format. decode_*.cc decode the formats.
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
namespace {

struct Magic {
  std::size_t offset;
  std::string_view bytes;
  const char* name;
};

constexpr Magic magics[] = {
    {0, {"\xff\xd8\xff", 3}, "jpeg"},
    {0, {"\x89PNG\r\n\x1a\n", 8}, "png"},
    {0, {"GIF8", 4}, "gif"},
    {8, {"WEBP", 4}, "webp"},
    {0, {"BM", 2}, "bmp"},
    {0, {"II*\0", 4}, "tiff"},
    {0, {"MM\0*", 4}, "tiff"},
    {4, {"ftyp", 4}, "heif or avif"},
    {0, {"<!DOCTYPE", 9}, "html"},
    {0, {"<!doctype", 9}, "html"},
    {0, {"<html", 5}, "html"},
    {0, {"<HTML", 5}, "html"},
    {0, {"<?xml", 5}, "xml"},
    {0, {"<svg", 4}, "svg"},
    {0, {"%PDF", 4}, "pdf"},
};

class File {
 public:
  explicit File(const std::string& path) : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {}
  ~File() {
    if (fd_ >= 0) ::close(fd_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  int fd() const { return fd_; }

 private:
  int fd_;
};

}  // namespace

std::string sniff_format(std::span<const std::uint8_t> bytes) {
  for (const Magic& m : magics) {
    if (bytes.size() >= m.offset + m.bytes.size() &&
        std::memcmp(bytes.data() + m.offset, m.bytes.data(), m.bytes.size()) == 0) {
      return m.name;
    }
  }
  return "";
}

void check_size(std::uint64_t width, std::uint64_t height, const DecodeLimits& limits) {
  const std::string size = std::to_string(width) + " x " + std::to_string(height) + " pixels";
  if (width == 0 || height == 0) throw ImageError("an empty picture: " + size);
  if (width > limits.max_pixels / height) {
    throw ImageError(size + ", over the limit of " + std::to_string(limits.max_pixels));
  }
}

void decode(std::span<const std::uint8_t> bytes, Image& out, const DecodeLimits& limits) {
  if (bytes.empty()) throw ImageError("the file is empty");
  const std::string format = sniff_format(bytes);
  if (format == "jpeg") return decode_jpeg(bytes, out, limits);
  if (format == "png") return decode_png(bytes, out, limits);
  throw ImageError(format.empty() ? "not a JPEG or PNG file" : "not a JPEG or PNG file, it looks like " + format);
}

void read_file(const std::string& path, std::vector<std::uint8_t>& out, const DecodeLimits& limits) {
  const File file(path);
  struct stat info{};
  if (file.fd() < 0 || ::fstat(file.fd(), &info) != 0) throw ImageError(errno);
  if (!S_ISREG(info.st_mode)) throw ImageError("not a regular file");
  if (static_cast<std::uint64_t>(info.st_size) > limits.max_bytes) {
    throw ImageError(std::to_string(info.st_size) + " bytes, over the limit of " + std::to_string(limits.max_bytes));
  }
  out.resize(static_cast<std::size_t>(info.st_size));
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
