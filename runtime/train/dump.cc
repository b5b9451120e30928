// In an artefact that keeps the values of a step, these are the outputs of its program, and there are no others.
#include "train/dump.h"

#include <cstdio>
#include <string_view>

#include "core/error.h"
#include "core/meta.h"
#include "formats/safetensors.h"

namespace moproc::train {

using namespace formats;

void require_kept_values(const Plan& plan) {
  if (meta(plan, "keep_values") == "1") return;
  throw InputError(std::string("--dump-step: ") + plan.name +
                   " stores only the values that its kernels need; compile one that stores all with --keep-values");
}

std::string step_file(int64_t step) {
  char name[48];
  std::snprintf(name, sizeof name, "step_%06lld.safetensors", static_cast<long long>(step));
  return name;
}

void dump_values(const Session& session, int program, const std::string& folder, int64_t step) {
  const ProgramInfo& p = session.plan().programs[program];
  const std::string_view own = p.name;
  std::vector<TensorEntry> entries;
  for (const int32_t t : p.outputs) {
    const TensorInfo& i = session.info(t);
    std::string_view name = i.name;
    if (name.starts_with(own)) name.remove_prefix(own.size() + 1);  // "clean/encoder_q.conv1.conv"
    entries.push_back({std::string(name), i.dtype, {i.shape, i.shape + i.rank}});
  }
  write_safetensors(
      folder + "/" + step_file(step), std::move(entries),
      {{"format", "moproc-dump-1"}, {"program", p.name}, {"step", std::to_string(step)}},
      [&](size_t i, std::span<std::byte> bytes) { session.get(p.outputs[static_cast<int32_t>(i)], bytes); });
}

}  // namespace moproc::train
