// Turns the machine's table of nodes into a Value. A node that appears in several places becomes one shared value. Each
// appearance counts towards the limit of the size, because otherwise a few doubling lines of a pickle would make a tree
// that takes years to walk.
#include <algorithm>
#include <set>

#include "core/error.h"
#include "core/layout.h"
#include "formats/pickle_machine.h"

namespace moproc::formats {

class PickleMachine::TreeBuilder {
 public:
  TreeBuilder(PickleMachine& machine, const std::vector<ByteSpan>& storages)
      : m_(machine), storages_(storages), done_(machine.nodes_.size()) {}

  Value build(Id id) { return visit(id, 0).value; }

 private:
  struct Done {
    enum { fresh, open, closed } state = fresh;
    int height = 0;     // levels of containers, including this one
    uint64_t size = 1;  // values in it, including itself
    Value value;
  };

  const Done& visit(Id id, int depth) {
    Done& d = done_[id];
    if (d.state == Done::closed) return d;
    if (d.state == Done::open) m_.fail("a container contains itself");
    if (depth > kMaxDepth) too_deep();
    d.state = Done::open;
    d.value = make(id, d, depth);
    if (d.height > kMaxDepth) too_deep();
    if (d.size > kMaxValues)
      m_.fail("more than " + std::to_string(kMaxValues) + " values, counting shared ones where they appear");
    d.state = Done::closed;
    return d;
  }

  [[noreturn]] void too_deep() const { m_.fail("containers nest more than " + std::to_string(kMaxDepth) + " deep"); }

  Value child(Id id, Done& parent, int depth) {
    const Done& d = visit(id, depth + 1);
    parent.height = std::max(parent.height, d.height + 1);
    parent.size += d.size;
    return d.value;
  }

  Value make(Id id, Done& d, int depth) {
    const Node& n = m_.node(id);
    switch (n.kind) {
      case Kind::none: return Value();
      case Kind::boolean: return Value(n.number != 0);
      case Kind::integer: return Value(n.number);
      case Kind::real: return Value(n.real);
      case Kind::text: return Value(std::string(n.text));
      case Kind::bytes: return Value(as_bytes(n.text));
      case Kind::list:
      case Kind::tuple: {
        Sequence s{{}, n.kind == Kind::tuple};
        for (const Id item : n.items) s.items.push_back(child(item, d, depth));
        return Value(std::move(s));
      }
      case Kind::dict: return dict(n, d, depth);
      case Kind::tensor: return tensor(m_.tensors_[static_cast<size_t>(n.number)]);
      case Kind::opaque: return Value(Opaque{std::string(n.text)});
      case Kind::reference: return unread(std::string(n.text));
      case Kind::callable: m_.refuse_attribute(n); return unread(std::string(n.name->module) + "." + n.name->name);
      case Kind::storage: return unread("torch storage without a tensor");
      case Kind::dtype: return unread("numpy.dtype");
      case Kind::array: m_.fail("an array without data");
    }
    return Value();
  }

  /// An opaque value that was not counted when the machine made it.
  Value unread(std::string name) {
    ++m_.unread_[name];
    return Value(Opaque{std::move(name)});
  }

  Value dict(const Node& n, Done& d, int depth) {
    Dict dict{{}, n.ordered};
    std::set<std::string_view> texts;
    std::set<int64_t> numbers;
    for (size_t i = 0; i < n.items.size(); i += 2) {
      const Node& key = m_.node(n.items[i]);
      const bool fresh = key.kind == Kind::text      ? texts.insert(key.text).second
                         : key.kind == Kind::integer ? numbers.insert(key.number).second
                                                     : true;
      if (!fresh)
        m_.fail("the key " + (key.kind == Kind::text ? in_quotes(key.text) : std::to_string(key.number)) +
                " appears twice in a dict");
      Value name = child(n.items[i], d, depth);
      dict.members.emplace_back(std::move(name), child(n.items[i + 1], d, depth));
    }
    return Value(std::move(dict));
  }

  Value tensor(const Found& found) const {
    Tensor t = found.tensor;
    if (found.view >= 0) {
      const View& view = m_.views_[static_cast<size_t>(found.view)];
      const auto bytes = [&](int64_t elements) { return static_cast<size_t>(elements * dtype_size(t.dtype)); };
      t.storage = storages_[view.storage].subspan(bytes(view.offset), bytes(view.numel));
    }
    return Value(std::move(t));
  }

  PickleMachine& m_;
  const std::vector<ByteSpan>& storages_;
  std::vector<Done> done_;
};

Value PickleMachine::tree(const std::vector<ByteSpan>& storage_bytes) {
  return TreeBuilder(*this, storage_bytes).build(stack_.back());
}

}  // namespace moproc::formats
