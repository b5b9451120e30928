// Writes a Value as a pickle: protocol 2 with tensors as torch.save writes them, or protocol 4 with tensors as numpy
// arrays. The first form uses only opcodes and names that torch.load(weights_only=True) accepts.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "formats/value.h"

namespace moproc::formats {

class PickleWriter {
 public:
  using Sink = std::function<void(ByteSpan)>;

  /// Each tensor becomes a reference to a storage of its own, "0", "1" and so on; `storages` receives the tensors in
  /// this order. They are described as row-major, whatever their strides are.
  static std::string torch(const Value& root, std::vector<const Tensor*>& storages);

  /// Tensors become numpy arrays with their data. Throws InputError with the dict's key for bf16, which numpy does not
  /// have.
  static void numpy(const Value& root, const Sink& sink);

 private:
  PickleWriter(std::vector<const Tensor*>* storages, const Sink* sink) : storages_(storages), sink_(sink) {}
  void value(const Value& v);
  void integer(int64_t v);
  void real(double v);
  void text(std::string_view v);
  void bytes(ByteSpan v);
  void sequence(const Sequence& s);
  void dict(const Dict& d);
  void tuple(const std::vector<int64_t>& values);
  void torch_tensor(const Tensor& t);
  void numpy_tensor(const Tensor& t);
  void global(const char* module, const char* name);
  void op(char code) { out_ += code; }
  void flush();

  std::vector<const Tensor*>* storages_;  // null: numpy arrays
  const Sink* sink_;
  std::string out_, key_;
  std::vector<std::byte> buffer_;
};

}  // namespace moproc::formats
