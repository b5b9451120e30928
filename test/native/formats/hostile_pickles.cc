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
                                                       {"os.path", "join"},
                                                       {"posix", "system"},
                                                       {"nt", "system"},
                                                       {"sys", "exit"},
                                                       {"builtins", "eval"},
                                                       {"builtins", "exec"},
                                                       {"builtins", "compile"},
                                                       {"builtins", "open"},
                                                       {"builtins", "__import__"},
                                                       {"builtins", "globals"},
                                                       {"__builtin__", "apply"},
                                                       {"__builtins__", "eval"},
                                                       {"subprocess", "Popen"},
                                                       {"importlib", "import_module"},
                                                       {"importlib._bootstrap", "_handle_fromlist"},
                                                       {"runpy", "_run_code"},
                                                       {"shutil", "rmtree"},
                                                       {"socket", "create_connection"},
                                                       {"ctypes", "CDLL"},
                                                       {"pty", "spawn"},
                                                       {"code", "InteractiveInterpreter.runcode"},
                                                       {"pdb", "run"},
                                                       {"bdb", "Bdb.run"},
                                                       {"cProfile", "run"},
                                                       {"timeit", "timeit"},
                                                       {"webbrowser", "open"},
                                                       {"asyncio.unix_events", "_UnixSubprocessTransport._start"},
                                                       {"asyncio.subprocess", "create_subprocess_shell"},
                                                       {"pip", "main"},
                                                       {"pip._internal.cli.main", "main"},
                                                       {"operator", "attrgetter"},
                                                       {"operator", "methodcaller"},
                                                       {"_operator", "itemgetter"},
                                                       {"functools", "reduce"},
                                                       {"types", "FunctionType"},
                                                       {"pickle", "loads"},
                                                       {"_pickle", "loads"},
                                                       {"marshal", "loads"},
                                                       {"io", "open"},
                                                       {"_io", "FileIO"},
                                                       {"urllib.request", "urlopen"},
                                                       {"http.client", "HTTPSConnection"},
                                                       {"requests.api", "get"},
                                                       {"torch", "load"},
                                                       {"torch.hub", "load"},
                                                       {"torch.serialization", "load"},
                                                       {"torch.serialization", "os.system"},
                                                       {"torch.serialization", "os"},
                                                       {"torch.storage", "_load_from_bytes"},
                                                       {"torch._inductor.codecache", "compile_file"},
                                                       {"torch.utils.cpp_extension", "load_inline"},
                                                       {"torch.package.package_importer", "PackageImporter"},
                                                       {"numpy", "load"},
                                                       {"numpy.testing._private.utils", "runstring"},
                                                       {"numpy.f2py.crackfortran", "getlincoef"},
                                                       {"pandas", "read_pickle"},
                                                       {"joblib.numpy_pickle", "load"},
                                                       {"torch", "Tensor.__class__"},
                                                       {"torch.nn", "Module.__init__.__globals__"},
                                                       {"", ""},
                                                       {"torch.", "Size"},
                                                       {"_codecs", "decode"},
                                                       {"copyreg", "add_extension"},
                                                       {"collections.OrderedDict", "__init__"}};
  for (const auto& [module, name] : names)
    out.push_back({std::string("call-") + module + "-" + name, call(module, name, {text("id")}),
                   "opcode GLOBAL: mentions '" + std::string(module) + "." + name + "'"});
  out.push_back({"call-stack-global", proto4 + "\x8c\x02os\x8c\x06system\x93" + tuple({text("id")}) + "R.",
                 "opcode STACK_GLOBAL: mentions 'os.system'"});
  out.push_back({"call-long-name", proto2 + "c" + repeat("a", 1000) + "\nb\n.",
                 "a name or line that does not end within 256 bytes"});
  out.push_back({"call-escape-codes", proto2 + "c\x1b[2J\nx\n.", "mentions '?[2J.x'"});
  out.push_back({"call-inst", proto2 + "(ios\nsystem\n.", "opcode INST: mentions 'os.system'"});
  out.push_back({"call-obj", proto2 + "(" + global("os", "system") + text("id") + "o.", "mentions 'os.system'"});
  out.push_back({"call-obj-of-nothing", proto2 + "(o.", "opcode OBJ: no class between MARK and here"});
  out.push_back(
      {"call-obj-of-text", proto2 + "(" + text("os.system") + "o.", "opcode OBJ: calls something that is neither"});
  out.push_back({"call-newobj", proto2 + global("subprocess", "Popen") + ")\x81.", "mentions 'subprocess.Popen'"});
  out.push_back(
      {"call-newobj-of-text", proto2 + text("x") + ")\x81.", "opcode NEWOBJ: calls something that is neither"});
  out.push_back({"call-newobj-ex", proto4 + global("collections", "OrderedDict") + ")}" + text("k") + "Ns\x92.",
                 "opcode NEWOBJ_EX: calls with named arguments"});
  out.push_back({"call-newobj-ex-without-dict", proto4 + global("a", "B") + "))\x92.",
                 "opcode NEWOBJ_EX: the named arguments are not a dict"});
  // Inside of an object that is not read, a harmful name is refused all the same.
  out.push_back({"call-inside-state",
                 proto2 + global("argparse", "Namespace") + ")\x81}" + text("f") + global("os", "system") + "sb.",
                 "opcode GLOBAL: mentions 'os.system'"});
  out.push_back({"call-inside-arguments", call("functools", "partial", {global("builtins", "exec"), text("1")}),
                 "opcode GLOBAL: mentions 'builtins.exec'"});
  const std::string attribute = global("builtins", "getattr"), torch_io = global("torch", "serialization");
  out.push_back({"getattr-of-text", proto2 + attribute + tuple({text("x"), text("y")}) + "R.",
                 "opcode REDUCE: mentions 'getattr' for something else than a member of a class"});
  out.push_back({"getattr-of-a-module", proto2 + attribute + tuple({torch_io, text("os")}) + "R.",
                 "opcode REDUCE: mentions 'torch.serialization.os'"});
  out.push_back({"getattr-of-getattr", proto2 + attribute + tuple({attribute, text("x")}) + "R.",
                 "opcode GLOBAL: mentions 'getattr' without a call"});
  out.push_back({"getattr-of-an-object", proto2 + attribute + tuple({torch_io + ")R", text("x")}) + "R.",
                 "mentions 'getattr' for something else"});
  out.push_back({"getattr-globals", proto2 + attribute + tuple({global("a", "f"), text("__globals__")}) + "R.",
                 "mentions 'a.f.__globals__'"});
  out.push_back({"getattr-alone", proto2 + "}" + text("f") + attribute + "s.", "mentions 'getattr' without a call"});
  out.push_back(
      {"getattr-in-a-partial", call("functools", "partial", {attribute}), "mentions 'getattr' without a call"});
  out.push_back({"call-ext", proto2 + "\x82\x01.", "opcode EXT1: this opcode is not among"});
  out.push_back({"call-next-buffer", std::string("\x80\x05\x97.", 4), "opcode NEXT_BUFFER: this opcode is not among"});
  out.push_back(
      {"call-readonly-buffer", std::string("\x80\x05\x98.", 4), "opcode READONLY_BUFFER: this opcode is not among"});
  out.push_back({"call-old-persid", proto2 + "P0\n.", "opcode PERSID: this opcode is not among"});
  out.push_back({"call-text", proto2 + text("os.system") + tuple({}) + "R.",
                 "opcode REDUCE: calls something that is neither a class nor a function"});
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
  out.push_back(
      {"set-state-of-a-dict", proto2 + "}" + tuple({}) + "b.", "the attributes of a dict or a tensor are not a dict"});
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
  out.push_back({"key-is-a-list", proto2 + "}]Ns.", "a key that is a list or a dict"});
  out.push_back({"key-twice", proto2 + "}(" + text("a") + "N" + text("a") + "Nu.", "the key 'a' appears twice"});
  out.push_back({"number-twice", proto2 + "}(K\x01NK\x01Nu.", "the key 1 appears twice"});
  out.push_back({"proto-9", std::string("\x80\x09N.", 4), "protocol 9; 0 to 5 are read"});
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
  out.push_back({"long-of-9-bytes", proto2 + "\x8a\x09" + repeat("\x7f", 7) + ".", "opcode LONG1: ends too early"});
  out.push_back({"long-of-4-gigabytes", proto2 + "\x8b" + little(INT32_MAX) + ".", "opcode LONG4: ends too early"});
  out.push_back({"line-without-end", proto2 + "I" + repeat("1", 9000) + ".", "does not end within 8192 bytes"});
  out.push_back({"line-no-number", proto2 + "I1x\n.", "opcode INT: a line that is no whole number"});
  out.push_back({"line-memo-beyond", proto2 + "g18446744073709551615\n.", "was never put"});
  out.push_back({"line-escape-cut", proto2 + "V\\u12\n.", "opcode UNICODE: an escape that is not complete"});
  out.push_back({"line-escape-unknown", proto2 + "S'\\q'\n.", "opcode STRING: an escape that is not known"});
  out.push_back({"line-surrogate", proto2 + "V\\ud800\n.", "opcode UNICODE: text that is not UTF-8"});
  out.push_back({"line-no-quotes", proto2 + "Sabc\n.", "opcode STRING: a str without quotes"});
  std::string names = proto2;
  for (int i = 0; i < 10'001; ++i) names += global("a", "b" + std::to_string(i)) + "0";
  out.push_back({"too-many-names", names + "N.", "more than 10000 different names"});
  std::string pairs = proto2 + "](";
  for (int i = 0; i < 4096; ++i) pairs += "K\x01N\x86";
  out.push_back({"pairs-many-times",
                 pairs + "eq" + std::string(1, '\0') + "0" +
                     repeat(global("collections", "OrderedDict") + "h" + std::string(1, '\0') + "\x85R0", 1000) + "N.",
                 "more than 2000000 opcodes"});
  // Long arguments that are used again and again.
  const std::string zero(1, '\0'), arguments = "(" + repeat("N", 3000) + "tq" + zero + "0";
  out.push_back({"arguments-many-times",
                 proto2 + arguments + global("a", "B") + "q\x01" + "0" + repeat("h\x01h" + zero + "R0", 1000) + "N.",
                 "more than 2000000 opcodes, counting the arguments of calls"});
  out.push_back({"arguments-of-tensors-many-times",
                 proto2 + arguments + global("torch._tensor", "_rebuild_from_type_v2") + "q\x01" + "0" +
                     repeat("h\x01(" + global("a", "f") + "Nh" + zero + "}tR0", 1000) + "N.",
                 "more than 2000000 opcodes, counting the arguments of calls"});
  out.push_back({"encoded-many-times",
                 proto2 + tuple({text(repeat("a", 1 << 20)), text("latin1")}) + "q" + zero + "0" +
                     repeat(global("_codecs", "encode") + "h" + zero + "R0", 100) + "N.",
                 "texts that become bytes take more than 16 times the file"});
  std::string chain = global("a", "Class");
  for (int i = 0; i < 100; ++i) chain = global("builtins", "getattr") + "(" + chain + text("Member") + "tR";
  out.push_back({"name-grows-by-getattr", proto2 + chain + ".", "opcode REDUCE: a name of more than 256 bytes"});
  out.push_back({"no-utf-8", proto2 + "X" + little(uint32_t{1}) + "\xff.", "text that is not UTF-8"});
  out.push_back({"surrogate", proto2 + text("\xed\xa0\x80") + ".", "text that is not UTF-8"});
}

std::string model(const std::string& array) { return proto2 + "}" + text("model") + "}" + text("x") + array + "ss."; }

/// Files as detectron2 reads them.
void add_arrays(std::vector<Hostile>& out) {
  const auto add = [&](const char* name, const std::string& array, const char* says) {
    out.push_back({std::string("d2-") + name + ".pkl", model(array), says});
  };
  add("object-array", array("O8", "|", {1}, repeat("a", 8)),
      "model: x is an object of class numpy.ndarray of type O8, not a tensor");
  add("structured", array("V8", "|", {1}, repeat("a", 8)),
      "model: x is an object of class numpy.ndarray of type V8, not a tensor");
  add("big-endian", array("f4", ">", {1}, "abcd"),
      "model: x is an object of class numpy.ndarray of big-endian numbers of type f4, not a tensor");
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
  add("a-type", global("numpy", "dtype"), "model: x is an object of class numpy.dtype, not a tensor");
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
