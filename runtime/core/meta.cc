#include "core/meta.h"

#include <charconv>

#include "core/error.h"

namespace moproc {

std::string meta(const Plan& plan, const std::string& key) {
  for (const MetaInfo& m : plan.meta)
    if (key == m.key) return m.value;
  return "";
}

int64_t meta_number(const Plan& plan, const std::string& key) {
  const std::string text = meta(plan, key);
  int64_t v = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), v);
  if (text.empty() || error != std::errc() || end != text.data() + text.size())
    throw InputError(std::string(plan.name) + ": the artefact does not say its " + key);
  return v;
}

}  // namespace moproc
