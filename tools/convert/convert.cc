// One function per format that can be written. Whatever a format cannot hold is counted and reported.
#include "convert.h"

#include <algorithm>
#include <filesystem>
#include <map>

#include "core/error.h"
#include "formats/checkpoint_file.h"
#include "formats/foreign_network.h"
#include "formats/own_file.h"
#include "formats/published.h"
#include "formats/published_names.h"
#include "formats/resnet_names.h"
#include "formats/safetensors.h"
#include "formats/torch_writer.h"

namespace moproc::tools {

using namespace formats;

namespace {

using Notes = std::vector<std::string>;

/// The format that --to names or that the output's extension implies. Throws InputError if there is none.
std::string target_format(const ConvertOptions& o) {
  std::string names, found;
  size_t longest = 0;
  for (const FormatName& f : formats_written()) {
    names += (names.empty() ? "" : ", ") + std::string(f.name);
    if (o.to == f.name) return f.name;
    for (const std::string& e : f.extensions)
      if (o.out.ends_with(e) && e.size() > longest) longest = e.size(), found = f.name;
  }
  if (!o.to.empty()) throw InputError("--to " + o.to + ": known are " + names);
  if (found.empty()) throw InputError(o.out + ": its extension names no format; give --to (" + names + ")");
  return found;
}

/// The network of an encoder, from its tensors' names in any convention; "" if they do not tell.
std::string arch_shown(const Checkpoint& c) {
  std::vector<std::string> names;
  for (const NamedTensor& t : c.tensors)
    names.push_back(naming_of(c) == Naming::detectron2 ? torchvision_name(t.name, c.path) : t.name);
  return arch_of(names, naming_of(c) == Naming::mopro ? "encoder_q." : "");
}

void settle_arch(Checkpoint& c, const std::string& given) {
  const std::string shown_arch = arch_shown(c);
  if (const auto other = c.metadata.find("arch"); other != c.metadata.end() && !c.of_moproc() && !shown_arch.empty() &&
                                                  other->second != shown_arch &&
                                                  (given.empty() || !is_arch(other->second))) {
    c.notes.push_back("says that it is " + shown(other->second) + "; its tensors are those of " + shown_arch);
    other->second = shown_arch;
  }
  const auto said = c.metadata.find("arch");
  const auto contradicts = [&](const std::string& other, const char* source) {
    if (!given.empty() && !other.empty() && given != other)
      throw InputError("--network " + given + ": " + c.path + source + shown(other));
  };
  contradicts(shown_arch, " has the tensors of ");
  contradicts(said == c.metadata.end() ? "" : said->second, " says it is ");
  if (said != c.metadata.end()) return;
  const std::string& arch = given.empty() ? shown_arch : given;
  if (!arch.empty()) c.metadata["arch"] = arch;
}

/// "queue, prototypes, 165 of encoder_k": counts names by the part before the first dot.
std::string summary(const std::vector<std::string>& names) {
  std::map<std::string, int> count;
  for (const std::string& n : names) ++count[shown(n.substr(0, n.find('.')))];
  std::string text;
  for (const auto& [front, n] : count)
    text += (text.empty() ? "" : ", ") + (n > 1 ? std::to_string(n) + " of " : "") + front;
  return text;
}

/// Notes the tensors of `c` that `kept` lacks. Compares the places of their data, because names may have changed.
void note_dropped(const Checkpoint& c, const Checkpoint& kept, Notes& notes) {
  std::vector<std::string> dropped;
  std::multimap<const std::byte*, const NamedTensor*> there;
  for (const NamedTensor& t : kept.tensors) there.emplace(t.tensor.storage.data(), &t);
  for (const NamedTensor& t : c.tensors) {
    const auto [from, to] = there.equal_range(t.tensor.storage.data());
    const auto same = std::find_if(from, to, [&](const auto& k) {
      return k.second->tensor.offset == t.tensor.offset && k.second->tensor.shape == t.tensor.shape &&
             k.second->tensor.strides == t.tensor.strides;
    });
    if (same == to) dropped.push_back(t.name);
    else there.erase(same);
  }
  if (!dropped.empty()) notes.push_back("left out: " + summary(dropped));
}

void note_training(const Checkpoint& c, Notes& notes) {
  if (!c.training.empty())
    notes.push_back("left out: " + std::to_string(c.training.size()) + " states of the run, such as " +
                    shown(c.training[0].name));
}

void note_momentum(const Checkpoint& c, Notes& notes) {
  if (!c.momentum.empty())
    notes.push_back("left out: momentum of " + std::to_string(c.momentum.size()) + " parameters");
  note_training(c, notes);
}

/// For a training checkpoint, renames weights from torchvision's or detectron2's names to MoPro's. A file that already
/// is a training checkpoint keeps its names, because training of a plain classifier uses torchvision's.
Checkpoint for_training(const Checkpoint& c) {
  const Naming naming = naming_of(c);
  if (c.of_moproc() || (c.kind == CheckpointKind::published && naming != Naming::detectron2)) return c;
  return naming == Naming::torchvision || naming == Naming::detectron2 ? as_mopro(c) : c;
}

void to_safetensors(const Checkpoint& from, const std::string& out) {
  const Checkpoint c = for_training(from);
  Metadata metadata = c.metadata;
  if (!c.of_run()) {
    metadata = {{"format", kConvertedFormat}};
    for (const char* const key : {"arch", "epoch", "lr", "momentum", "weight_decay"})
      if (const auto m = c.metadata.find(key); m != c.metadata.end()) metadata.insert(*m);
  }
  std::vector<NamedTensor> all = in_published_order(c.tensors);
  for (NamedTensor m : in_published_order(c.momentum)) {
    m.name = kMomentumPrefix + m.name;
    all.push_back(std::move(m));
  }
  all.insert(all.end(), c.training.begin(), c.training.end());
  write_safetensors(out, all, std::move(metadata));
}

void to_pth_tar(const Checkpoint& from, const std::string& out, Notes& notes) {
  Checkpoint c = for_training(from);
  if (!c.metadata.count("arch"))
    throw InputError(c.path + ": does not say which network it is, which " + out + " must; give --network");
  if (c.metadata.emplace("epoch", "0").second) notes.push_back("assumed: epoch 0, which the file does not say");
  if (!c.metadata.count("lr"))
    notes.push_back("assumed: lr 0.1, momentum 0.9, weight decay 1e-4, which the file does not say");
  note_training(c, notes);
  write_torch(out, to_published(c));
}

void to_pth(const Checkpoint& c, const std::string& out, Notes& notes) {
  note_momentum(c, notes);
  write_torch(out, to_state_dict(naming_of(c) == Naming::detectron2 ? as_mopro(c) : c));
}

void to_torchvision(const Checkpoint& c, const std::string& out, Notes& notes) {
  const Checkpoint encoder = query_encoder(c);
  note_dropped(c, encoder, notes);
  note_momentum(c, notes);
  write_torch(out, to_state_dict(encoder));
}

/// Adds the normalisation of images, in detectron2's units of 0 to 255. detectron2 does not read it, but the author of
/// a configuration can.
void add_pixels(Dict& root) {
  const auto three = [](double r, double g, double b) { return Value(Sequence{{Value(r), Value(g), Value(b)}}); };
  root.add("pixel_order", Value("RGB"));
  root.add("pixel_mean", three(123.675, 116.28, 103.53));
  root.add("pixel_std", three(58.395, 57.12, 57.375));
}

void to_detectron2(const Checkpoint& c, const std::string& out, Notes& notes) {
  Checkpoint encoder = query_encoder(c), kept = encoder;
  kept.tensors.clear();
  Dict model, root;
  for (const NamedTensor& t : in_published_order(encoder.tensors)) {
    const std::string name = detectron2_name(t.name);
    if (name.empty()) continue;
    model.add(name, Value(t.tensor));
    kept.tensors.push_back(t);
  }
  note_dropped(c, kept, notes);
  note_momentum(c, notes);
  root.add("model", Value(std::move(model)));
  root.add("__author__", Value("MoPro"));
  root.add("matching_heuristics", Value(true));
  add_pixels(root);
  root.add(std::string(kPickleKey), Value(true));  // must be last: the file is recognised by its end
  write_numpy_pickle(out, Value(std::move(root)));
}

}  // namespace

const std::vector<FormatName>& formats_written() {
  static const std::vector<FormatName> formats = {
      {"pth.tar", {".pth.tar", ".tar"}, "the published {epoch, arch, state_dict, optimizer}, names behind module."},
      {"pth", {".pth", ".pt"}, "a state_dict alone, names as they are"},
      {"torchvision", {}, "a state_dict of the query encoder as torchvision's ResNet: conv1.weight to fc.bias"},
      {"safetensors", {".safetensors"}, "what a training run writes"},
      {"detectron2", {".pkl"}, "a pickle of the query encoder without classifier, stem. res2. to res5."},
  };
  return formats;
}

std::vector<std::string> convert(const ConvertOptions& o) {
  const std::string format = target_format(o);
  std::error_code error;
  if (std::filesystem::equivalent(o.in, o.out, error))
    throw InputError(o.out + ": is IN itself, which is not replaced; choose another path for OUT");
  require_file(o.out, format == "safetensors"  ? safetensors_mark()
                      : format == "detectron2" ? pickle_mark()
                                               : torch_mark());
  Checkpoint c = open_network(o.in, o.weights_key);
  settle_arch(c, o.arch);
  std::string first = o.in + " (" + show_kind(c.kind) + ", " + std::to_string(c.tensors.size()) + " tensors";
  if (!c.momentum.empty()) first += ", momentum of " + std::to_string(c.momentum.size());
  Notes notes = {first + ") -> " + o.out + " (" + format + ")"};
  for (std::string& line : c.said()) notes.push_back(std::move(line));
  if (!c.optimizer_fault.empty()) notes.push_back("left out: the optimizer, which " + c.optimizer_fault);
  if (format == "safetensors") to_safetensors(c, o.out);
  else if (format == "pth.tar") to_pth_tar(c, o.out, notes);
  else if (format == "pth") to_pth(c, o.out, notes);
  else if (format == "torchvision") to_torchvision(c, o.out, notes);
  else to_detectron2(c, o.out, notes);
  return notes;
}

}  // namespace moproc::tools
