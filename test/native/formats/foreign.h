// Checkpoints as other programs write them, made in code.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "formats/foreign_network.h"
#include "hostile.h"

namespace moproc::test::foreign {

using namespace pickle;

/// A tensor of `n` elements of a storage that has all bytes zero.
inline std::string zeros(const std::string& type, const std::string& key, const std::vector<int64_t>& shape,
                         int64_t n) {
  return tensor(storage(type, key, n), 0, shape, formats::row_major_strides(shape));
}

inline std::string members(const std::vector<std::pair<std::string, std::string>>& all) {
  std::string s = "}(";
  for (const auto& [key, value] : all) s += text(key) + value;
  return s + "u";
}

/// A state_dict under these names: each is a tensor of 8 x 3 x 7 x 7 elements, or of another shape.
using Shapes = std::vector<std::pair<std::string, std::vector<int64_t>>>;
inline constexpr int64_t kMost = 8 * 3 * 7 * 7;
inline std::string weights(const Shapes& shapes) {
  std::vector<std::pair<std::string, std::string>> all;
  for (const auto& [name, shape] : shapes) all.emplace_back(name, zeros("FloatStorage", "0", shape, kMost));
  return members(all);
}

inline std::string file_of(const std::string& root) {
  return zip_of({{"a/data.pkl", proto2 + root + "."}, {"a/data/0", std::string(4 * kMost, '\0')}});
}

inline formats::Checkpoint read(const std::string& bytes, const std::string& key = "") {
  return formats::as_network(formats::parse_checkpoint(formats::as_bytes(bytes), "f.pth", key));
}

/// The smallest state_dict that is a ResNet, behind a prefix.
inline Shapes network(const std::string& prefix) {
  return {{prefix + "conv1.weight", {8, 3, 7, 7}},
          {prefix + "bn1.weight", {8}},
          {prefix + "layer1.0.conv1.weight", {8, 8, 3, 3}},
          {prefix + "layer1.0.conv2.weight", {8, 8, 3, 3}},
          {prefix + "fc.weight", {5, 8}}};
}

inline Shapes together(Shapes a, const Shapes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

inline std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& l : lines) text += l + "\n";
  return text;
}

}  // namespace moproc::test::foreign
