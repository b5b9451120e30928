// What the tests of this folder share: the fixtures, and a comparison of a Value with what Python said is in
// its file.
#pragma once

#include <string>

#include "core/json.h"
#include "formats/value.h"

namespace moproc::test {

/// The path of a file of test/fixtures/torch.
std::string fixture(const std::string& name);

/// What make.py says is in a fixture.
const Json& python_says(const std::string& name);

/// What make_foreign.py says is in a file of test/fixtures/torch/foreign.
const Json& foreign_says(const std::string& name);

/// "" when the value is what the JSON (of make.py's describe) says; else where they differ. Tensors are
/// compared by the bytes of their elements in row-major order.
std::string difference(const formats::Value& value, const Json& want);

/// "f32[2,3] 0000803f...": type, shape and elements.
std::string show(const formats::Tensor& t);

std::string hex(formats::ByteSpan bytes);

}  // namespace moproc::test
