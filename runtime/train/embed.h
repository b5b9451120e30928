// Runs the program `embed`, a trained encoder, over a list of images, batch after batch in list order.
#pragma once

#include <cstdint>
#include <functional>

#include "data/loader.h"
#include "session/session.h"

namespace moproc::train {

/// The results of one batch. There is a row for each image that could be read. Valid until the sink returns.
struct Embedded {
  int64_t first = 0, end = 0;       // the batch: images [first, end) of the list
  int64_t count = 0;                // rows
  const int64_t* sample = nullptr;  // (count) positions in the list, ascending; an image without one cannot be read
  // Outputs of the program; null if it does not have the output.
  const float* feature = nullptr;  // (count, features): after global pooling
  const float* logits = nullptr;   // (count, classes)
  const float* proto = nullptr;    // (count, classes): similarity to the prototypes / temperature
};

struct EmbedOptions {
  int workers = 0;           // threads that decode
  int64_t first = 0;         // index of the image to begin with: a multiple of embed_batch()
  double temperature = 0.1;  // of the similarities
  // data::LoaderOptions::on_broken
  std::function<void(const data::Broken&)> on_broken = {};
};

/// The number of images of a batch, and of features per image (0: none). Both throw InputError if the artefact has no
/// program `embed`.
int64_t embed_batch(const Session& session);
int64_t embed_features(const Session& session);

/// Calls `sink` with each batch in order. If it returns false, the pass ends after the batches under way. Throws
/// InputError if the program does not have the expected form, and DatasetError if nothing can be read.
void embed(Session& session, const data::Dataset& list, const EmbedOptions& options,
           const std::function<bool(const Embedded&)>& sink);

}  // namespace moproc::train
