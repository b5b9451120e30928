// Makes the objects for REDUCE, BUILD and persistent ids: dicts, tensors, numpy arrays. Every number is compared with
// the size of its storage before a tensor is made.
#include <algorithm>

#include "core/error.h"
#include "core/layout.h"
#include "formats/pickle_machine.h"

namespace moproc::formats {

int64_t PickleMachine::integer(Id id, const char* what) const {
  if (node(id).kind != Kind::integer) fail(std::string(what) + " is not a whole number");
  return node(id).number;
}

std::string_view PickleMachine::text(Id id, const char* what) const {
  if (node(id).kind != Kind::text) fail(std::string(what) + " is not text");
  return node(id).text;
}

std::vector<int64_t> PickleMachine::integers(Id id, const char* what) const {
  const Node& n = node(id);
  if (n.kind != Kind::tuple && n.kind != Kind::list) fail(std::string(what) + " is not a tuple");
  if (n.items.size() > kMaxRank) fail(std::string(what) + " has more than " + std::to_string(kMaxRank) + " dimensions");
  std::vector<int64_t> values;
  for (const Id item : n.items) values.push_back(integer(item, what));
  return values;
}

/// The index of a storage. Throws if the same key has another type or size.
size_t PickleMachine::use_storage(std::string_view key, const AllowedName& type, int64_t numel) {
  const auto [found, fresh] = storage_index_.emplace(key, storages_.size());
  const StorageUse use{key, &type, numel, op_at_};
  if (fresh) {
    if (!checked_product({numel}, use.element())) fail("a storage of " + std::to_string(numel) + " elements");
    storages_.push_back(use);
    return found->second;
  }
  const auto shown = [](const StorageUse& s) {
    return std::string(s.type->foreign_size > 0 ? s.type->name : dtype_name(s.type->dtype)) + "[" +
           std::to_string(s.numel) + "]";
  };
  const StorageUse& s = storages_[found->second];
  if (s.type != &type || s.numel != numel)
    fail("storage " + in_quotes(key) + " is " + shown(use) + " here and " + shown(s) + " at byte " +
         std::to_string(s.at));
  return found->second;
}

/// ('storage', type, key, place, elements). The old format has one more member: None, or a view's (key, offset,
/// elements). It also has ('module', class, file, source), which stands for the class.
void PickleMachine::persistent_id() {
  const Id id = pop();
  if (!storages_allowed_) fail("persistent ids belong to files of torch.save");
  const Node& tuple = node(id);
  if (tuple.kind == Kind::tuple && tuple.items.size() == 4 && node(tuple.items[0]).text == "module" &&
      node(tuple.items[1]).kind == Kind::reference)
    return stack_.push_back(tuple.items[1]);
  if (tuple.kind != Kind::tuple || (tuple.items.size() != 5 && tuple.items.size() != 6))
    fail("a persistent id that is not a tuple of 5 or 6");
  const std::vector<Id>& items = tuple.items;
  if (text(items[0], "the kind of a persistent id") != "storage") fail("a persistent id that is not a storage");
  const Node& type = node(items[1]);
  if (type.kind != Kind::callable || type.name->callable != Callable::storage_type)
    fail("the type of a storage is not a torch storage type");
  text(items[3], "the place of a storage");
  const int64_t numel = integer(items[4], "the size of a storage");
  View view{use_storage(text(items[2], "the key of a storage"), *type.name, numel), 0, numel};
  if (items.size() == 6 && node(items[5]).kind != Kind::none) {
    const Node& part = node(items[5]);
    if (part.kind != Kind::tuple || part.items.size() != 3) fail("a view of a storage that is not a tuple of 3");
    text(part.items[0], "the key of a view");
    view.offset = integer(part.items[1], "the offset of a view");
    view.numel = integer(part.items[2], "the size of a view");
    if (view.offset < 0 || view.numel < 0 || view.offset > numel || view.numel > numel - view.offset)
      fail("a view of elements " + std::to_string(view.offset) + " + " + std::to_string(view.numel) +
           " of a storage of " + std::to_string(numel));
  }
  views_.push_back(view);
  push({.kind = Kind::storage, .number = static_cast<int64_t>(views_.size() - 1)});
}

/// NAME(*ARGS) for one of the allowed names.
void PickleMachine::call_allowed(const AllowedName& name, const std::vector<Id>& args) {
  const auto want = [&](size_t least, size_t most) {
    if (args.size() < least || args.size() > most)
      fail(std::string(name.module) + "." + name.name + " with " + std::to_string(args.size()) + " arguments");
  };
  switch (name.callable) {
    case Callable::ordered_dict: return want(0, 1), ordered_dict(args);
    case Callable::default_dict: return want(0, 2), push({.kind = Kind::dict});
    case Callable::set:
      want(0, 1);
      if (args.empty()) return push({.kind = Kind::list});
      if (node(args[0]).kind != Kind::list && node(args[0]).kind != Kind::tuple)
        fail("a set of something that is not a list");
      return stack_.push_back(args[0]);
    case Callable::rebuild_tensor: return want(4, 7), rebuild_tensor(args);
    case Callable::encode: return want(2, 2), encode(args);
    case Callable::empty_bytes: return want(0, 0), push({.kind = Kind::bytes});
    case Callable::dtype: return want(3, 3), numpy_dtype(args);
    case Callable::array_from_buffer: return want(4, 4), array_from_buffer(args);
    case Callable::rebuild_parameter: return want(3, 4), rebuild_parameter(args);
    case Callable::rebuild_subclass: return want(4, 4), rebuild_subclass(args);
    case Callable::rebuild_on_device: return want(4, 4), rebuild_parameter(args);
    case Callable::scalar: return want(2, 2), scalar(args);
    case Callable::attribute: return attribute(args);
    case Callable::construct: return want(1, SIZE_MAX), construct(args);
    case Callable::size:
      want(1, 1);
      integers(args[0], "a torch.Size");
      return stack_.push_back(args[0]);
    case Callable::array_reconstruct: {
      want(3, 3);
      const Node& type = node(args[0]);
      if (type.kind == Kind::reference) return push_opaque(type.text);  // of a derived class
      if (type.kind != Kind::callable || type.name->callable != Callable::ndarray)
        fail("an array that is not a numpy.ndarray");
      return push({.kind = Kind::array});
    }
    case Callable::storage_type:
    case Callable::ndarray: fail(std::string(name.module) + "." + name.name + " is called; it may only be mentioned");
  }
}

/// OrderedDict(), or as Python 2 wrote it, OrderedDict([[key, value], ...]).
void PickleMachine::ordered_dict(const std::vector<Id>& args) {
  push({.kind = Kind::dict, .ordered = true});
  if (args.empty()) return;
  const Node& pairs = node(args[0]);
  if (pairs.kind != Kind::list) fail("an OrderedDict of something that is not a list");
  charge(pairs.items.size());
  std::vector<Id> members;
  for (const Id pair : pairs.items) {
    const Node& p = node(pair);
    if ((p.kind != Kind::list && p.kind != Kind::tuple) || p.items.size() != 2) fail("an OrderedDict of no pairs");
    members.insert(members.end(), p.items.begin(), p.items.end());
  }
  add_items(top(), members, Kind::dict);
}

PickleMachine::Id PickleMachine::make_tensor(Tensor tensor, int64_t view) {
  take_room(static_cast<uint64_t>(tensor.bytes()), "the tensors take");
  tensors_.push_back({std::move(tensor), view});
  return add({.kind = Kind::tensor, .number = static_cast<int64_t>(tensors_.size() - 1)});
}

/// (storage, offset, size, stride, [requires_grad, hooks, [metadata]]). A tensor whose elements have no DType is
/// opaque.
void PickleMachine::rebuild_tensor(const std::vector<Id>& args) {
  if (node(args[0]).kind != Kind::storage) fail("a tensor without a storage");
  const int64_t index = node(args[0]).number;
  const View& view = views_[static_cast<size_t>(index)];
  const AllowedName& type = *storages_[view.storage].type;
  if (type.foreign_size > 0) return push_opaque(intern("torch.Tensor of a " + std::string(type.name)));
  if (args.size() > 6 && node(args[6]).kind == Kind::dict)
    for (const Id key : node(args[6]).items)  // its elements are not those that are stored
      if (node(key).text == "neg" || node(key).text == "conj")
        return push_opaque("torch.Tensor of numbers with the opposite sign");
  Tensor t;
  t.dtype = type.dtype;
  t.offset = integer(args[1], "the offset of a tensor");
  t.shape = integers(args[2], "the size of a tensor");
  t.strides = integers(args[3], "the strides of a tensor");
  if (args.size() > 5 && node(args[5]).kind != Kind::dict && node(args[5]).kind != Kind::none)
    fail("the hooks of a tensor are not a dict");
  const std::string fault = view_fault(t.dtype, t.shape, t.strides, t.offset, view.numel);
  if (!fault.empty()) fail("a tensor in storage " + in_quotes(storages_[view.storage].key) + ": " + fault);
  stack_.push_back(make_tensor(std::move(t), index));
}

/// (tensor, requires_grad, hooks, [attributes]), and (tensor, type, device, requires_grad): the tensor.
void PickleMachine::rebuild_parameter(const std::vector<Id>& args) {
  const Kind kind = node(args[0]).kind;
  if (kind != Kind::tensor && kind != Kind::opaque) fail("a parameter that is not a tensor");
  stack_.push_back(args[0]);
}

/// (function, class, arguments, attributes): the tensor that the function makes of the arguments.
void PickleMachine::rebuild_subclass(const std::vector<Id>& args) {
  const Node &function = node(args[0]), &inner = node(args[2]);
  if (inner.kind != Kind::tuple) fail("the arguments of a tensor are not a tuple");
  charge(inner.items.size());
  if (function.kind == Kind::reference) return push_result(function, std::vector<Id>(inner.items));
  if (function.kind != Kind::callable || function.name->callable == Callable::rebuild_subclass)
    fail("a tensor that no function makes");
  call_allowed(*function.name, std::vector<Id>(inner.items));
}

/// _codecs.encode(text, 'latin1'): how protocol 2 writes bytes.
void PickleMachine::encode(const std::vector<Id>& args) {
  const std::string_view from = text(args[0], "what is encoded");
  if (text(args[1], "the encoding") != "latin1") fail("an encoding other than latin1");
  take_room(from.size(), "texts that become bytes take");
  std::string& out = buffers_.emplace_back();
  out.reserve(from.size());
  for (size_t i = 0; i < from.size(); ++i) {
    const uint8_t c = static_cast<uint8_t>(from[i]);
    if (c > 0xc3) fail("text beyond latin1");  // U+0100 and above
    out += c < 0x80 ? from[i] : static_cast<char>((c & 3) << 6 | (static_cast<uint8_t>(from[++i]) & 63));
  }
  push({.kind = Kind::bytes, .text = out});
}

/// numpy.dtype(code, align, copy); the byte order follows in BUILD. A type that has no DType, such as u4, O8 or V8, is
/// opaque.
void PickleMachine::numpy_dtype(const std::vector<Id>& args) {
  if (node(args[0]).kind != Kind::text)  // (numpy.record, fields)
    return push({.kind = Kind::opaque, .text = "numpy.ndarray of records"});
  const std::string_view code = node(args[0]).text;
  const std::optional<DType> type = numpy_type(code);
  if (type) return push({.kind = Kind::dtype, .number = static_cast<int64_t>(*type)});
  if (code.size() > 16) fail("a numpy type of " + std::to_string(code.size()) + " bytes");
  push({.kind = Kind::opaque, .text = intern("numpy.ndarray of type " + std::string(code))});
}

/// The data of an array: bytes, or the str of Python 2. Null if `n` is neither.
const std::string_view* PickleMachine::data_of(const Node& n) const {
  return n.kind == Kind::bytes || (n.kind == Kind::text && n.python2) ? &n.text : nullptr;
}

/// numpy.core.multiarray.scalar(dtype, bytes): a number; opaque if its type is.
void PickleMachine::scalar(const std::vector<Id>& args) {
  const Node& type = node(args[0]);
  if (type.kind == Kind::opaque) return push_opaque(type.text);
  if (type.kind != Kind::dtype) fail("a number without a numpy.dtype");
  const DType dtype = static_cast<DType>(type.number);
  const std::string_view* const data = data_of(node(args[1]));
  if (!data || data->size() != static_cast<size_t>(dtype_size(dtype)))
    fail("a number whose bytes its type does not take");
  const ByteSpan bytes = as_bytes(*data);
  switch (dtype) {
    case DType::boolean: return push({.kind = Kind::boolean, .number = load<uint8_t>(bytes, 0) != 0});
    case DType::i8: return push_integer(load<int8_t>(bytes, 0));
    case DType::u8: return push_integer(load<uint8_t>(bytes, 0));
    case DType::i16: return push_integer(load<int16_t>(bytes, 0));
    case DType::i32: return push_integer(load<int32_t>(bytes, 0));
    case DType::i64: return push_integer(load<int64_t>(bytes, 0));
    case DType::f32: return push({.kind = Kind::real, .real = load<float>(bytes, 0)});
    case DType::f64: return push({.kind = Kind::real, .real = load<double>(bytes, 0)});
    default: return push_opaque("numpy.float16");
  }
}

/// numpy.core.numeric._frombuffer(bytes, dtype, shape, order)
void PickleMachine::array_from_buffer(const std::vector<Id>& args) {
  if (node(args[1]).kind == Kind::opaque) return push_opaque(node(args[1]).text);
  const std::string_view* const data = data_of(node(args[0]));
  if (!data) fail("an array whose data are not bytes");
  const std::string_view order = text(args[3], "the order of an array");
  if (order != "C" && order != "F") fail("order " + in_quotes(order) + " of an array");
  stack_.push_back(make_array(args[1], integers(args[2], "the shape of an array"), order == "F", *data));
}

PickleMachine::Id PickleMachine::make_array(Id dtype, std::vector<int64_t> shape, bool fortran, std::string_view data) {
  if (node(dtype).kind != Kind::dtype) fail("an array without a numpy.dtype");
  const DType type = static_cast<DType>(node(dtype).number);
  const std::optional<int64_t> bytes = checked_product(shape, dtype_size(type));
  if (!bytes || static_cast<uint64_t>(*bytes) != data.size())
    fail("an array of " + std::to_string(data.size()) + " bytes, which its shape and type do not take");
  Tensor t = row_major_tensor(type, std::move(shape), as_bytes(data));
  if (fortran) t.strides = column_major_strides(t.shape);
  return make_tensor(std::move(t), -1);
}

/// OBJECT.__setstate__(STATE), for the kinds of objects that have one. Attributes, such as _metadata of a state_dict,
/// are not needed in a checkpoint, nor is the state of an opaque object.
void PickleMachine::build() {
  const Id state = pop(), object = top();
  const Kind kind = node(object).kind;
  if (kind == Kind::opaque || (kind == Kind::dict && !node(object).text.empty())) return;
  if (kind == Kind::dict || kind == Kind::tensor) {
    if (node(state).kind != Kind::dict) fail("the attributes of a dict or a tensor are not a dict");
    return;
  }
  if (node(state).kind != Kind::tuple) fail("a state that is not a tuple");
  if (node(object).kind == Kind::dtype) return build_dtype(object, node(state));
  if (node(object).kind == Kind::array) return build_array(object, node(state));
  fail("sets the state of something that has none");
}

/// (3, order, None, None, None, -1, -1, 0). A type whose highest byte comes first is opaque.
void PickleMachine::build_dtype(Id id, const Node& state) {
  const Node& dtype = node(id);
  if (state.items.size() < 8 || integer(state.items[0], "the version of a numpy.dtype") != 3)
    fail("a numpy.dtype of another version than 3");
  const std::string_view order = text(state.items[1], "the byte order of a numpy.dtype");
  if (order != "<" && order != "|" && order != "=" && order != ">") fail("byte order " + in_quotes(order));
  for (size_t i = 2; i < 5; ++i)
    if (node(state.items[i]).kind != Kind::none) fail("a numpy.dtype with parts");
  const DType type = static_cast<DType>(dtype.number);
  if (order == ">" && dtype_size(type) > 1)
    nodes_[id] = {.kind = Kind::opaque,
                  .text = intern("numpy.ndarray of big-endian numbers of type " + std::string(numpy_code(type)))};
}

/// (version, shape, dtype, is_fortran, bytes)
void PickleMachine::build_array(Id array, const Node& state) {
  if (state.items.size() != 5 || integer(state.items[0], "the version of an array") != 1)
    fail("an array of another version than 1");
  const Node &type = node(state.items[2]), &fortran = node(state.items[3]);
  if (type.kind == Kind::opaque) {
    ++unread_[std::string(type.text)];
    nodes_[array] = {.kind = Kind::opaque, .text = type.text};
    return;
  }
  if (fortran.kind != Kind::boolean) fail("the order of an array is not a truth value");
  const std::string_view* const data = data_of(node(state.items[4]));
  if (!data) fail("an array whose data are not bytes");
  const Id made =
      make_array(state.items[2], integers(state.items[1], "the shape of an array"), fortran.number != 0, *data);
  nodes_[array] = nodes_[made];
}

}  // namespace moproc::formats
