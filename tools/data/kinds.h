// The objects of the sample scenes. A kind is a structure of parts; its colours, size and place are the
// scene's affair.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "core/rng.h"
#include "raster.h"

namespace moproc::tools {

// A part is painted over the ones before it. Coordinates: the object fills about -1..1, y down.
struct Part {
  Path path;
  int color = 0;  // 0: main, 1: second, 2: accent
};

struct Kind {
  std::string_view name;
  std::vector<Part> (*parts)(data::Stream&);  // draws the proportions of one instance
};

// The first ones are meant as classes, in this order; those behind the classes appear out of class.
std::span<const Kind> all_kinds();

// At most this many classes, so that enough kinds are left for out-of-class scenes.
inline constexpr int most_classes = 20;

}  // namespace moproc::tools
