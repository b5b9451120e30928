// Checkpoints of other programs: which weights are taken, which momentum belongs to them, what is assumed, and what is
// left out because it cannot be used.
#include <chrono>
#include <fstream>

#include "convert.h"
#include "core/error.h"
#include "foreign.h"
#include "formats/found_weights.h"
#include "support.h"
#include "tap.h"

using namespace moproc;
using namespace moproc::formats;
using namespace moproc::test;
using namespace moproc::test::foreign;

namespace {

using Members = std::vector<std::pair<std::string, std::string>>;

/// SGD's state for the four parameters of network(""), in the order of the file; `settings` are added to its group.
std::string optimizer(const std::string& settings = "", const std::string& values = "") {
  const Shapes shapes = network("");
  std::string ids = "](", state = "}(";
  for (size_t i = 0; i < shapes.size(); ++i) {
    ids += number(static_cast<int64_t>(i));
    state += number(static_cast<int64_t>(i)) + "}(" + text("momentum_buffer") +
             zeros("FloatStorage", "0", shapes[i].second, kMost) + values + "u";
  }
  const std::string group = "}(" + text("params") + ids + "e" + text("momentum") + number(1) + settings + "u";
  return members({{"state", state + "u"}, {"param_groups", "](" + group + "e"}});
}

Checkpoint with_optimizer(Members root, const std::string& key = "", const std::string& settings = "",
                          const std::string& values = "") {
  root.emplace_back("optimizer", optimizer(settings, values));
  return read(file_of(members(root)), key);
}

}  // namespace

TEST("foreign: averages are told by their name") {
  for (const char* const path : {"ema", "model_ema.state_dict", "state_dict_ema", "teacher", "module.teacher.backbone",
                                 "averaged_model", "swa_model", "momentum_encoder", "encoder_k", "net.avg", "shadow"})
    if (!is_average(path)) note(false, __FILE__, __LINE__, path);
  for (const char* const path : {"", "student", "model", "state_dict", "encoder_q", "module.backbone", "avgpool",
                                 "schema", "encoder_key", "cinema.net"})
    if (is_average(path)) note(false, __FILE__, __LINE__, path);
}

TEST("foreign: momentum is that of the weights that were trained, not of averages or of others that a key chooses") {
  const std::string a = weights(network(""));
  CHECK_EQ(with_optimizer({{"model", a}}).momentum.size(), size_t{5});
  CHECK_EQ(with_optimizer({{"model", a}, {"model_ema", a}}).momentum.size(), size_t{5});
  CHECK_EQ(with_optimizer({{"model", a}, {"ema", a}}, "model").momentum.size(), size_t{5});
  CHECK_EQ(with_optimizer({{"teacher", a}, {"student", a}}).momentum.size(), size_t{5});
  const std::string small = weights({{"conv1.weight", {1}}, {"layer1.0.x", {1}}});
  CHECK_EQ(with_optimizer({{"model", members({{"ema", small}, {"net", a}})}}).momentum.size(), size_t{5});
  const auto refused = [](const Checkpoint& c, const char* why) {
    CHECK_EQ(c.tensors.size(), size_t{5});
    CHECK_EQ(c.momentum.size(), size_t{0});
    if (!has(c.optimizer_fault, why)) note(false, __FILE__, __LINE__, c.optimizer_fault);
  };
  for (const char* const name : {"ema", "averaged", "teacher", "model_ema"})
    refused(with_optimizer({{name, a}}), (std::string(name) + " is their average").c_str());
  refused(with_optimizer({{"ema", members({{"model", a}})}}), "ema.model is their average");
  refused(with_optimizer({{"model", a}, {"ema", a}}, "ema"), "not to those that --weights-key ema takes");
  refused(with_optimizer({{"generator", a}, {"other", a}}, "other"), "not to those that --weights-key other takes");
  refused(with_optimizer({{"state_dict", weights(network("module.teacher."))}}), "teacher. is their average");
  refused(with_optimizer({{"state_dict", weights(together(network("a."), network("b.")))}}, "b"),
          "not to those that --weights-key b takes");
}

TEST("foreign: the momentum of another optimizer, or with another meaning, is not taken for SGD's") {
  const std::string a = weights(network(""));
  const auto fault = [&](const std::string& settings, const std::string& values = "") {
    const Checkpoint c = with_optimizer({{"model", a}}, "", settings, values);
    CHECK_EQ(c.momentum.empty(), !c.optimizer_fault.empty());
    return c.optimizer_fault;
  };
  const std::string zero = std::string("G") + std::string(8, '\0'), half = "G\x3f\xe0" + std::string(6, '\0');
  CHECK_EQ(fault(text("dampening") + number(0) + text("maximize") + "\x89" + text("foreach") + "N"), "");
  CHECK_EQ(fault(text("dampening") + zero + text("nesterov") + "\x89"), "");
  CHECK(has(fault(text("dampening") + half), "has dampening 0.5"));
  CHECK(has(fault(text("dampening") + text("x")), "has dampening that is text"));
  CHECK(has(fault(text("maximize") + "\x88"), "has maximize"));
  CHECK(has(fault(text("alpha") + half), "its settings are RMSprop's (alpha)"));
  CHECK(has(fault(text("trust_coefficient") + half), "its settings are LARS's (trust_coefficient)"));
  CHECK(has(fault("", text("square_avg") + number(1)), "its state has square_avg (RMSprop's)"));
  CHECK(has(fault(text("lr") + "G\x7f\xf8" + std::string(6, '\0')), "has param_groups[0].lr that is not finite"));
}

TEST("foreign: many dicts that could be weights, and long names of them, are refused soon") {
  const std::string zero(1, '\0');
  const std::string leaf = weights({{"a.b", {1}}});
  // Two levels of 100 keys that lead to the same dict: 10,000 candidates.
  std::string level = leaf + "q" + zero + "0";
  for (char k = 1; k <= 2; ++k) {
    level += "}(";
    for (int i = 0; i < 100; ++i) level += text("k" + std::to_string(i)) + "h" + static_cast<char>(k - 1);
    level += std::string("uq") + k + "0";
  }
  const auto begin = std::chrono::steady_clock::now();
  CHECK_THROWS(read(file_of(level + "h\x02")),
               "f.pth: has more than 1000 dicts that could be a network's weights, such as k10.k0");
  const std::string deep = members({{std::string(600, 'x'), members({{std::string(600, 'y'), leaf}})}});
  CHECK_THROWS(read(file_of(deep)), "f.pth: a dict in it has a name of 1201 bytes, which begins with xxx");
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(20));
  // What is not so many is read, and named in part.
  Members some;
  for (int i = 0; i < 100; ++i) some.emplace_back("model" + std::to_string(i), leaf);
  CHECK_THROWS(read(file_of(members(some))), "model18, model19 and 80 more; moproc convert");
  some.emplace_back("model", leaf);
  CHECK(has(joined(read(file_of(members(some))).said()), "has weights under 80 more keys\n"));
}

TEST("foreign: a tensor with two names is converted once") {
  const std::string zero(1, '\0');
  const std::string one = zeros("DoubleStorage", "0", {2}, 2) + "q" + zero;
  const std::string root = "}(" + text("conv1.weight") + one + text("layer1.0.x") + "h" + zero + text("layer1.0.y") +
                           zeros("DoubleStorage", "0", {2, 1}, 2) + "u";
  const Checkpoint c = read(zip_of({{"a/data.pkl", proto2 + root + "."}, {"a/data/0", little(1.5) + little(-2.0)}}));
  REQUIRE(c.tensors.size() == 3);
  CHECK(c.tensors[0].tensor.storage.data() == c.tensors[1].tensor.storage.data());
  CHECK(c.tensors[0].tensor.storage.data() != c.tensors[2].tensor.storage.data());
  for (const NamedTensor& t : c.tensors) CHECK_EQ(load<float>(t.tensor.storage, 4), -2.0f);
  CHECK(has(joined(c.said()), "3 tensors are f64 and become f32"));
}

TEST("foreign: an epoch or arch that cannot be used is left out, and said") {
  const std::string state = weights(network("")), nan = "G\x7f\xf8" + std::string(6, '\0');
  const struct {
    const char* key;
    std::string value;
    const char* says;
  } cases[] = {
      {"epoch", text("last"), "not read: epoch (text, not a whole number)\n"},
      {"epoch", number(-1), "not read: epoch ('-1', not a whole number from 0 to 1000000000)\n"},
      {"epoch", number(INT64_MAX), "not read: epoch ('9223372036854775807', not a whole number from 0"},
      {"epoch", nan, "not read: epoch (a number, not a whole number)\n"},
      {"epoch", "]", "not read: epoch (a list, not a whole number)\n"},
      {"epoch", "N", "not read: epoch (None, not a whole number)\n"},
      {"arch", number(50), "not read: arch (a whole number, not text)\n"},
      {"arch", text(""), "not read: arch ('', not the name of a network)\n"},
      {"arch", text("a\x1b[2J"), "not read: arch ('a?[2J', not the name of a network)\n"},
      {"arch", text(std::string(5000, 'x')), "xxx...', not the name of a network"},
  };
  for (const auto& c : cases) {
    const Checkpoint got = read(file_of(members({{"state_dict", state}, {c.key, c.value}})));
    CHECK_EQ(got.tensors.size(), size_t{5});
    CHECK_EQ(got.metadata.count(c.key), size_t{0});
    CHECK(has(joined(got.said()), c.says));
  }
  const Checkpoint good =
      read(file_of(members({{"state_dict", state}, {"epoch", number(3)}, {"arch", text("resnet18")}})));
  CHECK_EQ(good.metadata.at("epoch") + good.metadata.at("arch"), "3resnet18");
  CHECK(good.said().empty());
  // The texts of a safetensors file of another program.
  const std::string header =
      "{\"__metadata__\":{\"epoch\":\"nan\",\"arch\":\"a b\"},\"conv1.weight\":{\"dtype\":\"U8\","
      "\"shape\":[1],\"data_offsets\":[0,1]}}";
  const Checkpoint flat = read(little(uint64_t{header.size()}) + header + "x");
  CHECK(flat.metadata.empty());
  CHECK(has(joined(flat.said()), "not read: epoch ('nan', not a whole number from 0"));
  CHECK(has(joined(flat.said()), "not read: arch ('a b', not the name of"));
}

TEST("foreign: another network's name in the file gives way to its tensors, also where --network says what they are") {
  const Folder folder;
  const Shapes rest = {{"layer2.0.conv1.weight", {1}}, {"layer3.0.conv1.weight", {1}}, {"layer4.0.conv1.weight", {1}}};
  const std::string state = weights(together(network(""), rest)), in = folder / "in.pth";
  std::ofstream(in, std::ios::binary) << file_of(members({{"state_dict", state}, {"arch", text("vit_b_16")}}));
  for (const char* const given : {"", "resnet10"}) {
    const std::string out = folder / (std::string(given) + "out.safetensors");
    CHECK(has(joined(tools::convert({in, out, "", given})),
              "says that it is vit_b_16; its tensors are those of resnet10\n"));
    CHECK_EQ(open_checkpoint(out).metadata.at("arch"), "resnet10");
  }
  CHECK_THROWS(tools::convert({in, folder / "no.safetensors", "", "resnet50"}),
               "--network resnet50: " + in + " has the tensors of resnet10");
}

TEST("foreign: what is assumed about a network with detectron2's names is said") {
  const auto said = [](const Shapes& more, const Members& keys = {}) {
    Members root = {{"model", weights(together({{"b.stem.conv1.weight", {8, 3, 7, 7}},
                                                {"b.stem.conv1.norm.weight", {8}},
                                                {"b.res2.0.conv1.weight", {8, 8, 1, 1}}},
                                               more))}};
    root.insert(root.end(), keys.begin(), keys.end());
    return joined(read(file_of(members(root))).said());
  };
  const std::string bottleneck = said({{"b.res2.0.conv3.weight", {8, 8, 1, 1}}}), basic = said({});
  for (const char* const part : {"the stride of a block on its 3x3 convolution (STRIDE_IN_1X1 False)",
                                 "RGB images that are normalised with ImageNet's mean and deviation", "MSRA", "BGR"})
    CHECK(has(bottleneck, part));
  CHECK(has(basic, "RGB images"));
  CHECK_EQ(basic.find("1x1"), std::string::npos);
  CHECK_EQ(said({{"b.res2.0.conv3.weight", {8, 8, 1, 1}}}, {{"__written_by_moproc__", "\x88"}}).find("RGB"),
           std::string::npos);
}
