// The entry point libFuzzer calls, and the one exception that bad input may cause: anything else is a
// finding.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "core/error.h"
#include "formats/bytes.h"

namespace moproc::fuzz {

inline formats::ByteSpan input(const uint8_t* data, size_t size) { return std::as_bytes(std::span(data, size)); }

/// Runs the parser; an InputError must begin with the file's name, as its user has nothing else to go by.
template <class F>
void parse(F&& parser) {
  try {
    parser("FILE");
  } catch (const InputError& e) {
    if (!std::string(e.what()).starts_with("FILE")) __builtin_trap();
  }
}

}  // namespace moproc::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
