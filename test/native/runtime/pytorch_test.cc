// Checkpoints of PyTorch in the trainer: a .pth.tar that it wrote continues to the bit, one that PyTorch wrote
// continues at the epoch that it states, and one that does not fit is refused before any state is set.
#include <algorithm>

#include "core/error.h"
#include "formats/checkpoint_file.h"
#include "formats/published.h"
#include "formats/torch_writer.h"
#include "support.h"
#include "tap.h"
#include "toy_plan.h"
#include "train/checkpoint.h"

using namespace moproc;
using namespace moproc::formats;
using namespace moproc::test;
using namespace moproc::train;

namespace {

std::string fixture() { return MOPROC_TOY_CHECKPOINT; }

std::string elements(const Tensor& t) {
  std::string bytes(static_cast<size_t>(t.bytes()), '\0');
  copy_row_major(t, std::as_writable_bytes(std::span(bytes)));
  return bytes;
}

/// Every tensor of a checkpoint by name, momentum included, whatever the format.
std::vector<std::pair<std::string, std::string>> state_of(const std::string& path) {
  const Checkpoint c = open_checkpoint(path);
  std::vector<std::pair<std::string, std::string>> all;
  for (const NamedTensor& t : c.tensors) all.emplace_back(t.name, elements(t.tensor));
  for (const NamedTensor& t : c.momentum) all.emplace_back("momentum " + t.name, elements(t.tensor));
  std::sort(all.begin(), all.end());
  return all;
}

std::string state(const Session& s, const char* name) {
  const int t = s.tensor(name);
  std::string bytes(static_cast<size_t>(s.info(t).bytes), '\0');
  s.get(t, std::as_writable_bytes(std::span(bytes)));
  return bytes;
}

/// The toy fixture with `change` made to it, written as a file of ours without a run's metadata.
template <class F>
std::string changed(const Folder& folder, F&& change) {
  Checkpoint c = open_checkpoint(fixture());
  change(c);
  write_torch(folder / "changed.pth.tar", to_published(c));
  return folder / "changed.pth.tar";
}

}  // namespace

TEST("pytorch: a run that writes .pth.tar ends with the bits of one that writes safetensors, cut or not") {
  ToyPlan toy;
  Folder exp;
  const auto run = [&](const char* name, std::vector<std::string> more) {
    more.insert(more.end(),
                {"--synthetic", "--epochs", "4", "--start_clean_epoch", "2", "--seed", "9", "--exp-dir", exp / name});
    const Ran r = run_train(toy.plan(), more);
    if (r.status != 0) note(false, __FILE__, __LINE__, r.err);
    return r.out;
  };
  run("whole", {"--steps", "34"});
  run("cut", {"--steps", "13", "--checkpoint-format", "pth.tar"});
  CHECK_EQ(list(exp / "cut")[1], "checkpoint_0001_000003.pth.tar");
  CHECK(has(run("cut", {"--steps", "14", "--resume", "auto", "--checkpoint-format", "pth.tar"}),
            "epoch 1, step 3, 104 images seen"));
  run("cut", {"--steps", "7", "--resume", exp / "cut/checkpoint_0002_000007.pth.tar"});
  CHECK(state_of(exp / "cut/checkpoint_0001.pth.tar") == state_of(exp / "whole/checkpoint_0001.safetensors"));
  const std::string last = "checkpoint_0003_000004.safetensors";
  Metadata cut = SafetensorsFile(exp / ("cut/" + last)).metadata(),
           whole = SafetensorsFile(exp / ("whole/" + last)).metadata();
  CHECK(cut.erase("run") == 1 && whole.erase("run") == 1 && cut == whole);  // with the digest of the tensors
  CHECK(state_of(exp / ("cut/" + last)) == state_of(exp / ("whole/" + last)));
}

TEST("pytorch: weights, epoch and momentum of a published checkpoint are taken") {
  ToyPlan toy;
  Session session(toy.plan(), {.threads = 1});
  const CheckpointInfo info = load_checkpoint(fixture(), session);
  CHECK(!info.of_run && info.knows_epoch);
  CHECK_EQ(info.at.epoch, 2);
  CHECK_EQ(info.at.step, int64_t{0});
  REQUIRE(info.notes.size() == 2);
  CHECK(has(info.notes[0], "is a PyTorch checkpoint that does not know its seed, data and batch"));
  CHECK_EQ(info.notes[1], fixture() + ": names are read without the prefix module.");
  const Checkpoint c = open_checkpoint(fixture());
  for (const NamedTensor& t : c.tensors) CHECK(state(session, t.name.c_str()) == elements(t.tensor));
  REQUIRE(c.momentum.size() == 1);
  CHECK_EQ(c.momentum[0].name, "encoder_q.classifier.weight");
  CHECK(state(session, "optimizer.momentum.encoder_q.classifier.weight") == elements(c.momentum[0].tensor));
}

TEST("pytorch: training goes on at the checkpoint's epoch, with the seed of the command line") {
  ToyPlan toy;
  Folder exp;
  const auto run = [&](const char* name, const std::string& resume) {
    const Ran r = run_train(
        toy.plan(), {"--synthetic", "--resume", resume, "--seed", "3", "--steps", "5", "--exp-dir", exp / name});
    if (r.status != 0) note(false, __FILE__, __LINE__, r.err);
    return r.out;
  };
  const std::string out = run("a", fixture());
  CHECK(has(out, "note: " + fixture() + " is a PyTorch checkpoint"));
  CHECK(has(out, "epoch 2, step 0, 0 images seen"));
  CHECK(has(out, "seed 3"));
  const Checkpoint after = open_checkpoint(exp / "a/checkpoint_0002_000005.safetensors");
  CHECK(after.of_run());
  CHECK(elements(*after.find(after.tensors, "encoder_q.classifier.weight")) !=
        elements(*open_checkpoint(fixture()).find(open_checkpoint(fixture()).tensors, "encoder_q.classifier.weight")));
  run("b", changed(exp, [](Checkpoint&) {}));
  CHECK(state_of(exp / "a/checkpoint_0002_000005.safetensors") ==
        state_of(exp / "b/checkpoint_0002_000005.safetensors"));
}

TEST("pytorch: missing momentum becomes zero, and is said") {
  ToyPlan toy;
  Folder folder;
  Session session(toy.plan(), {.threads = 1});
  const std::string path = changed(folder, [](Checkpoint& c) { c.momentum.clear(); });
  const int momentum = session.tensor("optimizer.momentum.encoder_q.classifier.weight");
  std::fill_n(session.data(momentum), session.info(momentum).bytes, std::byte{1});
  const CheckpointInfo info = load_checkpoint(path, session);
  REQUIRE(info.notes.size() == 3);
  CHECK_EQ(info.notes[2], path + " has no momentum for 1 tensors: they begin with zero");
  const std::string zero = state(session, "optimizer.momentum.encoder_q.classifier.weight");
  CHECK(std::all_of(zero.begin(), zero.end(), [](char c) { return c == 0; }));
}

TEST("pytorch: a state_dict alone starts at --start-epoch") {
  ToyPlan toy;
  Folder folder;
  write_torch(folder / "s.pth", to_state_dict(open_checkpoint(fixture())));
  const Ran r =
      run_train(toy.plan(), {"--synthetic", "--resume", folder / "s.pth", "--start-epoch", "1", "--steps", "2"});
  CHECK_EQ(r.status, 0);
  CHECK(has(r.out, "that does not know its seed, data and batch, nor its epoch"));
  CHECK(has(r.out, "has no momentum for 1 tensors"));
  CHECK(has(r.out, "epoch 1, step 0"));
}

TEST("pytorch: another kind of optimizer is refused unless nothing is trained, or --reset-optimizer begins with zero") {
  ToyPlan toy;
  Folder folder;
  const Checkpoint original = open_checkpoint(fixture());  // owns the bytes of the tensors
  Dict root = *to_published(original).dict(), optimizer, state, entry, group;
  entry.add("exp_avg", Value(*root.find("state_dict")->dict()->members[0].second.tensor()));
  state.members.emplace_back(Value(int64_t{0}), Value(std::move(entry)));
  group.add("params", Value(Sequence{{Value(int64_t{0}), Value(int64_t{1}), Value(int64_t{2})}}));
  optimizer.add("state", Value(std::move(state)));
  optimizer.add("param_groups", Value(Sequence{{Value(std::move(group))}}));
  for (auto& [key, value] : root.members)
    if (*key.text() == "optimizer") value = Value(optimizer);
  const std::string path = folder / "adam.pth.tar";
  write_torch(path, Value(root));
  Session session(toy.plan(), {.threads = 1});
  session.init_state(1);
  const std::string before = ::state(session, "queue");
  CHECK_THROWS(load_checkpoint(path, session),
               path +
                   ": optimizer: is not SGD with momentum: its state has exp_avg (Adam's), and no momentum_buffer; "
                   "--reset-optimizer continues with zero momentum");
  CHECK(::state(session, "queue") == before);
  const char* const momentum = "optimizer.momentum.encoder_q.classifier.weight";
  for (const Optimizer use : {Optimizer::reset, Optimizer::unused}) {
    const int t = session.tensor(momentum);
    std::fill_n(session.data(t), session.info(t).bytes, std::byte{1});
    const std::vector<std::string> notes = load_checkpoint(path, session, use).notes;
    const bool said = notes.back() == path + ": all momentum begins with zero (--reset-optimizer)";
    CHECK_EQ(said, use == Optimizer::reset);
    const std::string bytes = ::state(session, momentum);
    CHECK(bytes.find_first_not_of('\0') == std::string::npos);
  }
  const auto run = [&](std::vector<std::string> more) {
    more.insert(more.end(), {"--synthetic", "--steps", "1", "--exp-dir", folder / "exp"});
    return run_train(toy.plan(), more);
  };
  const Ran refused = run({"--resume", path});
  CHECK_EQ(refused.status, 2);
  CHECK(has(refused.err, "--reset-optimizer continues with zero momentum"));
  const Ran goes = run({"--resume", path, "--reset-optimizer"});
  CHECK_EQ(goes.status, 0);
  CHECK(has(goes.out, "all momentum begins with zero (--reset-optimizer)"));
  for (const std::vector<std::string>& flags :
       {std::vector<std::string>{"--reset-optimizer"}, {"--resume", "auto", "--reset-optimizer"}})
    CHECK(has(run(flags).err, "--reset-optimizer needs --resume FILE"));
}

TEST("pytorch: --reset-optimizer also drops the momentum of a run of ours") {
  ToyPlan toy;
  Folder folder;
  Session session(toy.plan(), {.threads = 1});
  session.init_state(5);
  const char* const momentum = "optimizer.momentum.encoder_q.classifier.weight";
  const int t = session.tensor(momentum);
  std::fill_n(session.data(t), session.info(t).bytes, std::byte{1});
  for (const char* const format : {"safetensors", "pth.tar"}) {
    const std::string path = folder / (std::string("c.") + format);
    save_checkpoint(path, session, CheckpointInfo{}, {}, format);
    Session other(toy.plan(), {.threads = 1});
    load_checkpoint(path, other);
    CHECK(state(other, momentum) == state(session, momentum));
    load_checkpoint(path, other, Optimizer::reset);
    CHECK(state(other, momentum).find_first_not_of('\0') == std::string::npos);
    CHECK(state(other, "queue") == state(session, "queue"));
  }
}

TEST("pytorch: what does not fit is refused before any state is set") {
  ToyPlan toy;
  Folder folder;
  Session session(toy.plan(), {.threads = 1});
  session.init_state(1);
  const std::string before = state(session, "queue");
  const auto refused = [&](const std::string& path, const std::string& says) {
    CHECK_THROWS(load_checkpoint(path, session), path + ": " + says);
    CHECK(state(session, "queue") == before);
  };
  const auto named = [](Checkpoint& c, const std::string& name) {
    return std::find_if(c.tensors.begin(), c.tensors.end(), [&](const NamedTensor& t) { return t.name == name; });
  };
  refused(changed(folder, [&](Checkpoint& c) { c.tensors.erase(named(c, "queue_ptr")); }),
          "tensor queue_ptr is missing");
  refused(changed(folder, [&](Checkpoint& c) { named(c, "queue")->name = "queue2"; }), "tensor queue is missing");
  refused(changed(folder, [&](Checkpoint& c) { c.tensors.push_back({"extra", c.tensors[0].tensor}); }),
          "the artefact has no tensor extra");
  refused(changed(folder,
                  [&](Checkpoint& c) {
                    Tensor& t = named(c, "queue")->tensor;
                    std::swap(t.shape[0], t.shape[1]);
                    t.strides = row_major_strides(t.shape);  // otherwise it would leave its storage
                  }),
          "tensor queue is f32[64,16], the artefact needs f32[16,64]");
  refused(changed(folder, [&](Checkpoint& c) { c.momentum[0].name = "encoder_k.classifier.weight"; }),
          "optimizer: has no momentum for 1 of 1 parameters, such as encoder_q.classifier.weight; --reset-optimizer "
          "continues with zero momentum");
  const std::string whole = read_bytes(fixture());
  for (const size_t size : {size_t{1}, size_t{100}, whole.size() / 2, whole.size() - 1}) {
    write_bytes(folder / "cut.tar", whole.substr(0, size));
    refused(folder / "cut.tar", "");
  }
}

TEST("pytorch: a run's .pth.tar whose metadata were changed is refused") {
  ToyPlan toy;
  Folder folder;
  Session session(toy.plan(), {.threads = 1});
  session.init_state(5);
  save_checkpoint(folder / "c.pth.tar", session, CheckpointInfo{}, {}, "pth.tar");
  const auto with = [&](auto&& change) {
    Checkpoint c = open_checkpoint(folder / "c.pth.tar");
    change(c.metadata);
    write_torch(folder / "d.pth.tar", to_published(c));
    return folder / "d.pth.tar";
  };
  CHECK(load_checkpoint(with([](Metadata&) {}), session).of_run);
  CHECK_THROWS(load_checkpoint(with([](Metadata& m) { m.erase("seed"); }), session), "d.pth.tar: moproc has no seed");
  CHECK_THROWS(load_checkpoint(with([](Metadata& m) { m["step"] = "-1"; }), session), "moproc.step is '-1'");
  CHECK_THROWS(load_checkpoint(with([](Metadata& m) { m["meters"] = "{}"; }), session), "no meter loss");
  CHECK_EQ(list(folder.path()).size(), size_t{2});
}

TEST("pytorch: the newest checkpoint is found whatever its format, an unknown format refused") {
  Folder folder;
  write_bytes(folder / "checkpoint_0001.safetensors", "");
  write_bytes(folder / "checkpoint_0002.pth.tar", "");
  write_bytes(folder / "checkpoint_0003.pth", "");
  CHECK_EQ(newest_checkpoint(folder.path()), folder / "checkpoint_0002.pth.tar");
  CHECK_EQ(checkpoint_name(3, 120, "pth.tar"), "checkpoint_0003_000120.pth.tar");
  ToyPlan toy;
  const Ran r = run_train(toy.plan(), {"--synthetic", "--checkpoint-format", "pth"});
  CHECK_EQ(r.status, 2);
  CHECK(has(r.err, "--checkpoint-format pth: must be safetensors or pth.tar"));
}
