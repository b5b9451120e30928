// An emulated GPU for a test.
#pragma once

#include <cstdint>
#include <string>

namespace moproc::test {

/// An emulated GPU for as long as this lives: MOPROC_EMULATOR=config. Fails the test when a program did what
/// it must not do, unless problems() was asked for.
class Emulated {
 public:
  explicit Emulated(const std::string& config);
  ~Emulated();
  Emulated(const Emulated&) = delete;
  Emulated& operator=(const Emulated&) = delete;

  /// What went wrong so far, a line each; and forgets it.
  std::string problems();
  /// Calls of a driver's function; "bytes uploaded" of page-locked memory.
  int64_t count(const char* what) const;
};

}  // namespace moproc::test
