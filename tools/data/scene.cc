// Composes scenes. Every choice comes from the stream in program order, so a scene depends only on its stream.
#include "scene.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "encode_jpeg.h"

namespace moproc::tools {
namespace {

using data::Stream;

constexpr double kPi = std::numbers::pi;

float luma(const Color& c) { return 0.299f * c[0] + 0.587f * c[1] + 0.114f * c[2]; }

Color any_color(Stream& s) {
  Color c;
  for (float& x : c) x = static_cast<float>(s.uniform(0.02, 0.98));
  return c;
}

// A darker or lighter color, whose brightness differs from that of `other` by at least `gap`, so that shapes are seen.
Color apart_from(const Color& other, float gap, Stream& s) {
  for (;;) {
    const Color c = any_color(s);
    if (std::fabs(luma(c) - luma(other)) >= gap) return c;
  }
}

Color mix(const Color& a, const Color& b, float t) {
  Color c;
  for (int i = 0; i < 3; ++i) c[i] = a[i] + t * (b[i] - a[i]);
  return c;
}

// Smooth noise in 0..1: random values on a lattice of `cell` pixels, cosine-interpolated.
Paint noise_paint(Color a, Color b, double cell, int width, int height, Stream& s) {
  const int columns = static_cast<int>(width / cell) + 3, rows = static_cast<int>(height / cell) + 3;
  std::vector<float> lattice(static_cast<std::size_t>(columns) * rows);
  for (float& v : lattice) v = static_cast<float>(s.unit());
  return [=, lattice = std::move(lattice)](double x, double y) {
    const double u = x / cell, v = y / cell;
    const int i = static_cast<int>(u), j = static_cast<int>(v);
    const float tx = static_cast<float>(0.5 - 0.5 * std::cos(kPi * (u - i)));
    const float ty = static_cast<float>(0.5 - 0.5 * std::cos(kPi * (v - j)));
    const float* p = &lattice[static_cast<std::size_t>(j) * columns + i];
    const float top = p[0] + tx * (p[1] - p[0]), low = p[columns] + tx * (p[columns + 1] - p[columns]);
    return mix(a, b, top + ty * (low - top));
  };
}

Paint gradient_paint(Color a, Color b, double length, Stream& s) {
  const double angle = s.uniform(0, 2 * kPi), shift = s.unit();
  const double dx = std::cos(angle) / length, dy = std::sin(angle) / length;
  return [=](double x, double y) {
    const double t = std::fabs(std::remainder(x * dx + y * dy + shift, 2.0));  // rises and falls, so there is no edge
    return mix(a, b, static_cast<float>(t));
  };
}

Paint stripe_paint(Color a, Color b, double period, Stream& s) {
  const double angle = s.uniform(0, kPi);
  const double dx = std::cos(angle) / period, dy = std::sin(angle) / period;
  return [=](double x, double y) {
    return mix(a, b, static_cast<float>(0.5 + 0.5 * std::sin(2 * kPi * (x * dx + y * dy))));
  };
}

Paint background(const Color& base, int width, int height, Stream& s) {
  const double side = std::min(width, height);
  const Color other = mix(base, any_color(s), 0.35f);
  switch (s.below(3)) {
    case 0: return gradient_paint(base, other, side * s.uniform(0.6, 1.2), s);
    case 1: return stripe_paint(base, mix(base, other, 0.6f), side * s.uniform(0.1, 0.35), s);
    default: return noise_paint(base, other, side * s.uniform(0.08, 0.3), width, height, s);
  }
}

// Maps object coordinates (-1..1) to pixels.
struct Placement {
  double x, y, scale_x, scale_y, cosine, sine;
  Point operator()(const Point& p) const {
    const double u = p.x * scale_x, v = p.y * scale_y;
    return {x + cosine * u - sine * v, y + sine * u + cosine * v};
  }
};

Placement place(double half, double spread, double tilt, const Canvas& canvas, Stream& s) {
  const double angle = s.uniform(-tilt, tilt);
  const double mirror = s.chance(0.5) ? -1 : 1;
  const double x = canvas.width() * 0.5 + s.uniform(-1, 1) * spread * std::max(0.0, canvas.width() * 0.5 - half);
  const double y = canvas.height() * 0.5 + s.uniform(-1, 1) * spread * std::max(0.0, canvas.height() * 0.5 - half);
  const double stretch = s.uniform(0.9, 1.1);
  return {x, y, half * mirror * stretch, half / stretch, std::cos(angle), std::sin(angle)};
}

Path placed(const Path& path, const Placement& at) {
  Path out = path;
  for (auto& contour : out) {
    for (Point& p : contour) p = at(p);
  }
  return out;
}

void draw_clutter(Canvas& canvas, int pieces, Stream& s) {
  const double side = std::min(canvas.width(), canvas.height());
  for (int i = 0; i < pieces; ++i) {
    const double x = s.uniform(0, canvas.width()), y = s.uniform(0, canvas.height());
    const double r = side * s.uniform(0.03, 0.1), angle = s.uniform(0, 2 * kPi);
    Path path;
    switch (s.below(3)) {
      case 0: path = {ellipse(x, y, r, r * s.uniform(0.5, 1.0))}; break;
      case 1: path = {bar({x, y}, {x + 4 * r * std::cos(angle), y + 4 * r * std::sin(angle)}, r * 0.4)}; break;
      default:
        path = {{{x + r * std::cos(angle), y + r * std::sin(angle)},
                 {x + r * std::cos(angle + 2), y + r * std::sin(angle + 2)},
                 {x + r * std::cos(angle + 4), y + r * std::sin(angle + 4)}}};
    }
    const Color color = any_color(s);
    canvas.fill(path, [color](double, double) { return color; }, static_cast<float>(s.uniform(0.4, 0.9)));
  }
}

void draw_object(Canvas& canvas, const Kind& kind, const Color& behind, double variation, Stream& s) {
  const double side = std::min(canvas.width(), canvas.height());
  const double half = side * 0.5 * s.uniform(0.9 - 0.4 * variation, 0.9);
  const Placement at = place(half, 0.8 * variation, variation * kPi / 7, canvas, s);
  const Color main = apart_from(behind, 0.25f, s);
  const Color colors[3] = {main, apart_from(behind, 0.2f, s), apart_from(main, 0.25f, s)};
  Paint paints[3];
  for (int i = 0; i < 3; ++i) {
    const Color shade = mix(colors[i], any_color(s), 0.2f);
    paints[i] = s.chance(0.5) ? gradient_paint(colors[i], shade, side * s.uniform(0.4, 1.0), s)
                              : noise_paint(colors[i], shade, side * 0.1, canvas.width(), canvas.height(), s);
  }
  for (const Part& part : kind.parts(s)) canvas.fill(placed(part.path, at), paints[part.color]);
}

// Adds sensor noise, the same in all channels of a pixel.
void add_grain(Canvas& canvas, double strength, Stream& s) {
  for (int y = 0; y < canvas.height(); ++y) {
    for (int x = 0; x < canvas.width(); ++x) {
      const float grain = static_cast<float>(strength * (s.unit() + s.unit() - 1));
      for (float& c : canvas.at(x, y)) c = std::clamp(c + grain, 0.0f, 1.0f);
    }
  }
}

}  // namespace

Canvas draw_scene(std::span<const Kind* const> kinds, int size, double variation, Stream& s) {
  const int longer = s.between(size, size + size / 3);
  const bool wide = s.chance(0.6);
  Canvas canvas(wide ? longer : size, wide ? size : longer);
  const Color base = any_color(s);
  canvas.cover(background(base, canvas.width(), canvas.height(), s));
  draw_clutter(canvas, s.between(0, static_cast<int>(std::lround(6 * variation))), s);
  for (const Kind* kind : kinds) draw_object(canvas, *kind, base, variation, s);
  draw_clutter(canvas, s.between(0, static_cast<int>(std::lround(2 * variation))), s);
  add_grain(canvas, s.uniform(0.0, 0.06), s);
  return canvas;
}

std::vector<std::uint8_t> encode_jpeg(const Canvas& canvas, int quality) {
  std::vector<std::uint8_t> rgb;
  rgb.reserve(static_cast<std::size_t>(canvas.width()) * canvas.height() * 3);
  for (int y = 0; y < canvas.height(); ++y) {
    for (int x = 0; x < canvas.width(); ++x) {
      for (const float c : canvas.at(x, y)) rgb.push_back(static_cast<std::uint8_t>(std::lround(c * 255)));
    }
  }
  return encode_jpeg(rgb.data(), canvas.width(), canvas.height(), quality);
}

}  // namespace moproc::tools
