// Files written by PyTorch and numpy are read and compared with Python's description of their contents.
#include <algorithm>

#include "core/error.h"
#include "formats/checkpoint_file.h"
#include "formats/mapped_file.h"
#include "formats/pickled_file.h"
#include "formats/published_names.h"
#include "tap.h"
#include "tree.h"

using namespace moproc;
using namespace moproc::formats;
using namespace moproc::test;

namespace {

constexpr const char* kFiles[] = {
    "tensors.zip.pth",   "tensors.stream.pth",    "values.zip.pth",
    "values.stream.pth", "published.zip.pth.tar", "published.stream.pth.tar",
    "torchvision.pth",   "toy.stream.pth.tar",    "detectron2.pkl",
    "arrays.p2.pkl",     "arrays.p3.pkl",         "arrays.p4.pkl",
    "arrays.p5.pkl",
};

}  // namespace

TEST("fixtures: every value of every file is what Python says, to the bit") {
  for (const char* const name : kFiles) {
    const MappedFile file(fixture(name));
    const PickledData data = parse_pickled(file.bytes(), name);
    CHECK_EQ(name + difference(data.root, python_says(name)), name);
    const bool zip = std::string(name).find(".zip.") != std::string::npos || std::string(name) == "torchvision.pth";
    const bool plain = std::string(name).ends_with(".pkl");
    CHECK(data.form == (zip ? PickleForm::torch_zip : plain ? PickleForm::plain : PickleForm::torch_stream));
  }
}

TEST("fixtures: tensors lie in the file, where their storages are shared as Python shared them") {
  for (const char* const name : {"tensors.zip.pth", "tensors.stream.pth"}) {
    const MappedFile file(fixture(name));
    const PickledData data = parse_pickled(file.bytes(), name);
    const Dict& views = *data.root.dict()->find("views")->dict();
    const auto* const whole = views.find("whole")->tensor()->storage.data();
    CHECK(whole >= file.bytes().data() && whole < file.bytes().data() + file.bytes().size());
    for (const char* view : {"transposed", "permuted", "slice", "column", "tail", "expanded", "overlapping"})
      CHECK(views.find(view)->tensor()->storage.data() == whole);
    CHECK((views.find("expanded")->tensor()->strides == std::vector<int64_t>{1, 0}));
    CHECK((views.find("transposed")->tensor()->strides == std::vector<int64_t>{1, 6}));
  }
}

TEST("published: names lose module., momentum finds its parameters by place") {
  for (const char* const name : {"published.zip.pth.tar", "published.stream.pth.tar"}) {
    const Checkpoint c = open_checkpoint(fixture(name));
    CHECK(c.kind == CheckpointKind::published);
    CHECK_EQ(c.tensors.size(), size_t{159});
    CHECK_EQ(c.tensors[0].name, "queue");
    CHECK_EQ(c.metadata.at("epoch"), "3");
    CHECK_EQ(c.metadata.at("arch"), "resnet10");
    CHECK_EQ(c.metadata.at("lr"), "0.1");
    CHECK_EQ(c.metadata.at("weight_decay"), "1e-04");
    CHECK_EQ(c.momentum.size(), size_t{42});
    CHECK(c.left_out.empty());
    CHECK_EQ(c.momentum[0].name, "encoder_q.conv1.weight");
    CHECK_EQ(c.momentum.back().name, "encoder_q.fc2.bias");
    // The third parameter of the optimizer is bn1.bias; its buffer as Python has it:
    const Json& optimizer = (*(*python_says(name).find("dict")->array())[3].array())[1];
    const Json& state = (*(*optimizer.find("dict")->array())[0].array())[1];
    const Json& third = (*(*state.find("dict")->array())[2].array())[1];
    const Json& buffer = (*(*third.find("dict")->array())[0].array())[1];
    const Tensor* const momentum = c.find(c.momentum, "encoder_q.bn1.bias");
    REQUIRE(momentum != nullptr);
    CHECK_EQ(difference(Value(*momentum), buffer), "");
  }
}

TEST("published: order and network follow from names") {
  const Checkpoint c = open_checkpoint(fixture("published.zip.pth.tar"));
  std::vector<std::string> names;
  for (const NamedTensor& t : c.tensors) names.push_back(t.name);
  std::vector<std::string> mixed(names.rbegin(), names.rend()), sorted;
  for (const size_t i : published_order(mixed)) sorted.push_back(mixed[i]);
  CHECK(sorted == names);
  CHECK_EQ(arch_of(names, "encoder_q."), "resnet10");
  CHECK_EQ(arch_of(names, "encoder_z."), "");
  mixed.push_back("layer1.0.conv4.weight");
  CHECK_EQ(published_order(mixed)[5], size_t{5});
  for (const char* name : {"layer1.weight", "layer1.0.weight", "layer1.0.conv1", "layerx.0.conv1.weight", "weight",
                           "encoder_q.", "layer1.99999999999.conv1.weight", ".weight", "layer1.0..weight"}) {
    mixed.back() = name;
    CHECK_EQ(published_order(mixed)[5], size_t{5});
  }
  CHECK(is_parameter("encoder_k.layer1.0.downsample.1.weight") && is_parameter("fc.bias"));
  for (const char* name : {"queue", "queue_ptr", "prototypes", "encoder_q.bn1.running_mean", "bn1.num_batches_tracked"})
    CHECK(!is_parameter(name));
}

TEST("checkpoint files: what is none is refused by its first bytes") {
  CHECK_THROWS(open_checkpoint(fixture("make.py")), "neither a file of torch.save nor a pickle nor a safetensors file");
  CHECK_THROWS(open_checkpoint(fixture("README.md")), "README.md");
  CHECK_THROWS(open_checkpoint(fixture("none")), "No such file");
  CHECK_THROWS(open_checkpoint(fixture("")), "not a regular file");
  CHECK_THROWS(open_checkpoint("/dev/null"), "not a regular file");
  CHECK_THROWS(parse_checkpoint({}, "f"), "f: is empty");
}
