// Looks up members of the tree.
#include "formats/value.h"

namespace moproc::formats {

const Value* Dict::find(std::string_view key) const {
  for (const auto& [k, v] : members)
    if (k.text() && *k.text() == key) return &v;
  return nullptr;
}

void Dict::add(std::string key, Value value) { members.emplace_back(Value(std::move(key)), std::move(value)); }

std::string Value::kind() const {
  constexpr const char* kKinds[] = {"None",  "a truth value", "a whole number", "a number", "text",
                                    "bytes", "a list",        "a dict",         "a tensor"};
  if (const Sequence* s = sequence(); s && s->tuple) return "a tuple";
  if (opaque()) return "an object of class " + opaque()->class_name;
  return kKinds[value_.index()];
}

}  // namespace moproc::formats
