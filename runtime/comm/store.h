// Where ranks meet: rank 0 keeps a few texts by name on a TCP port, the others ask for them. Only for the beginning of a run
// (where is the shared memory, what is NCCL's id); nothing of a step travels here.
#pragma once

#include <memory>
#include <string>

namespace moproc::comm {

struct StoreAddress {
  std::string host;  // name or address of rank 0's machine
  int port = 0;      // rank 0: 0 takes any free one
};

/// Thread safe. All throw InputError naming host, port and remedy.
class Store {
 public:
  virtual ~Store() = default;
  virtual void set(const std::string& key, const std::string& value) = 0;
  /// Waits until somebody has set it.
  virtual std::string get(const std::string& key) = 0;
  /// The port that rank 0 listens on.
  virtual int port() const = 0;
};

/// Rank 0 listens; all others connect, trying again for `timeout` seconds, and say who they are: a rank that is there
/// already, or of a run of another size, is refused.
std::unique_ptr<Store> make_store(const StoreAddress& address, int rank, int ranks, double timeout);

}  // namespace moproc::comm
