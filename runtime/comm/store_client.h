// The store as all ranks but the first see it.
#pragma once

#include <memory>

#include "comm/store.h"

namespace moproc::comm {

/// See make_store().
std::unique_ptr<Store> make_store_client(const StoreAddress& address, int rank, int ranks, double timeout);

}  // namespace moproc::comm
