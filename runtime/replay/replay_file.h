// The batches of a replay: a safetensors file that holds phase, learning rate, images, labels and the permutation of
// the keys for every step. Rank r of the file is group r of the artefact's batch.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "formats/safetensors.h"
#include "session/session.h"
#include "train/schedule.h"
#include "train/source.h"

namespace moproc::train {

/// The inputs that the artefact's programs take.
struct ReplayShape {
  int64_t batch = 0, groups = 1, image_size = 0, num_class = 0;
  DType images = DType::u8;
  int64_t rank_batch() const { return batch / groups; }
};

struct ReplayStep {
  Phase phase = Phase::warmup;
  double lr = 0;
  int epoch = 0;
};

/// A replay file. The constructor checks all of it, so no step fails because a tensor is missing.
class ReplayFile {
 public:
  /// Throws InputError, naming file, step and tensor, if a tensor is missing, has another type or shape, is out of
  /// range (labels, permutation, learning rate, phase), is not finite, or has a name that such a file cannot contain;
  /// if the file's number of ranks is not the artefact's number of groups; or if it holds a state that the artefact
  /// lacks.
  ReplayFile(const std::string& path, const ReplayShape& shape, const Session& session);

  const std::vector<ReplayStep>& steps() const { return steps_; }
  /// Copies the states that the file has for this step into the session. Returns their number.
  int replace_state(size_t step, Session& session) const;
  /// The part of the step's batch that rank `rank` of `ranks` takes, in the artefact's type and layout. With
  /// `loads_keys`, the strong views are those that the rank encodes as keys, not those of its own images. Valid until
  /// the next call.
  TrainBatch batch(size_t step, int rank = 0, int ranks = 1, bool loads_keys = false);

 private:
  void read_steps();
  void sort_tensors(const Session& session);
  void check_step(size_t step, const Session& session) const;
  void check_images(size_t step, const std::string& name) const;
  void gather(size_t step, const char* what, std::vector<std::byte>& to) const;
  const formats::TensorEntry& tensor(size_t step, const std::string& name) const;
  [[noreturn]] void fail(size_t step, const std::string& name, const std::string& reason) const;

  formats::SafetensorsFile file_;
  ReplayShape shape_;
  std::vector<ReplayStep> steps_;
  std::vector<std::vector<std::string>> replaced_;  // for each step: names of the states that it replaces
  std::vector<std::byte> img_, img_aug_, keys_;
  std::vector<int64_t> target_, order_;
};

}  // namespace moproc::train
