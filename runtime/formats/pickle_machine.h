// Reads a pickle as data: a stack machine that knows plain values, tensors and arrays, and executes nothing. Objects of
// other classes become opaque: their class name is kept, their contents are not. Values are nodes of a table and refer
// to each other by index, so that lists that contain themselves leak no memory. tree() turns the finished table into a
// Value.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/layout.h"
#include "formats/pickle_names.h"
#include "formats/value.h"

namespace moproc::formats {

/// Limits for pickles of any size. A checkpoint of ResNet-152 stays below a twentieth of each. Opcodes: calls also
/// count their arguments, and an OrderedDict the pairs that it is made of, because a pickle can use a long tuple again
/// and again.
inline constexpr size_t kMaxOpcodes = 2'000'000, kMaxMemo = 1'000'000, kMaxMarks = 256, kMaxRank = 64;
inline constexpr int kMaxDepth = 100;              // nested containers
inline constexpr uint64_t kMaxValues = 4'000'000;  // a shared value counts as often as it appears
inline constexpr size_t kMaxLine = 256;            // bytes of a class's name
inline constexpr size_t kMaxNames = 10'000;        // different classes and functions

/// A storage of tensors in the pickle; its bytes are elsewhere in the file.
struct StorageUse {
  std::string_view key;
  const AllowedName* type;
  int64_t numel;
  size_t at;  // byte of the opcode that named it first

  /// Bytes per element, and of all elements.
  int64_t element() const { return type->foreign_size > 0 ? type->foreign_size : dtype_size(type->dtype); }
  uint64_t bytes() const { return static_cast<uint64_t>(numel * element()); }
};

/// How many objects of each class were not read, by "argparse.Namespace".
using UnreadClasses = std::map<std::string, size_t, std::less<>>;

class PickleMachine {
 public:
  /// Reads one pickle, of protocol 0 to 5, that begins at byte `begin` of `bytes`, which must outlive the machine and
  /// its results. `where` begins every message; byte numbers are those of `bytes`. All tensors together may take
  /// tensor_room(file_bytes). `storages`: whether persistent ids may name storages.
  PickleMachine(ByteSpan bytes, size_t begin, std::string where, uint64_t file_bytes, bool storages);

  /// Runs until STOP. Throws InputError with byte, opcode and reason.
  void run();
  /// The byte behind STOP.
  size_t end() const { return at_; }
  const std::vector<StorageUse>& storages() const { return storages_; }
  /// The value. `storage_bytes` has the bytes of each storage, with its size; tensors refer to them. Throws InputError
  /// if a container contains itself or nests too deeply.
  Value tree(const std::vector<ByteSpan>& storage_bytes);
  /// The objects that became opaque: all that were made, and the functions and classes in the tree.
  const UnreadClasses& unread() const { return unread_; }
  /// Memory of tensors that are not in the file; it must be kept as long as the tree.
  std::deque<std::string> take_buffers() { return std::move(buffers_); }
  [[noreturn]] void fail_at(size_t at, const std::string& what) const;

 private:
  using Id = uint32_t;
  enum class Kind : uint8_t {
    none,
    boolean,
    integer,
    real,
    text,
    bytes,
    list,
    tuple,
    dict,
    callable,   // an allowed name
    reference,  // any other class or function
    opaque,     // an object of such a class
    storage,
    tensor,
    dtype,
    array
  };
  struct Node {
    Kind kind = Kind::none;
    bool ordered = false;  // dict
    bool python2 = false;  // text: a str of Python 2, which may hold bytes
    int64_t number = 0;    // boolean, integer; index of view or tensor; DType; a callable's byte; length of a
                           // reference's module
    double real = 0;
    std::string_view text;  // text, bytes; the name of reference, opaque, and of a dict's class if it is a derived one
    const AllowedName* name = nullptr;
    std::vector<Id> items;  // dict: key, value, key, value ...
  };
  struct View {  // of a storage, named by a persistent id
    size_t storage;
    int64_t offset, numel;
  };
  struct Found {  // a tensor
    Tensor tensor;
    int64_t view = -1;  // -1: its data is in the pickle
  };
  class TreeBuilder;

  // pickle_machine.cc: opcodes
  [[noreturn]] void fail(const std::string& what) const { fail_at(op_at_, what); }
  bool step();
  void charge(size_t steps);
  void take_room(uint64_t bytes, const char* what);
  bool step_value(uint8_t code);
  bool step_container(uint8_t code);
  bool step_object(uint8_t code);
  bool step_line(uint8_t code);
  ByteSpan take(uint64_t size);
  template <class T>
  T number() {
    return load<T>(take(sizeof(T)), 0);
  }
  std::string_view line(size_t most);
  void push(Node node);
  void push_integer(int64_t v);
  void push_text(ByteSpan bytes);
  void push_bytes(ByteSpan bytes);
  void push_string(ByteSpan bytes);
  void push_callable(std::string_view module, std::string_view name);
  void push_reference(std::string_view module, std::string_view name);
  Id pop();
  Id top() const;
  std::vector<Id> pop_to_mark();
  void put_memo(uint64_t index);
  void get_memo(uint64_t index);
  void add_items(Id container, const std::vector<Id>& items, Kind kind);
  void long_integer(uint64_t size);

  // pickle_lines.cc: the opcodes of protocols 0 and 1, whose operand is a line of text
  template <class T>
  T number_line();
  void integer_line(std::string_view digits);
  std::string unescaped(std::string_view text, bool python2);

  // pickle_opaque.cc: objects of classes that are not known
  std::string_view intern(const std::string& name);
  void push_opaque(std::string_view name);
  void call(Id callable, Id args);
  void push_result(const Node& function, const std::vector<Id>& args);
  void construct(const std::vector<Id>& args);
  std::pair<size_t, std::string_view> class_of(const Node& n) const;
  void attribute(const std::vector<Id>& args);
  void refuse_attribute(const Node& n) const;

  // pickle_objects.cc: the meaning of names and persistent ids
  void call_allowed(const AllowedName& name, const std::vector<Id>& args);
  void build();
  void persistent_id();
  void ordered_dict(const std::vector<Id>& args);
  void rebuild_tensor(const std::vector<Id>& args);
  void rebuild_parameter(const std::vector<Id>& args);
  void rebuild_subclass(const std::vector<Id>& args);
  void encode(const std::vector<Id>& args);
  void numpy_dtype(const std::vector<Id>& args);
  void array_from_buffer(const std::vector<Id>& args);
  void scalar(const std::vector<Id>& args);
  void build_array(Id array, const Node& state);
  void build_dtype(Id dtype, const Node& state);
  Id make_array(Id dtype, std::vector<int64_t> shape, bool fortran, std::string_view data);
  Id make_tensor(Tensor tensor, int64_t view);
  size_t use_storage(std::string_view key, const AllowedName& type, int64_t numel);
  const std::string_view* data_of(const Node& n) const;
  int64_t integer(Id id, const char* what) const;
  std::vector<int64_t> integers(Id id, const char* what) const;
  std::string_view text(Id id, const char* what) const;
  const Node& node(Id id) const { return nodes_[id]; }
  Id add(Node node);

  ByteSpan bytes_;
  size_t at_, begin_, op_at_;
  std::string where_;
  uint64_t tensor_room_;
  bool storages_allowed_;
  size_t ops_ = 0;
  std::vector<Node> nodes_;
  std::vector<Id> stack_, memo_;  // memo: kEmpty if nothing was stored
  std::vector<size_t> marks_;     // stack sizes at the marks
  std::vector<StorageUse> storages_;
  std::unordered_map<std::string_view, size_t> storage_index_;
  std::vector<View> views_;
  std::vector<Found> tensors_;
  std::deque<std::string> buffers_;
  std::set<std::string, std::less<>> names_;  // of classes and functions
  UnreadClasses unread_;
};

}  // namespace moproc::formats
