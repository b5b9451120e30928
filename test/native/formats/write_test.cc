// The readers read what the writers write: any tree in torch's format, arrays in pickles, whole checkpoints.
#include <algorithm>

#include "core/error.h"
#include "formats/mapped_file.h"
#include "formats/pickled_file.h"
#include "formats/published.h"
#include "formats/torch_writer.h"
#include "support.h"
#include "tap.h"
#include "tree.h"

using namespace moproc;
using namespace moproc::formats;
using namespace moproc::test;

namespace {

/// A list of numbers and dicts around everything a tree can hold but tensors.
Value everything() {
  Dict inner{{}, true}, outer;
  inner.add("a", Value(int64_t{-5}));
  outer.members.emplace_back(Value(int64_t{-7}), Value(std::move(inner)));
  outer.add("", Value(Sequence{{Value(), Value(true), Value(false), Value(0.1), Value("é")}, true}));
  Sequence numbers;
  for (const int64_t v : {int64_t{0}, int64_t{255}, int64_t{256}, int64_t{-1}, int64_t{INT32_MAX}, int64_t{INT32_MIN},
                          int64_t{INT32_MAX} + 1, INT64_MAX, INT64_MIN})
    numbers.items.push_back(Value(v));
  outer.add("numbers", Value(std::move(numbers)));
  outer.add("none", Value(Sequence{}));
  outer.add("nothing", Value(Sequence{{}, true}));
  return Value(std::move(outer));
}

std::string show_value(const Value& v) {
  if (v.tensor()) return test::show(*v.tensor());
  if (v.integer()) return std::to_string(*v.integer());
  if (v.real()) return "r" + hex(std::as_bytes(std::span(v.real(), 1)));
  if (v.boolean()) return *v.boolean() ? "yes" : "no";
  if (v.text()) return "'" + *v.text() + "'";
  std::string text = v.kind();
  if (v.sequence())
    for (const Value& item : v.sequence()->items) text += " " + show_value(item);
  if (v.dict()) {
    text += v.dict()->ordered ? " ordered" : "";
    for (const auto& [key, value] : v.dict()->members) text += " " + show_value(key) + ":" + show_value(value);
  }
  return text + ";";
}

}  // namespace

TEST("write: any tree comes back from torch's form") {
  Folder folder;
  write_torch(folder / "t.pth", everything());
  const MappedFile file(folder / "t.pth");
  CHECK_EQ(show_value(parse_pickled(file.bytes(), "t").root), show_value(everything()));
}

TEST(
    "write: tensors of every type and layout come back from torch's form, row-major and each in a storage of "
    "its own") {
  for (const char* const name : {"tensors.zip.pth", "tensors.stream.pth"}) {
    Folder folder;
    const MappedFile from(fixture(name));
    const PickledData data = parse_pickled(from.bytes(), name);
    write_torch(folder / "t.pth", data.root);
    const MappedFile to(folder / "t.pth");
    const PickledData again = parse_pickled(to.bytes(), "t");
    CHECK_EQ(difference(again.root, python_says(name)), "");
    CHECK(again.root.dict()->find("views")->dict()->find("transposed")->tensor()->row_major());
  }
}

TEST("write: arrays come back from a pickle; what numpy lacks is refused by name and leaves no file") {
  Folder folder;
  for (const char* const name : {"detectron2.pkl", "arrays.p2.pkl", "arrays.p5.pkl"}) {
    const MappedFile from(fixture(name));
    const PickledData data = parse_pickled(from.bytes(), name);
    write_numpy_pickle(folder / name, data.root);
    const MappedFile to(folder / name);
    CHECK_EQ(difference(parse_pickled(to.bytes(), "a").root, python_says(name)), "");
  }
  const MappedFile tensors(fixture("tensors.zip.pth"));
  const PickledData data = parse_pickled(tensors.bytes(), "t");
  CHECK_THROWS(write_numpy_pickle(folder / "b.pkl", data.root), "tensor 'bf16' is bf16[7]: numpy has no such type");
  CHECK_EQ(list(folder.path()).size(), size_t{3});
}

TEST("write: the published layout has PyTorch's order, prefix and places") {
  const Checkpoint c = open_checkpoint(fixture("published.zip.pth.tar"));
  Checkpoint mixed = c;
  std::reverse(mixed.tensors.begin(), mixed.tensors.end());
  std::reverse(mixed.momentum.begin(), mixed.momentum.end());
  const Value root = to_published(mixed);
  const MappedFile file(fixture("published.zip.pth.tar"));
  const PickledData original = parse_pickled(file.bytes(), "p");
  for (const char* const key : {"epoch", "arch", "state_dict"})
    CHECK_EQ(show_value(*root.dict()->find(key)), show_value(*original.root.dict()->find(key)));
  const auto optimizer = [](const Value& v, const char* part) {
    return v.dict()->find("optimizer")->dict()->find(part);
  };
  CHECK_EQ(show_value(*optimizer(root, "state")), show_value(*optimizer(original.root, "state")));
  const Dict& group = *optimizer(root, "param_groups")->sequence()->items[0].dict();
  const Dict& theirs = *optimizer(original.root, "param_groups")->sequence()->items[0].dict();
  for (const char* const key : {"lr", "momentum", "dampening", "weight_decay", "nesterov", "params"})
    CHECK_EQ(show_value(*group.find(key)), show_value(*theirs.find(key)));
}

TEST("write: momentum without its parameter, or an epoch that is none, is refused") {
  Checkpoint c = open_checkpoint(fixture("published.zip.pth.tar"));
  c.metadata["epoch"] = "x";
  CHECK_THROWS(to_published(c), "epoch is 'x'");
  c.metadata["epoch"] = "1", c.metadata["lr"] = "fast";
  CHECK_THROWS(to_published(c), "lr is 'fast', not a number");
  c.metadata["lr"] = "0.1", c.momentum[0].name = "frob";
  CHECK_THROWS(to_published(c), "has momentum for frob, but no such parameter");
}
