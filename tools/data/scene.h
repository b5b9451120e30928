// One drawn picture: a background, clutter, and at most one object of a kind.
#pragma once

#include <cstdint>
#include <vector>

#include "data/rng.h"
#include "kinds.h"
#include "raster.h"

namespace moproc::tools {

// Draws a scene of about `size` pixels (its shorter side) from the stream. Null kind: background and clutter
// only. Nothing but the object's structure tells its kind: colours, place, scale, tilt and mirroring are
// drawn alike for all. variation in 0..1: how much place, scale, tilt and clutter vary.
Canvas draw_scene(const Kind* kind, int size, double variation, data::Stream& stream);

// The canvas as a JPEG file's bytes (encode_jpeg.h).
std::vector<std::uint8_t> encode_jpeg(const Canvas& canvas, int quality);

}  // namespace moproc::tools
