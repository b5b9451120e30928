// Turns a fault of a kernel (at a page where device memory, shared memory or a stack ends, or at no memory at all) into
// an Error that describes the address.
#pragma once

#include <memory>

namespace emulator {

/// While an object exists, this CPU thread has a stack for the handler of SIGSEGV and SIGBUS. The first object installs
/// the handler.
class FaultStack {
 public:
  FaultStack();
  ~FaultStack();
  FaultStack(const FaultStack&) = delete;
  FaultStack& operator=(const FaultStack&) = delete;

 private:
  std::unique_ptr<unsigned char[]> memory_;
};

}  // namespace emulator
