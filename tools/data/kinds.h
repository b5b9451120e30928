// The objects of the sample scenes. A kind is a structure of parts. The scene chooses its colours, size and place.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "core/rng.h"
#include "raster.h"

namespace moproc::tools {

// A part is painted over the parts before it. The object fills about -1..1 in both coordinates, with y pointing down.
struct Part {
  Path path;
  int color = 0;  // 0: main, 1: second, 2: accent
};

struct Kind {
  std::string_view name;
  std::vector<Part> (*parts)(data::Stream&);  // draws the proportions of one instance
};

// The first kinds are used as classes, in this order. Those after them appear in out-of-class scenes.
std::span<const Kind> all_kinds();

// At most this many classes, so that enough kinds are left for out-of-class scenes.
inline constexpr int most_classes = 20;

}  // namespace moproc::tools
