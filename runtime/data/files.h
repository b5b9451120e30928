// The image files of a data folder: plain files, or members of the tar files ("shards") that `data pack` wrote.
// Surprising: a packed folder keeps its lists unchanged, so that readers of lists need not know about shards.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "decode.h"

namespace moproc::data {

// Places of the shards and their index below a data folder.
inline constexpr std::string_view kShardFolder = "shards";
inline constexpr std::string_view kShardIndex = "shards/index.txt";
inline constexpr std::string_view kShardFormat = "moproc-shards-1";  // the index's first line

// The size of a file and its first and last bytes, at most kEndBytes each.
struct FileEnds {
  std::uint64_t bytes = 0;
  std::vector<std::uint8_t> head, tail;
};
inline constexpr std::size_t kEndBytes = 1024;

class Files {
 public:
  virtual ~Files() = default;

  // The files of `folder`. If `folder` or its parent has an index of shards, they are read from there; otherwise they
  // are plain files. Throws DatasetError if the index is damaged.
  static std::shared_ptr<const Files> open(const std::string& folder);

  virtual bool packed() const = 0;
  virtual bool exists(std::string_view name) const = 0;
  // Reads the bytes of a file into `out`, whose capacity is reused. Thread safe. Throws ImageError.
  virtual void read(std::string_view name, std::vector<std::uint8_t>& out, const DecodeLimits& limits) const = 0;
  // The ends of a file, in two reads whatever its size. Thread safe. Throws ImageError.
  virtual FileEnds ends(std::string_view name, const DecodeLimits& limits = {}) const = 0;
  // All names of a packed folder, sorted as bytes; empty for plain files.
  virtual std::vector<std::string_view> names() const = 0;
};

}  // namespace moproc::data
