// formats/resnet_names translates the names of tensors.
#include "train/pretrained.h"

#include <algorithm>
#include <cstdlib>
#include <set>
#include <string_view>

#include "core/error.h"
#include "core/layout.h"
#include "formats/checkpoint_file.h"
#include "formats/foreign_network.h"
#include "formats/resnet_names.h"

namespace moproc::train {

using namespace formats;

std::string_view classifier_layer(const Session& session) {
  return session.find_tensor(std::string(kAddedClassifier) + "weight") >= 0 ? kAddedClassifier : kClassifier;
}

namespace {

/// Throws InputError if the file's classifier is missing or has another number of classes. `remedy` ends the message.
void check_classifier(const Checkpoint& c, const Session& session, const std::string& remedy) {
  const std::string weight = std::string(classifier_layer(session)) + "weight";
  const TensorInfo& want = session.info(session.tensor(weight));
  const Tensor* const have = c.find(c.tensors, weight);
  const std::string wanted =
      std::to_string(want.shape[0]) + (want.shape[0] == 1 ? " class is" : " classes are") + " wanted";
  if (!have) throw InputError(c.path + ": has no classifier (" + missing(c, weight) + "), " + wanted + "; " + remedy);
  if (!have->shape.empty() && have->shape[0] != want.shape[0])
    throw InputError(c.path + ": its classifier has " + std::to_string(have->shape[0]) + " classes (" + weight + " " +
                     show_type(*have) + "), " + wanted + " (" + show_type(want) + "); " + remedy);
}

}  // namespace

std::vector<std::string> load_pretrained(const std::string& path, Session& session, bool keep_classifier,
                                         const std::string& remedy) {
  const Checkpoint c = query_encoder(open_network(path));
  const std::string_view layer = classifier_layer(session);
  if (keep_classifier && session.find_tensor(std::string(layer) + "weight") >= 0) check_classifier(c, session, remedy);
  std::vector<std::pair<int, const Tensor*>> found;
  std::set<std::string_view> used;
  int counters = 0;
  for (const StateInfo& s : session.plan().state) {
    const TensorInfo& want = session.info(s.tensor);
    const std::string_view name(want.name);
    if (s.role == Role::derived || is_training_state(name)) continue;
    const bool classifier = is_classifier(name, layer);
    if (classifier && !keep_classifier) continue;
    const Tensor* const from = c.find(c.tensors, want.name);
    if (!from && name.ends_with("num_batches_tracked")) {
      ++counters;
      continue;
    }
    if (!from) throw InputError(path + ": " + missing(c, want.name) + (classifier ? "; " + remedy : ""));
    if (from->dtype != want.dtype ||
        !std::equal(from->shape.begin(), from->shape.end(), want.shape, want.shape + want.rank))
      throw InputError(path + ": tensor " + want.name + " is " + show_type(*from) + ", the artefact needs " +
                       show_type(want) + (classifier ? "; " + remedy : ""));
    found.emplace_back(s.tensor, from);
    used.insert(name);
  }
  std::vector<std::byte> buffer;
  for (const auto& [tensor, from] : found) session.set(tensor, row_major_bytes(*from, buffer));
  std::vector<std::string> notes = c.said();
  size_t left = 0;
  const NamedTensor* first = nullptr;
  for (const NamedTensor& t : c.tensors)
    if (used.count(t.name) == 0 && !is_classifier(t.name, layer)) ++left, first = first ? first : &t;
  if (left > 0)
    notes.push_back(path + ": " + std::to_string(left) + " tensors are not used, such as " + shown(first->name));
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
