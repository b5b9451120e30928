#include "record.h"

#include <algorithm>
#include <map>
#include <vector>

#include "core/error.h"
#include "core/layout.h"
#include "program.h"
#include "step_runner.h"

namespace moproc::tools {
namespace {

using Bytes = std::vector<std::byte>;

std::string key(int step, int tensor, const char* when) {
  return std::to_string(step) + " " + std::to_string(tensor) + " " + when;
}

void give(const Plan& plan, StepRunner& runner, const formats::SafetensorsFile& values, int tensor) {
  const TensorInfo& t = plan.tensors[tensor];
  const formats::TensorEntry* const entry = values.find(plain_name(t));
  if (!entry) throw InputError(values.path() + " has no tensor " + plain_name(t));
  const std::span<const std::byte> logical = values.bytes(*entry);
  if (static_cast<int64_t>(logical.size()) != t.bytes)
    throw InputError(values.path() + ": " + entry->name + " has " + std::to_string(logical.size()) + " bytes, not " +
                     std::to_string(t.bytes));
  Bytes stored(logical.size());
  to_stored(t, logical.data(), stored.data());
  runner.write(tensor, stored.data());
}

/// The tensors of one file, with a copy of their bytes.
class Collected {
 public:
  void add(std::string name, Bytes bytes) {
    entries_.push_back({std::move(name), DType::u8, {static_cast<int64_t>(bytes.size())}});
    bytes_.push_back(std::move(bytes));
  }
  void write(const std::string& path, formats::Metadata metadata) const {
    formats::write_safetensors(path, entries_, std::move(metadata), [this](size_t i, std::span<std::byte> to) {
      std::copy(bytes_[i].begin(), bytes_[i].end(), to.begin());
    });
  }

 private:
  std::vector<formats::TensorEntry> entries_;
  std::vector<Bytes> bytes_;
};

}  // namespace

void record(const Plan& plan, const std::string& program, const std::string& values_path, const std::string& path,
            int gpu) {
  const int p = find_program(plan, program);
  const formats::SafetensorsFile values(values_path);
  const std::unique_ptr<StepRunner> made = make_step_runner(plan, gpu);
  StepRunner& runner = *made;
  runner.spoil();
  for (const StateInfo& s : plan.state)
    if (s.role != Role::derived) give(plan, runner, values, s.tensor);
  const int refresh = find_program(plan, "refresh");
  for (int i = 0; i < plan.programs[refresh].steps.size; ++i) runner.run(refresh, i);
  for (const int32_t t : plan.programs[p].inputs) give(plan, runner, values, t);

  const auto read = [&](int t) {
    Bytes bytes(static_cast<size_t>(plan.tensors[t].bytes));
    runner.read(t, bytes.data());
    return bytes;
  };
  Collected all;
  std::map<int, Bytes> known;  // the contents of each tensor that a reader can infer
  for (int i = 0; i < plan.programs[p].steps.size; ++i) {
    const std::vector<int> tensors = tensors_of(plan.programs[p].steps[i]);
    std::vector<Bytes> before;
    for (const int t : tensors) before.push_back(read(t));
    runner.run(p, i);
    for (size_t k = 0; k < tensors.size(); ++k) {
      const int t = tensors[k];
      Bytes after = read(t);
      if (!known.contains(t) || before[k] != known[t]) all.add(key(i, t, "before"), before[k]);
      if (after != before[k]) all.add(key(i, t, "after"), after);
      known[t] = std::move(after);
    }
  }
  all.write(
      path,
      {{"format", "moproc-record-1"}, {"program", program}, {"plan", signature(plan, p)}, {"driver", runner.shown()}});
}

Record::Record(const Plan& plan, const std::string& path) : file_(path) {
  const auto metadata = [&](const char* name) {
    const auto found = file_.metadata().find(name);
    if (found == file_.metadata().end())
      throw InputError(path + ": is not a record of launches: it does not state its " + name);
    return found->second;
  };
  program_ = find_program(plan, metadata("program"));
  if (metadata("plan") != signature(plan, program_))
    throw InputError(path + ": was recorded from other launches than those of the artefact; record it again");
  driver_ = metadata("driver");
}

std::span<const std::byte> Record::before(int step, int tensor) const {
  if (const formats::TensorEntry* const entry = file_.find(key(step, tensor, "before"))) return file_.bytes(*entry);
  for (int i = step - 1; i >= 0; --i)
    for (const char* when : {"after", "before"})
      if (const formats::TensorEntry* const entry = file_.find(key(i, tensor, when))) return file_.bytes(*entry);
  throw InputError(file_.path() + ": does not state what tensor " + std::to_string(tensor) + " contained before step " +
                   std::to_string(step));
}

std::span<const std::byte> Record::after(int step, int tensor) const {
  const formats::TensorEntry* const entry = file_.find(key(step, tensor, "after"));
  return entry ? file_.bytes(*entry) : std::span<const std::byte>();
}

}  // namespace moproc::tools
