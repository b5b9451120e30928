// formats/resnet_names translates the names of tensors.
#include "train/pretrained.h"

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "core/error.h"
#include "core/layout.h"
#include "formats/checkpoint_file.h"
#include "formats/resnet_names.h"

namespace moproc::train {

using namespace formats;

std::vector<std::string> load_pretrained(const std::string& path, Session& session, bool keep_classifier) {
  const Checkpoint c = query_encoder(open_checkpoint(path));
  std::vector<std::pair<int, const Tensor*>> found;
  int counters = 0;
  for (const StateInfo& s : session.plan().state) {
    const TensorInfo& want = session.info(s.tensor);
    const std::string_view name(want.name);
    if (s.role == Role::derived || name.starts_with(kMomentumPrefix)) continue;
    const bool classifier = name.starts_with("fc.");
    if (classifier && !keep_classifier) continue;
    const Tensor* const from = c.find(c.tensors, want.name);
    if (!from && name.ends_with("num_batches_tracked")) {
      ++counters;
      continue;
    }
    if (!from)
      throw InputError(path + ": tensor " + want.name + " is missing" +
                       (classifier ? " (--init-classifier reset begins with another one)" : ""));
    if (from->dtype != want.dtype ||
        !std::equal(from->shape.begin(), from->shape.end(), want.shape, want.shape + want.rank))
      throw InputError(path + ": tensor " + want.name + " is " + show_type(*from) + ", the artefact needs " +
                       show_type(want) + (classifier ? " (--init-classifier reset begins with another one)" : ""));
    found.emplace_back(s.tensor, from);
  }
  std::vector<std::byte> buffer;
  for (const auto& [tensor, from] : found) session.set(tensor, row_major_bytes(*from, buffer));
  std::vector<std::string> notes;
  if (counters > 0)
    notes.push_back(path + " has no BatchNorm counter for " + std::to_string(counters) +
                    " tensors: they begin with zero");
  return notes;
}

std::optional<uint64_t> seed_of_run(const std::string& path, const std::string& verb) {
  const Checkpoint c = open_checkpoint(path);
  const auto found = c.metadata.find("verb"), seed = c.metadata.find("seed");
  if (!c.of_run() || found == c.metadata.end() || found->second != verb || seed == c.metadata.end())
    return std::nullopt;
  return std::strtoull(seed->second.c_str(), nullptr, 10);  // if it is not a number, load_checkpoint says so
}

}  // namespace moproc::train
