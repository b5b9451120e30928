// The store on all ranks except rank 0: a client of rank 0.
#pragma once

#include <memory>

#include "comm/store.h"

namespace moproc::comm {

/// See make_store().
std::unique_ptr<Store> make_store_client(const StoreAddress& address, int rank, int ranks, double timeout);

}  // namespace moproc::comm
