// Turns a fault of a kernel (a page that device memory, shared memory or a stack ends at, or no memory at all) into
// an Error that says what lies there.
#pragma once

#include <memory>

namespace emulator {

/// While it lives, this CPU thread has a stack for the handler of SIGSEGV, which is installed with the first one.
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
