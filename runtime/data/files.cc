// The index is one text with lines `SHARD OFFSET BYTES NAME`. Entries point into it and are sorted by name.
#include "files.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "dataset.h"
#include "list_file.h"

namespace fs = std::filesystem;

namespace moproc::data {
namespace {

/// Fills `out` with the bytes of an open file or shard (`kind`) from `offset` on.
void read_part(int fd, const char* kind, std::uint64_t offset, std::span<std::uint8_t> out) {
  for (std::size_t done = 0; done < out.size();) {
    const ssize_t got = ::pread(fd, out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw ImageError(errno);
    if (got == 0) throw ImageError(std::string("its ") + kind + " ends early");
    done += static_cast<std::size_t>(got);
  }
}

FileEnds ends_of(int fd, const char* kind, std::uint64_t offset, std::uint64_t bytes) {
  FileEnds ends{bytes, {}, {}};
  const std::size_t kept = std::min<std::uint64_t>(bytes, kEndBytes);
  ends.head.resize(kept);
  ends.tail.resize(kept);
  read_part(fd, kind, offset, ends.head);
  read_part(fd, kind, offset + bytes - kept, ends.tail);
  return ends;
}

class PlainFiles final : public Files {
 public:
  explicit PlainFiles(std::string folder) : folder_(std::move(folder)) {}
  bool packed() const override { return false; }
  bool exists(std::string_view name) const override {
    std::error_code error;
    return fs::exists(path(name), error);
  }
  void read(std::string_view name, std::vector<std::uint8_t>& out, const DecodeLimits& limits) const override {
    explained(name, [&] { read_file(path(name), out, limits); });
  }
  FileEnds ends(std::string_view name, const DecodeLimits& limits) const override {
    FileEnds ends;
    explained(name, [&] {
      const ImageFile file(path(name), limits);
      ends = ends_of(file.fd(), "file", 0, file.bytes());
    });
    return ends;
  }
  std::vector<std::string_view> names() const override { return {}; }

 private:
  /// Calls f(); if the file is missing and its path is one of Windows, the error says so.
  template <class F>
  void explained(std::string_view name, const F& f) const {
    try {
      f();
    } catch (const ImageError& e) {
      if (exists(name) || name.find('\\') == std::string_view::npos) throw;
      throw ImageError(std::string(e.what()) + "; folders are separated by / in a list, this path has a backslash");
    }
  }
  /// A list may name files outside the folder by their absolute paths.
  std::string path(std::string_view name) const {
    return name.starts_with('/') ? std::string(name) : folder_ + "/" + std::string(name);
  }
  std::string folder_;
};

// Takes a whole number and the space after it off the front of the text.
bool take_number(std::string_view& text, std::uint64_t& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end == text.data() + text.size() || *end != ' ') return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()) + 1);
  return true;
}

class ShardFiles final : public Files {
 public:
  ShardFiles(const std::string& root, std::string prefix) : root_(root), prefix_(std::move(prefix)) {
    const std::string file = root + "/" + std::string(kShardIndex);
    std::ifstream in(file, std::ios::binary);
    text_.assign(std::istreambuf_iterator<char>(in), {});
    std::size_t number = 0;
    for (std::string_view rest = text_; !rest.empty();) {
      const std::size_t end = rest.find('\n');
      if (end == std::string_view::npos) bad_line(file, number + 1, "is cut off; pack the folder again");
      parse(file, ++number, rest.substr(0, end));
      rest.remove_prefix(end + 1);
    }
    if (number == 0) throw DatasetError(file + ": is empty; pack the folder again");
    std::sort(entries_.begin(), entries_.end(), [](const Entry& a, const Entry& b) { return a.name < b.name; });
    open_shards();
  }
  ~ShardFiles() override {
    for (const int fd : shards_) ::close(fd);
  }

  bool packed() const override { return true; }
  bool exists(std::string_view name) const override { return find(name) != nullptr; }

  void read(std::string_view name, std::vector<std::uint8_t>& out, const DecodeLimits& limits) const override {
    const Entry* const e = find(name);
    require(e, limits);
    out.resize(e->bytes);
    read_part(shards_[e->shard], "shard", e->offset, out);
  }

  FileEnds ends(std::string_view name, const DecodeLimits& limits) const override {
    const Entry* const e = find(name);
    require(e, limits);
    return ends_of(shards_[e->shard], "shard", e->offset, e->bytes);
  }

  std::vector<std::string_view> names() const override {
    std::vector<std::string_view> all;
    for (const Entry& e : entries_) all.push_back(e.name);
    return all;
  }

 private:
  struct Entry;
  static void require(const Entry* e, const DecodeLimits& limits) {
    if (!e) throw ImageError("is not in the shards");
    if (e->bytes > limits.max_bytes)
      throw ImageError(std::to_string(e->bytes) + " bytes, over the limit of " + std::to_string(limits.max_bytes));
  }

  struct Entry {
    std::string_view name;
    std::uint64_t offset, bytes;
    std::uint32_t shard;
  };

  void parse(const std::string& file, std::size_t number, std::string_view line) {
    if (number == 1) {
      if (line != kShardFormat) bad_line(file, 1, "is not an index of shards that this version reads: " + quoted(line));
      return;
    }
    Entry e{};
    const std::size_t space = line.find(' ');
    if (space == std::string_view::npos)
      bad_line(file, number, "expected 'SHARD OFFSET BYTES NAME', got " + quoted(line));
    const std::string_view shard = line.substr(0, space);
    std::string_view rest = line.substr(space + 1);
    if (!take_number(rest, e.offset) || !take_number(rest, e.bytes) || rest.empty())
      bad_line(file, number, "expected 'SHARD OFFSET BYTES NAME', got " + quoted(line));
    if (shard_names_.empty() || shard_names_.back() != shard) shard_names_.emplace_back(shard);
    e.shard = static_cast<std::uint32_t>(shard_names_.size() - 1);
    if (!rest.starts_with(prefix_)) return;
    e.name = rest.substr(prefix_.size());
    entries_.push_back(e);
  }

  void open_shards() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
      limit.rlim_cur = limit.rlim_max;  // a large set has more shards than the usual limit of 1,024 open files
      ::setrlimit(RLIMIT_NOFILE, &limit);
    }
    for (const std::string& name : shard_names_) {
      const std::string path = root_ + "/" + std::string(kShardFolder) + "/" + name;
      const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
      if (fd < 0) {
        const std::string why = std::strerror(errno);
        for (const int open : shards_) ::close(open);
        shards_.clear();
        throw DatasetError(path + ": " + why);
      }
      shards_.push_back(fd);
    }
  }

  const Entry* find(std::string_view name) const {
    const auto at = std::lower_bound(entries_.begin(), entries_.end(), name,
                                     [](const Entry& e, std::string_view n) { return e.name < n; });
    return at != entries_.end() && at->name == name ? &*at : nullptr;
  }

  std::string root_, prefix_, text_;
  std::vector<Entry> entries_;
  std::vector<std::string> shard_names_;
  std::vector<int> shards_;
};

}  // namespace

std::shared_ptr<const Files> Files::open(const std::string& folder) {
  const auto has_index = [](const fs::path& dir) {
    std::error_code error;
    return fs::is_regular_file(dir / kShardIndex, error);
  };
  if (has_index(folder)) return std::make_shared<ShardFiles>(folder, "");
  const fs::path path = fs::path(folder).lexically_normal(), here = path.has_filename() ? path : path.parent_path();
  if (const fs::path above = here.parent_path(); !above.empty() && has_index(above))
    return std::make_shared<ShardFiles>(above.string(), here.filename().string() + "/");
  return std::make_shared<PlainFiles>(folder);
}

}  // namespace moproc::data
