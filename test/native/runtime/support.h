// What several test files need: folders that go away, the training binary run in this process, bytes of
// files.
#pragma once

#include <string>
#include <vector>

#include "core/json.h"
#include "core/plan.h"

namespace moproc::test {

/// A new empty folder, removed with everything in it.
class Folder {
 public:
  Folder();
  ~Folder();
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

std::string read_bytes(const std::string& path);
void write_bytes(const std::string& path, const std::string& bytes);
bool exists(const std::string& path);
/// The digest of a safetensors checkpoint's tensors, which its metadata holds.
std::string sha_of(const std::string& path);
/// Names in a folder, sorted.
std::vector<std::string> list(const std::string& folder);
/// The records of a metrics.jsonl whose "event" is this.
std::vector<Json> records(const std::string& path, const std::string& event);
double number_of(const Json& record, const char* key);

struct Ran {
  int status;
  std::string out, err;
};

/// moproc_train_main(plan) with these arguments, its output caught.
Ran run_train(const Plan& plan, std::vector<std::string> args);

/// A plan of which the kernel `symbol` raises signals as its launches begin, and otherwise does what it did.
/// One at a time; the plan it was made of must outlive it.
class SignallingPlan {
 public:
  /// In launch number `launch` (from 0): `count` signals, `pause_ms` apart.
  SignallingPlan(const Plan& plan, const std::string& symbol, int signal, int launch, int count = 1, int pause_ms = 0);
  const Plan& plan() const { return plan_; }

 private:
  Plan plan_;
  std::vector<KernelInfo> kernels_;
};

}  // namespace moproc::test
