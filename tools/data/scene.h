// Draws a picture: a background, clutter, and objects of given kinds.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/rng.h"
#include "kinds.h"
#include "raster.h"

namespace moproc::tools {

// Draws a scene from the stream, whose shorter side has about `size` pixels. A later object may hide part of an earlier
// one. Without objects, there are only background and clutter. Only an object's structure tells its kind: colours,
// position, scale, tilt and mirroring are drawn from the same distributions for all. variation (0..1): how much
// position, scale, tilt and clutter vary.
Canvas draw_scene(std::span<const Kind* const> kinds, int size, double variation, data::Stream& stream);

// The canvas as the bytes of a JPEG file (encode_jpeg.h).
std::vector<std::uint8_t> encode_jpeg(const Canvas& canvas, int quality);

}  // namespace moproc::tools
