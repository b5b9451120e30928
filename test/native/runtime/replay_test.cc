// --replay with the toy plan: the contents of the trace, states that are replaced, and every kind of bad file, refused
// before the first step.
#include <cstring>
#include <functional>
#include <limits>
#include <map>

#include "formats/safetensors.h"
#include "session/session.h"
#include "support.h"
#include "tap.h"
#include "toy_plan.h"

using namespace moproc;
using namespace moproc::test;

namespace {

struct Data {
  DType dtype;
  std::vector<int64_t> shape;
  std::string bytes;
};

template <class T>
std::string bytes_of(const std::vector<T>& v) {
  return {reinterpret_cast<const char*>(v.data()), v.size() * sizeof(T)};
}

/// A replay file to be changed before it is written; as it is made, two steps for the toy plan: warmup,
/// clean.
struct ReplayDraft {
  std::string steps = R"([{"phase": "warmup", "lr": 0.5, "epoch": 0}, {"phase": "clean", "lr": 0.25, "epoch": 11}])";
  std::map<std::string, Data> tensors;

  ReplayDraft() {
    for (const std::string step : {"step0.", "step1."}) {
      for (int r = 0; r < 2; ++r) {
        const std::string rank = step + "rank" + std::to_string(r) + ".";
        std::string pixels(4 * 3 * 4 * 4, '\0');
        for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<char>(i * 37 + r * 91 + step[4] * 5);
        tensors[rank + "img"] = tensors[rank + "img_aug"] = {DType::u8, {4, 3, 4, 4}, pixels};
        tensors[rank + "target"] = {DType::i64, {4}, bytes_of<int64_t>({0, 1, 2, 4})};
      }
      tensors[step + "idx_shuffle"] = {DType::i64, {8}, bytes_of<int64_t>({3, 1, 0, 2, 7, 6, 5, 4})};
    }
  }

  std::string write(const std::string& path) const {
    std::vector<formats::TensorEntry> entries;
    std::vector<const std::string*> bytes;
    for (const auto& [name, t] : tensors) entries.push_back({name, t.dtype, t.shape}), bytes.push_back(&t.bytes);
    formats::write_safetensors(
        path, entries, {{"format", "moproc-replay-1"}, {"steps", steps}},
        [&](size_t i, std::span<std::byte> to) { std::memcpy(to.data(), bytes[i]->data(), to.size()); });
    return path;
  }
};

Ran replay(const ToyPlan& toy, const Folder& folder, const ReplayDraft& draft, std::vector<std::string> more = {}) {
  std::vector<std::string> args{"--replay", draft.write(folder / "b.safetensors"), "--trace", folder / "t.json"};
  args.insert(args.end(), more.begin(), more.end());
  return run_train(toy.plan(), args);
}

Json trace_of(const Folder& folder) { return parse_json(read_bytes(folder / "t.json"), "t.json"); }

const Json& at(const Json& list, size_t i) { return (*list.array())[i]; }

/// The number of group g in a step of a trace.
double number(const Json& step, const char* key, size_t g) { return *at(*step.find(key), g).number(); }

}  // namespace

TEST("replay: the trace has a value a group, null for what a phase lacks, and the state by name") {
  ToyPlan toy;
  Folder folder;
  const Ran r = replay(toy, folder, {});
  CHECK_EQ(r.err, "");
  REQUIRE(r.status == 0);
  const Json trace = trace_of(folder);
  REQUIRE(trace.find("steps")->array()->size() == 2);
  const Json &warmup = at(*trace.find("steps"), 0), &clean = at(*trace.find("steps"), 1);
  CHECK_EQ(*warmup.find("phase")->string(), "warmup");
  for (const char* key : {"loss", "loss_cls", "loss_inst", "acc_cls", "acc_inst"})
    CHECK_EQ(warmup.find(key)->array()->size(), size_t{2});
  CHECK(std::abs(number(warmup, "loss", 1) - number(warmup, "loss_cls", 1) - number(warmup, "loss_inst", 1)) < 1e-5);
  for (const char* key : {"loss_proto", "acc_proto", "clean", "target", "kept"})
    CHECK(at(*warmup.find(key), 1).is_null());
  REQUIRE(at(*clean.find("target"), 1).array() != nullptr);
  CHECK_EQ(at(*clean.find("target"), 1).array()->size(), size_t{4});
  double kept = 0;
  for (const Json& flag : *at(*clean.find("kept"), 0).array()) kept += *flag.number();
  CHECK_EQ(number(clean, "clean", 0), kept);
  const Json& weight = *trace.find("tensors")->find("encoder_q.classifier.weight");
  CHECK(*weight.find("l2")->number() > 0);
  CHECK_EQ(weight.find("first")->array()->size(), size_t{4});
  CHECK_EQ((*trace.find("tensors")->object())[0].first, "encoder_q.classifier.weight");
  CHECK(trace.find("tensors")->find("packed") == nullptr);
}

TEST("replay: gradient norms are those of the momenta, which begin at 0") {
  ToyPlan toy;
  Folder folder;
  ReplayDraft draft;
  draft.steps = R"([{"phase": "warmup", "lr": 0.5, "epoch": 0}])";
  std::erase_if(draft.tensors, [](const auto& t) { return t.first.starts_with("step1"); });
  REQUIRE(replay(toy, folder, draft, {"--wd", "0"}).status == 0);
  const Json trace = trace_of(folder);
  const char* const name = "encoder_q.classifier.weight";
  const double norm = *at(*trace.find("steps"), 0).find("grad_l2")->find(name)->number();
  CHECK_NEAR(norm, *trace.find("tensors")->find(std::string("optimizer.momentum.") + name)->find("l2")->number(), 1e-9);
  CHECK(norm > 0);
}

TEST("replay: no percentage of nothing, and a step that is not finite says so") {
  ToyPlan toy;
  Folder folder;
  ReplayDraft draft;
  draft.tensors["step1.state.encoder_q.classifier.weight"] = {
      DType::f32, {5, 48}, bytes_of(std::vector<float>(240, 0))};
  Ran r = replay(toy, folder, draft, {"--pseudo_th", "2"});
  CHECK(has(r.out, "1 states replaced"));
  const Json even = trace_of(folder);  // all scores are 1/5: no label is certain
  const Json& clean = at(*even.find("steps"), 1);
  CHECK_EQ(number(clean, "clean", 0), 0.0);
  CHECK_EQ(number(clean, "loss_cls", 0), 0.0);
  CHECK(at(*clean.find("acc_cls"), 0).is_null());
  CHECK(at(*clean.find("acc_inst"), 0).is_null() || number(clean, "acc_inst", 0) >= 0);

  r = replay(toy, folder, {}, {"--w-inst", "1e38"});
  CHECK(has(r.out, "not finite: the update was skipped"));
  const Json wild = trace_of(folder);
  CHECK(!*at(*wild.find("steps"), 0).find("finite")->boolean());
  CHECK(at(*at(*wild.find("steps"), 0).find("loss"), 0).is_null());
  CHECK(at(*wild.find("steps"), 0).find("grad_l2")->is_null());
}

TEST("replay: states after each step and a checkpoint after the last, from which a replay goes on") {
  ToyPlan toy;
  Folder folder;
  REQUIRE(replay(toy, folder, {}, {"--trace-state", folder / "states", "--exp-dir", folder / "exp"}).status == 0);
  CHECK_EQ(list(folder / "states")[1], "step_000001.safetensors");
  const std::string whole = read_bytes(folder / "t.json");
  const formats::SafetensorsFile last(folder / "states/step_000001.safetensors");
  CHECK_EQ(last.metadata().at("sha256"),
           formats::SafetensorsFile(folder / "exp/checkpoint_0011_000001.safetensors").metadata().at("sha256"));
  ReplayDraft second;
  second.steps = R"([{"phase": "clean", "lr": 0.25, "epoch": 11}])";
  std::map<std::string, Data> moved;
  for (auto& [name, t] : second.tensors)
    if (name.starts_with("step1")) moved["step0" + name.substr(5)] = t;
  second.tensors = moved;
  REQUIRE(replay(toy, folder, second, {"--resume", folder / "states/step_000000.safetensors"}).status == 0);
  const std::string rest = read_bytes(folder / "t.json");
  CHECK_EQ(rest.substr(rest.find("\"tensors\"")), whole.substr(whole.find("\"tensors\"")));
}

TEST("replay: the permutation reaches the keys") {
  ToyPlan toy;
  Folder folder;
  replay(toy, folder, {});
  const double before = number(at(*trace_of(folder).find("steps"), 0), "loss_inst", 0);
  ReplayDraft other;
  other.tensors["step0.idx_shuffle"].bytes = bytes_of<int64_t>({4, 5, 6, 7, 0, 1, 2, 3});
  replay(toy, folder, other);
  CHECK(number(at(*trace_of(folder).find("steps"), 0), "loss_inst", 0) != before);
}

TEST("replay: bad files are refused by file, step and tensor, before the first step") {
  ToyPlan toy;
  const auto refused = [&](const char* says, const std::function<void(ReplayDraft&)>& change) {
    Folder folder;
    ReplayDraft draft;
    change(draft);
    const Ran r = replay(toy, folder, draft, {"--trace-state", folder / "states"});
    CHECK_EQ(r.status, 2);
    CHECK(has(r.err, "b.safetensors"));
    CHECK(has(r.err, says));
    CHECK(r.out.find("step 0") == std::string::npos);
    CHECK_EQ(list(folder.path()).size(), size_t{1});  // the file of batches
  };
  const auto steps = [&](const char* says, const char* json) {
    refused(says, [json](ReplayDraft& d) { d.steps = json; });
  };
  steps("__metadata__.steps: bad JSON", "[{");
  steps("__metadata__.steps is not a list", "{}");
  steps("__metadata__.steps is not a list", "[]");
  steps("step 0: no phase", "[{}]");
  steps("step 0: phase 'train' is not warmup, proto or clean", R"([{"phase": "train", "lr": 1, "epoch": 0}])");
  steps("step 0: lr is not a number", R"([{"phase": "proto", "lr": -1, "epoch": 0}])");
  steps("step 0: lr is not a number", R"([{"phase": "proto", "lr": "1", "epoch": 0}])");
  steps("step 0: lr is not a number", R"([{"phase": "proto", "lr": 1e300, "epoch": 0}])");
  steps("step 0: epoch is not a whole number", R"([{"phase": "proto", "lr": 1}])");
  steps("step 0: epoch is not a whole number", R"([{"phase": "proto", "lr": 1, "epoch": 1.5}])");
  steps("belongs to a step that __metadata__.steps lacks (it has 1)", R"([{"phase": "proto", "lr": 1, "epoch": 0}])");

  const auto without = [&](const std::string& name) {
    refused(("step 1: tensor " + name + " is missing").c_str(), [&](ReplayDraft& d) { d.tensors.erase(name); });
  };
  for (const char* name : {"step1.rank0.img", "step1.rank1.img_aug", "step1.rank1.target", "step1.idx_shuffle"})
    without(name);
  const auto set = [&](const char* says, const char* name, Data data) {
    refused(says, [&](ReplayDraft& d) { d.tensors[name] = data; });
  };
  set("step 1: tensor step1.rank0.img is u8[4,3,4,5]", "step1.rank0.img",
      {DType::u8, {4, 3, 4, 5}, std::string(240, 0)});
  set("is f32, and this artefact takes u8 images", "step1.rank0.img", {DType::f32, {4, 3, 4, 4}, std::string(768, 0)});
  set("is i64[4,3,4,4], the artefact needs u8", "step0.rank0.img", {DType::i64, {4, 3, 4, 4}, std::string(1536, 0)});
  set("step0.rank1.target is i32[4], the artefact needs i64[4]", "step0.rank1.target",
      {DType::i32, {4}, std::string(16, 0)});
  set("holds label 5, the artefact has 5 classes", "step0.rank1.target",
      {DType::i64, {4}, bytes_of<int64_t>({0, 5, 0, 0})});
  set("holds label -1", "step0.rank1.target", {DType::i64, {4}, bytes_of<int64_t>({-1, 0, 0, 0})});
  set("is not a permutation of 0..7: see 1", "step0.idx_shuffle",
      {DType::i64, {8}, bytes_of<int64_t>({0, 1, 1, 2, 3, 4, 5, 6})});
  set("is not a permutation of 0..7: see 8", "step0.idx_shuffle",
      {DType::i64, {8}, bytes_of<int64_t>({0, 1, 8, 2, 3, 4, 5, 6})});
  set("step0.idx_shuffle is i64[4], the artefact needs i64[8]", "step0.idx_shuffle",
      {DType::i64, {4}, bytes_of<int64_t>({0, 1, 2, 3})});
  set("replaces a state that the artefact does not have", "step1.state.encoder_q.frob",
      {DType::f32, {1}, std::string(4, 0)});
  set("replaces a state that the artefact does not have", "step1.state.packed",
      {DType::f32, {5, 48}, std::string(960, 0)});
  set("step1.state.queue_ptr is f32[1], the artefact needs i64[1]", "step1.state.queue_ptr",
      {DType::f32, {1}, std::string(4, 0)});
  set("is not finite at element 2", "step0.state.encoder_q.bn1.running_var",
      {DType::f32, {7}, bytes_of<float>({1, 1, std::numeric_limits<float>::quiet_NaN(), 1, 1, 1, 1})});
  for (const char* name : {"step0.rank0.image", "step00.rank0.img", "step0.rank-1.img", "stepx.idx_shuffle",
                           "step0.rank01.img", "step0.rank9223372036854775807.img", "frob"})
    set("has a name that a replay file cannot contain", name, {DType::u8, {1}, "x"});
  set("holds batches of 3 ranks, but the artefact has 2 groups; compile one with --bn-groups 3", "step0.rank2.target",
      {DType::i64, {4}, std::string(32, 0)});
  refused("holds batches of 1 ranks, but the artefact has 2 groups", [](ReplayDraft& d) {
    std::erase_if(d.tensors, [](const auto& t) { return t.first.find("rank1") != std::string::npos; });
  });
}

TEST("replay: flags that need or exclude each other") {
  ToyPlan toy;
  Folder folder;
  const std::string file = ReplayDraft().write(folder / "b.safetensors");
  const auto refused = [&](std::vector<std::string> args, const char* says) {
    const Ran r = run_train(toy.plan(), args);
    CHECK_EQ(r.status, 2);
    CHECK(has(r.err, says));
  };
  refused({"--replay", file}, "--replay needs --trace FILE");
  refused({"--replay", file, "--trace", folder / "t", "--synthetic"}, "--replay excludes --data and --synthetic");
  refused({"--replay", file, "--trace", folder / "t", "--evaluate"}, "--replay and --evaluate exclude");
  refused({"--synthetic", "--trace", folder / "t"}, "--trace needs --replay FILE");
  refused({"--synthetic", "--trace-state", folder / "t"}, "--trace-state needs --replay FILE");
  refused({"--synthetic", "--dump-step", "0"}, "--dump-step N and --dump DIR need each other");
  refused({"--synthetic", "--dump-step", "-1", "--dump", folder / "d"}, "--dump-step");
  refused({"--synthetic", "--dump-step", "0", "--dump", folder / "d"},
          "compile one that stores all with --keep-values");
  refused({"--replay", file, "--trace", folder / "none/t.json"}, "cannot write ");
  refused({"--replay", folder / "none", "--trace", folder / "t"}, "cannot read ");
  refused({"--replay", file, "--trace", folder / "t", "--trace-state", "/proc"},
          "--trace-state /proc: cannot write there");
  ToyPlan supervised({.supervised = true});
  const Ran r = run_train(supervised.plan(), {"--replay", file, "--trace", folder / "t"});
  CHECK_EQ(r.status, 2);
  CHECK(has(r.err, "--replay: toy is not an artefact of --task mopro"));
}
