// Scan conversion: finds the crossings of each sample line and the spans between them, and adds up coverage row by row.
#include "raster.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace moproc::tools {
namespace {

constexpr int lines_a_row = 5;

struct Extent {
  double low = 1e30, high = -1e30;
};

Extent vertical_extent(const Path& path) {
  Extent e;
  for (const auto& contour : path) {
    for (const Point& p : contour) {
      e.low = std::min(e.low, p.y);
      e.high = std::max(e.high, p.y);
    }
  }
  return e;
}

void crossings(const Path& path, double y, std::vector<double>& out) {
  out.clear();
  for (const auto& contour : path) {
    for (std::size_t i = 0; i < contour.size(); ++i) {
      const Point& a = contour[i];
      const Point& b = contour[(i + 1) % contour.size()];
      if ((a.y <= y) == (b.y <= y)) continue;
      out.push_back(a.x + (y - a.y) / (b.y - a.y) * (b.x - a.x));
    }
  }
  std::sort(out.begin(), out.end());
}

void add_span(double from, double to, float weight, std::vector<float>& cover) {
  from = std::clamp(from, 0.0, static_cast<double>(cover.size()));
  to = std::clamp(to, 0.0, static_cast<double>(cover.size()));
  for (int x = static_cast<int>(from); x < to; ++x) {
    const double part = std::min<double>(to, x + 1) - std::max<double>(from, x);
    cover[x] += weight * static_cast<float>(part);
  }
}

}  // namespace

void Canvas::cover(const Paint& paint) {
  for (int y = 0; y < height_; ++y) {
    for (int x = 0; x < width_; ++x) at(x, y) = paint(x + 0.5, y + 0.5);
  }
}

void Canvas::fill(const Path& path, const Paint& paint, float opacity) {
  const Extent extent = vertical_extent(path);
  const int top = std::max(0, static_cast<int>(std::floor(extent.low)));
  const int bottom = std::min(height_, static_cast<int>(std::ceil(extent.high)));
  std::vector<float> cover(width_);
  std::vector<double> cuts;
  for (int y = top; y < bottom; ++y) {
    std::fill(cover.begin(), cover.end(), 0.0f);
    for (int line = 0; line < lines_a_row; ++line) {
      crossings(path, y + (line + 0.5) / lines_a_row, cuts);
      for (std::size_t i = 0; i + 1 < cuts.size(); i += 2) add_span(cuts[i], cuts[i + 1], 1.0f / lines_a_row, cover);
    }
    for (int x = 0; x < width_; ++x) {
      if (cover[x] <= 0) continue;
      const float share = std::min(cover[x], 1.0f) * opacity;
      const Color color = paint(x + 0.5, y + 0.5);
      for (int c = 0; c < 3; ++c) at(x, y)[c] += share * (color[c] - at(x, y)[c]);
    }
  }
}

std::vector<Point> polygon(std::initializer_list<Point> points) { return points; }

std::vector<Point> rectangle(double x, double y, double width, double height) {
  return {{x, y}, {x + width, y}, {x + width, y + height}, {x, y + height}};
}

std::vector<Point> ellipse(double x, double y, double rx, double ry) {
  constexpr int corners = 36;
  std::vector<Point> out;
  for (int i = 0; i < corners; ++i) {
    const double angle = 2 * std::numbers::pi * i / corners;
    out.push_back({x + rx * std::cos(angle), y + ry * std::sin(angle)});
  }
  return out;
}

std::vector<Point> arc(double x, double y, double r, double thickness, double a, double b) {
  constexpr int steps = 20;
  std::vector<Point> out;
  for (const double radius : {r + thickness / 2, r - thickness / 2}) {
    for (int i = 0; i <= steps; ++i) {
      const double angle = radius > r ? a + (b - a) * i / steps : b - (b - a) * i / steps;
      out.push_back({x + radius * std::cos(angle), y + radius * std::sin(angle)});
    }
  }
  return out;
}

std::vector<Point> star(double x, double y, double outer, double inner, int points) {
  std::vector<Point> out;
  for (int i = 0; i < 2 * points; ++i) {
    const double angle = std::numbers::pi * (static_cast<double>(i) / points - 0.5);
    const double radius = i % 2 == 0 ? outer : inner;
    out.push_back({x + radius * std::cos(angle), y + radius * std::sin(angle)});
  }
  return out;
}

std::vector<Point> bar(Point from, Point to, double thickness) {
  const double dx = to.x - from.x, dy = to.y - from.y;
  const double length = std::max(1e-9, std::hypot(dx, dy));
  const double ox = -dy / length * thickness / 2, oy = dx / length * thickness / 2;
  return {{from.x + ox, from.y + oy}, {to.x + ox, to.y + oy}, {to.x - ox, to.y - oy}, {from.x - ox, from.y - oy}};
}

Path ring(double x, double y, double outer, double inner) {
  return {ellipse(x, y, outer, outer), ellipse(x, y, inner, inner)};
}

}  // namespace moproc::tools
