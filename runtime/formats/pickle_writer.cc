// Writes pickles without a memo: nothing is shared, so reading gives the same tree.
#include "formats/pickle_writer.h"

#include <bit>
#include <stdexcept>

#include "core/error.h"
#include "core/layout.h"
#include "formats/pickle_names.h"
#include "formats/pickle_ops.h"

namespace moproc::formats {
namespace {

constexpr size_t kFlushAt = 1 << 16;

char code(Op op) { return static_cast<char>(op); }

}  // namespace

std::string PickleWriter::torch(const Value& root, std::vector<const Tensor*>& storages) {
  PickleWriter w(&storages, nullptr);
  w.out_ = {code(Op::proto), 2};
  w.value(root);
  w.op(code(Op::stop));
  return std::move(w.out_);
}

void PickleWriter::numpy(const Value& root, const Sink& sink) {
  PickleWriter w(nullptr, &sink);
  w.out_ = {code(Op::proto), 4};
  w.value(root);
  w.op(code(Op::stop));
  w.flush();
}

void PickleWriter::flush() {
  (*sink_)(as_bytes(out_));
  out_.clear();
}

void PickleWriter::value(const Value& v) {
  if (v.is_none()) return op(code(Op::none));
  if (v.boolean()) return op(code(*v.boolean() ? Op::yes : Op::no));
  if (v.integer()) return integer(*v.integer());
  if (v.real()) return real(*v.real());
  if (v.text()) return text(*v.text());
  if (v.bytes()) return bytes(*v.bytes());
  if (v.sequence()) return sequence(*v.sequence());
  if (v.dict()) return dict(*v.dict());
  if (storages_) torch_tensor(*v.tensor());
  else numpy_tensor(*v.tensor());
}

void PickleWriter::integer(int64_t v) {
  if (v >= 0 && v < 256) op(code(Op::int1)), append(out_, static_cast<uint8_t>(v));
  else if (v >= INT32_MIN && v <= INT32_MAX) op(code(Op::int4)), append(out_, static_cast<int32_t>(v));
  else op(code(Op::long1)), op(8), append(out_, v);
}

void PickleWriter::real(double v) {
  op(code(Op::real));
  append(out_, __builtin_bswap64(std::bit_cast<uint64_t>(v)));
}

void PickleWriter::text(std::string_view v) {
  if (v.size() > UINT32_MAX) throw std::logic_error("text of more than 4 GiB");
  op(code(Op::text4));
  append(out_, static_cast<uint32_t>(v.size()));
  out_ += v;
}

/// Writes bytes, which only protocol 3 and later have.
void PickleWriter::bytes(ByteSpan v) {
  if (storages_)
    throw InputError("bytes" + (key_.empty() ? "" : " under " + in_quotes(key_)) +
                     " cannot be written to a torch file");
  op(code(Op::bytes8));
  append(out_, uint64_t{v.size()});
  flush();
  (*sink_)(v);
}

void PickleWriter::sequence(const Sequence& s) {
  if (s.items.empty()) return op(code(s.tuple ? Op::empty_tuple : Op::empty_list));
  if (!s.tuple) op(code(Op::empty_list));
  op(code(Op::mark));
  for (const Value& item : s.items) value(item);
  op(code(s.tuple ? Op::tuple : Op::appends));
}

void PickleWriter::dict(const Dict& d) {
  if (d.ordered) {
    global("collections", "OrderedDict");
    op(code(Op::empty_tuple));
    op(code(Op::reduce));
  } else {
    op(code(Op::empty_dict));
  }
  if (d.members.empty()) return;
  op(code(Op::mark));
  for (const auto& [key, v] : d.members) {
    value(key);
    if (key.text()) key_ = *key.text();
    value(v);
    if (sink_ && out_.size() > kFlushAt) flush();
  }
  op(code(Op::set_items));
}

void PickleWriter::tuple(const std::vector<int64_t>& values) {
  op(code(Op::mark));
  for (const int64_t v : values) integer(v);
  op(code(Op::tuple));
}

void PickleWriter::global(const char* module, const char* name) {
  op(code(Op::global));
  out_ += std::string(module) + "\n" + name + "\n";
}

/// _rebuild_tensor_v2(storage, 0, size, stride, False, OrderedDict())
void PickleWriter::torch_tensor(const Tensor& t) {
  global("torch._utils", "_rebuild_tensor_v2");
  op(code(Op::mark));
  op(code(Op::mark));
  text("storage");
  const AllowedName& storage = storage_name(t.dtype);
  global(storage.module, storage.name);
  text(std::to_string(storages_->size()));
  text("cpu");
  integer(t.elements());
  op(code(Op::tuple));
  op(code(Op::persistent));
  storages_->push_back(&t);
  integer(0);
  tuple(t.shape);
  tuple(row_major_strides(t.shape));
  op(code(Op::no));
  dict({{}, true});
  op(code(Op::tuple));
  op(code(Op::reduce));
}

/// _reconstruct(ndarray, (0,), b'b') with the state (1, shape, dtype, False, data)
void PickleWriter::numpy_tensor(const Tensor& t) {
  const char* const type = numpy_code(t.dtype);
  if (!type) throw InputError("tensor " + in_quotes(key_) + " is " + show_type(t) + ": numpy has no such type");
  global("numpy.core.multiarray", "_reconstruct");
  global("numpy", "ndarray");
  tuple({0});
  op(code(Op::bytes1)), op(1), op('b');
  op(code(Op::tuple3));
  op(code(Op::reduce));
  op(code(Op::mark));
  integer(1);
  tuple(t.shape);
  global("numpy", "dtype");
  text(type);
  op(code(Op::no)), op(code(Op::yes));
  op(code(Op::tuple3));
  op(code(Op::reduce));
  op(code(Op::mark));
  integer(3);
  text(dtype_size(t.dtype) > 1 ? "<" : "|");
  for (int i = 0; i < 3; ++i) op(code(Op::none));
  integer(-1), integer(-1), integer(0);
  op(code(Op::tuple));
  op(code(Op::build));
  op(code(Op::no));
  bytes(row_major_bytes(t, buffer_));
  op(code(Op::tuple));
  op(code(Op::build));
}

}  // namespace moproc::formats
