// The store on all ranks except rank 0: a client of rank 0.
#pragma once

#include <memory>

#include "comm/store.h"

namespace moproc::comm {

/// How long a client waits for rank 0 to answer, in seconds.
struct Patience {
  double longer = 5;   // beyond the time-out: rank 0 knows better who is missed, and says so at the time-out
  double silence = 2;  // for the answer to a report, which does not wait for other ranks
};

/// See make_store().
std::unique_ptr<Store> make_store_client(const StoreAddress& address, int rank, int ranks, double timeout,
                                         const Patience& patience = {});

}  // namespace moproc::comm
