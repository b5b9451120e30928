// One drawn picture: a background, clutter, and objects of some kinds.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/rng.h"
#include "kinds.h"
#include "raster.h"

namespace moproc::tools {

// Draws a scene of about `size` pixels (its shorter side) from the stream. A later object may hide part of an earlier
// one; without any there are background and clutter only. Nothing but the object's structure tells its kind: colours,
// place, scale, tilt and mirroring are drawn alike for all. variation in 0..1: how much place, scale, tilt and clutter
// vary.
Canvas draw_scene(std::span<const Kind* const> kinds, int size, double variation, data::Stream& stream);

// The canvas as a JPEG file's bytes (encode_jpeg.h).
std::vector<std::uint8_t> encode_jpeg(const Canvas& canvas, int quality);

}  // namespace moproc::tools
