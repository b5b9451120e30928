// Objects of classes that are not known: the machine keeps the name of the class and drops arguments and state. Nothing
// is imported or called. An object that the pickle fills like a dict is one, whatever its class.
#include <algorithm>

#include "core/error.h"
#include "formats/pickle_harm.h"
#include "formats/pickle_machine.h"
#include "formats/pickle_ops.h"

namespace moproc::formats {

/// A view of the name that stays valid.
std::string_view PickleMachine::intern(const std::string& name) {
  if (names_.size() >= kMaxNames) fail("more than " + std::to_string(kMaxNames) + " different names");
  return *names_.insert(name).first;
}

/// Pushes an object of the class `name`, which must be interned or a literal.
void PickleMachine::push_opaque(std::string_view name) {
  ++unread_[std::string(name)];
  push({.kind = Kind::opaque, .text = name});
}

/// Runs the opcodes that call something or set an object's state; false for others.
bool PickleMachine::step_object(uint8_t code) {
  const auto arguments = [&](std::vector<Id> items) { return add({.kind = Kind::tuple, .items = std::move(items)}); };
  switch (static_cast<Op>(code)) {
    case Op::reduce:
    case Op::new_object: {
      const Id args = pop(), callable = pop();
      return call(callable, args), true;
    }
    case Op::new_object_ex: {
      const Id names = pop(), args = pop(), callable = pop();
      if (node(names).kind != Kind::dict) fail("the named arguments are not a dict");
      if (node(callable).kind == Kind::callable && !node(names).items.empty()) fail("calls with named arguments");
      return call(callable, args), true;
    }
    case Op::instance: {
      const std::string_view module = line(kMaxLine);
      push_callable(module, line(kMaxLine));
      const Id callable = pop();
      return call(callable, arguments(pop_to_mark())), true;
    }
    case Op::object: {
      std::vector<Id> items = pop_to_mark();
      if (items.empty()) fail("no class between MARK and here");
      const Id callable = items.front();
      items.erase(items.begin());
      return call(callable, arguments(std::move(items))), true;
    }
    case Op::build: return build(), true;
    case Op::persistent: return persistent_id(), true;
    default: return false;
  }
}

/// CALLABLE(*ARGS). The result of an allowed name is made here; that of any other class or function is opaque.
void PickleMachine::call(Id callable, Id args) {
  const Kind kind = node(callable).kind;
  if (kind != Kind::callable && kind != Kind::reference && kind != Kind::opaque)
    fail("calls something that is neither a class nor a function");
  if (node(args).kind != Kind::tuple) fail("the arguments are not a tuple");
  charge(node(args).items.size());
  for (const Id arg : node(args).items) refuse_attribute(node(arg));
  if (kind == Kind::callable) {
    const std::vector<Id>& all = node(args).items;
    const size_t most = std::min<size_t>(all.size(), 8);  // no allowed name takes more
    return call_allowed(*node(callable).name, std::vector<Id>(all.begin(), all.begin() + static_cast<ptrdiff_t>(most)));
  }
  push_result(node(callable), node(args).items);
}

/// Pushes what an unknown class or function makes of the arguments: an opaque object of its name. A tensor that wraps
/// others, such as a DTensor, says its class in the first argument.
void PickleMachine::push_result(const Node& function, const std::vector<Id>& args) {
  const bool wraps = function.text == "torch._utils._rebuild_wrapper_subclass" && !args.empty();
  push_opaque(wraps && node(args[0]).kind == Kind::reference ? node(args[0]).text : function.text);
}

/// The class of a value of which a pickle can hold a method, as a module's length and a path; "" for other values.
std::pair<size_t, std::string_view> PickleMachine::class_of(const Node& n) const {
  switch (n.kind) {
    case Kind::reference: return {static_cast<size_t>(n.number), n.text};
    case Kind::list: return {6, "Python.List"};
    case Kind::tensor: return {5, "torch.Tensor"};
    case Kind::dict:
      if (n.text.empty()) return {6, "Python.Dict"};
      [[fallthrough]];
    case Kind::opaque: {
      const size_t dot = n.text.rfind('.');
      if (dot != std::string_view::npos && is_class_like(n.text.substr(dot + 1))) return {dot, n.text};
      return {};
    }
    default: return {};
  }
}

/// getattr(class, name): how Python up to 3.11 writes members of an enum, and protocol 2 nested classes; and
/// getattr(object, name), a method of an object. Every other use of getattr is harmful.
void PickleMachine::attribute(const std::vector<Id>& args) {
  const auto [module, path] = args.size() == 2 ? class_of(node(args[0])) : std::pair<size_t, std::string_view>();
  if (path.empty() || node(args[1]).kind != Kind::text)
    fail("mentions 'getattr' for something else than a member of a class, " + std::string(kHarm));
  if (node(args[1]).text == "__new__" && node(args[0]).kind == Kind::reference)
    return stack_.push_back(args[0]);  // of a class with __getnewargs_ex__
  push_reference(path.substr(0, module), std::string(path.substr(module + 1)) + "." + std::string(node(args[1]).text));
}

/// Throws InputError if `n` is getattr itself, which may only be called.
void PickleMachine::refuse_attribute(const Node& n) const {
  if (n.kind == Kind::callable && n.name->callable == Callable::attribute)
    fail_at(static_cast<size_t>(n.number), "mentions 'getattr' without a call, " + std::string(kHarm));
}

/// copyreg._reconstructor(class, base, state) and copyreg.__newobj__(class, ...): an object of the class.
void PickleMachine::construct(const std::vector<Id>& args) {
  const Node& type = node(args[0]);
  if (type.kind == Kind::reference) return push_opaque(type.text);
  if (type.kind == Kind::callable) return push_opaque(intern(std::string(type.name->module) + "." + type.name->name));
  fail("makes an object of something that is not a class");
}

}  // namespace moproc::formats
