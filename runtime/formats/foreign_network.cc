// The network is where the first convolution and the first block of a ResNet or a vision transformer have the same
// prefix.
#include "formats/foreign_network.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <deque>
#include <map>
#include <tuple>

#include "core/error.h"
#include "core/layout.h"
#include "formats/found_weights.h"
#include "formats/resnet_names.h"

namespace moproc::formats {
namespace {

/// The first convolution and the first block, in the spellings of torchvision (its deep stem too) and detectron2, and
/// of timm for vision transformers.
constexpr std::pair<std::string_view, std::string_view> kFronts[] = {{"conv1.weight", "layer1.0."},
                                                                     {"conv1.0.weight", "layer1.0."},
                                                                     {"stem.conv1.weight", "res2.0."},
                                                                     {"patch_embed.proj.weight", "blocks.0."}};
constexpr std::string_view kQuery = "encoder_q.", kKey = "encoder_k.";
constexpr std::string_view kHeads[] = {"fc.", "head.fc.", "classifier.", "head.", "linear."};

/// The place of each name in Checkpoint::tensors.
using Names = std::map<std::string_view, size_t>;

Names names_of(const Checkpoint& c) {
  Names names;
  for (size_t i = 0; i < c.tensors.size(); ++i) names.emplace(c.tensors[i].name, i);
  return names;
}

const NamedTensor* named(const Checkpoint& c, const Names& names, const std::string& name) {
  const auto found = names.find(name);
  return found == names.end() ? nullptr : &c.tensors[found->second];
}

bool any_begins(const Names& names, const std::string& prefix) {
  const auto first = names.lower_bound(prefix);
  return first != names.end() && first->first.starts_with(prefix);
}

/// The prefixes of all networks in the file, averages last, shorter ones first.
std::vector<std::string> prefixes_of(const Names& names) {
  std::vector<std::tuple<bool, size_t, std::string>> found;  // is an average, length
  for (const auto& [name, place] : names)
    for (const auto& [conv, block] : kFronts) {
      if (!name.ends_with(conv)) continue;
      const std::string prefix(name.substr(0, name.size() - conv.size()));
      if ((prefix.empty() || prefix.back() == '.') && any_begins(names, prefix + std::string(block)))
        found.emplace_back(is_average(prefix), prefix.size(), prefix);
    }
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  std::vector<std::string> prefixes;
  for (auto& [average, size, prefix] : found) prefixes.push_back(std::move(prefix));
  return prefixes;
}

/// Calls the classifier fc, if it stands beside the network under another name, or under fc outside the prefix.
void find_head(Checkpoint& c, const Names& names, const std::string& prefix) {
  for (const char* const known : {"fc.weight", "linear.weight", "stem.fc.weight"})
    if (named(c, names, prefix + known)) return;
  const bool detectron2 = named(c, names, prefix + "stem.conv1.weight") != nullptr;
  for (std::string level = prefix;; level.resize(level.size() < 2 ? 0 : level.rfind('.', level.size() - 2) + 1)) {
    for (const std::string_view head : kHeads) {
      const std::string old = level + std::string(head);
      const NamedTensor* const weight = named(c, names, old + "weight");
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

/// What is assumed about a network with detectron2's names, because the names do not say it (detectron2's options
/// MODEL.RESNETS.STRIDE_IN_1X1, INPUT.FORMAT, MODEL.PIXEL_MEAN and MODEL.PIXEL_STD do).
std::string detectron2_note(bool bottleneck) {
  const std::string images = "for RGB images that are normalised with ImageNet's mean and deviation";
  const std::string own =
      "; a network that began as detectron2's own R-50.pkl or R-101.pkl (MSRA) was made for BGR "
      "images from which only the mean was subtracted";
  if (!bottleneck) return "its names are detectron2's; it is taken to be " + images + own;
  return "its names are detectron2's; it is taken to have the stride of a block on its 3x3 convolution (STRIDE_IN_1X1 "
         "False), and to be " +
         images + own + ", with the stride on the first 1x1 convolution: its results are wrong here";
}

/// Throws InputError, naming a tensor, if the ResNet has parts that ours do not have.
void refuse_variant(const Checkpoint& c) {
  const Names names = names_of(c);
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
    const NamedTensor* const before = named(c, names, t.name.substr(0, t.name.size() - 8) + "1.weight");
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

/// What tells tensors from each other: those with the same data in the same order are one.
using Place = std::tuple<const std::byte*, DType, int64_t, std::vector<int64_t>, std::vector<int64_t>>;

/// Converts all tensors of other floating types to f32. One that has several names is converted once.
void to_f32(Checkpoint& c) {
  const auto memory = std::make_shared<std::deque<std::vector<std::byte>>>();
  std::map<Place, Tensor> done;
  std::map<std::string, int> count;
  std::vector<std::byte> buffer;
  for (auto* const list : {&c.tensors, &c.momentum})
    for (NamedTensor& t : *list) {
      const DType from = t.tensor.dtype;
      if (!is_floating(from) || from == DType::f32) continue;
      ++count[dtype_name(from)];
      Tensor& made = done[{t.tensor.storage.data(), from, t.tensor.offset, t.tensor.shape, t.tensor.strides}];
      if (!made.storage.empty()) {
        t.tensor = made;
        continue;
      }
      const ByteSpan bytes = row_major_bytes(t.tensor, buffer);
      std::vector<std::byte>& to = memory->emplace_back(static_cast<size_t>(t.tensor.elements()) * sizeof(float));
      const std::string where = c.path + ": tensor " + shown(t.name);
      for (size_t i = 0; i < to.size() / sizeof(float); ++i) {
        const float v = narrowed(from, bytes, i, where);
        std::memcpy(to.data() + i * sizeof v, &v, sizeof v);
      }
      t.tensor = made = row_major_tensor(DType::f32, t.tensor.shape, to);
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
  constexpr size_t kShown = 20;
  if (prefixes.size() > kShown + 1)
    c.notes.push_back("has " + std::to_string(prefixes.size() - 1) + " more networks, of which these are some");
  for (size_t i = 1; i < prefixes.size() && i <= kShown; ++i) {
    const std::string key = prefixes[i].empty() ? "" : prefixes[i].substr(0, prefixes[i].size() - 1);
    c.notes.push_back("has a network under " + shown(prefixes[i]) + ", too; moproc convert " + shown(c.path) +
                      " OUT --weights-key " + shown(key) + " takes that");
  }
  if (!mopro && !c.of_convert && named(c, names, prefixes[0] + "stem.conv1.weight"))
    c.notes.push_back(detectron2_note(named(c, names, prefixes[0] + "res2.0.conv3.weight") != nullptr));
  if (!mopro && is_average(prefixes[0]) && !c.momentum.empty()) {
    c.momentum.clear();
    c.optimizer_fault = "belongs to weights that were trained, but " + shown(prefixes[0]) + " is their average";
  }
  if (!mopro) find_head(c, names, prefixes[0]);
  keep_prefix(c, prefixes[0]);
  if (!mopro) refuse_variant(c);
  to_f32(c);
  return c;
}

Checkpoint open_network(const std::string& path, const std::string& weights_key) {
  return as_network(open_checkpoint(path, weights_key));
}

}  // namespace moproc::formats
