// What a trained encoder makes of every image of a list: the program `embed`, batch after batch, in list order.
#pragma once

#include <cstdint>
#include <functional>

#include "data/dataset.h"
#include "session/session.h"

namespace moproc::train {

/// One batch's results. Rows belong to the images that could be read; valid until the sink returns.
struct Embedded {
  int64_t first = 0, end = 0;       // the batch: images [first, end) of the list
  int64_t count = 0;                // rows
  const int64_t* sample = nullptr;  // (count) positions in the list, ascending; those left out cannot be read
  // What the program computes of these; null where it does not.
  const float* feature = nullptr;  // (count, features): after global pooling
  const float* logits = nullptr;   // (count, classes)
  const float* proto = nullptr;    // (count, classes): similarity to the prototypes / temperature
};

struct EmbedOptions {
  int workers = 0;           // threads that decode
  int64_t first = 0;         // image of the list to begin with: a multiple of embed_batch()
  double temperature = 0.1;  // of the similarities
};

/// Images of a batch, and how many features it makes of one (0: none). Throw InputError when the artefact has no
/// program embed.
int64_t embed_batch(const Session& session);
int64_t embed_features(const Session& session);

/// Calls `sink` with each batch in order; false from it ends the pass after the batches under way. Throws InputError
/// when the program is not as it should be, DatasetError when nothing can be read.
void embed(Session& session, const data::Dataset& list, const EmbedOptions& options,
           const std::function<bool(const Embedded&)>& sink);

}  // namespace moproc::train
