// The properties of the emulated machine: MOPROC_EMULATOR, a list of key=value separated by commas, read when the
// driver is initialised. `fail` produces errors that a real driver returns for reasons of its own.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace emulator::driver {

struct Config {
  uint32_t seed = 0;    // 0: everything as late as possible; otherwise at random moments in a random legal order
  int version = 13000;  // of the driver: 12040 is CUDA 12.4
  int devices = 1;
  std::string name = "Emulated GPU";
  int compute = 90;                                 // 90: compute capability 9.0
  int64_t memory = 8LL << 30;                       // bytes per device
  int shared = 0;                                   // maximum of shared memory per block, bytes; 0: that of `compute`
  int binary = 90;                                  // architecture of the loaded code: CU_FUNC_ATTRIBUTE_BINARY_VERSION
  unsigned workers = 1;                             // CPU threads that run blocks
  std::map<std::string, std::pair<int, int>> fail;  // fail=cuMemAlloc_v2:2:3: the third call gives error 2
  std::string hang;                                 // kernels whose names contain this never end
  std::string flip;                                 // flip=NAME:3: the third launch of a kernel whose name contains
  int flip_from = 1;                                // NAME, and every other one after it, writes a wrong bit
};

/// Throws std::runtime_error that names the key if a key is unknown.
Config read_config(const char* text);

}  // namespace emulator::driver
