// Translates names part by part. The rules for detectron2 are those of the published conversion script.
#include "formats/resnet_names.h"

#include <algorithm>
#include <array>

#include "core/error.h"
#include "formats/published_names.h"

namespace moproc::formats {

namespace {

constexpr std::string_view kQuery = "encoder_q.";

struct Part {
  std::string_view torchvision, detectron2;
};
// If one name begins with another, the longer one comes first.
constexpr std::array<Part, 8> kNameParts = {{{"conv1.", "conv1."},
                                             {"conv2.", "conv2."},
                                             {"conv3.", "conv3."},
                                             {"bn1.", "conv1.norm."},
                                             {"bn2.", "conv2.norm."},
                                             {"bn3.", "conv3.norm."},
                                             {"downsample.0.", "shortcut."},
                                             {"downsample.1.", "shortcut.norm."}}};

/// Translates the rest of a name after its layer: "conv1.weight" <-> "conv1.weight", "bn1.bias" <-> "conv1.norm.bias".
std::string translate(std::string_view rest, std::string_view Part::* from, std::string_view Part::* to) {
  const Part* best = nullptr;
  for (const Part& p : kNameParts)
    if (rest.starts_with(p.*from) && (!best || (best->*from).size() < (p.*from).size())) best = &p;
  if (!best) return "";
  return std::string(best->*to) + std::string(rest.substr((best->*from).size()));
}

/// The index at which the rest of "layer1.0.conv1.weight" or "res2.0.conv1.weight" begins; 0 if the name has no layer
/// and block.
size_t behind_block(std::string_view name) {
  const size_t first = name.find('.');
  const size_t second = first == std::string_view::npos ? first : name.find('.', first + 1);
  return second == std::string_view::npos ? 0 : second + 1;
}

bool any_begins(const std::vector<NamedTensor>& tensors, std::string_view prefix) {
  return std::any_of(tensors.begin(), tensors.end(), [&](const NamedTensor& t) { return t.name.starts_with(prefix); });
}

/// Renames tensors and momentum; an empty new name drops the tensor.
template <class F>
Checkpoint renamed(const Checkpoint& c, F&& rename) {
  Checkpoint out = c;
  for (auto* const list : {&out.tensors, &out.momentum}) {
    for (NamedTensor& t : *list) t.name = rename(t.name);
    std::erase_if(*list, [](const NamedTensor& t) { return t.name.empty(); });
  }
  return out;
}

/// Whether the layer has a weight or a bias.
bool has_layer(const Checkpoint& c, const std::string& layer) {
  return c.find(c.tensors, layer + "weight") || c.find(c.tensors, layer + "bias");
}

/// The name of a layer's weight or bias with another name of the layer; other names stay as they are.
std::string rename_layer(const std::string& name, std::string_view from, std::string_view to) {
  const std::string_view leaf = behind(from, name);
  return leaf == "weight" || leaf == "bias" ? std::string(to) + std::string(leaf) : name;
}

/// The name of a layer of MoPro behind kQuery. A network of another program may have a layer of this name itself;
/// models/foreign.ts then gives MoPro's another one.
std::string added_name(const Checkpoint& c, std::string_view layer) {
  const std::string other = "moproc." + std::string(layer);
  return c.find(c.tensors, std::string(kQuery) + other + "weight") ? other : std::string(layer);
}

/// Whether the classifier is that of a network of another program.
bool keeps_classifier(const Checkpoint& c) {
  const auto settings = c.metadata.find("onnx_settings");
  return settings != c.metadata.end() && settings->second.find("\"head\":\"keep\"") != std::string::npos;
}

}  // namespace

Naming naming_of(const Checkpoint& c) {
  // The network of another program keeps its own names.
  if (c.metadata.contains("onnx_sha256")) return any_begins(c.tensors, kQuery) ? Naming::mopro : Naming::torchvision;
  if (any_begins(c.tensors, kQuery)) return Naming::mopro;
  if (any_begins(c.tensors, "stem.") && any_begins(c.tensors, "res2.0.")) return Naming::detectron2;
  if (any_begins(c.tensors, "conv1.") && any_begins(c.tensors, "layer1.0.")) return Naming::torchvision;
  if (any_begins(c.tensors, "patch_embed.proj.") && any_begins(c.tensors, "blocks.0.")) return Naming::torchvision;
  return Naming::other;
}

std::string_view classifier_layer(const Checkpoint& c) {
  return has_layer(c, std::string(kAddedClassifier)) ? kAddedClassifier : kClassifier;
}

bool is_classifier(std::string_view name, std::string_view layer) {
  const std::string_view leaf = behind(layer, name);
  return leaf == "weight" || leaf == "bias";
}

std::string detectron2_name(std::string_view name) {
  if (name.starts_with("fc") || name.starts_with("classifier")) return "";  // written without its classifier
  if (!name.starts_with("layer")) {
    const std::string stem = translate(name, &Part::torchvision, &Part::detectron2);
    return stem.empty() ? "" : "stem." + stem;
  }
  const size_t rest = behind_block(name);
  const std::string part = rest == 0 ? "" : translate(name.substr(rest), &Part::torchvision, &Part::detectron2);
  if (part.empty() || name[5] < '1' || name[5] > '4') return "";
  return std::string("res") + static_cast<char>(name[5] + 1) + std::string(name.substr(6, rest - 6)) + part;
}

std::string torchvision_name(std::string_view name, const std::string& where) {
  // The classifier of detectron2's own ResNet, and the name that its conversion script gives to torchvision's.
  for (const std::string_view head : {"linear.", "stem.fc."})
    if (const std::string_view leaf = behind(head, name); !leaf.empty()) return "fc." + std::string(leaf);
  std::string part, front;
  if (const std::string_view stem = behind("stem.", name); !stem.empty()) {
    part = translate(stem, &Part::detectron2, &Part::torchvision);
  } else if (const size_t rest = behind_block(name);
             rest > 0 && name.starts_with("res") && name[3] >= '2' && name[3] <= '5') {
    front = std::string("layer") + static_cast<char>(name[3] - 1) + std::string(name.substr(4, rest - 4));
    part = translate(name.substr(rest), &Part::detectron2, &Part::torchvision);
  }
  if (part.empty()) throw InputError(where + ": " + shown(name) + " is not a tensor of a detectron2 ResNet");
  return front + part;
}

Checkpoint query_encoder(const Checkpoint& c) {
  switch (naming_of(c)) {
    case Naming::torchvision: return c;
    case Naming::detectron2: return renamed(c, [&](const std::string& name) { return torchvision_name(name, c.path); });
    case Naming::mopro: {
      const std::string first = added_name(c, "fc1."), second = added_name(c, "fc2."),
                        head = added_name(c, "classifier.");
      const bool taken = has_layer(c, std::string(kQuery) + std::string(kClassifier));  // by the network itself
      const std::string_view alone = taken ? kAddedClassifier : kClassifier;
      return renamed(c, [&](const std::string& name) {
        const std::string bare(behind(kQuery, name));
        if (rename_layer(rename_layer(bare, first, ""), second, "") != bare) return std::string();  // the projection
        return keeps_classifier(c) ? bare : rename_layer(bare, head, alone);
      });
    }
    case Naming::other: break;
  }
  throw InputError(
      c.path +
      ": has no ResNet or vision transformer: neither encoder_q.* nor conv1.weight nor stem.conv1.weight nor "
      "patch_embed.proj.weight" +
      (c.tensors.empty() ? "" : "; its first tensor is " + shown(c.tensors[0].name)));
}

Checkpoint as_mopro(const Checkpoint& c) {
  const Checkpoint query = query_encoder(c);
  const std::string_view alone = classifier_layer(query);
  const std::string head = has_layer(query, "classifier.") ? "moproc.classifier." : "classifier.";
  return renamed(query, [&](const std::string& name) { return std::string(kQuery) + rename_layer(name, alone, head); });
}

}  // namespace moproc::formats
