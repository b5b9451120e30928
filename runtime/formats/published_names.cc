// The position of a name is a short list of numbers, which are compared one after the other.
#include "formats/published_names.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <numeric>
#include <optional>

namespace moproc::formats {
namespace {

using Place = std::array<int, 5>;  // top, module, block, part of the block, leaf

template <size_t N>
int index_in(const std::array<std::string_view, N>& list, std::string_view item) {
  const auto at = std::find(list.begin(), list.end(), item);
  return at == list.end() ? -1 : static_cast<int>(at - list.begin());
}

constexpr std::array<std::string_view, 5> kTop = {"queue", "queue_ptr", "prototypes", "encoder_q.", "encoder_k."};
constexpr std::array<std::string_view, 5> kLeaves = {"weight", "bias", "running_mean", "running_var",
                                                     "num_batches_tracked"};
constexpr std::array<std::string_view, 8> kParts = {"conv1", "bn1", "conv2",        "bn2",
                                                    "conv3", "bn3", "downsample.0", "downsample.1"};
constexpr std::array<std::string_view, 6> kModules = {"conv1", "bn1", "classifier", "fc", "fc1", "fc2"};

/// Takes a number and the dot after it off the front of `text`; -1 if there is none.
int take_number(std::string_view& text) {
  int v = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), v);
  if (error != std::errc() || v < 0 || v > 999 || end == text.data() + text.size() || *end != '.') return -1;
  text.remove_prefix(static_cast<size_t>(end - text.data()) + 1);
  return v;
}

std::optional<Place> place_of(std::string_view name) {
  Place p{3, 0, 0, 0, 0};
  for (size_t i = 0; i < kTop.size(); ++i) {
    const bool encoder = kTop[i].back() == '.';
    if (!encoder && name == kTop[i]) return Place{static_cast<int>(i), 0, 0, 0, 0};
    if (!encoder || !name.starts_with(kTop[i])) continue;
    p[0] = static_cast<int>(i);
    name.remove_prefix(kTop[i].size());
    break;
  }
  const size_t dot = name.rfind('.');
  if (dot == std::string_view::npos) return std::nullopt;
  p[4] = index_in(kLeaves, name.substr(dot + 1));
  std::string_view rest = behind("layer", name);
  if (rest.empty()) {
    const int module = index_in(kModules, name.substr(0, dot));
    p[1] = module < 2 ? module : 100 + module;  // the layers come between
  } else {
    const int layer = take_number(rest);
    p[1] = layer < 0 ? -1 : 10 + layer;
    p[2] = take_number(rest);
    p[3] = rest.size() < name.size() - dot ? -1 : index_in(kParts, rest.substr(0, rest.size() - (name.size() - dot)));
  }
  if (std::any_of(p.begin(), p.end(), [](int v) { return v < 0; })) return std::nullopt;
  return p;
}

struct Known {
  const char* arch;
  bool bottleneck;
  std::array<int, 4> depth;
};
constexpr Known kKnown[] = {{"resnet10", false, {1, 1, 1, 1}},  {"resnet18", false, {2, 2, 2, 2}},
                            {"resnet34", false, {3, 4, 6, 3}},  {"resnet50", true, {3, 4, 6, 3}},
                            {"resnet101", true, {3, 4, 23, 3}}, {"resnet152", true, {3, 8, 36, 3}}};

}  // namespace

bool is_arch(std::string_view name) {
  return std::any_of(std::begin(kKnown), std::end(kKnown), [&](const Known& k) { return k.arch == name; });
}

std::string_view behind(std::string_view prefix, std::string_view name) {
  return name.starts_with(prefix) ? name.substr(prefix.size()) : std::string_view();
}

bool is_parameter(std::string_view name) {
  if (index_in(kTop, name) >= 0) return false;
  const int leaf = index_in(kLeaves, name.substr(name.rfind('.') + 1));
  return leaf < 2;
}

std::vector<size_t> published_order(const std::vector<std::string>& names) {
  std::vector<size_t> order(names.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::vector<Place> places;
  for (const std::string& name : names) {
    const std::optional<Place> place = place_of(name);
    if (!place) return order;
    places.push_back(*place);
  }
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return places[a] < places[b]; });
  return order;
}

std::string arch_of(const std::vector<std::string>& names, std::string_view prefix) {
  std::array<int, 4> depth{};
  bool bottleneck = false;
  for (const std::string& name : names) {
    std::string_view rest =
        behind("layer", name.starts_with(prefix) ? std::string_view(name).substr(prefix.size()) : "");
    const int layer = take_number(rest), block = layer < 0 ? -1 : take_number(rest);
    if (layer < 1 || layer > 4 || block < 0) continue;
    int& deepest = depth[static_cast<size_t>(layer - 1)];
    deepest = std::max(deepest, block + 1);
    bottleneck = bottleneck || rest == "conv3.weight";
  }
  for (const Known& k : kKnown)
    if (k.bottleneck == bottleneck && k.depth == depth) return k.arch;
  return "";
}

}  // namespace moproc::formats
