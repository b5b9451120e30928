// Tensors between JavaScript typed arrays and a session, always in logical row-major order.
#pragma once

#include <napi.h>

#include <cstddef>
#include <functional>
#include <span>

#include "core/plan.h"

namespace moproc {

/// { name, dtype, shape }; the name is without its program's prefix.
Napi::Object describe_tensor(Napi::Env env, const TensorInfo& t);

/// The bytes of a typed array that fits the tensor. Throws Napi::TypeError that names the tensor if kind or length
/// differ.
std::span<const std::byte> bytes_of(const Napi::Value& value, const TensorInfo& t);

/// A typed array of the tensor's element type, whose bytes `fill` writes.
Napi::Value typed_array(Napi::Env env, const TensorInfo& t, const std::function<void(std::span<std::byte>)>& fill);

}  // namespace moproc
