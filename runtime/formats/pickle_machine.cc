// The opcodes. Each takes its operand from the file and checks its size before it uses the stack.
#include "formats/pickle_machine.h"

#include <bit>

#include "core/error.h"
#include "formats/pickle_harm.h"
#include "formats/pickle_ops.h"

namespace moproc::formats {
namespace {

constexpr uint32_t kEmpty = UINT32_MAX;
}  // namespace

PickleMachine::PickleMachine(ByteSpan bytes, size_t begin, std::string where, uint64_t file_bytes, bool storages)
    : bytes_(bytes),
      at_(begin),
      begin_(begin),
      op_at_(begin),
      where_(std::move(where)),
      tensor_room_(tensor_room(file_bytes)),
      storages_allowed_(storages) {}

void PickleMachine::fail_at(size_t at, const std::string& what) const {
  std::string op;
  if (at < bytes_.size()) {
    const uint8_t code = static_cast<uint8_t>(bytes_[at]);
    op = op_name(code);
    if (op.empty()) op = std::to_string(code);
    op = ", opcode " + op;
  }
  throw InputError(where_ + ": pickle, byte " + std::to_string(at) + op + ": " + what);
}

void PickleMachine::run() {
  if (bytes_.size() - at_ < 2) fail("no pickle begins here");
  if (load<uint8_t>(bytes_, at_) == static_cast<uint8_t>(Op::proto)) {  // protocols 0 and 1 do not say what they are
    const uint8_t protocol = load<uint8_t>(bytes_, at_ + 1);
    if (protocol < 2 || protocol > 5) fail("protocol " + std::to_string(protocol) + "; 0 to 5 are read");
    at_ += 2;
  }
  while (step()) {
  }
  if (stack_.size() != 1) fail(std::to_string(stack_.size()) + " values are left where one is wanted");
}

ByteSpan PickleMachine::take(uint64_t size) {
  if (size > bytes_.size() - at_)
    fail("ends too early: " + std::to_string(size) + " bytes are wanted, " + std::to_string(bytes_.size() - at_) +
         " are left");
  const ByteSpan taken = bytes_.subspan(at_, size);
  at_ += size;
  return taken;
}

/// Takes the text up to a line feed.
std::string_view PickleMachine::line(size_t most) {
  const std::string_view rest = as_text(bytes_.subspan(at_)).substr(0, most);
  const size_t size = rest.find('\n');
  if (size == std::string_view::npos)
    fail("a name or line that does not end within " + std::to_string(most) + " bytes");
  at_ += size + 1;
  return rest.substr(0, size);
}

/// Counts steps of the machine towards its limit.
void PickleMachine::charge(size_t steps) {
  if ((ops_ += steps) > kMaxOpcodes)
    fail("more than " + std::to_string(kMaxOpcodes) + " opcodes, counting the arguments of calls");
}

/// Counts bytes of tensors, or of copies, towards their limit. `what` is "the tensors take".
void PickleMachine::take_room(uint64_t bytes, const char* what) {
  if (bytes > tensor_room_) fail(std::string(what) + " more than 16 times the file: too many views of the same data");
  tensor_room_ -= bytes;
}

/// Runs one opcode; false after STOP.
bool PickleMachine::step() {
  op_at_ = at_;
  charge(1);
  const uint8_t code = load<uint8_t>(take(1), 0);
  if (static_cast<Op>(code) == Op::stop) {
    if (!marks_.empty()) fail("a MARK is left open");
    return false;
  }
  if (!step_value(code) && !step_container(code) && !step_object(code) && !step_line(code))
    fail("this opcode is not among the allowed ones");
  return true;
}

/// Runs opcodes that push or move one value; false for others.
bool PickleMachine::step_value(uint8_t code) {
  switch (static_cast<Op>(code)) {
    case Op::none: return push({}), true;
    case Op::yes: return push({.kind = Kind::boolean, .number = 1}), true;
    case Op::no: return push({.kind = Kind::boolean, .number = 0}), true;
    case Op::int1: return push_integer(number<uint8_t>()), true;
    case Op::int2: return push_integer(number<uint16_t>()), true;
    case Op::int4: return push_integer(number<int32_t>()), true;
    case Op::long1: return long_integer(number<uint8_t>()), true;
    case Op::long4: return long_integer(number<uint32_t>()), true;
    case Op::real: {
      const uint64_t bits = __builtin_bswap64(number<uint64_t>());  // the format's only big-endian number
      return push({.kind = Kind::real, .real = std::bit_cast<double>(bits)}), true;
    }
    case Op::string1: return push_string(take(number<uint8_t>())), true;
    case Op::string4: return push_string(take(number<uint32_t>())), true;
    case Op::text1: return push_text(take(number<uint8_t>())), true;
    case Op::text4: return push_text(take(number<uint32_t>())), true;
    case Op::text8: return push_text(take(number<uint64_t>())), true;
    case Op::bytes1: return push_bytes(take(number<uint8_t>())), true;
    case Op::bytes4: return push_bytes(take(number<uint32_t>())), true;
    case Op::bytes8:
    case Op::bytearray8: return push_bytes(take(number<uint64_t>())), true;
    case Op::global: {
      const std::string_view module = line(kMaxLine);
      return push_callable(module, line(kMaxLine)), true;
    }
    case Op::stack_global: {
      const Id name = pop(), module = pop();
      return push_callable(text(module, "the module's name"), text(name, "the name")), true;
    }
    case Op::get1: return get_memo(number<uint8_t>()), true;
    case Op::get4: return get_memo(number<uint32_t>()), true;
    case Op::put1: return put_memo(number<uint8_t>()), true;
    case Op::put4: return put_memo(number<uint32_t>()), true;
    case Op::memoize: return put_memo(memo_.size()), true;
    case Op::pop: return pop(), true;
    case Op::duplicate: return stack_.push_back(top()), true;
    case Op::pop_mark: return pop_to_mark(), true;
    case Op::frame: {
      const uint64_t size = number<uint64_t>();
      if (size > bytes_.size() - at_) fail("a frame of " + std::to_string(size) + " bytes leaves the pickle");
      return true;
    }
    default: return false;
  }
}

/// Runs opcodes that make or fill containers; false for others.
bool PickleMachine::step_container(uint8_t code) {
  const auto tuple_of = [&](size_t n) {
    std::vector<Id> items(n);
    for (size_t i = n; i-- > 0;) items[i] = pop();
    push({.kind = Kind::tuple, .items = std::move(items)});
    return true;
  };
  switch (static_cast<Op>(code)) {
    case Op::mark:
      if (marks_.size() >= kMaxMarks) fail("more than " + std::to_string(kMaxMarks) + " open MARKs: nested too deeply");
      return marks_.push_back(stack_.size()), true;
    case Op::empty_tuple: return tuple_of(0);
    case Op::tuple1: return tuple_of(1);
    case Op::tuple2: return tuple_of(2);
    case Op::tuple3: return tuple_of(3);
    case Op::tuple: return push({.kind = Kind::tuple, .items = pop_to_mark()}), true;
    case Op::frozen_set: return push({.kind = Kind::tuple, .items = pop_to_mark()}), true;
    case Op::empty_set:
    case Op::empty_list: return push({.kind = Kind::list}), true;
    case Op::empty_dict: return push({.kind = Kind::dict}), true;
    case Op::append: {
      const Id item = pop();
      return add_items(top(), {item}, Kind::list), true;
    }
    case Op::add_items:
    case Op::appends: {
      const std::vector<Id> items = pop_to_mark();
      return add_items(top(), items, Kind::list), true;
    }
    case Op::set_item: {
      const Id value = pop(), key = pop();
      return add_items(top(), {key, value}, Kind::dict), true;
    }
    case Op::set_items: {
      const std::vector<Id> items = pop_to_mark();
      return add_items(top(), items, Kind::dict), true;
    }
    default: return false;
  }
}

PickleMachine::Id PickleMachine::add(Node node) {
  nodes_.push_back(std::move(node));
  return static_cast<Id>(nodes_.size() - 1);
}

void PickleMachine::push(Node node) { stack_.push_back(add(std::move(node))); }
void PickleMachine::push_integer(int64_t v) { push({.kind = Kind::integer, .number = v}); }
void PickleMachine::push_bytes(ByteSpan bytes) { push({.kind = Kind::bytes, .text = as_text(bytes)}); }

void PickleMachine::push_text(ByteSpan bytes) {
  if (!is_utf8(as_text(bytes))) fail("text that is not UTF-8");
  push({.kind = Kind::text, .text = as_text(bytes)});
}

/// A str of Python 2: text, or if it is no text, bytes.
void PickleMachine::push_string(ByteSpan bytes) {
  if (is_utf8(as_text(bytes))) push({.kind = Kind::text, .python2 = true, .text = as_text(bytes)});
  else push_bytes(bytes);
}

/// Takes a two's complement number of `size` bytes, lowest first. One of more than 64 bits is opaque.
void PickleMachine::long_integer(uint64_t size) {
  const ByteSpan digits = take(size);
  if (digits.size() > 8) return push_opaque("int of more than 64 bits");
  uint64_t v = 0;
  for (size_t i = digits.size(); i-- > 0;) v = v << 8 | static_cast<uint8_t>(digits[i]);
  const size_t unused = 64 - 8 * digits.size();
  push_integer(digits.empty() ? 0 : static_cast<int64_t>(v << unused) >> unused);
}

void PickleMachine::push_callable(std::string_view module, std::string_view name) {
  if (const AllowedName* const allowed = find_allowed_name(module, name))  // its place: where to say that it is misused
    return push({.kind = Kind::callable, .number = static_cast<int64_t>(op_at_), .name = allowed});
  push_reference(module, name);
}

void PickleMachine::push_reference(std::string_view module, std::string_view name) {
  if (module.size() > kMaxLine || name.size() > kMaxLine)
    fail("a name of more than " + std::to_string(kMaxLine) + " bytes");
  const std::string full = std::string(module) + "." + std::string(name);
  if (const std::string harm = harm_in(module, name); !harm.empty()) fail("mentions " + in_quotes(full) + ", " + harm);
  push({.kind = Kind::reference, .number = static_cast<int64_t>(module.size()), .text = intern(full)});
}

PickleMachine::Id PickleMachine::pop() {
  const Id id = top();
  stack_.pop_back();
  return id;
}

PickleMachine::Id PickleMachine::top() const {
  if (stack_.size() <= (marks_.empty() ? 0 : marks_.back())) fail("the stack is empty");
  return stack_.back();
}

std::vector<PickleMachine::Id> PickleMachine::pop_to_mark() {
  if (marks_.empty()) fail("no MARK is open");
  std::vector<Id> items(stack_.begin() + static_cast<ptrdiff_t>(marks_.back()), stack_.end());
  stack_.resize(marks_.back());
  marks_.pop_back();
  return items;
}

void PickleMachine::put_memo(uint64_t index) {
  if (index >= kMaxMemo) fail("memo entry " + std::to_string(index) + "; there are " + std::to_string(kMaxMemo));
  if (memo_.size() <= index) memo_.resize(index + 1, kEmpty);
  memo_[index] = top();
}

void PickleMachine::get_memo(uint64_t index) {
  if (index >= memo_.size() || memo_[index] == kEmpty) fail("memo entry " + std::to_string(index) + " was never put");
  stack_.push_back(memo_[index]);
}

void PickleMachine::add_items(Id container, const std::vector<Id>& items, Kind kind) {
  Node& to = nodes_[container];
  if (to.kind == Kind::opaque && kind == Kind::list) return;
  if (to.kind == Kind::opaque) {  // of a class derived from dict, whose name stays in `text`
    to.kind = Kind::dict;
    if (const auto counted = unread_.find(to.text); counted != unread_.end() && --counted->second == 0)
      unread_.erase(counted);
  }
  if (to.kind != kind)
    fail(kind == Kind::list ? "adds to something that is not a list" : "adds to something that is not a dict");
  if (kind == Kind::dict) {
    if (items.size() % 2 != 0) fail("a key without a value");
    for (size_t i = 0; i < items.size(); i += 2)
      if (node(items[i]).kind == Kind::list || node(items[i]).kind == Kind::dict)
        fail("a key that is a list or a dict");
  }
  to.items.insert(to.items.end(), items.begin(), items.end());
}

}  // namespace moproc::formats
