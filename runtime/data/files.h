// The image files of a data folder: plain ones, or members of tar files ("shards") that `data pack` wrote.
// Surprising: a packed folder keeps its lists as they were, so that whoever reads them needs to know nothing about
// shards.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "decode.h"

namespace moproc::data {

// Where shards and their index lie below a data folder.
inline constexpr std::string_view kShardFolder = "shards";
inline constexpr std::string_view kShardIndex = "shards/index.txt";
inline constexpr std::string_view kShardFormat = "moproc-shards-1";  // the index's first line

class Files {
 public:
  virtual ~Files() = default;

  // The files of `folder`, or of that part of its parent folder, whichever has an index of shards; plain files where
  // neither has. Throws DatasetError: an index that is not as it should be.
  static std::shared_ptr<const Files> open(const std::string& folder);

  virtual bool packed() const = 0;
  virtual bool exists(std::string_view name) const = 0;
  // The bytes of a file into `out`, whose capacity is reused. Thread safe. Throws ImageError with the reason.
  virtual void read(std::string_view name, std::vector<std::uint8_t>& out, const DecodeLimits& limits) const = 0;
  // Packed: all names, sorted as bytes. Plain: nothing.
  virtual std::vector<std::string_view> names() const = 0;
};

}  // namespace moproc::data
