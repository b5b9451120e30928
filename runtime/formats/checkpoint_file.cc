// Recognises the format of a file, and reads the two flat formats: safetensors and detectron2's pickle.
#include "formats/checkpoint_file.h"

#include <algorithm>
#include <charconv>

#include "core/error.h"
#include "formats/mapped_file.h"
#include "formats/pickled_file.h"
#include "formats/published.h"
#include "formats/published_names.h"
#include "formats/sha256.h"

namespace moproc::formats {
namespace {

/// A length of eight bytes, then a JSON object. The length may begin with the byte that begins a pickle, but no pickle
/// has zeros in bytes 4 to 7 and then a brace.
bool looks_like_safetensors(ByteSpan bytes) {
  return bytes.size() >= 9 && load<char>(bytes, 8) == '{' && (load<uint32_t>(bytes, 4) == 0 || !looks_pickled(bytes));
}

/// Throws InputError if the metadata have a digest that is not the data's.
void check_digest(const SafetensorsFile& file) {
  const auto named = file.metadata().find("sha256");
  if (named == file.metadata().end()) return;
  Sha256 sha;
  sha.add(file.data());
  if (sha.hex() != named->second)
    throw InputError(file.path() + ": its data do not have the sha256 it names: the file is damaged");
}

/// Removes a text of the metadata that cannot be used.
void leave_out(Checkpoint& c, const char* key, std::string (*fault)(const std::string&)) {
  const auto found = c.metadata.find(key);
  if (found == c.metadata.end()) return;
  const std::string why = fault(found->second);
  if (why.empty()) return;
  c.left_out.push_back(std::string(key) + " (" + why + ")");
  c.metadata.erase(found);
}

}  // namespace

bool is_training_state(std::string_view name) {
  return name.starts_with(kOptimizerPrefix) || name == "dropout.seed" || name == "dropout.step";
}

namespace {

Checkpoint from_safetensors(ByteSpan bytes, const std::string& where, const std::string& weights_key) {
  const SafetensorsFile file(bytes, where);
  Checkpoint c;
  c.path = where;
  c.kind = CheckpointKind::safetensors;
  c.metadata = file.metadata();
  check_digest(file);
  const bool ours = c.of_moproc();
  for (const TensorEntry& t : file.tensors()) {
    const std::string_view of = behind(kMomentumPrefix, t.name);
    if (of.empty()) (ours && is_training_state(t.name) ? c.training : c.tensors).push_back({t.name, file.tensor(t)});
    else c.momentum.push_back({std::string(of), file.tensor(t)});
  }
  if (!ours) leave_out(c, "epoch", epoch_fault), leave_out(c, "arch", arch_fault);
  if (!weights_key.empty()) keep_prefix(c, weights_key + ".");
  if (c.tensors.empty() && !weights_key.empty())
    throw InputError("--weights-key " + weights_key + ": " + where + " has no tensor whose name begins so");
  return c;
}

/// Throws InputError if the tensors are much larger than the file when each has its own memory, as in what is trained
/// or written: a pickle can give one tensor many names.
void check_size(const Checkpoint& c, uint64_t file_bytes) {
  uint64_t room = tensor_room(file_bytes);
  for (const auto* const list : {&c.tensors, &c.momentum})
    for (const NamedTensor& t : *list) {
      const uint64_t bytes = static_cast<uint64_t>(t.tensor.bytes());
      if (bytes > room)
        throw InputError(c.path + ": tensor " + shown(t.name) +
                         ": the tensors take more than 16 times the file: too many names for the same data");
      room -= bytes;
    }
}

Checkpoint from_pickled(ByteSpan bytes, const std::string& where, const std::string& weights_key) {
  auto data = std::make_shared<PickledData>(parse_pickled(bytes, where));
  if (!data->root.dict())
    throw InputError(
        where + ": holds " + data->root.kind() + ", not a dict with a checkpoint" +
        (data->root.opaque() ? "; in Python, save its weights alone: torch.save(model.state_dict(), FILE)" : ""));
  Checkpoint c = from_pickle(*data, weights_key, where);
  check_size(c, bytes.size());
  c.memory.push_back(std::move(data));
  return c;
}

}  // namespace

bool Checkpoint::has_format(std::string_view name) const {
  const auto found = metadata.find("format");
  return found != metadata.end() && found->second == name;
}

bool Checkpoint::of_run() const { return has_format(kRunFormat); }
bool Checkpoint::has_whole_state() const { return of_run() || has_format(kStateFormat); }
bool Checkpoint::of_moproc() const { return has_whole_state() || has_format(kConvertedFormat); }

const Tensor* Checkpoint::find(const std::vector<NamedTensor>& among, const std::string& name) const {
  const auto found = std::find_if(among.begin(), among.end(), [&](const NamedTensor& t) { return t.name == name; });
  return found == among.end() ? nullptr : &found->tensor;
}

std::vector<std::string> Checkpoint::said() const {
  std::vector<std::string> lines;
  if (!stripped.empty()) lines.push_back(path + ": names are read without the prefix " + shown(stripped));
  for (const std::string& note : notes) lines.push_back(path + ": " + note);
  for (const std::string& what : left_out) lines.push_back(path + ": not read: " + what);
  return lines;
}

std::string epoch_fault(const std::string& text) {
  constexpr int64_t kMost = 1'000'000'000;
  int64_t v = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), v);
  const bool usable = error == std::errc() && end == text.data() + text.size() && v >= 0 && v <= kMost;
  return usable ? "" : in_quotes(text) + ", not a whole number from 0 to " + std::to_string(kMost);
}

std::string arch_fault(const std::string& text) {
  constexpr size_t kMost = 100;
  const bool usable = !text.empty() && text.size() <= kMost &&
                      std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
  return usable ? "" : in_quotes(text) + ", not the name of a network";
}

std::string missing(const Checkpoint& c, const std::string& name) {
  for (const auto& [other, kind] : c.not_tensors)
    if (other == name || other.ends_with("." + name)) return "tensor " + name + " is " + kind + ", which is not read";
  return "tensor " + name + " is missing";
}

const char* show_kind(CheckpointKind kind) {
  switch (kind) {
    case CheckpointKind::safetensors: return "safetensors file";
    case CheckpointKind::published: return "PyTorch checkpoint";
    case CheckpointKind::state_dict: return "PyTorch state_dict";
    case CheckpointKind::detectron2: return "detectron2 model";
  }
  return "?";
}

void keep_prefix(Checkpoint& c, const std::string& prefix) {
  if (prefix.empty()) return;
  size_t dropped = 0;
  for (auto* const list : {&c.tensors, &c.momentum}) {
    dropped += std::erase_if(*list, [&](const NamedTensor& t) { return !t.name.starts_with(prefix); });
    for (NamedTensor& t : *list) t.name.erase(0, prefix.size());
  }
  c.stripped += prefix;
  if (dropped > 0)
    c.notes.push_back("does not use " + std::to_string(dropped) + " tensors whose names do not begin with " +
                      shown(c.stripped));
}

Checkpoint parse_checkpoint(ByteSpan bytes, const std::string& where, const std::string& weights_key) {
  if (looks_like_safetensors(bytes)) return from_safetensors(bytes, where, weights_key);
  if (looks_pickled(bytes)) return from_pickled(bytes, where, weights_key);
  if (bytes.empty()) throw InputError(where + ": is empty");
  std::string first;
  for (size_t i = 0; i < bytes.size() && i < 4; ++i) {
    constexpr char kHex[] = "0123456789abcdef";
    const uint8_t b = load<uint8_t>(bytes, i);
    first += std::string(i ? " " : "") + kHex[b >> 4] + kHex[b & 15];
  }
  throw InputError(where +
                   ": is neither a file of torch.save nor a pickle nor a safetensors file; it begins with the bytes " +
                   first);
}

Checkpoint open_checkpoint(const std::string& path, const std::string& weights_key) {
  auto file = std::make_shared<const MappedFile>(path);
  Checkpoint c = parse_checkpoint(file->bytes(), path, weights_key);
  c.memory.insert(c.memory.begin(), file);
  return c;
}

}  // namespace moproc::formats
