// The CUDA driver, loaded when a CUDA artefact starts: libcuda.so.1, or the library that MOPROC_CUDA_DRIVER names.
// Every call is checked, and an error names what the call was for, as set with at().
#pragma once

#include <stdexcept>
#include <string>

#include "core/plan.h"
#include "cuda/driver_api.h"
#include "cuda/function.h"

namespace moproc::cuda {

/// A call of the driver failed. what() has the call, the error's name and text, kernel, step, program and artefact.
class CudaError : public std::runtime_error {
 public:
  CudaError(Result result, const std::string& text) : std::runtime_error(text), result_(result) {}
  Result result() const { return result_; }

 private:
  Result result_;
};

/// The purpose of the following calls. Null and -1 mean none.
struct Place {
  const char* doing = nullptr;  // "the state arena"
  int program = -1, step = -1;
};

class Driver {
 public:
  /// Loads and initialises the library. The plan is for messages and must outlive the driver. Throws InputError if
  /// there is no library, it is too old, or it shows no GPU.
  explicit Driver(const Plan& plan);
  ~Driver();
  Driver(const Driver&) = delete;
  Driver& operator=(const Driver&) = delete;

  /// Sets the purpose of later calls, which their errors name.
  void at(const Place& place) const { place_ = place; }
  /// The CUDA version of the driver: 12040 for 12.4.
  int version() const { return version_; }
  int devices() const { return devices_; }

  static bool succeeded(Result r) { return r == kSuccess; }
  /// Throws CudaError.
  [[noreturn]] void fail(const char* call, Result result) const;

#define MOPROC_CUDA_MEMBER(name, symbol, parameters) FunctionOf<Driver, Result parameters> name;
  MOPROC_CUDA_FUNCTIONS(MOPROC_CUDA_MEMBER)
#undef MOPROC_CUDA_MEMBER

  /// "CUDA_ERROR_NO_DEVICE (no CUDA-capable device is detected)".
  std::string describe(Result result) const;

 private:
  void open();
  void start();
  std::string too_old(const DriverInfo& needed) const;

  const Plan& plan_;
  void* library_ = nullptr;
  std::string path_;
  int version_ = 0, devices_ = 0;
  mutable Place place_;
};

/// Sets Driver::at() until it goes out of scope.
class Doing {
 public:
  Doing(const Driver& driver, const Place& place) : driver_(driver) { driver.at(place); }
  ~Doing() { driver_.at({}); }
  Doing(const Doing&) = delete;
  Doing& operator=(const Doing&) = delete;

 private:
  const Driver& driver_;
};

/// "12.4" for 12040.
std::string show_version(int version);

}  // namespace moproc::cuda
