// A small antialiased painter: fills closed polygons by the even-odd rule on a canvas of floats.
#pragma once

#include <array>
#include <functional>
#include <vector>

namespace moproc::tools {

struct Point {
  double x, y;
};

// Closed contours, filled by the even-odd rule: an inner contour is a hole.
using Path = std::vector<std::vector<Point>>;

using Color = std::array<float, 3>;  // red, green, blue, 0..1

// The color at a point of the canvas; coordinates in pixels.
using Paint = std::function<Color(double x, double y)>;

class Canvas {
 public:
  Canvas(int width, int height) : width_(width), height_(height), pixels_(static_cast<std::size_t>(width) * height) {}

  int width() const { return width_; }
  int height() const { return height_; }
  Color& at(int x, int y) { return pixels_[static_cast<std::size_t>(y) * width_ + x]; }
  const Color& at(int x, int y) const { return pixels_[static_cast<std::size_t>(y) * width_ + x]; }

  // Paints every pixel.
  void cover(const Paint& paint);

  // Paints the inside of a path, whose coordinates are pixels. opacity: 0..1. Coverage is exact in x, and has 5 samples
  // per pixel in y.
  void fill(const Path& path, const Paint& paint, float opacity = 1.0f);

 private:
  int width_;
  int height_;
  std::vector<Color> pixels_;
};

// Contours, in the caller's unit.
std::vector<Point> polygon(std::initializer_list<Point> points);
std::vector<Point> rectangle(double x, double y, double width, double height);  // x, y: the upper left corner
std::vector<Point> ellipse(double x, double y, double rx, double ry);
// A band of `thickness` around the circle of radius r, from angle a to b (radians, clockwise on the screen from +x).
std::vector<Point> arc(double x, double y, double r, double thickness, double a, double b);
// A star with `points` spikes between two radii; the first spike points up.
std::vector<Point> star(double x, double y, double outer, double inner, int points);
// A straight bar of the given thickness.
std::vector<Point> bar(Point from, Point to, double thickness);

// An ellipse with a hole: two contours as one path.
Path ring(double x, double y, double outer, double inner);

}  // namespace moproc::tools
