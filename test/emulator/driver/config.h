// What the emulated machine is like: MOPROC_EMULATOR, a comma list of key=value, read when the driver is
// initialised. `fail` is how errors that a real driver gives for reasons of its own are had on purpose.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace emulator::driver {

struct Config {
  uint32_t seed = 0;    // 0: all as late as it can be; else at random moments, in random legal order
  int version = 13000;  // of the driver: 12040 is CUDA 12.4
  int devices = 1;
  std::string name = "Emulated GPU";
  int compute = 90;                                 // 90: compute capability 9.0
  int64_t memory = 8LL << 30;                       // of a device
  int shared = 232448;                              // the most shared memory of a block
  unsigned workers = 1;                             // CPU threads that run blocks
  std::map<std::string, std::pair<int, int>> fail;  // fail=cuMemAlloc_v2:2:3: the third call gives error 2
};

/// Throws std::runtime_error naming a key that there is not.
Config read_config(const char* text);

}  // namespace emulator::driver
