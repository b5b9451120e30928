// Recognises the format of a file, and reads the two flat formats: safetensors and detectron2's pickle.
#include "formats/checkpoint_file.h"

#include <algorithm>

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

Checkpoint from_safetensors(ByteSpan bytes, const std::string& where) {
  const SafetensorsFile file(bytes, where);
  Checkpoint c;
  c.path = where;
  c.kind = CheckpointKind::safetensors;
  c.metadata = file.metadata();
  check_digest(file);
  for (const TensorEntry& t : file.tensors()) {
    const std::string_view of = behind(kMomentumPrefix, t.name);
    if (of.empty()) c.tensors.push_back({t.name, file.tensor(t)});
    else c.momentum.push_back({std::string(of), file.tensor(t)});
  }
  return c;
}

Checkpoint from_pickled(ByteSpan bytes, const std::string& where) {
  auto data = std::make_shared<PickledData>(parse_pickled(bytes, where));
  const Dict* const root = data->root.dict();
  if (!root) throw InputError(where + ": holds " + data->root.kind() + ", not a dict with a checkpoint");
  Checkpoint c;
  if (root->find("state_dict")) c = from_published(*root, where);
  else if (const Value* model = root->find("model"); model && model->dict()) c = from_model(*root, where);
  else c = from_state_dict(*root, where);
  c.path = where;
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

const char* show_kind(CheckpointKind kind) {
  switch (kind) {
    case CheckpointKind::safetensors: return "safetensors file";
    case CheckpointKind::published: return "PyTorch checkpoint";
    case CheckpointKind::state_dict: return "PyTorch state_dict";
    case CheckpointKind::detectron2: return "detectron2 model";
  }
  return "?";
}

Checkpoint parse_checkpoint(ByteSpan bytes, const std::string& where) {
  if (looks_like_safetensors(bytes)) return from_safetensors(bytes, where);
  if (looks_pickled(bytes)) return from_pickled(bytes, where);
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

Checkpoint open_checkpoint(const std::string& path) {
  auto file = std::make_shared<const MappedFile>(path);
  Checkpoint c = parse_checkpoint(file->bytes(), path);
  c.memory.insert(c.memory.begin(), file);
  return c;
}

}  // namespace moproc::formats
