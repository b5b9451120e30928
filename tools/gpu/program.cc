#include "program.h"

#include <span>

#include "core/error.h"
#include "formats/sha256.h"

namespace moproc::tools {

int find_program(const Plan& plan, const std::string& name) {
  std::string known;
  for (int32_t i = 0; i < plan.programs.size; ++i) {
    if (name == plan.programs[i].name) return i;
    known += std::string(" ") + plan.programs[i].name;
  }
  throw InputError(std::string(plan.name) + " has no program " + name + "; it has" + known);
}

std::string plain_name(const TensorInfo& t) {
  const std::string name = t.name;
  return name.substr(name.find('/') + 1);  // npos + 1 is 0
}

std::string signature(const Plan& plan, int program) {
  std::string text;
  for (const StepInfo& s : plan.programs[program].steps) {
    text += s.kind == StepKind::launch ? plan.kernels[s.kernel].symbol : "copy";
    for (const int32_t t : s.args) {
      const TensorInfo& info = plan.tensors[t];
      text += " " + std::to_string(t) + ":" + std::to_string(static_cast<int>(info.arena)) + ":" +
              std::to_string(info.offset) + ":" + std::to_string(info.bytes);
    }
    for (const int64_t n : s.tasks) text += " x" + std::to_string(n);
    text += " of " + std::to_string(s.rows) + "/" + std::to_string(s.groups) + "\n";
  }
  formats::Sha256 hash;
  hash.add(std::as_bytes(std::span(text)));
  return hash.hex();
}

}  // namespace moproc::tools
