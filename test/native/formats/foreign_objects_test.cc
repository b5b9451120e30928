// What PyTorch can save beside plain tensors: it is read, or left out by name, and never read as something else.
#include "core/error.h"
#include "foreign.h"
#include "support.h"
#include "tap.h"

using namespace moproc;
using namespace moproc::formats;
using namespace moproc::test;
using namespace moproc::test::foreign;

namespace {

const std::string kGetattr = global("builtins", "getattr");

/// A checkpoint that holds `value` beside a network.
Checkpoint beside(const std::string& value) {
  return read(file_of(members({{"state_dict", weights(network(""))}, {"extra", value}})));
}

/// A network one of whose weights is `value`.
Checkpoint with_weight(const std::string& value) {
  std::string root = weights(network(""));
  root.pop_back();
  return read(file_of(root + text("bn1.bias") + value + "u"));
}

}  // namespace

TEST("foreign: methods of objects, as hooks and schedules hold them, are not read") {
  const std::string object = global("a.b", "Trainer") + ")\x81}b";
  const struct {
    std::string of;
    const char* method;
    const char* says;
  } methods[] = {{object, "step", "1 a.b.Trainer, 1 a.b.Trainer.step\n"},
                 {object, "open", "1 a.b.Trainer.open\n"},
                 {"]", "append", "1 Python.List.append\n"},
                 {global("collections", "OrderedDict") + ")R", "update", "1 Python.Dict.update\n"},
                 {global("collections", "Counter") + "}\x85R", "update", "1 collections.Counter.update\n"},
                 {zeros("FloatStorage", "0", {1}, kMost), "add_", "1 torch.Tensor.add_\n"}};
  for (const auto& m : methods)
    CHECK(has(joined(beside(kGetattr + tuple({m.of, text(m.method)}) + "R").said()), m.says));
  const std::string partial =
      global("functools", "partial") + tuple({kGetattr + tuple({object, text("step")}) + "R", number(1)}) + "R";
  CHECK(has(joined(beside(partial).said()), "1 functools.partial"));
  // What is harmful by any other way stays so.
  const auto refused = [](const std::string& of, const char* name, const char* says) {
    CHECK_THROWS(beside(kGetattr + tuple({of, text(name)}) + "R"), says);
  };
  refused(object, "__globals__", "mentions 'a.b.Trainer.__globals__'");
  refused(object, "os", "mentions 'a.b.Trainer.os'");
  refused(object, "write_text", "mentions 'a.b.Trainer.write_text'");
  refused(global("pathlib", "PosixPath") + ")R", "open", "mentions 'pathlib.PosixPath.open'");
  refused(global("a.b", "function") + ")R", "x", "mentions 'getattr' for something else");
  refused(number(3), "x", "mentions 'getattr' for something else");
}

TEST("foreign: a tensor whose numbers are stored with the opposite sign is not read as they are stored") {
  const auto with = [](const char* flag) {
    return global("torch._utils", "_rebuild_tensor_v2") +
           tuple({storage("FloatStorage", "0", kMost), number(0), tuple({number(8)}), tuple({number(1)}), "\x89",
                  global("collections", "OrderedDict") + ")R", "}" + text(flag) + "\x88s"}) +
           "R";
  };
  CHECK_EQ(missing(with_weight(with("neg")), "bn1.bias"),
           "tensor bn1.bias is an object of class torch.Tensor of numbers with the opposite sign, which is not read");
  CHECK_EQ(missing(with_weight(with("other")), "bn1.bias"), "tensor bn1.bias is missing");
  const Checkpoint c = with_weight(with("other"));
  CHECK(c.find(c.tensors, "bn1.bias") != nullptr);
}

TEST("foreign: parts of a network that several processes share are named by their class") {
  const std::string wrapper = global("torch._utils", "_rebuild_wrapper_subclass");
  const std::string arguments = tuple({global("torch.distributed.tensor", "DTensor"), global("torch", "float32")});
  const std::string sharded = global("torch._tensor", "_rebuild_from_type_v2") +
                              tuple({wrapper, global("torch.distributed.tensor", "DTensor"), arguments, "}"}) + "R";
  for (const std::string& value : {sharded, wrapper + arguments + "R"}) {
    const Checkpoint c = with_weight(value);
    CHECK_EQ(missing(c, "bn1.bias"),
             "tensor bn1.bias is an object of class torch.distributed.tensor.DTensor, which is not read");
    CHECK_THROWS(
        read(file_of(members({{"state_dict", members({{"conv1.weight", value}})}}))),
        "f.pth: state_dict: conv1.weight is an object of class torch.distributed.tensor.DTensor, not a tensor");
  }
}

TEST("foreign: arrays of numpy that are not read are left out by their type") {
  CHECK(
      has(joined(beside(array("f4", ">", {1}, "abcd")).said()), "1 numpy.ndarray of big-endian numbers of type f4\n"));
  const std::string records =
      global("numpy", "dtype") + tuple({tuple({global("numpy", "record"), "]"}), "\x89", "\x88"}) + "R" +
      tuple({number(3), text("|"), "N", tuple({text("a")}), "}", number(12), number(1), number(16)}) + "b";
  const std::string value = global("numpy._core.multiarray", "_reconstruct") +
                            tuple({global("numpy", "ndarray"), tuple({number(0)}), bytes("b")}) + "R" +
                            tuple({number(1), tuple({number(1)}), records, "\x89", bytes("abcdefghijkl")}) + "b";
  CHECK(has(joined(beside(value).said()), "1 numpy.ndarray of records\n"));
}

TEST("foreign: an archive that was saved without checksums is read, and that is said; one without its numbers is not") {
  std::string bytes = file_of(weights(network("")));
  const auto without = [&](const std::string& entry) {  // "": all
    std::string changed = bytes;
    for (const auto& [mark, crc, name, header] :
         {std::tuple<const char*, size_t, size_t, size_t>{"PK\x01\x02", 16, 28, 46},
          {"PK\x03\x04", 14, 26, 30},
          {"PK\x07\x08", 4, 0, 0}})
      for (size_t at = changed.find(mark); at != std::string::npos; at = changed.find(mark, at + 1)) {
        if (header == 0 && !entry.empty() && at != changed.rfind(mark)) continue;  // the last entry's
        const size_t length = header == 0 ? 0 : load<uint16_t>(as_bytes(changed), at + name);
        if (header > 0 && !entry.empty() && changed.substr(at + header, length) != entry) continue;
        changed.replace(at + crc, 4, std::string(4, '\0'));
      }
    return changed;
  };
  const Checkpoint c = read(without(""));
  CHECK_EQ(c.tensors.size(), size_t{5});
  CHECK(has(joined(c.said()), "f.pth: has no checksums (torch.serialization.set_crc32_options(False))"));
  CHECK_EQ(joined(read(bytes).said()).find("checksums"), std::string::npos);
  CHECK_THROWS(read(without("a/data/0")),
               "entry 'a/data/0': its data do not have the CRC the archive names: the file is damaged, or was saved "
               "without its numbers (torch.serialization.skip_data)");
}
