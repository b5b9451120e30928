// The JSON parser; what it accepts must be accepted again once its text and numbers are written.
#include "core/json.h"

#include "fuzz.h"

namespace {

/// The value as text, to be parsed again.
void write(std::string& out, const moproc::Json& v) {
  if (v.is_null()) out += "null";
  if (v.boolean()) out += *v.boolean() ? "true" : "false";
  if (v.number()) moproc::write_json(out, *v.number());
  if (v.string()) moproc::write_json(out, *v.string());
  if (v.array()) {
    out += "[";
    for (const moproc::Json& item : *v.array()) write(out += &item == v.array()->data() ? "" : ",", item);
    out += "]";
  }
  if (v.object()) {
    out += "{";
    for (const auto& member : *v.object()) {
      moproc::write_json(out += &member == v.object()->data() ? "" : ",", member.first);
      write(out += ":", member.second);
    }
    out += "}";
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace moproc;
  fuzz::parse([&](const char* name) {
    const Json json = parse_json(formats::as_text(fuzz::input(data, size)), name);
    std::string once, twice;
    write(once, json);
    write(twice, parse_json(once, "the parser's own text"));
    if (once != twice) __builtin_trap();
  });
  return 0;
}
