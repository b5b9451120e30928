// Makes a session's options from the settings about the machine.
#pragma once

#include "comm/world.h"
#include "session/session.h"
#include "train/settings.h"

namespace moproc::train {

/// `world`: the ranks that share the batch, or null. Without --gpu, a rank uses the GPU with the number of its local
/// rank.
inline SessionOptions session_options(const Compute& c, comm::World* world = nullptr) {
  const int gpu = c.gpu.value_or(world ? world->launch().local_rank : 0);
  return {c.threads, c.profile, c.check, gpu, c.deterministic, world};
}

}  // namespace moproc::train
