// Stops a run before its first step if its images cannot be read. Up to 10,000 images of each set are looked at
// (data/look.h), of a larger set a random sample; ranks share the work. A class is known to be readable as soon as one
// of its images is; only classes without such an image are read on.
#pragma once

#include <string>

#include "comm/world.h"
#include "data/look.h"
#include "log/console.h"

namespace moproc::train {

struct ReadableOptions {
  double max_broken =
      data::kMaxBroken;  // per cent of the set's images that may be unreadable; 100: nothing stops the run
  int workers = 0;       // threads; 0: the usable cores
};

/// `what` names the images in messages: "training images". Throws InputError if more than max_broken per cent of the
/// images cannot be read, or no image of a class that has some. Of a sample the share must be above the limit by 3
/// standard deviations, so that chance stops no run. Prints which formats are not read, and stores them in the list
/// (Dataset::tell). All ranks must call it with the same list; all of them throw.
void require_readable(data::Dataset& list, const std::string& what, const ReadableOptions& options, comm::World* world,
                      Console& console);

}  // namespace moproc::train
