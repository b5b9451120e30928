// The network is where the first convolution of a ResNet and its first block have the same prefix.
#include "formats/foreign_network.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <deque>
#include <set>

#include "core/error.h"
#include "core/layout.h"
#include "formats/resnet_names.h"

namespace moproc::formats {
namespace {

/// The first convolution and the first block, in the spellings of torchvision (its deep stem too) and detectron2.
constexpr std::pair<std::string_view, std::string_view> kFronts[] = {
    {"conv1.weight", "layer1.0."}, {"conv1.0.weight", "layer1.0."}, {"stem.conv1.weight", "res2.0."}};
constexpr std::string_view kQuery = "encoder_q.", kKey = "encoder_k.";
constexpr std::string_view kHeads[] = {"fc.", "head.fc.", "classifier.", "head.", "linear."};
/// Parts of the prefix of a network that follows another one as a moving average.
constexpr std::string_view kAverages[] = {"ema", "model_ema", "teacher", "momentum_encoder", "target", "encoder_k"};

using Names = std::set<std::string_view>;

Names names_of(const Checkpoint& c) {
  Names names;
  for (const NamedTensor& t : c.tensors) names.insert(t.name);
  return names;
}

bool any_begins(const Names& names, const std::string& prefix) {
  const auto first = names.lower_bound(prefix);
  return first != names.end() && first->starts_with(prefix);
}

bool is_average(std::string_view prefix) {
  return std::any_of(std::begin(kAverages), std::end(kAverages), [&](std::string_view part) {
    const std::string dotted = "." + std::string(prefix);
    return dotted.find("." + std::string(part) + ".") != std::string::npos;
  });
}

/// The prefixes of all networks in the file, averages last, shorter ones first.
std::vector<std::string> prefixes_of(const Names& names) {
  std::vector<std::string> found;
  for (const std::string_view name : names)
    for (const auto& [conv, block] : kFronts) {
      if (!name.ends_with(conv)) continue;
      const std::string prefix(name.substr(0, name.size() - conv.size()));
      if ((prefix.empty() || prefix.back() == '.') && any_begins(names, prefix + std::string(block)))
        found.push_back(prefix);
    }
  std::stable_sort(found.begin(), found.end(), [](const std::string& a, const std::string& b) {
    const bool first = is_average(a), second = is_average(b);
    return first != second ? second : a.size() < b.size();
  });
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

NamedTensor* named(Checkpoint& c, const std::string& name) {
  const auto found = std::find_if(c.tensors.begin(), c.tensors.end(), [&](const auto& t) { return t.name == name; });
  return found == c.tensors.end() ? nullptr : &*found;
}

/// Calls the classifier fc, if it stands beside the network under another name, or under fc outside the prefix.
void find_head(Checkpoint& c, const std::string& prefix) {
  for (const char* const known : {"fc.weight", "linear.weight", "stem.fc.weight"})
    if (named(c, prefix + known)) return;
  const bool detectron2 = named(c, prefix + "stem.conv1.weight") != nullptr;
  for (std::string level = prefix;; level.resize(level.size() < 2 ? 0 : level.rfind('.', level.size() - 2) + 1)) {
    for (const std::string_view head : kHeads) {
      const std::string old = level + std::string(head);
      NamedTensor* const weight = named(c, old + "weight");
      if (!weight || weight->tensor.shape.size() != 2) continue;
      const std::string fresh = prefix + (detectron2 ? "linear." : "fc.");
      c.notes.push_back("its classifier is " + shown(weight->name));
      for (auto* const list : {&c.tensors, &c.momentum})
        for (NamedTensor& t : *list)
          if (t.name == old + "weight" || t.name == old + "bias") t.name = fresh + t.name.substr(old.size());
      return;
    }
    if (level.empty()) return;
  }
}

/// Throws InputError, naming a tensor, if the ResNet has parts that ours do not have.
void refuse_variant(Checkpoint& c) {
  const auto refuse = [&](const NamedTensor& t, const char* what) {
    throw InputError(c.path + ": " + what + " (tensor " + shown(t.name) + " " + show_type(t.tensor) +
                     "); the networks here are torchvision's resnet18 to resnet152, without variants");
  };
  for (const NamedTensor& t : c.tensors) {
    const std::string_view name(t.name);
    if (name == "conv1.0.weight") refuse(t, "its stem is a series of convolutions, as in ResNet-D, not a single one");
    if (!name.starts_with("layer")) continue;
    if (name.ends_with(".downsample.1.weight") && t.tensor.shape.size() == 4)
      refuse(t, "its shortcuts pool before they convolve, as in ResNet-D");
    if (name.find(".se.") != std::string_view::npos || name.find(".attn.") != std::string_view::npos)
      refuse(t, "it has squeeze-and-excitation or attention in its blocks");
    if (!name.ends_with(".conv2.weight") || t.tensor.shape.size() != 4) continue;
    const NamedTensor* const before = named(c, t.name.substr(0, t.name.size() - 8) + "1.weight");
    if (before && before->tensor.shape.size() == 4 && t.tensor.shape[1] != before->tensor.shape[0])
      refuse(t, "its convolutions have groups, as in ResNeXt");
  }
}

/// The value of an IEEE 754 binary16 number.
float half_to_float(uint16_t bits) {
  const int exponent = bits >> 10 & 31, fraction = bits & 1023;
  const float size = exponent == 31  ? (fraction != 0 ? NAN : INFINITY)
                     : exponent == 0 ? std::ldexp(static_cast<float>(fraction), -24)
                                     : std::ldexp(static_cast<float>(fraction + 1024), exponent - 25);
  return bits >> 15 ? -size : size;
}

/// The value of an element as f32. Throws InputError if it is finite and f32 cannot hold it.
float narrowed(DType dtype, ByteSpan bytes, size_t i, const std::string& where) {
  if (dtype == DType::f16) return half_to_float(load<uint16_t>(bytes, 2 * i));
  if (dtype == DType::bf16) return std::bit_cast<float>(uint32_t{load<uint16_t>(bytes, 2 * i)} << 16);
  const double v = load<double>(bytes, 8 * i);
  const float f = static_cast<float>(v);
  if (std::isfinite(v) && !std::isfinite(f))
    throw InputError(where + ": element " + std::to_string(i) + " is " + std::to_string(v) + ", beyond f32");
  return f;
}

/// Converts all tensors of other floating types to f32.
void to_f32(Checkpoint& c) {
  const auto memory = std::make_shared<std::deque<std::vector<std::byte>>>();
  std::map<std::string, int> count;
  std::vector<std::byte> buffer;
  for (auto* const list : {&c.tensors, &c.momentum})
    for (NamedTensor& t : *list) {
      const DType from = t.tensor.dtype;
      if (!is_floating(from) || from == DType::f32) continue;
      const ByteSpan bytes = row_major_bytes(t.tensor, buffer);
      std::vector<std::byte>& to = memory->emplace_back(static_cast<size_t>(t.tensor.elements()) * sizeof(float));
      const std::string where = c.path + ": tensor " + shown(t.name);
      for (size_t i = 0; i < to.size() / sizeof(float); ++i) {
        const float v = narrowed(from, bytes, i, where);
        std::memcpy(to.data() + i * sizeof v, &v, sizeof v);
      }
      t.tensor = row_major_tensor(DType::f32, t.tensor.shape, to);
      ++count[dtype_name(from)];
    }
  if (!memory->empty()) c.memory.push_back(memory);
  for (const auto& [type, n] : count)
    c.notes.push_back(std::to_string(n) + (n == 1 ? " tensor is " : " tensors are ") + type + " and " +
                      (n == 1 ? "becomes" : "become") + " f32" + (type == "f64" ? ", which rounds the values" : ""));
}

}  // namespace

Checkpoint as_network(Checkpoint c) {
  if (c.of_moproc()) return c;
  const Names names = names_of(c);
  std::vector<std::string> prefixes = prefixes_of(names);
  const auto query = std::find_if(prefixes.begin(), prefixes.end(),
                                  [](const std::string& p) { return ("." + p).ends_with("." + std::string(kQuery)); });
  const bool mopro = query != prefixes.end();
  if (mopro) prefixes = {query->substr(0, query->size() - kQuery.size())};
  if (prefixes.empty()) return c;
  for (size_t i = 1; i < prefixes.size(); ++i) {
    const std::string key = prefixes[i].empty() ? "" : prefixes[i].substr(0, prefixes[i].size() - 1);
    c.notes.push_back("has a network under " + shown(prefixes[i]) + ", too; moproc convert " + shown(c.path) +
                      " OUT --weights-key " + shown(key) + " takes that");
  }
  if (!mopro) find_head(c, prefixes[0]);
  keep_prefix(c, prefixes[0]);
  if (!mopro) refuse_variant(c);
  to_f32(c);
  return c;
}

Checkpoint open_network(const std::string& path, const std::string& weights_key) {
  return as_network(open_checkpoint(path, weights_key));
}

}  // namespace moproc::formats
