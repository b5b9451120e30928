// A compiled program set with its memory: the four arenas, the thread pool, and the state that lives across
// runs. Surprising: inputs and outputs of different programs may share memory, so set inputs right before a
// run and read outputs right after it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/arena.h"
#include "core/plan.h"
#include "core/profiler.h"
#include "cpu/pool.h"

namespace moproc {

struct SessionOptions {
  int threads = 0;       // 0: usable_cores()
  bool profile = false;  // time every step, see Session::profiler()
  bool check = false;    // stop at the first NaN or infinity a step writes
};

/// Not thread safe: one call at a time.
class Session {
 public:
  /// The plan must outlive the session. State is zero until init_state() or set(). Throws InputError when the
  /// plan is of another version or device or of a CPU this machine has not, std::bad_alloc when memory does
  /// not suffice.
  explicit Session(const Plan& plan, SessionOptions options = {});
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  const Plan& plan() const { return plan_; }
  Pool& pool() { return pool_; }
  Profiler& profiler() { return profiler_; }

  /// Index of a program, or InputError listing the programs there are.
  int program(std::string_view name) const;
  bool has_program(std::string_view name) const { return find_program(name) >= 0; }
  /// Index of a tensor by its full name in the plan; -1 (find) or InputError (tensor) when there is none.
  int find_tensor(std::string_view name) const;
  int tensor(std::string_view name) const;
  /// Index of the tensor behind an input or output of a program, by its name with or without the program's;
  /// -1 (find) or InputError listing what there is.
  int find_input(int program, std::string_view name) const;
  int find_output(int program, std::string_view name) const;
  int input(int program, std::string_view name) const;
  int output(int program, std::string_view name) const;

  const TensorInfo& info(int tensor) const { return plan_.tensors[tensor]; }
  /// The tensor's bytes in stored order (4-D tensors channels-last). Writing state through it needs
  /// mark_stale().
  std::byte* data(int tensor) const;
  template <class T>
  std::span<T> view(int tensor) const {
    return {reinterpret_cast<T*>(data(tensor)), static_cast<size_t>(info(tensor).bytes) / sizeof(T)};
  }

  /// Copies a whole tensor from or to logical row-major bytes. Throws InputError when the size is not the
  /// tensor's.
  void set(int tensor, std::span<const std::byte> logical);
  void get(int tensor, std::span<std::byte> logical) const;

  /// Fills all state from the seed: random values depend on it and the tensor's name only; momenta and the
  /// like are constants. Bits do not depend on the number of threads.
  void init_state(uint64_t seed);
  /// Derived state no longer fits the rest: the next run (or refresh()) rebuilds it first.
  void mark_stale() { stale_ = true; }
  /// Runs the program `refresh` if derived state is stale.
  void refresh();

  /// Called with the number of steps that have ended, after each of them, on the thread that runs the
  /// program.
  using Progress = std::function<void(int done)>;

  /// Runs all steps of a program and returns when they have ended. With SessionOptions::check throws
  /// NonFiniteError.
  void run(int program, const Progress& progress = {});

  /// Bytes of all arenas and of the threads' scratch.
  int64_t memory_bytes() const;

 private:
  int find_program(std::string_view name) const;
  void bind_steps();
  void execute(int program, const Progress& progress = {});
  void launch(const StepInfo& step, void* const* buffers);
  void copy(const StepInfo& step);
  void check_step(int program, const StepInfo& step) const;
  void check_inputs(int program) const;

  const Plan& plan_;
  SessionOptions options_;
  ArenaMemory arenas_[4];
  Pool pool_;
  int64_t scratch_stride_;
  ArenaMemory scratch_;
  Profiler profiler_;
  std::unordered_map<std::string_view, int> tensors_;
  std::vector<std::vector<std::vector<void*>>> buffers_;  // by program, step, argument
  int refresh_ = -1;
  bool stale_ = true;
};

}  // namespace moproc
