// Writes with POSIX calls: continues interrupted and partial writes, and reports all other errors.
#include "formats/output_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <random>

#include "core/error.h"

namespace moproc::formats {
namespace {

[[noreturn]] void fail(const std::string& what, int error) { throw InputError(what + ": " + std::strerror(error)); }

std::string parent(const std::string& path) {
  const std::string p = std::filesystem::path(path).parent_path().string();
  return p.empty() ? "." : p;
}

}  // namespace

OutputFile::OutputFile(std::string path, Open how) : path_(std::move(path)) {
  const int mode = how == Open::append ? O_APPEND : how == Open::fresh ? O_EXCL : O_TRUNC;
  fd_ = open(path_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | mode, 0666);
  if (fd_ < 0) fail("cannot write " + path_, errno);
}

OutputFile::~OutputFile() {
  if (fd_ >= 0) close(fd_);
}

void OutputFile::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd_, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail("cannot write " + path_, errno);
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
}

std::optional<int64_t> OutputFile::size() const {
  struct stat status{};
  if (fstat(fd_, &status) != 0 || !S_ISREG(status.st_mode)) return std::nullopt;
  return status.st_size;
}

bool OutputFile::cut(int64_t size) { return ftruncate(fd_, size) == 0; }

void OutputFile::sync_and_close() {
  const int fd = fd_;
  fd_ = -1;
  if (fsync(fd) != 0) {
    const int error = errno;
    close(fd);
    fail("cannot write " + path_, error);
  }
  if (close(fd) != 0) fail("cannot write " + path_, errno);
}

void rename_durably(const std::string& from, const std::string& to) {
  if (rename(from.c_str(), to.c_str()) != 0) fail("cannot rename " + from + " to " + to, errno);
  const int fd = open(parent(to).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) fail("cannot open " + parent(to), errno);
  const int error = fsync(fd) == 0 || errno == EINVAL ? 0 : errno;  // EINVAL: the file system does not support it
  close(fd);
  if (error) fail("cannot sync " + parent(to), error);
}

std::string temporary_name(const std::string& path) {
  std::random_device random;
  char end[32];
  std::snprintf(end, sizeof end, ".%08x%08x.tmp", random(), random());
  return path + end;
}

std::string_view without_temporary_end(std::string_view name) {
  constexpr std::string_view last = ".tmp", digits = "0123456789abcdef";
  if (!name.ends_with(last)) return {};
  name.remove_suffix(last.size());
  const size_t dot = name.rfind('.');
  if (dot == std::string_view::npos || name.size() - dot != 17) return {};
  return name.find_first_not_of(digits, dot + 1) == std::string_view::npos ? name.substr(0, dot) : std::string_view{};
}

void write_atomically(const std::string& path, const Mark& mark, const std::function<void(OutputFile&)>& body) {
  require_file(path, mark);
  const std::string partial = temporary_name(path);
  OutputFile file(partial, OutputFile::Open::fresh);
  try {
    body(file);
    file.sync_and_close();
    require_file(path, mark);
    rename_durably(partial, path);
  } catch (...) {
    unlink(partial.c_str());
    throw;
  }
}

void make_writable_folder(const std::string& folder, const std::string& flag) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) fail(flag + " " + folder + ": cannot make the folder", error.value());
  const std::string probe = folder + "/.write-test." + std::to_string(getpid());
  const int fd = open(probe.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (fd < 0) fail(flag + " " + folder + ": cannot write there", errno);
  close(fd);
  unlink(probe.c_str());
}

}  // namespace moproc::formats
