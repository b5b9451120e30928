// Whether the files of a set can be read, found out before a run at a small cost. The two ends of a file show if it is
// missing, empty, of another format, or cut off; only what looks odd there is decoded, and as many other files as a
// budget of bytes allows.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "dataset.h"
#include "loader.h"

namespace moproc::data {

// The share of a set's images, per cent, that may be unreadable when a run starts, unless the user says otherwise.
inline constexpr double kMaxBroken = 1;

// How many images of a set are looked at before a run; of a larger set that is a sample.
inline constexpr std::size_t kLookedAt = 10'000;

struct LookOptions {
  int threads = 1;
  // Files are decoded in the order of `samples` until they have so many bytes together.
  std::uint64_t decode_bytes = std::uint64_t{64} << 20;
  // Called from the calling thread now and then with the share of the work that is done.
  std::function<void(double share)> progress = {};
};

// Looks at images of a list. Returns those that cannot be read, by ascending position in the list. The result does not
// depend on the number of threads.
std::vector<Broken> look(const Dataset& list, std::span<const std::uint32_t> samples, const LookOptions& options);

// Looks at images one after the other until one can be read. Returns whether there is one; `broken` gets the others.
bool any_readable(const Dataset& list, std::span<const std::uint32_t> samples, std::vector<Broken>& broken);

// Whether the end of a file is that of a complete file of its format. If not, the file may still be complete.
bool ends_whole(const FileEnds& ends);

}  // namespace moproc::data
