// Pickles with calls, nesting, loops and overflows.
#include "hostile.h"

namespace moproc::test {
namespace pickle {

std::string text(const std::string& s) { return "X" + little(static_cast<uint32_t>(s.size())) + s; }
std::string bytes(const std::string& s) { return "B" + little(static_cast<uint32_t>(s.size())) + s; }

std::string number(int64_t v) {
  if (v == static_cast<int32_t>(v)) return "J" + little(static_cast<int32_t>(v));
  return "\x8a\x08" + little(v);
}

std::string global(const std::string& module, const std::string& name) { return "c" + module + "\n" + name + "\n"; }

std::string tuple(const std::vector<std::string>& items) {
  std::string s = "(";
  for (const std::string& i : items) s += i;
  return s + "t";
}

std::string repeat(const std::string& s, size_t n) {
  std::string all;
  for (size_t i = 0; i < n; ++i) all += s;
  return all;
}

std::string array(const std::string& code, const std::string& order, const std::vector<int64_t>& shape,
                  const std::string& data) {
  std::vector<std::string> sizes;
  for (const int64_t v : shape) sizes.push_back(number(v));
  const std::string dtype = global("numpy", "dtype") + tuple({text(code), "\x89", "\x88"}) + "R" +
                            tuple({number(3), text(order), "N", "N", "N", number(-1), number(-1), number(0)}) + "b";
  return global("numpy.core.multiarray", "_reconstruct") +
         tuple({global("numpy", "ndarray"), tuple({number(0)}), bytes("b")}) + "R" +
         tuple({number(1), tuple(sizes), dtype, "\x89", bytes(data)}) + "b";
}

}  // namespace pickle

namespace {

using namespace pickle;

std::string call(const std::string& module, const std::string& name, const std::vector<std::string>& args) {
  return proto2 + global(module, name) + tuple(args) + "R.";
}

/// Twenty-four lists, each of them twice the one before: 16 million values in 200 bytes.
std::string doubling_lists() {
  std::string s = proto2 + "]q" + std::string(1, '\0') + "0";
  for (int i = 1; i <= 24; ++i) {
    const std::string before = std::string("h") + static_cast<char>(i - 1);
    s += "](" + before + before + "eq" + static_cast<char>(i) + "0";
  }
  return s + "h\x18.";
}

void add_calls(std::vector<Hostile>& out) {
  const std::pair<const char*, const char*> names[] = {{"os", "system"},
                                                       {"posix", "system"},
                                                       {"builtins", "eval"},
                                                       {"builtins", "exec"},
                                                       {"__builtin__", "getattr"},
                                                       {"subprocess", "Popen"},
                                                       {"torch", "load"},
                                                       {"torch.hub", "load"},
                                                       {"numpy", "load"},
                                                       {"collections", "defaultdict"},
                                                       {"torch._utils", "_rebuild_tensor_v3"},
                                                       {"torch", "FloatStorage2"},
                                                       {"", ""},
                                                       {"torch.", "Size"},
                                                       {"numpy.core.multiarray", "scalar"},
                                                       {"_codecs", "decode"},
                                                       {"collections.OrderedDict", "__init__"}};
  for (const auto& [module, name] : names)
    out.push_back({std::string("call-") + module + "-" + name, call(module, name, {text("id")}),
                   "opcode GLOBAL: mentions '" + std::string(module) + "." + name + "'"});
  out.push_back({"call-stack-global", proto4 + "\x8c\x02os\x8c\x06system\x93" + tuple({text("id")}) + "R.",
                 "opcode STACK_GLOBAL: mentions 'os.system'"});
  out.push_back(
      {"call-long-name", proto2 + "c" + repeat("a", 1000) + "\nb\n.", "a name that does not end within 256 bytes"});
  out.push_back({"call-escape-codes", proto2 + "c\x1b[2J\nx\n.", "mentions '?[2J.x'"});
  out.push_back({"call-inst", proto2 + "(ios\nsystem\n.", "opcode INST: this opcode is not among"});
  out.push_back(
      {"call-obj", proto2 + "(" + global("collections", "OrderedDict") + "o.", "opcode OBJ: this opcode is not among"});
  out.push_back({"call-newobj", proto2 + global("collections", "OrderedDict") + ")\x81.",
                 "opcode NEWOBJ: this opcode is not among"});
  out.push_back({"call-newobj-ex", proto4 + global("collections", "OrderedDict") + ")}\x92.",
                 "opcode NEWOBJ_EX: this opcode is not among"});
  out.push_back({"call-ext", proto2 + "\x82\x01.", "opcode EXT1: this opcode is not among"});
  out.push_back({"call-next-buffer", std::string("\x80\x05\x97.", 4), "opcode NEXT_BUFFER: this opcode is not among"});
  out.push_back({"call-old-int", proto2 + "I01\n.", "opcode INT: this opcode is not among"});
  out.push_back({"call-old-persid", proto2 + "P0\n.", "opcode PERSID: this opcode is not among"});
  out.push_back({"call-text", proto2 + text("os.system") + tuple({}) + "R.",
                 "opcode REDUCE: calls something that is not among the allowed names"});
  out.push_back(
      {"call-a-tensor-type", call("torch", "FloatStorage", {number(1 << 30)}), "torch.FloatStorage is called"});
  out.push_back({"call-ndarray", call("numpy", "ndarray", {number(1 << 30)}), "numpy.ndarray is called"});
  out.push_back({"call-bytes", call("__builtin__", "bytes", {number(1 << 30)}), "__builtin__.bytes with 1 arguments"});
  out.push_back(
      {"call-without-tuple", proto2 + global("collections", "OrderedDict") + "]R.", "the arguments are not a tuple"});
  out.push_back({"call-wrong-count", call("torch", "Size", {}), "torch.Size with 0 arguments"});
  out.push_back({"unknown-opcode", proto2 + "\xfe.", "byte 2, opcode 254: this opcode is not among"});
  out.push_back(
      {"set-state-of-a-number", proto2 + number(1) + tuple({}) + "b.", "sets the state of something that has none"});
  out.push_back({"set-state-of-a-dict", proto2 + "}" + tuple({}) + "b.", "the attributes of a dict are not a dict"});
  out.push_back(
      {"persistent-id", proto2 + tuple({text("storage")}) + "Q.", "persistent ids belong to files of torch.save"});
}

void add_nests_and_loops(std::vector<Hostile>& out) {
  const std::string zero(1, '\0');
  out.push_back({"marks", proto2 + repeat("(", 100000) + ".", "more than 256 open MARKs: nested too deeply"});
  out.push_back(
      {"tuples-in-tuples", proto2 + ")" + repeat("\x85", 500000) + ".", "containers nest more than 100 deep"});
  out.push_back(
      {"lists-in-lists", proto2 + repeat("]", 200) + repeat("a", 199) + ".", "containers nest more than 100 deep"});
  out.push_back({"dicts-in-dicts", proto2 + repeat("}" + text("k"), 150) + "N" + repeat("s", 150) + ".",
                 "containers nest more than 100 deep"});
  out.push_back({"deep-by-memo", proto2 + "N" + repeat("\x85", 60) + "q" + zero + repeat("\x85", 60) + ".",
                 "containers nest more than 100 deep"});
  out.push_back({"list-in-itself", proto2 + "]q" + zero + "h" + zero + "a.", "a container contains itself"});
  out.push_back(
      {"dict-in-itself", proto2 + "}q" + zero + text("me") + "h" + zero + "s.", "a container contains itself"});
  out.push_back({"loop-of-two",
                 proto2 + "]q" + zero + "]h" + zero +
                     "aq\x01"
                     "a.",
                 "a container contains itself"});
  out.push_back({"loop-by-tuple",
                 proto2 + "]q" + zero + "h" + zero +
                     "\x85"
                     "a.",
                 "a container contains itself"});
  out.push_back({"doubling-lists", doubling_lists(), "more than 4000000 values"});
  out.push_back({"too-many-opcodes", proto2 + "]" + repeat("N0", 1'000'001) + ".", "more than 2000000 opcodes"});
  out.push_back({"memo-far-away", proto2 + "Nr" + little(uint32_t{0xffffffff}) + ".",
                 "memo entry 4294967295; there are 1000000"});
  out.push_back({"memo-never-put", proto2 + "h\x05.", "memo entry 5 was never put"});
  out.push_back({"memo-hole",
                 proto2 + "Nq\x07"
                          "0h\x05.",
                 "memo entry 5 was never put"});
}

void add_stack_faults(std::vector<Hostile>& out) {
  out.push_back({"empty", proto2 + ".", "0 values are left where one is wanted"});
  out.push_back({"two-values", proto2 + "NN.", "2 values are left where one is wanted"});
  out.push_back({"open-mark", proto2 + "N(.", "a MARK is left open"});
  out.push_back({"pop-from-nothing", proto2 + "0N.", "the stack is empty"});
  out.push_back({"tuple-of-too-few", proto2 + "N\x87.", "the stack is empty"});
  out.push_back({"pop-below-mark", proto2 + "N(0.", "the stack is empty"});
  out.push_back({"no-mark", proto2 + "Nt.", "no MARK is open"});
  out.push_back({"append-to-dict", proto2 + "}Na.", "adds to something that is not a list"});
  out.push_back({"items-for-a-list", proto2 + "](NNu.", "adds to something that is not a dict"});
  out.push_back({"odd-items", proto2 + "}(" + text("a") + "u.", "a key without a value"});
  out.push_back({"key-is-a-list", proto2 + "}]Ns.", "a key that is neither text nor a whole number"});
  out.push_back({"key-twice", proto2 + "}(" + text("a") + "N" + text("a") + "Nu.", "the key 'a' appears twice"});
  out.push_back({"number-twice", proto2 + "}(K\x01NK\x01Nu.", "the key 1 appears twice"});
  out.push_back({"proto-9", std::string("\x80\x09N.", 4), "protocol 9; 2 to 5 are read"});
  out.push_back({"proto-again", proto2 + proto2 + "N.", "byte 2, opcode PROTO: this opcode is not among"});
  out.push_back({"no-stop", proto2 + "N", "ends too early"});
  out.push_back({"something-behind", proto2 + "}.}", "something follows the pickle"});
}

void add_overflows(std::vector<Hostile>& out) {
  out.push_back({"text-longer-than-file", proto2 + "X" + little(uint32_t{0xffffffff}) + "abc.",
                 "opcode BINUNICODE: ends too early"});
  out.push_back(
      {"text8-longer-than-file", proto4 + "\x8d" + little(UINT64_MAX) + "abc.", "opcode BINUNICODE8: ends too early"});
  out.push_back({"bytes8-longer-than-file", proto4 + "\x8e" + little(uint64_t{1} << 62) + "abc.",
                 "opcode BINBYTES8: ends too early"});
  out.push_back({"bytearray-longer-than-file", std::string("\x80\x05", 2) + "\x96" + little(INT64_MAX) + ".",
                 "opcode BYTEARRAY8: ends too early"});
  out.push_back({"frame-longer-than-file", proto4 + "\x95" + little(UINT64_MAX) + "N.",
                 "a frame of 18446744073709551615 bytes leaves the pickle"});
  out.push_back({"long-of-9-bytes", proto2 + "\x8a\x09" + repeat("\x7f", 9) + ".", "a whole number of 9 bytes"});
  out.push_back(
      {"long-of-4-gigabytes", proto2 + "\x8b" + little(INT32_MAX) + ".", "opcode LONG4: this opcode is not among"});
  out.push_back({"no-utf-8", proto2 + "X" + little(uint32_t{1}) + "\xff.", "text that is not UTF-8"});
  out.push_back({"surrogate", proto2 + text("\xed\xa0\x80") + ".", "text that is not UTF-8"});
}

std::string model(const std::string& array) { return proto2 + "}" + text("model") + "}" + text("x") + array + "ss."; }

/// Files as detectron2 reads them.
void add_arrays(std::vector<Hostile>& out) {
  const auto add = [&](const char* name, const std::string& array, const char* says) {
    out.push_back({std::string("d2-") + name + ".pkl", model(array), says});
  };
  add("object-array", array("O8", "|", {1}, repeat("a", 8)), "numpy type 'O8' is not among");
  add("structured", array("V8", "|", {1}, repeat("a", 8)), "numpy type 'V8' is not among");
  add("big-endian", array("f4", ">", {1}, "abcd"), "big-endian numbers");
  add("unknown-order", array("f4", "x", {1}, "abcd"), "byte order 'x'");
  add("too-short", array("f4", "<", {2}, "abcd"), "an array of 4 bytes, which its shape and type do not take");
  add("too-long", array("f4", "<", {1}, "abcdefgh"), "an array of 8 bytes, which its shape and type do not take");
  add("overflowing-shape", array("f4", "<", {INT64_C(1) << 62, 4}, ""), "which its shape and type do not take");
  add("negative-shape", array("f4", "<", {-1}, "abcd"), "which its shape and type do not take");
  add("overflow-to-zero", array("f4", "<", {INT64_C(1) << 31, INT64_C(1) << 31, 0}, ""),
      "which its shape and type do not take");
  add("65-dimensions", array("f4", "<", std::vector<int64_t>(65, 1), "abcd"), "more than 64 dimensions");
  add("never-filled",
      global("numpy.core.multiarray", "_reconstruct") + tuple({global("numpy", "ndarray"), tuple({}), bytes("b")}) +
          "R",
      "an array without data");
  add("of-another-class",
      global("numpy.core.multiarray", "_reconstruct") + tuple({global("numpy", "dtype"), tuple({}), bytes("b")}) + "R",
      "an array that is not a numpy.ndarray");
  add("a-type", global("numpy", "dtype"), "numpy.dtype stands where a value is wanted");
  add("encoded-utf-16", global("_codecs", "encode") + tuple({text("a"), text("utf-16")}) + "R",
      "an encoding other than latin1");
  add("encoded-beyond", global("_codecs", "encode") + tuple({text("\xc4\x80"), text("latin1")}) + "R",
      "text beyond latin1");
  out.push_back({"d2-no-tensor.pkl", model(number(3)), "model: x is a whole number, not a tensor"});
  out.push_back({"d2-empty-model.pkl", proto2 + "}" + text("model") + "}s.", "model: has no tensor"});
  out.push_back({"no-dict.pkl", proto2 + "].", "holds a list, not a dict with a checkpoint"});
}

}  // namespace

std::vector<Hostile> hostile_pickles() {
  std::vector<Hostile> all;
  add_calls(all);
  add_nests_and_loops(all);
  add_stack_faults(all);
  add_overflows(all);
  add_arrays(all);
  return all;
}

}  // namespace moproc::test
