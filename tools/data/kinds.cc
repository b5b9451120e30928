// Twenty-eight kinds. Neighbours in the list differ in structure, not only in proportions.
#include "kinds.h"

#include <cmath>
#include <numbers>

namespace moproc::tools {
namespace {

using data::Stream;
using Parts = std::vector<Part>;
constexpr double pi = std::numbers::pi;

Parts mug(Stream& s) {
  const double h = s.uniform(0.75, 0.95);
  return {{{arc(0.5, 0, 0.38, 0.16, -pi / 2, pi / 2)}, 1},
          {{rectangle(-0.75, -h, 1.25, 2 * h)}, 0},
          {{rectangle(-0.75, -0.25, 1.25, 0.25)}, 2}};
}

Parts key(Stream& s) {
  const double r = s.uniform(0.38, 0.5);
  return {{{rectangle(-0.3, -0.09, 1.3, 0.18)}, 0},
          {{rectangle(0.5, 0.05, 0.14, 0.35), rectangle(0.8, 0.05, 0.14, 0.28)}, 0},
          {ring(-0.55, 0, r, r * 0.5), 1}};
}

Parts house(Stream& s) {
  const double w = s.uniform(0.6, 0.8);
  return {{{rectangle(-w, -0.1, 2 * w, 1.05)}, 0},
          {{polygon({{-w - 0.2, -0.1}, {0, -s.uniform(0.8, 1.0)}, {w + 0.2, -0.1}})}, 1},
          {{rectangle(-0.15, 0.4, 0.32, 0.55), rectangle(-w + 0.1, 0.1, 0.25, 0.25)}, 2}};
}

Parts fish(Stream& s) {
  const double h = s.uniform(0.4, 0.55);
  return {{{polygon({{0.35, 0}, {1.0, -h}, {0.85, 0}, {1.0, h}})}, 1},
          {{polygon({{-0.2, -h * 0.7}, {0.25, -h * 0.6}, {0.2, -h * 1.7}})}, 1},
          {{ellipse(-0.2, 0, 0.75, h)}, 0},
          {{ellipse(-0.6, -0.1, 0.1, 0.1)}, 2}};
}

Parts mushroom(Stream& s) {
  const double r = s.uniform(0.75, 0.9);
  Path cap = {{}};
  for (const Point& p : ellipse(0, 0.05, r, r)) cap[0].push_back({p.x, std::min(p.y, 0.05)});
  return {{{polygon({{-0.2, 0}, {0.2, 0}, {0.3, 0.95}, {-0.3, 0.95}})}, 1},
          {cap, 0},
          {{ellipse(-0.35, -0.3, 0.14, 0.14), ellipse(0.15, -0.5, 0.14, 0.14), ellipse(0.45, -0.15, 0.12, 0.12)}, 2}};
}

Parts flower(Stream& s) {
  const int petals = s.between(5, 7);
  Parts out = {{{rectangle(-0.06, 0, 0.12, 1.0)}, 1}};
  for (int i = 0; i < petals; ++i) {
    const double a = 2 * pi * i / petals;
    out.push_back({{ellipse(0.38 * std::cos(a), -0.35 + 0.38 * std::sin(a), 0.21, 0.21)}, 0});
  }
  out.push_back({{ellipse(0, -0.35, 0.22, 0.22)}, 2});
  return out;
}

Parts umbrella(Stream& s) {
  const double r = s.uniform(0.8, 0.95);
  Path dome = {{}};
  for (const Point& p : ellipse(0, 0, r, r * 0.9)) dome[0].push_back({p.x, std::min(p.y, 0.0)});
  return {{{rectangle(-0.05, -0.2, 0.1, 1.0)}, 1},
          {{arc(0.18, 0.78, 0.18, 0.1, 0, pi)}, 1},
          {dome, 0},
          {{polygon({{-r * 0.33, 0}, {0, -r * 0.9}, {r * 0.33, 0}})}, 2}};
}

Parts gear(Stream& s) {
  const int teeth = s.between(7, 9);
  Path path = {{}, ellipse(0, 0, 0.3, 0.3)};
  for (int i = 0; i < teeth * 4; ++i) {
    const double radius = i % 4 < 2 ? 0.95 : 0.68;
    const double a = 2 * pi * (i + (i % 2 == 0 ? 0.2 : -0.2)) / (teeth * 4);
    path[0].push_back({radius * std::cos(a), radius * std::sin(a)});
  }
  return {{path, 0}};
}

Parts car(Stream& s) {
  const double r = s.uniform(0.2, 0.27);
  return {{{polygon({{-0.55, -0.1}, {-0.3, -0.55}, {0.35, -0.55}, {0.6, -0.1}})}, 1},
          {{rectangle(-1.0, -0.12, 2.0, 0.45)}, 0},
          {{ellipse(-0.55, 0.35, r, r)}, 2},
          {{ellipse(0.55, 0.35, r, r)}, 2}};
}

Parts hourglass(Stream& s) {
  const double w = s.uniform(0.5, 0.65);
  return {{{polygon({{-w, -0.85}, {w, -0.85}, {0.05, 0}, {-0.05, 0}})}, 0},
          {{polygon({{-0.05, 0}, {0.05, 0}, {w, 0.85}, {-w, 0.85}})}, 0},
          {{rectangle(-w - 0.1, -1.0, 2 * w + 0.2, 0.18), rectangle(-w - 0.1, 0.82, 2 * w + 0.2, 0.18)}, 1}};
}

Parts star5(Stream& s) { return {{{star(0, 0, 1.0, s.uniform(0.38, 0.46), 5)}, 0}}; }

Parts tree(Stream& s) {
  const double w = s.uniform(0.6, 0.75);
  return {{{rectangle(-0.12, 0.5, 0.24, 0.5)}, 1},
          {{polygon({{-w, 0.6}, {0, -0.1}, {w, 0.6}})}, 0},
          {{polygon({{-w * 0.8, 0.15}, {0, -0.5}, {w * 0.8, 0.15}})}, 0},
          {{polygon({{-w * 0.6, -0.3}, {0, -1.0}, {w * 0.6, -0.3}})}, 0}};
}

Parts ladder(Stream& s) {
  const int rungs = s.between(4, 5);
  Parts out;
  for (int i = 0; i < rungs; ++i) {
    const double y = -0.75 + 1.5 * i / (rungs - 1);
    out.push_back({{rectangle(-0.4, y - 0.06, 0.8, 0.12)}, 1});
  }
  out.push_back({{rectangle(-0.48, -1.0, 0.14, 2.0), rectangle(0.34, -1.0, 0.14, 2.0)}, 0});
  return out;
}

Parts heart(Stream& s) {
  Path path = {{}};
  const double stretch = s.uniform(0.9, 1.1);
  for (int i = 0; i < 40; ++i) {
    const double t = 2 * pi * i / 40;
    const double y = 13 * std::cos(t) - 5 * std::cos(2 * t) - 2 * std::cos(3 * t) - std::cos(4 * t);
    path[0].push_back({stretch * 0.95 * std::pow(std::sin(t), 3), -y / 17 - 0.1});
  }
  return {{path, 0}};
}

Parts arrow(Stream& s) {
  const double w = s.uniform(0.16, 0.24);
  return {{{polygon({{-1.0, -w}, {0.2, -w}, {0.2, -0.6}, {1.0, 0}, {0.2, 0.6}, {0.2, w}, {-1.0, w}})}, 0}};
}

Parts bottle(Stream& s) {
  const double w = s.uniform(0.32, 0.42);
  return {
      {{polygon(
           {{-0.12, -0.75}, {0.12, -0.75}, {0.12, -0.4}, {w, -0.1}, {w, 1.0}, {-w, 1.0}, {-w, -0.1}, {-0.12, -0.4}})},
       0},
      {{rectangle(-0.17, -1.0, 0.34, 0.25)}, 1},
      {{rectangle(-w, 0.15, 2 * w, 0.45)}, 2}};
}

Parts glasses(Stream& s) {
  const double r = s.uniform(0.36, 0.44);
  return {{{arc(0, 0.02, 0.16, 0.09, -pi, 0)}, 1},
          {{bar({-0.9, -0.1}, {-1.0, -0.5}, 0.1), bar({0.9, -0.1}, {1.0, -0.5}, 0.1)}, 1},
          {ring(-0.52, 0, r, r * 0.7), 0},
          {ring(0.52, 0, r, r * 0.7), 0}};
}

Parts snowman(Stream& s) {
  const double r = s.uniform(0.42, 0.5);
  return {{{ellipse(0, 1.0 - r, r, r)}, 0},
          {{ellipse(0, -0.05, r * 0.75, r * 0.75)}, 0},
          {{ellipse(0, -0.62, 0.26, 0.26)}, 0},
          {{rectangle(-0.32, -0.86, 0.64, 0.08), rectangle(-0.18, -1.1, 0.36, 0.24)}, 1},
          {{ellipse(0, -0.15, 0.06, 0.06), ellipse(0, 0.1, 0.06, 0.06), ellipse(0, 0.5, 0.06, 0.06)}, 2}};
}

Parts sailboat(Stream& s) {
  const double h = s.uniform(0.9, 1.0);
  return {{{polygon({{-0.9, 0.45}, {0.9, 0.45}, {0.55, 0.9}, {-0.6, 0.9}})}, 0},
          {{rectangle(-0.05, -h, 0.09, h + 0.45)}, 1},
          {{polygon({{0.1, -h}, {0.1, 0.3}, {0.8, 0.3}})}, 2},
          {{polygon({{-0.12, -h * 0.7}, {-0.12, 0.3}, {-0.6, 0.3}})}, 2}};
}

Parts chair(Stream& s) {
  const double back = s.uniform(0.85, 1.0);
  return {{{rectangle(-0.55, -back, 0.16, back + 1.0), rectangle(0.42, 0.1, 0.14, 0.9)}, 1},
          {{rectangle(-0.6, 0.0, 1.2, 0.2)}, 0},
          {{rectangle(-0.4, -back, 0.18, back)}, 2}};
}

Parts butterfly(Stream& s) {
  const double r = s.uniform(0.38, 0.46);
  return {{{ellipse(-0.48, -0.4, r, r)}, 0},
          {{ellipse(0.48, -0.4, r, r)}, 0},
          {{ellipse(-0.38, 0.42, 0.32, 0.36)}, 1},
          {{ellipse(0.38, 0.42, 0.32, 0.36)}, 1},
          {{ellipse(0, 0, 0.1, 0.75)}, 2}};
}

Parts hammer(Stream& s) {
  return {{{rectangle(-0.1, -0.5, 0.2, 1.5)}, 1}, {{rectangle(-0.6, -0.85, s.uniform(1.0, 1.2), 0.42)}, 0}};
}

Parts lamp(Stream& s) {
  const double w = s.uniform(0.55, 0.7);
  return {{{rectangle(-0.05, -0.2, 0.1, 1.1)}, 1},
          {{polygon({{-0.28, -0.95}, {0.28, -0.95}, {w, -0.15}, {-w, -0.15}})}, 0},
          {{ellipse(0, 0.9, 0.45, 0.12)}, 2}};
}

Parts crescent(Stream& s) {
  const double inner = s.uniform(0.7, 0.8);
  Path path = {{}};
  for (int i = 0; i <= 24; ++i) {
    const double a = pi / 2 + pi * i / 24;
    path[0].push_back({0.4 + std::cos(a), std::sin(a)});
  }
  for (int i = 0; i <= 24; ++i) {
    const double a = 1.5 * pi - pi * i / 24;
    path[0].push_back({0.4 + (1 - inner) * 2 * std::cos(a), std::sin(a)});
  }
  return {{path, 0}};
}

Parts dumbbell(Stream& s) {
  const double h = s.uniform(0.45, 0.6);
  return {{{rectangle(-0.8, -0.1, 1.6, 0.2)}, 1},
          {{rectangle(-0.95, -h, 0.3, 2 * h), rectangle(0.65, -h, 0.3, 2 * h)}, 0}};
}

Parts bolt(Stream& s) {
  const double w = s.uniform(0.1, 0.2);
  return {
      {{polygon({{0.2, -1.0}, {-0.55, 0.1 + w}, {-0.05, 0.1 + w}, {-0.25, 1.0}, {0.55, -0.15}, {0.05, -0.15}})}, 0}};
}

Parts eye(Stream& s) {
  const double h = s.uniform(0.45, 0.6);
  return {{{ellipse(0, 0, 1.0, h)}, 0}, {{ellipse(0, 0, 0.38, 0.38)}, 1}, {{ellipse(0, 0, 0.16, 0.16)}, 2}};
}

Parts cross(Stream& s) {
  const double w = s.uniform(0.25, 0.35);
  return {{{rectangle(-w, -1, 2 * w, 2)}, 0}, {{rectangle(-1, -w, 2, 2 * w)}, 0}};
}

constexpr Kind kinds[] = {
    {"mug", mug},
    {"key", key},
    {"house", house},
    {"fish", fish},
    {"mushroom", mushroom},
    {"gear", gear},
    {"umbrella", umbrella},
    {"car", car},
    {"ladder", ladder},
    {"flower", flower},
    {"hourglass", hourglass},
    {"star", star5},
    {"glasses", glasses},
    {"tree", tree},
    {"heart", heart},
    {"bottle", bottle},
    {"arrow", arrow},
    {"snowman", snowman},
    {"sailboat", sailboat},
    {"chair", chair},
    {"butterfly", butterfly},
    {"hammer", hammer},
    {"lamp", lamp},
    {"crescent", crescent},
    {"dumbbell", dumbbell},
    {"bolt", bolt},
    {"eye", eye},
    {"cross", cross},
};
static_assert(std::size(kinds) >= most_classes + 8);

}  // namespace

std::span<const Kind> all_kinds() { return kinds; }

}  // namespace moproc::tools
