// Runs a CUDA kernel in the emulator: threads in order, then in three random orders, its buffers against the upper
// or the lower faulting page. Every run starts from the same contents with poisoned workspace and shared memory and
// must give the same bits; writes beside a buffer or the workspace fail the test.
#pragma once

#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "cuda/vec.cuh"
#include "device_memory.h"
#include "native/kernels/values.h"

namespace moproc::test {

/// A bf16 as tests see it: converts from float (to nearest even) and to float.
struct Half {
  bf16 bits = 0xffff;
  Half() = default;
  Half(float x) : bits(narrow(x)) {}
  operator float() const { return widen(bits); }
};

template <class T>
class Tensor {
 public:
  explicit Tensor(int64_t n) : bytes_(static_cast<size_t>(n) * sizeof(T), 0xff), size_(n) {}
  Tensor(int64_t n, const std::function<float(int64_t)>& f)
    requires(!std::is_integral_v<T>)
      : Tensor(n) {
    for (int64_t i = 0; i < n; ++i) (*this)[i] = f(i);
  }
  Tensor(int64_t n, const std::function<T(int64_t)>& f)
    requires std::is_integral_v<T>
      : Tensor(n) {
    for (int64_t i = 0; i < n; ++i) (*this)[i] = f(i);
  }
  T& operator[](int64_t i) { return reinterpret_cast<T*>(bytes_.data())[i]; }
  const T& operator[](int64_t i) const { return reinterpret_cast<const T*>(bytes_.data())[i]; }
  int64_t size() const { return size_; }
  std::vector<unsigned char>& bytes() { return bytes_; }

 private:
  std::vector<unsigned char> bytes_;
  int64_t size_;
};

class Launch {
 public:
  /// `tasks`: blocks of each phase, of 256 threads. The kernel is `void(const Params&)` or a __global__ function.
  Launch(std::function<void(const Params&)> kernel, int64_t rows, int64_t groups, std::vector<int64_t> tasks)
      : kernel_(std::move(kernel)), tasks_(std::move(tasks)) {
    params_.rows = rows;
    params_.groups = groups;
  }
  template <class T>
  Launch& arg(Tensor<T>& x) {
    args_.push_back(&x.bytes());
    return *this;
  }
  Launch& extent(std::initializer_list<int64_t> values) {
    std::copy(values.begin(), values.end(), params_.extent);
    return *this;
  }
  Launch& scalars(std::initializer_list<float> values) {
    std::copy(values.begin(), values.end(), params_.scalars);
    return *this;
  }
  Launch& workspace(int64_t bytes) {
    workspace_ = static_cast<size_t>(bytes);
    return *this;
  }
  Launch& shared(int64_t bytes) {
    shared_ = static_cast<size_t>(bytes);
    return *this;
  }

  Launch& threads(int n) {
    threads_ = static_cast<unsigned>(n);
    return *this;
  }
  /// CPU kernels have it; here there is none.
  Launch& scratch(int64_t) { return *this; }

  /// Runs in all orders; the tensors hold the result.
  void run() {
    const std::vector<Bytes> before = contents();
    std::vector<Bytes> result;
    for (uint32_t seed = 0; seed < 4; ++seed) {
      const std::vector<Bytes> after = execute(seed, before);
      if (seed == 0) result = after;
      else CHECK(after == result);  // the same bits in every order of threads and blocks
    }
    for (size_t i = 0; i < args_.size(); ++i) *args_[i] = result[i];
  }

 private:
  using Bytes = std::vector<unsigned char>;
  std::vector<Bytes> contents() const {
    std::vector<Bytes> all;
    for (const Bytes* a : args_) all.push_back(*a);
    return all;
  }

  std::vector<Bytes> execute(uint32_t seed, const std::vector<Bytes>& before) {
    const bool low = seed % 2 == 1;
    std::vector<std::shared_ptr<emulator::DeviceMemory>> memory;
    for (size_t i = 0; i < args_.size(); ++i) {
      const size_t same = static_cast<size_t>(std::find(args_.begin(), args_.end(), args_[i]) - args_.begin());
      if (same < i) memory.push_back(memory[same]);  // one tensor in two places
      else {
        memory.push_back(
            std::make_shared<emulator::DeviceMemory>(before[i].size(), "buffer " + std::to_string(i), low));
        std::memcpy(memory[i]->data(), before[i].data(), before[i].size());
      }
    }
    emulator::DeviceMemory workspace(workspace_, "workspace", low);
    Params p = params_;
    for (size_t i = 0; i < memory.size(); ++i) p.buf[i] = memory[i]->data();
    p.workspace = workspace.data();
    for (p.phase = 0; p.phase < static_cast<int>(tasks_.size()); ++p.phase) {
      const auto grid = static_cast<unsigned>(tasks_[static_cast<size_t>(p.phase)]);
      emulator::launch({"phase " + std::to_string(p.phase), grid, threads_, shared_, seed}, [&] { kernel_(p); });
    }
    CHECK(workspace.intact());
    std::vector<Bytes> after;
    for (const auto& m : memory) {
      CHECK(m->intact());
      after.emplace_back(m->data(), m->data() + m->bytes());
    }
    return after;
  }

  std::function<void(const Params&)> kernel_;
  unsigned threads_ = 256;
  Params params_{};
  std::vector<int64_t> tasks_;
  std::vector<Bytes*> args_;
  size_t workspace_ = 0, shared_ = 0;
};

}  // namespace moproc::test
