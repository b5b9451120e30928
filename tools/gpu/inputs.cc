#include "inputs.h"

#include <cstdlib>
#include <random>
#include <string>

#include "core/error.h"

namespace moproc::tools {

int64_t stated(const Plan& plan, std::string_view key) {
  for (const MetaInfo& m : plan.meta)
    if (key == m.key) return std::atoll(m.value);
  throw InputError(std::string(plan.name) + " does not state its " + std::string(key));
}

void fill_inputs(Session& session, int program, float learning_rate) {
  const int64_t classes = stated(session.plan(), "num_class");
  std::mt19937 random(1);
  for (const int32_t t : session.plan().programs[program].inputs) {
    const TensorInfo& info = session.info(t);
    const std::string_view name = info.name;
    const int64_t n = info.rank == 0 ? 1 : info.shape[0];
    if (info.dtype == DType::u8)
      for (std::byte& b : session.view<std::byte>(t)) b = static_cast<std::byte>(random());
    else if (info.dtype == DType::i64)
      for (int64_t i = 0; i < n; ++i)
        session.view<int64_t>(t)[static_cast<size_t>(i)] =
            name.ends_with("order") ? n - 1 - i : static_cast<int64_t>(random() % static_cast<uint64_t>(classes));
    else
      for (float& x : session.view<float>(t))
        x = name.ends_with("lr") ? learning_rate : name.ends_with("temperature") ? 0.1f : 0.5f;
    if (session.device().separate()) session.keep(t);
  }
}

}  // namespace moproc::tools
