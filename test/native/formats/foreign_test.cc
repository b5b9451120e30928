// Checkpoints of other programs: objects that are no data, wrappers and keys of weights, other float types, variants of
// the network. Files of PyTorch are compared with what Python says is in them; the others are made in code.
#include "formats/foreign_network.h"

#include <algorithm>

#include "core/error.h"
#include "foreign.h"
#include "formats/mapped_file.h"
#include "formats/pickled_file.h"
#include "formats/resnet_names.h"
#include "support.h"
#include "tap.h"
#include "tree.h"

using namespace moproc;
using namespace moproc::formats;
using namespace moproc::test;
using namespace moproc::test::pickle;
using namespace moproc::test::foreign;

namespace {

constexpr const char* kObjects[] = {"objects.p1.zip.pth",    "objects.p2.zip.pth",   "objects.p3.zip.pth",
                                    "objects.p4.zip.pth",    "objects.p5.zip.pth",   "objects.p1.stream.pth",
                                    "objects.p2.stream.pth", "objects.p4.stream.pth"};

}  // namespace

TEST("foreign: objects that are no data are opaque, in every protocol; plain values are what Python says") {
  for (const char* const name : kObjects) {
    const MappedFile file(fixture(std::string("foreign/") + name));
    const PickledData data = parse_pickled(file.bytes(), name);
    REQUIRE(data.root.dict() != nullptr);
    const Json::Array& want = *foreign_says(name).find("dict")->array();
    REQUIRE(data.root.dict()->members.size() == want.size());
    for (size_t i = 0; i < want.size(); ++i) {
      const auto& [key, value] = data.root.dict()->members[i];
      const std::string at = std::string(name) + " " + *key.text() + ": ";
      CHECK_EQ(at + difference(key, (*want[i].array())[0]), at);
      // The pairs of a key that is neither text nor a number are compared by their values.
      if (*key.text() == "keys") CHECK_EQ(*value.dict()->members[0].second.integer(), int64_t{3});
      else CHECK_EQ(at + difference(value, (*want[i].array())[1]), at);
    }
  }
}

TEST("foreign: what was not read is said once, with the number of objects of each class") {
  const Checkpoint c = open_checkpoint(fixture("foreign/objects.p2.zip.pth"));
  CHECK_EQ(c.tensors.size(), size_t{4});
  CHECK_EQ(c.metadata.at("epoch"), "3");  // a number of numpy
  const std::string said = joined(c.said());
  CHECK(has(said, "not read: best, best32, yes, array, "));
  CHECK(has(said, " more classes\n"));  // than are listed
  const MappedFile file(fixture("foreign/objects.p2.zip.pth"));
  const UnreadClasses unread = parse_pickled(file.bytes(), "f").unread;
  CHECK_EQ(unread.at("argparse.Namespace"), size_t{1});
  CHECK_EQ(unread.at("pathlib.PosixPath"), size_t{2});  // one of them inside the Namespace
}

TEST("foreign: the classes are listed by name with their number") {
  const std::string space = global("argparse", "Namespace") + ")\x81";
  const std::string bytes = file_of(members(
      {{"state_dict", weights(network(""))}, {"a", space + "}b"}, {"b", space}, {"c", global("torch", "float16")}}));
  const std::string said = joined(read(bytes).said());
  CHECK(has(said, "f.pth: not read: 3 objects that are no data: 2 argparse.Namespace, 1 torch.float16\n"));
  CHECK(has(said, "f.pth: not read: a, b, c\n"));
}

TEST("foreign: getattr is read where it names a member of a class, as Python 3.11 writes those of an enum") {
  const std::string member = global("builtins", "getattr") + tuple({global("a.b", "Color"), text("RED")}) + "R";
  const std::string inner =
      global("__builtin__", "getattr") + tuple({global("a.b", "Outer"), text("Inner")}) + "R)\x81";
  const std::string bytes = file_of(members({{"state_dict", weights(network(""))}, {"c", member}, {"i", inner}}));
  CHECK(has(joined(read(bytes).said()), "2 objects that are no data: 1 a.b.Color.RED, 1 a.b.Outer.Inner\n"));
}

TEST("foreign: a whole model is refused with what to do instead") {
  const std::string model = global("torchvision.models.resnet", "ResNet") + ")\x81}" + text("conv1") + "Nsb";
  CHECK_THROWS(read(file_of(model)), "f.pth: holds an object of class torchvision.models.resnet.ResNet, not a dict");
  CHECK_THROWS(
      read(file_of(members({{"model", model}}))),
      "f.pth: model is an object of class torchvision.models.resnet.ResNet; in Python, save its weights alone");
}

TEST("foreign: prefixes of wrappers in any nesting are removed, and said") {
  for (const char* const prefix : {"module.", "_orig_mod.", "model.", "backbone.", "encoder.", "net.",
                                   "module._orig_mod.backbone.", "_orig_mod.module.model.net.", "a.b.c."}) {
    for (const bool under_key : {false, true}) {
      const std::string state = weights(network(prefix));
      const Checkpoint c = read(file_of(under_key ? members({{"state_dict", state}}) : state));
      REQUIRE(c.tensors.size() == 5);
      CHECK_EQ(c.tensors[0].name, "conv1.weight");
      CHECK(naming_of(c) == Naming::torchvision);
      CHECK(has(joined(c.said()), std::string("f.pth: names are read without the prefix ") + prefix + "\n"));
    }
  }
  CHECK(read(file_of(weights(network("")))).said().empty());
}

TEST("foreign: tensors outside the network are not used, and counted; a classifier beside it is") {
  Shapes shapes = network("model.backbone.");
  shapes.back().first = "model.head.fc.weight";
  shapes.push_back({"model.head.fc.bias", {5}});
  shapes.push_back({"criterion.weight", {5}});
  const Checkpoint c = read(file_of(weights(shapes)));
  CHECK_EQ(c.tensors.size(), size_t{6});
  CHECK(c.find(c.tensors, "fc.weight") != nullptr && c.find(c.tensors, "fc.bias") != nullptr);
  const std::string said = joined(c.said());
  CHECK(has(said, "its classifier is model.head.fc.weight\n"));
  CHECK(has(said, "does not use 1 tensors whose names do not begin with model.backbone.\n"));
}

TEST("foreign: MoPro's names behind wrappers stay MoPro's") {
  Shapes shapes = network("module._orig_mod.encoder_q.");
  shapes = together(shapes, network("module._orig_mod.encoder_k."));
  shapes.push_back({"module._orig_mod.queue", {4, 8}});
  const Checkpoint c = read(file_of(members({{"state_dict", weights(shapes)}})));
  CHECK_EQ(c.tensors.size(), size_t{11});
  CHECK(naming_of(c) == Naming::mopro);
  CHECK(c.find(c.tensors, "queue") != nullptr);
}

TEST("foreign: weights are found under the usual keys, alone, and in another dict") {
  const std::string state = weights(network("module."));
  for (const char* const key : {"state_dict", "model", "model_state", "model_state_dict", "ema", "model_ema",
                                "state_dict_ema", "net", "teacher", "student", "something else"}) {
    CHECK_EQ(read(file_of(members({{key, state}, {"epoch", number(3)}}))).tensors.size(), size_t{5});
    const std::string nested = members({{"epoch", number(3)}, {key, members({{"state_dict", state}, {"n", "N"}})}});
    const Checkpoint c = read(file_of(nested));
    CHECK_EQ(c.tensors.size(), size_t{5});
    CHECK(has(joined(c.said()), std::string("its weights are those under ") + key + ".state_dict\n"));
  }
}

TEST("foreign: of several weights the trained ones are taken; the choice and the way to the others are said") {
  const std::string a = weights(network("")), b = weights({{"conv1.weight", {1}}, {"layer1.0.x", {1}}});
  const struct {
    std::vector<std::pair<std::string, std::string>> root;
    const char* taken;
    const char* other;
  } cases[] = {{{{"ema", members({{"state_dict", b}})}, {"model", a}}, "model", "ema.state_dict"},
               {{{"state_dict_ema", b}, {"state_dict", a}}, "", "state_dict_ema"},
               {{{"teacher", b}, {"student", a}}, "student", "teacher"},
               {{{"model_ema", b}, {"net", a}}, "net", "model_ema"}};
  for (const auto& c : cases) {
    const std::string bytes = file_of(members(c.root));
    const Checkpoint first = read(bytes);
    CHECK_EQ(first.tensors.size(), size_t{5});
    const std::string said = joined(first.said());
    if (*c.taken) CHECK(has(said, std::string("its weights are those under ") + c.taken + "\n"));
    CHECK(has(said, std::string("has weights under ") + c.other + ", too; moproc convert f.pth OUT --weights-key " +
                        c.other + " takes those\n"));
    CHECK_EQ(read(bytes, c.other).tensors.size(), size_t{2});
  }
  const std::string unknown = file_of(members({{"first", a}, {"second", b}}));
  CHECK_THROWS(read(unknown), "f.pth: has several networks: first, second; moproc convert FILE OUT --weights-key NAME");
  CHECK_EQ(read(unknown, "second").tensors.size(), size_t{2});
  CHECK_THROWS(read(unknown, "third"), "--weights-key third: f.pth has no weights under this key");
}

TEST("foreign: of several networks in one state_dict the one that was trained is taken") {
  const Shapes both = together(network("module.teacher.backbone."), network("module.student.backbone."));
  const std::string bytes = file_of(members({{"state_dict", weights(both)}}));
  const Checkpoint c = read(bytes);
  CHECK_EQ(c.tensors.size(), size_t{5});
  const std::string said = joined(c.said());
  CHECK(has(said, "without the prefix module.student.backbone.\n"));
  CHECK(has(said, "--weights-key teacher.backbone takes that"));
  const Checkpoint other = read(bytes, "teacher.backbone");
  CHECK_EQ(other.tensors.size(), size_t{5});
  CHECK(has(joined(other.said()), "without the prefix module.teacher.backbone.\n"));
  // A moving average comes last even if its name is shorter and first in the alphabet.
  const Checkpoint trained = read(file_of(weights(together(network("ema."), network("network.")))));
  CHECK(has(joined(trained.said()), "without the prefix network.\n"));
}

TEST("foreign: f16, bf16 and f64 become f32, to the bit where f32 has the value; the note counts them") {
  const struct {
    const char* storage;
    std::string bytes;
    float value;
    const char* says;
  } cases[] = {
      {"HalfStorage", std::string("\x01\x00", 2), 0x1p-24f, "2 tensors are f16 and become f32\n"},
      {"HalfStorage", std::string("\xff\x7b", 2), 65504.0f, "2 tensors are f16 and become f32\n"},
      {"HalfStorage", std::string("\x00\xbe", 2), -1.5f, "2 tensors are f16 and become f32\n"},
      {"BFloat16Storage", std::string("\xc0\x3f", 2), 1.5f, "2 tensors are bf16 and become f32\n"},
      {"DoubleStorage", little(0.1), 0.1f, "2 tensors are f64 and become f32, which rounds the values\n"},
  };
  for (const auto& c : cases) {
    const auto one = [&](const std::vector<int64_t>& shape) { return zeros(c.storage, "0", shape, 1); };
    const std::string root = members({{"conv1.weight", one({1})}, {"layer1.0.bn1.weight", one({1, 1})}});
    const std::string bytes = zip_of({{"a/data.pkl", proto2 + root + "."}, {"a/data/0", c.bytes}});
    const Checkpoint got = read(bytes);
    CHECK(has(joined(got.said()), c.says));
    for (const NamedTensor& t : got.tensors) {
      CHECK(t.tensor.dtype == DType::f32);
      CHECK_EQ(load<float>(t.tensor.storage, 0), c.value);
    }
  }
  const std::string root = members({{"conv1.weight", zeros("DoubleStorage", "0", {1}, 1)},
                                    {"layer1.0.bn1.weight", zeros("DoubleStorage", "0", {1}, 1)}});
  const std::string large = zip_of({{"a/data.pkl", proto2 + root + "."}, {"a/data/0", little(1e300)}});
  CHECK_THROWS(read(large), "f.pth: tensor conv1.weight: element 0 is ");
}

TEST("foreign: a network of another structure is refused by what is different") {
  const auto with = [](const std::string& name, const std::vector<int64_t>& shape) {
    Shapes shapes = network("module.");
    if (name == "conv1.0.weight") shapes.erase(shapes.begin());
    shapes.push_back({"module." + name, shape});
    return file_of(members({{"state_dict", weights(shapes)}}));
  };
  CHECK_THROWS(read(with("conv1.0.weight", {8, 3, 3, 3})), "its stem is a series of convolutions, as in ResNet-D");
  CHECK_THROWS(read(with("layer2.0.downsample.1.weight", {8, 8, 1, 1})), "its shortcuts pool before they convolve");
  CHECK_THROWS(read(with("layer1.0.se.fc1.weight", {2, 8, 1, 1})), "it has squeeze-and-excitation");
  Shapes groups = network("");
  groups[3].second = {8, 4, 3, 3};
  CHECK_THROWS(read(file_of(weights(groups))),
               "its convolutions have groups, as in ResNeXt (tensor layer1.0.conv2.weight f32[8,4,3,3])");
}

TEST("foreign: detectron2's names, alone and inside a detector, with either name of its classifier") {
  for (const char* const prefix : {"", "backbone.bottom_up."})
    for (const char* const head : {"linear.weight", "stem.fc.weight"}) {
      const std::string p = prefix;
      const std::string bytes = file_of(members({{"model", weights({{p + "stem.conv1.weight", {8, 3, 7, 7}},
                                                                    {p + "stem.conv1.norm.weight", {8}},
                                                                    {p + "res2.0.conv1.weight", {8, 8, 3, 3}},
                                                                    {p + head, {5, 8}},
                                                                    {"roi_heads.x", {1}}})}}));
      if (p.empty()) continue;  // then roi_heads are not told from the network
      const Checkpoint c = query_encoder(read(bytes));
      for (const char* const name : {"conv1.weight", "bn1.weight", "layer1.0.conv1.weight", "fc.weight"})
        CHECK(c.find(c.tensors, name) != nullptr);
    }
}

TEST(
    "foreign: the network of an ONNX file keeps its names, also those that begin as a classifier's or a projection's") {
  Checkpoint c;
  c.metadata["onnx_sha256"] = "0";
  for (const char* const name : {"classifier.0.weight", "classifier.weight", "fc1.0.weight", "fc1.weight", "fc.1.bias",
                                 "stem.conv1.weight", "res2.0.conv1.weight"})
    c.tensors.push_back({"encoder_q." + std::string(name), {}});
  std::vector<std::string> names;
  for (const NamedTensor& t : query_encoder(c).tensors) names.push_back(t.name);
  CHECK_EQ(names, (std::vector<std::string>{"classifier.0.weight", "fc.weight", "fc1.0.weight", "fc.1.bias",
                                            "stem.conv1.weight", "res2.0.conv1.weight"}));
  for (NamedTensor& t : c.tensors) t.name = t.name.substr(std::string("encoder_q.").size());
  CHECK_EQ(query_encoder(c).tensors.size(), c.tensors.size());  // a single network: nothing is translated or dropped
  CHECK_EQ(query_encoder(c).tensors[5].name, "stem.conv1.weight");
  CHECK(is_classifier("fc.weight", kClassifier) && is_classifier("fc.bias", kClassifier));
  CHECK(!is_classifier("fc.0.weight", kClassifier) && !is_classifier("fc.weight", kAddedClassifier));
}

TEST("foreign: a sparse tensor is not read as a weight, and named where a weight is missing") {
  std::string root = weights(network(""));
  root.pop_back();
  root += text("bn1.bias") + global("torch._utils", "_rebuild_sparse_tensor") + ")Ru";
  const Checkpoint c = read(file_of(root));
  CHECK_EQ(missing(c, "bn1.bias"),
           "tensor bn1.bias is an object of class torch._utils._rebuild_sparse_tensor, which is not read");
  CHECK(has(joined(c.said()), "what is no tensor among the weights: bn1.bias (an object of class "));
}
