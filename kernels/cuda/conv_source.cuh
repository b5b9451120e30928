// The Sources (gemm_copy.cuh) of convolutions: where their operands lie in memory. Images are (n, h, w, c), weights (o,
// r, s, c), with channels in units of 8. A window position outside the image is not valid, so it stays zero after the
// prologue, too.
#pragma once

#include "common/taps.h"
#include "cuda/gemm_copy.cuh"

namespace moproc {

/// The shape that the kernels use. An image of 4 channels (3 and a zero) is read as pairs of neighbouring pixels: 8
/// channels, half the width, and every other column of taps, with a zero tap in front if the padding is odd. C: stored
/// channels of the image; WEIGHT_CHANNELS: channels of the weights, if fewer.
template <class K>
struct ConvShape : K {
  static constexpr bool paired = K::C == 4;
  static constexpr int lead = paired ? K::PAD % 2 : 0;
  static constexpr int C = paired ? 8 : K::C, W = paired ? K::W / 2 : K::W;
  static constexpr int S = paired ? (K::S + lead + 1) / 2 : K::S;
  static constexpr int STRIDE_H = K::STRIDE, STRIDE_W = paired ? 1 : K::STRIDE;
  static constexpr int PAD_H = K::PAD, PAD_W = (K::PAD + lead) / (paired ? 2 : 1);
  static constexpr int columns = K::R * S * C;  // of dw, terms of y
  static_assert(!paired || (K::STRIDE == 2 && K::W % 2 == 0), "pairs of pixels need stride 2 and an even width");
  static_assert(C % 8 == 0 && K::OUT % 8 == 0, "channels come in units of 8");
  /// Index of flat position `column` of (R, S, C) in the weights' own (R, S, WEIGHT_CHANNELS); -1 if they do not have
  /// it.
  MOPROC_INLINE static int weight_at(int column) {
    const int tap = column / C, c = column - tap * C, r = tap / S, s = tap - r * S;
    const int own_s = paired ? 2 * s + c / 4 - lead : s, own_c = paired ? c % 4 : c;
    if (own_s < 0 || own_s >= K::S || own_c >= K::WEIGHT_CHANNELS) return -1;
    return (r * K::S + own_s) * K::WEIGHT_CHANNELS + own_c;
  }
  /// Whether weights are packed and unpacked element by element.
  static constexpr bool repacked = K::WEIGHT_CHANNELS != C;
};

/// One bit for every tap in [0, taps) whose position first + tap lies in [0, extent).
MOPROC_INLINE uint32_t taps_inside(int first, int taps, int extent) {
  const int low = first < 0 ? -first : 0, high = extent - first < taps ? extent - first : taps;
  return high > low ? (1u << high) - (1u << low) : 0u;
}

/// K-major windows of an image (IMAGE_H, IMAGE_W, IMAGE_C): a line is one result pixel, and its units run over (tap
/// row, tap, channel), at most TAP_ROWS x TAP_COLUMNS taps. LINEAR: there is one tap, and that of pixel i is pixel i of
/// the image.
template <class Tile, int THREADS, int IMAGE_H, int IMAGE_W, int IMAGE_C, int TAP_ROWS, int TAP_COLUMNS, bool LINEAR>
struct WindowRows {
  using U = Units<Tile, THREADS>;
  static constexpr bool one_tap = TAP_ROWS == 1 && TAP_COLUMNS == 1;
  static constexpr int vectors = IMAGE_C / 8, bits = one_tap ? 1 : TAP_ROWS + TAP_COLUMNS, per_word = 32 / bits;
  static constexpr bool exact = vectors % U::per_line == 0;  // a stage ends with a tap
  static_assert(IMAGE_C % 8 == 0, "channels come in units of 8");
  static_assert(bits <= 32, "the taps of a window fill a word");

  At origin;           // first pixel of the first image (LINEAR: the first pixel), its image, the group; c unused
  int taps_h, taps_w;  // taps in use
  int lines;           // LINEAR: pixels of the tile
  int offset[LINEAR ? 1 : U::passes];  // of the first tap, in pixels from origin
  uint32_t inside[LINEAR ? 1 : ceil_div(U::passes, per_word)] =
      {};        // one field per pass: rows and columns of taps in the image
  int shift, c;  // of this stage
  uint32_t need;

  MOPROC_INLINE WindowRows(const At& first, int count, int h, int w)
      : origin(first), taps_h(h), taps_w(w), lines(count) {}
  /// The line of `pass` is a window of image origin.row + image whose first tap is at (h, w).
  MOPROC_INLINE void set(int pass, int image, int h, int w) {
    if constexpr (!LINEAR) {
      offset[pass] = (image * IMAGE_H + h) * IMAGE_W + w;
      const uint32_t rows = taps_inside(h, taps_h, IMAGE_H), columns = taps_inside(w, taps_w, IMAGE_W);
      inside[pass / per_word] |= (one_tap ? rows & columns : rows | columns << TAP_ROWS) << pass % per_word * bits;
    }
  }
  /// The line of `pass` has no pixel.
  MOPROC_INLINE void set_nothing(int pass) {
    if constexpr (!LINEAR) offset[pass] = 0;
  }

  MOPROC_INLINE void step(int k) {
    const int unit = k * U::per_line + U::unit(), tap = one_tap ? 0 : unit / vectors;
    const int tr = one_tap ? 0 : tap / taps_w, ts = tap - tr * taps_w;
    shift = tr * IMAGE_W + ts;
    c = (unit - tap * vectors) * 8;
    need = one_tap ? 1u : 1u << tr | 1u << (TAP_ROWS + ts);
    if (!exact && unit >= taps_h * taps_w * vectors) {
      need = 0;
      c = 0;
    }
  }
  MOPROC_INLINE bool valid(int pass) const {
    if constexpr (LINEAR) return U::line(pass) < lines && (exact || need != 0);
    else return ((inside[pass / per_word] >> pass % per_word * bits) & need) == need && (exact || need != 0);
  }
  MOPROC_INLINE int position(int pass) const { return LINEAR ? U::line(pass) : offset[pass] + shift; }
  MOPROC_INLINE int64_t element(int pass) const {
    return origin.pixel * IMAGE_C + c + static_cast<int64_t>(position(pass)) * IMAGE_C;
  }
  MOPROC_INLINE At at(int pass) const {
    const int pixel = valid(pass) ? position(pass) : 0;
    return {origin.pixel + pixel, origin.row + pixel / (IMAGE_H * IMAGE_W), origin.group, c};
  }
};

/// K-major rows of weights: a line is an output channel, with `TAPS` contiguous elements.
template <class Tile, int THREADS, int OUT, int TAPS>
struct WeightRows {
  using U = Units<Tile, THREADS>;
  int first;  // output channel of line 0
  int unit;

  MOPROC_INLINE void step(int k) { unit = k * U::per_line + U::unit(); }
  MOPROC_INLINE bool valid(int pass) const {
    constexpr bool whole_lines = OUT % Tile::lines == 0, whole_units = TAPS / 8 % U::per_line == 0;
    return (whole_lines || first + U::line(pass) < OUT) && (whole_units || unit < TAPS / 8);
  }
  MOPROC_INLINE int64_t element(int pass) const { return (first + U::line(pass)) * TAPS + unit * 8; }
};

/// Weights (OUT, R, S, C) as dgrad reads them: a line is (tap of the run, output channel), and units run over c.
template <class Tile, int THREADS, class K>
struct WeightColumns {
  using U = Units<Tile, THREADS>;
  static constexpr bool one_tap = K::OUT % Tile::lines == 0;  // in a stage
  TapRun rows, columns;
  int first;  // channel of unit 0
  int k0;     // first line of this stage
  int base;   // one_tap: the element of pass 0

  /// Element of (tap, o) for this thread's channels.
  MOPROC_INLINE int of(int tap, int o) const {
    const int tr = tap / columns.taps, ts = tap - tr * columns.taps;
    const int r = rows.tap0 - tr * K::STRIDE, s = columns.tap0 - ts * K::STRIDE;
    return ((o * K::R + r) * K::S + s) * K::C + c();
  }
  MOPROC_INLINE void step(int k) {
    k0 = k * Tile::lines;
    const int tap = k0 / K::OUT;
    if constexpr (one_tap) base = of(tap, k0 - tap * K::OUT + U::line(0));
  }
  MOPROC_INLINE int c() const { return first + U::unit() * 8; }
  MOPROC_INLINE bool valid(int pass) const {
    const bool inside = K::C % Tile::width == 0 || c() < K::C;
    return inside && (one_tap || k0 + U::line(pass) < rows.taps * columns.taps * K::OUT);
  }
  MOPROC_INLINE int64_t element(int pass) const {
    if constexpr (one_tap) return base + pass * (U::lines * K::R * K::S * K::C);
    const int line = k0 + U::line(pass), tap = line / K::OUT;
    return of(tap, line - tap * K::OUT);
  }
};

/// Pixels [begin, end) of a group's part of an image tensor of IMAGE_C channels, PIXELS per image: a line is a pixel,
/// and units run over channels.
template <class Tile, int THREADS, int IMAGE_C, int PIXELS>
struct PixelLines {
  using U = Units<Tile, THREADS>;
  At origin;  // first pixel and image of the group, group; c: channel of unit 0
  int begin, end;
  int pixel;  // line 0 of this stage

  MOPROC_INLINE void step(int k) { pixel = begin + k * Tile::lines; }
  MOPROC_INLINE int c() const { return origin.c + U::unit() * 8; }
  MOPROC_INLINE bool valid(int pass) const { return pixel + U::line(pass) < end && c() < IMAGE_C; }
  MOPROC_INLINE int64_t element(int pass) const { return (origin.pixel + pixel + U::line(pass)) * IMAGE_C + c(); }
  MOPROC_INLINE At at(int pass) const {
    const int m = pixel + U::line(pass), safe = m < end ? m : begin;
    return {origin.pixel + safe, origin.row + safe / PIXELS, origin.group, c() < IMAGE_C ? c() : 0};
  }
};

/// Windows of an image as wgrad reads them: a line is a result pixel of [begin, end) of the group, and units run over
/// (tap row, tap, channel). A thread's unit is the same in all stages.
template <class Tile, int THREADS, class K>
struct WindowLines {
  using U = Units<Tile, THREADS>;
  static constexpr int vectors = K::C / 8, taps = K::R * K::S;
  static constexpr bool inside_always = taps == 1 && K::PAD_H == 0 && K::PAD_W == 0;
  At origin;  // first pixel of x and first image of the group, group; c: channel of this thread's unit
  int begin, end;
  int r, s;     // tap of this thread's unit
  bool exists;  // whether the unit is one of the taps'
  int pixel;

  /// `first`: flat (tap, channel) position of unit 0.
  MOPROC_INLINE WindowLines(const At& at, int first, int from, int to) : origin(at), begin(from), end(to) {
    const int unit = first / 8 + U::unit(), tap = unit / vectors;
    exists = tap < taps;
    origin.c = exists ? (unit - tap * vectors) * 8 : 0;
    r = tap / K::S;
    s = tap - r * K::S;
  }
  MOPROC_INLINE void step(int k) { pixel = begin + k * Tile::lines; }
  /// Position of the tap of the line's pixel, in pixels from origin; negative if it is outside the image or does not
  /// exist.
  MOPROC_INLINE int position(int pass) const {
    const int m = pixel + U::line(pass);
    if (m >= end || !exists) return -1;
    if (inside_always && K::STRIDE_H == 1 && K::STRIDE_W == 1) return m;
    const int n = m / (K::P * K::Q), rest = m - n * (K::P * K::Q), p = rest / K::Q, q = rest - p * K::Q;
    const int h = p * K::STRIDE_H - K::PAD_H + r, w = q * K::STRIDE_W - K::PAD_W + s;
    const bool in = inside_always || (static_cast<unsigned>(h) < K::H && static_cast<unsigned>(w) < K::W);
    return in ? (n * K::H + h) * K::W + w : -1;
  }
  MOPROC_INLINE bool valid(int pass) const { return position(pass) >= 0; }
  MOPROC_INLINE int64_t element(int pass) const { return (origin.pixel + position(pass)) * K::C + origin.c; }
  MOPROC_INLINE At at(int pass) const {
    const int at = position(pass), safe = at < 0 ? 0 : at;
    return {origin.pixel + safe, origin.row + safe / (K::H * K::W), origin.group, origin.c};
  }
};

}  // namespace moproc
