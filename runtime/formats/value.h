// The contents of a pickle of plain data, as a tree: numbers, text, lists, dictionaries and tensors. Surprising:
// subtrees may be shared, as in Python. The reader has checked that there are no cycles.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "formats/tensor.h"

namespace moproc::formats {

class Value;

/// An object that is no plain data, such as an argparse.Namespace. Only its class is known: "argparse.Namespace".
struct Opaque {
  std::string class_name;
};

/// A list or a tuple; also a set, in the order of the file.
struct Sequence {
  std::vector<Value> items;
  bool tuple = false;
};

/// A dict (or an object of a derived class) in its order. Keys are mostly text or whole numbers, which do not repeat.
struct Dict {
  std::vector<std::pair<Value, Value>> members;
  bool ordered = false;

  /// The member with a text key, or null.
  const Value* find(std::string_view key) const;
  void add(std::string key, Value value);
};

class Value {
 public:
  Value() = default;  // None
  explicit Value(bool v) : value_(v) {}
  explicit Value(int64_t v) : value_(v) {}
  explicit Value(double v) : value_(v) {}
  explicit Value(std::string v) : value_(std::make_shared<const std::string>(std::move(v))) {}
  explicit Value(const char* v) : Value(std::string(v)) {}
  explicit Value(ByteSpan v) : value_(v) {}
  explicit Value(Sequence v) : value_(std::make_shared<const Sequence>(std::move(v))) {}
  explicit Value(Dict v) : value_(std::make_shared<const Dict>(std::move(v))) {}
  explicit Value(Tensor v) : value_(std::make_shared<const Tensor>(std::move(v))) {}
  explicit Value(Opaque v) : value_(std::make_shared<const Opaque>(std::move(v))) {}

  bool is_none() const { return std::holds_alternative<std::monostate>(value_); }
  const bool* boolean() const { return std::get_if<bool>(&value_); }
  const int64_t* integer() const { return std::get_if<int64_t>(&value_); }
  const double* real() const { return std::get_if<double>(&value_); }
  const std::string* text() const { return held<std::string>(); }
  /// Python's bytes; a view of the file.
  const ByteSpan* bytes() const { return std::get_if<ByteSpan>(&value_); }
  const Sequence* sequence() const { return held<Sequence>(); }
  const Dict* dict() const { return held<Dict>(); }
  const Tensor* tensor() const { return held<Tensor>(); }
  const Opaque* opaque() const { return held<Opaque>(); }

  /// The kind for messages, such as "a dict", "text" or "an object of class argparse.Namespace".
  std::string kind() const;

 private:
  template <class T>
  const T* held() const {
    const auto* const p = std::get_if<std::shared_ptr<const T>>(&value_);
    return p ? p->get() : nullptr;
  }

  std::variant<std::monostate, bool, int64_t, double, std::shared_ptr<const std::string>, ByteSpan,
               std::shared_ptr<const Sequence>, std::shared_ptr<const Dict>, std::shared_ptr<const Tensor>,
               std::shared_ptr<const Opaque>>
      value_;
};

}  // namespace moproc::formats
