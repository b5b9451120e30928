// Runs a kernel the way the runtime may: in one range, task by task backwards, and on four threads in uneven
// chunks. Every run starts from the same buffers with poisoned workspace and scratch and must give the same
// bits; writes beside a buffer, the workspace or the scratch fail the test. What all tests call is not inlined, because
// that takes longer to compile than many kernels.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <functional>
#include <thread>
#include <vector>

#include "common/params.h"
#include "native/kernels/values.h"
#include "native/tap.h"

namespace moproc::test {

/// Memory between two guard zones of 256 bytes, 64-byte aligned.
class Guarded {
 public:
  [[gnu::noinline]] explicit Guarded(size_t bytes) : bytes_(bytes), raw_(bytes + 2 * guard + 64, poison) {
    const auto at = reinterpret_cast<uintptr_t>(raw_.data()) + guard;
    begin_ = raw_.data() + ((at + 63) / 64 * 64 - reinterpret_cast<uintptr_t>(raw_.data()));
  }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;
  unsigned char* data() { return begin_; }
  size_t bytes() const { return bytes_; }
  bool intact() const {
    const auto poisoned = [](unsigned char c) { return c == poison; };
    return std::all_of(raw_.data(), static_cast<const unsigned char*>(begin_), poisoned) &&
           std::all_of(begin_ + bytes_, const_cast<unsigned char*>(raw_.data()) + raw_.size(), poisoned);
  }

 private:
  static constexpr size_t guard = 256;
  static constexpr unsigned char poison = 0xff;  // floats: NaN
  size_t bytes_;
  std::vector<unsigned char> raw_;
  unsigned char* begin_;
};

template <class T>
class Tensor {
 public:
  [[gnu::noinline]] explicit Tensor(int64_t n) : memory_(static_cast<size_t>(n) * sizeof(T)), size_(n) {}
  [[gnu::noinline]] Tensor(int64_t n, const std::function<T(int64_t)>& f) : Tensor(n) {
    for (int64_t i = 0; i < n; ++i) (*this)[i] = f(i);
  }
  T& operator[](int64_t i) { return reinterpret_cast<T*>(memory_.data())[i]; }
  T operator[](int64_t i) const { return const_cast<Tensor&>(*this)[i]; }
  int64_t size() const { return size_; }
  Guarded& memory() { return memory_; }

 private:
  Guarded memory_;
  int64_t size_;
};

class Launch {
 public:
  [[gnu::noinline]] Launch(CpuEntry entry, int64_t rows, int64_t groups, std::vector<int64_t> tasks)
      : entry_(entry), tasks_(std::move(tasks)) {
    params_.rows = rows;
    params_.groups = groups;
  }
  template <class T>
  Launch& arg(Tensor<T>& x) {
    args_.push_back(&x.memory());
    return *this;
  }
  Launch& extent(std::initializer_list<int64_t> values) {
    std::copy(values.begin(), values.end(), params_.extent);
    return *this;
  }
  Launch& workspace(int64_t bytes) {
    workspace_ = bytes;
    return *this;
  }
  Launch& scratch(int64_t bytes) {
    scratch_ = bytes;
    return *this;
  }

  /// Runs in all three ways; the buffers hold the result.
  [[gnu::noinline]] void run() {
    const auto before = snapshot();
    execute(0);
    const auto result = snapshot();
    for (int way = 1; way < 3; ++way) {
      restore(before);
      execute(way);
      CHECK(snapshot() == result);  // the same bits for every division into tasks
    }
    for (const Guarded* a : args_) CHECK(a->intact());
  }

 private:
  using Bytes = std::vector<std::vector<unsigned char>>;
  Bytes snapshot() const {
    Bytes all;
    for (Guarded* a : args_) all.emplace_back(a->data(), a->data() + a->bytes());
    return all;
  }
  void restore(const Bytes& all) {
    for (size_t i = 0; i < all.size(); ++i) std::memcpy(args_[i]->data(), all[i].data(), all[i].size());
  }

  void range(const Params& p, int phase, int64_t begin, int64_t end) {
    Guarded scratch(static_cast<size_t>(scratch_));
    entry_(p, Task{phase, begin, end, scratch.data()});
    if (!scratch.intact()) broken_ = true;
  }

  void execute(int way) {
    std::vector<void*> buf;
    for (Guarded* a : args_) buf.push_back(a->data());
    Guarded workspace(static_cast<size_t>(workspace_));
    Params p = params_;
    p.buf = buf.data();
    p.workspace = workspace.data();
    for (int phase = 0; phase < static_cast<int>(tasks_.size()); ++phase) {
      const int64_t n = tasks_[static_cast<size_t>(phase)];
      if (way == 0) range(p, phase, 0, n);
      else if (way == 1)
        for (int64_t i = n; i-- > 0;) range(p, phase, i, i + 1);
      else threads(p, phase, n);
    }
    CHECK(workspace.intact());
    CHECK(!broken_);
  }

  void threads(const Params& p, int phase, int64_t n) {
    std::vector<std::thread> pool;
    for (int64_t k = 0; k < 4; ++k)
      pool.emplace_back([=, this] {
        for (int64_t chunk = k; chunk * 3 < n; chunk += 4) range(p, phase, chunk * 3, std::min(n, chunk * 3 + 3));
      });
    for (std::thread& t : pool) t.join();
  }

  CpuEntry entry_;
  Params params_{};
  std::vector<int64_t> tasks_;
  std::vector<Guarded*> args_;
  int64_t workspace_ = 0, scratch_ = 0;
  std::atomic<bool> broken_ = false;
};

}  // namespace moproc::test
