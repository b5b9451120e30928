// Top-1 and top-5 over a whole validation list, exactly: counts, the last partial batch included.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "core/session.h"
#include "data/dataset.h"

namespace moproc::train {

struct EvaluateResult {
  int64_t images = 0;  // readable ones
  int64_t broken = 0;  // files that could not be decoded: in no count
  int64_t correct1 = 0, correct5 = 0;
  double seconds = 0;
  double top1() const {
    return images ? 100.0 * static_cast<double>(correct1) / static_cast<double>(images) : 0;
  }
  double top5() const {
    return images ? 100.0 * static_cast<double>(correct5) / static_cast<double>(images) : 0;
  }
};

/// Runs the program `evaluate` over the list with the test transform and `workers` decoding threads.
/// `go_on` hears (images done, images in the list) after each batch; when it returns false there is no result.
/// Throws InputError when the program is missing or of another form.
std::optional<EvaluateResult> evaluate(Session& session, const data::Dataset& list, int workers,
                                       const std::function<bool(int64_t, int64_t)>& go_on);

}  // namespace moproc::train
