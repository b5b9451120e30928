// Conversions: names, what is left out, round trips to the bit, and bad input, which is refused without leaving a file.
#include "convert.h"

#include <algorithm>
#include <filesystem>

#include "core/error.h"
#include "formats/mapped_file.h"
#include "formats/own_file.h"
#include "formats/pickled_file.h"
#include "formats/resnet_names.h"
#include "support.h"
#include "tap.h"
#include "tree.h"

using namespace moproc;
using namespace moproc::formats;
using namespace moproc::test;
using moproc::tools::convert;

namespace {

/// Every tensor and momentum with its bytes, sorted: equal where nothing was lost.
std::vector<std::string> contents(const std::string& path) {
  const Checkpoint c = open_checkpoint(path);
  std::vector<std::string> lines;
  for (const NamedTensor& t : c.tensors) lines.push_back(t.name + " " + test::show(t.tensor));
  for (const NamedTensor& t : c.momentum) lines.push_back("momentum " + t.name + " " + test::show(t.tensor));
  for (const char* const key : {"arch", "epoch", "lr", "momentum", "weight_decay"})
    if (const auto m = c.metadata.find(key); m != c.metadata.end()) lines.push_back(std::string(key) + " " + m->second);
  std::sort(lines.begin(), lines.end());
  return lines;
}

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& l : lines) text += l + "\n";
  return text;
}

}  // namespace

TEST("convert: the published checkpoint goes to safetensors and back to the bit, from both torch formats") {
  Folder f;
  for (const char* const form : {"zip", "stream"}) {
    const std::string from = fixture(std::string("published.") + form + ".pth.tar");
    const std::string said = joined(convert({from, f / "a.safetensors", "", ""}));
    CHECK(has(said, "PyTorch checkpoint, 159 tensors, momentum of 42"));
    CHECK(has(said, "(safetensors)\n"));
    convert({f / "a.safetensors", f / "b.pth.tar", "", ""});
    convert({f / "b.pth.tar", f / "c.safetensors", "", ""});
    convert({f / "c.safetensors", f / "d.tar", "", ""});
    CHECK(contents(f / "a.safetensors") == contents(from));
    CHECK(contents(f / "b.pth.tar") == contents(from));
    CHECK(read_bytes(f / "a.safetensors") == read_bytes(f / "c.safetensors"));
    CHECK(read_bytes(f / "b.pth.tar") == read_bytes(f / "d.tar"));
    CHECK_EQ(SafetensorsFile(f / "a.safetensors").metadata().at("format"), kConvertedFormat);
  }
}

TEST("convert: detectron2's file is the published script's and says how pixels are scaled, and comes back") {
  Folder f;
  const std::string said = joined(convert({fixture("published.zip.pth.tar"), f / "m.pkl", "", ""}));
  CHECK(has(said, "left out: 78 of encoder_k, 6 of encoder_q, prototypes, queue, queue_ptr\n"));
  CHECK(has(said, "left out: momentum of 42 parameters\n"));
  const MappedFile file(f / "m.pkl");
  Dict root = *parse_pickled(file.bytes(), "m").root.dict();
  const Json pixels = parse_json(R"({"pixel_order": "RGB", "pixel_mean": [123.675, 116.28, 103.53],
                                     "pixel_std": [58.395, 57.12, 57.375]})",
                                 "pixels");
  for (const auto& [key, want] : *pixels.object()) {
    REQUIRE(root.find(key) != nullptr);
    if (want.string()) CHECK_EQ(*root.find(key)->text(), *want.string());
    for (size_t i = 0; want.array() && i < 3; ++i)
      CHECK_EQ(*root.find(key)->sequence()->items[i].real(), *(*want.array())[i].number());
  }
  CHECK_EQ(root.members.back().first.text() ? *root.members.back().first.text() : "", std::string(kPickleKey));
  root.members.pop_back();
  std::erase_if(root.members, [](const auto& m) { return m.first.text()->starts_with("pixel_"); });
  CHECK_EQ(difference(Value(root), python_says("detectron2.pkl")), "");
  convert({f / "m.pkl", f / "back.safetensors", "", ""});
  const Checkpoint all = open_checkpoint(fixture("published.zip.pth.tar")),
                   back = open_checkpoint(f / "back.safetensors");
  CHECK_EQ(back.tensors.size(), size_t{72});
  for (const NamedTensor& t : back.tensors) {
    const Tensor* const original = all.find(all.tensors, t.name);
    REQUIRE(original != nullptr);
    CHECK_EQ(test::show(t.tensor), test::show(*original));
  }
  CHECK_EQ(back.metadata.at("arch"), "resnet10");
}

TEST("convert: torchvision's fc is MoPro's classifier, both ways") {
  Folder f;
  convert({fixture("torchvision.pth"), f / "m.safetensors", "", ""});
  const Checkpoint original = open_checkpoint(fixture("torchvision.pth")), mopro = open_checkpoint(f / "m.safetensors");
  CHECK(original.find(original.tensors, "fc.weight") != nullptr);
  REQUIRE(mopro.find(mopro.tensors, "encoder_q.classifier.weight") != nullptr);
  CHECK_EQ(test::show(*mopro.find(mopro.tensors, "encoder_q.classifier.weight")),
           test::show(*original.find(original.tensors, "fc.weight")));
  CHECK_EQ(mopro.tensors.size(), original.tensors.size());
  convert({f / "m.safetensors", f / "back.pth", "torchvision", ""});
  CHECK(contents(f / "back.pth") == contents(fixture("torchvision.pth")));
  const MappedFile file(f / "back.pth");
  CHECK_EQ(difference(parse_pickled(file.bytes(), "b").root, python_says("torchvision.pth")), "");
  const std::string said = joined(convert({fixture("torchvision.pth"), f / "t.pth.tar", "", "resnet10"}));
  CHECK(has(said, "assumed: epoch 0"));
  CHECK(has(said, "assumed: lr 0.1, momentum 0.9, weight decay 1e-4"));
}

TEST("convert: a state_dict alone keeps names and values, and says what it cannot hold") {
  Folder f;
  const std::string said = joined(convert({fixture("published.stream.pth.tar"), f / "s.pth", "", ""}));
  CHECK(has(said, "left out: momentum of 42 parameters"));
  const Checkpoint all = open_checkpoint(fixture("published.zip.pth.tar")), alone = open_checkpoint(f / "s.pth");
  CHECK(alone.kind == CheckpointKind::state_dict);
  REQUIRE(alone.tensors.size() == all.tensors.size());
  for (size_t i = 0; i < all.tensors.size(); ++i) {
    CHECK_EQ(alone.tensors[i].name, all.tensors[i].name);
    CHECK_EQ(test::show(alone.tensors[i].tensor), test::show(all.tensors[i].tensor));
  }
}

TEST("convert: names of detectron2's ResNet, in both directions") {
  const std::pair<const char*, const char*> names[] = {
      {"conv1.weight", "stem.conv1.weight"},
      {"bn1.running_var", "stem.conv1.norm.running_var"},
      {"layer1.0.conv3.weight", "res2.0.conv3.weight"},
      {"layer3.22.bn2.num_batches_tracked", "res4.22.conv2.norm.num_batches_tracked"},
      {"layer4.0.downsample.0.weight", "res5.0.shortcut.weight"},
      {"layer4.0.downsample.1.bias", "res5.0.shortcut.norm.bias"}};
  CHECK_EQ(formats::torchvision_name("linear.weight", "f"), "fc.weight");  // of detectron2's own classifier
  CHECK_EQ(formats::torchvision_name("stem.fc.bias", "f"), "fc.bias");     // of its script for torchvision's files
  for (const auto& [torchvision, detectron2] : names) {
    CHECK_EQ(formats::detectron2_name(torchvision), detectron2);
    CHECK_EQ(formats::torchvision_name(detectron2, "f"), torchvision);
  }
  for (const char* left_out : {"fc.weight", "fc1.bias", "classifier.weight"})
    CHECK_EQ(formats::detectron2_name(left_out), "");
  for (const char* none :
       {"res6.0.conv1.weight", "res2.conv1.weight", "res2.0.conv4.weight", "fc1000.weight", "res", "stem."})
    CHECK_THROWS(formats::torchvision_name(none, "f.pkl"),
                 "f.pkl: " + std::string(none) + " is not a tensor of a detectron2 ResNet");
}

TEST("convert: what cannot be done is refused by name, and no file is left") {
  Folder f;
  write_bytes(f / "not-a-folder", "x");
  const std::string in = fixture("published.zip.pth.tar");
  const struct {
    std::string in, out, to, arch;
    const char* says;
  } cases[] = {{in, f / "a.bin", "", "",
                "a.bin: its extension names no format; give --to (pth.tar, pth, torchvision, safetensors, "
                "detectron2)"},
               {in, f / "a.bin", "onnx", "", "--to onnx: known are pth.tar"},
               {in, f / "a.pth.tar", "", "resnet50", "--network resnet50: "},
               {f / "none.pth", f / "a.pth", "", "", "none.pth: No such file"},
               {fixture("make.py"), f / "a.pth", "", "", "make.py: is neither"},
               {fixture("tensors.zip.pth"), f / "a.pth", "", "", "types is a dict, not a tensor"},
               {fixture("arrays.p4.pkl"), f / "a.pth", "torchvision", "", "has no ResNet"},
               {fixture("arrays.p4.pkl"), f / "a.tar", "", "", "does not say which network it is"},
               {in, f / "nowhere/a.pth", "", "", "cannot write"},
               {in, f / "not-a-folder/a.pth", "", "", "cannot write"}};
  for (const auto& c : cases) CHECK_THROWS(convert({c.in, c.out, c.to, c.arch}), c.says);
  CHECK_EQ(list(f.path()).size(), size_t{1});
}

TEST(
    "convert: a file does not become itself, nor a link to it or a file that is none of ours; what convert wrote is "
    "replaced") {
  Folder f;
  write_bytes(f / "c.pth.tar", read_bytes(fixture("published.stream.pth.tar")));
  const std::string from = f / "c.pth.tar", before = read_bytes(from), safe = "choose another path";
  CHECK_THROWS(convert({from, from, "", ""}), "is IN itself, which is not replaced; " + safe);
  std::filesystem::create_symlink(from, f / "link.pth.tar");
  CHECK_THROWS(convert({from, f / "link.pth.tar", "", ""}), "is IN itself, which is not replaced; " + safe);
  for (const char* const name : {"o.safetensors", "o.pth", "o.pkl", "o.pth.tar"}) {
    write_bytes(f / name, "somebody's");
    CHECK_THROWS(convert({from, f / name, "", ""}), "exists, and moproc did not write it; " + safe);
    CHECK_EQ(read_bytes(f / name), "somebody's");
    write_bytes(f / name, "");
    convert({from, f / name, "", ""});
    const std::string first = read_bytes(f / name);
    convert({from, f / name, "", ""});
    CHECK(read_bytes(f / name) == first);
  }
  CHECK(read_bytes(from) == before);
  CHECK_EQ(list(f.path()).size(), size_t{6});
}
