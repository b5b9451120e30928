// Checkpoints: reading gives what was written; damaged files, other programs' files and files in the way are refused by
// name.
#include <sys/resource.h>

#include <csignal>
#include <cstring>

#include "command/train_verb.h"
#include "core/error.h"
#include "formats/output_file.h"
#include "formats/safetensors.h"
#include "support.h"
#include "tap.h"
#include "toy_plan.h"
#include "train/checkpoint.h"
#include "verb_support.h"

using namespace moproc;
using namespace moproc::test;
using namespace moproc::formats;
using namespace moproc::train;

namespace {

CheckpointInfo some_info() {
  CheckpointInfo info;
  info.at.epoch = 3, info.at.step = 17, info.at.samples = 1234567;
  info.at.meters.loss.add(0.1), info.at.meters.loss.add(1.0 / 3);
  info.at.meters.wrong_corrected = 5;
  info.seed = UINT64_MAX, info.global_batch = 8, info.data_digest = "abc", info.plan_digest = "toy-digest";
  return info;
}

std::vector<std::byte> saved_state(const Session& s) {
  std::vector<std::byte> all;
  for (const StateInfo& i : s.plan().state) {
    if (i.role == Role::derived) continue;
    std::vector<std::byte> bytes(static_cast<size_t>(s.info(i.tensor).bytes));
    s.get(i.tensor, bytes);
    all.insert(all.end(), bytes.begin(), bytes.end());
  }
  return all;
}

/// A checkpoint of the toy plan in a folder of its own, and a session to load into.
struct Fixture {
  ToyPlan toy;
  Folder folder;
  Session session{toy.plan(), {.threads = 1}};
  std::string path = folder / "c.safetensors";
  Fixture() {
    session.init_state(5);
    save_checkpoint(path, session, some_info(),
                    RunRecord{"train", parsed<command::TrainSettings>("train", {})->flags.recorded()});
  }
  /// Loading must fail with `part`, name the file, and leave the state alone.
  void refused(const std::string& part) {
    Session other(toy.plan(), {.threads = 1});
    const auto before = saved_state(other);
    CHECK_THROWS(load_checkpoint(path, other), part);
    CHECK_THROWS(load_checkpoint(path, other), path);
    CHECK(saved_state(other) == before);
  }
  /// Replaces `from` in the header and writes the file anew.
  void edit(const std::string& from, const std::string& to) {
    std::string bytes = read_bytes(path);
    uint64_t length = read_length(bytes);
    const std::string data = bytes.substr(8 + length);
    std::string header = bytes.substr(8, length);
    const size_t at = header.find(from);
    REQUIRE(at != std::string::npos);
    header.replace(at, from.size(), to);
    length = header.size();
    std::string out(reinterpret_cast<const char*>(&length), 8);
    write_bytes(path, out + header + data);
  }
  static uint64_t read_length(const std::string& bytes) {
    uint64_t length = 0;
    std::memcpy(&length, bytes.data(), 8);
    return length;
  }
};

}  // namespace

TEST("checkpoint: state and position come back to the bit") {
  Fixture f;
  Session other(f.toy.plan(), {.threads = 1});
  const CheckpointInfo info = load_checkpoint(f.path, other);
  CHECK(saved_state(other) == saved_state(f.session));
  CHECK_EQ(info.at.epoch, 3);
  CHECK_EQ(info.at.step, int64_t{17});
  CHECK_EQ(info.at.samples, int64_t{1234567});
  CHECK_EQ(info.seed, UINT64_MAX);
  CHECK_EQ(info.at.meters.loss.sum, 0.1 + 1.0 / 3);
  CHECK_EQ(info.at.meters.wrong_corrected, 5.0);
  CHECK_EQ(info.data_digest, "abc");
  other.refresh();
  const auto packed = other.view<float>(other.tensor("packed")),
             weight = other.view<float>(other.tensor("encoder_q.classifier.weight"));
  CHECK(std::equal(packed.begin(), packed.end(), weight.begin()));
}

TEST("checkpoint: names, order, types and shapes are the plan's, without derived state") {
  Fixture f;
  const SafetensorsFile file(f.path);
  REQUIRE(file.tensors().size() == 7);
  CHECK_EQ(file.tensors()[0].name, "encoder_q.classifier.weight");
  CHECK_EQ(file.tensors()[2].name, "optimizer.momentum.encoder_q.classifier.weight");
  CHECK((file.find("encoder_q.conv1.weight")->shape == std::vector<int64_t>{4, 3, 2, 5}));
  CHECK(file.find("queue_ptr")->dtype == DType::i64);
  CHECK(file.find("packed") == nullptr);
  for (const char* key :
       {"format", "arch", "num_class", "epoch", "step", "samples", "global_batch", "groups", "seed", "lr", "momentum",
        "weight_decay", "moco_m", "proto_m", "temperature", "data_digest", "plan_digest", "sha256"})
    CHECK(file.metadata().count(key) == 1);
  CHECK_EQ(Fixture::read_length(read_bytes(f.path)) % 8, uint64_t{0});
}

TEST("checkpoint: truncated at any place is refused") {
  Fixture f;
  const std::string whole = read_bytes(f.path);
  for (const size_t size : {size_t{0}, size_t{7}, size_t{8}, size_t{100}, whole.size() / 2, whole.size() - 1}) {
    write_bytes(f.path, whole.substr(0, size));
    f.refused("");
  }
  write_bytes(f.path, whole + "x");
  f.refused("1 bytes follow the last tensor");
}

TEST("checkpoint: a flipped bit anywhere in the data is refused") {
  Fixture f;
  const std::string whole = read_bytes(f.path);
  const size_t data = 8 + Fixture::read_length(whole);
  for (const size_t at : {data, data + 1001, whole.size() - 1}) {
    std::string bad = whole;
    bad[at] = static_cast<char>(bad[at] ^ 1);
    write_bytes(f.path, bad);
    f.refused("sha256");
  }
}

TEST("checkpoint: headers that lie are refused, naming the tensor") {
  const struct {
    const char *from, *to, *says;
  } cases[] = {
      {"[0, 960]", "[0, 964]",
       "tensor encoder_q.classifier.weight: its data_offsets hold 964 bytes, but its shape takes 960"},
      {"[960, 1440]", "[956, 1436]", "tensor encoder_q.conv1.weight: its data overlap"},
      {"[960, 1440]", "[964, 1444]", "tensor encoder_q.conv1.weight: its data leave a gap"},
      {"[960, 1440]", "[1440, 960]", "tensor encoder_q.conv1.weight: its data_offsets are not a range"},
      {"[960, 1440]", "[-4, 476]", "tensor encoder_q.conv1.weight: its data_offsets are not a range"},
      {"\"shape\": [4, 3, 2, 5]", "\"shape\": [3, 4, 2, 5]",
       "tensor encoder_q.conv1.weight is f32[3,4,2,5], the artefact needs f32[4,3,2,5]"},
      {"\"shape\": [4, 3, 2, 5]", "\"shape\": [4611686018427387904, 8]", "encoder_q.conv1.weight"},
      {"\"shape\": [4, 3, 2, 5]", "\"shape\": [4, 3, 2.5, 4]",
       "tensor encoder_q.conv1.weight: its shape is not whole numbers"},
      {"\"dtype\": \"I64\"", "\"dtype\": \"F64\"", "tensor queue_ptr is f64[1], the artefact needs i64[1]"},
      {"\"dtype\": \"I64\"", "\"dtype\": \"Q64\"", "tensor queue_ptr: unknown dtype Q64"},
      {"\"queue_ptr\"", "\"queue_pos\"", "tensor queue_ptr is missing"},
      {"\"queue_ptr\"", "\"queue\"", "the key 'queue' appears twice"},
      {"\"format\": \"moproc-checkpoint-1\"", "\"format\": \"pt\"", "its format is 'pt'"},
      {"\"epoch\": \"3\"", "\"epoch\": \"x\"", "__metadata__.epoch is 'x'"},
      {"\"seed\"", "\"sead\"", "__metadata__ has no seed"},
      {"\"dtype\": \"F32\"", "\"dtype\": F32", "bad JSON"},
  };
  for (const auto& c : cases) {
    Fixture f;
    f.edit(c.from, c.to);
    f.refused(c.says);
  }
}

TEST("checkpoint: a header longer than the file is refused") {
  Fixture f;
  std::string bytes = read_bytes(f.path);
  std::memset(bytes.data(), 0xff, 8);
  write_bytes(f.path, bytes);
  f.refused("its header claims");
  CHECK_THROWS(load_checkpoint(f.folder / "none.safetensors", f.session), "No such file");
  CHECK_THROWS(load_checkpoint(f.folder.path(), f.session), f.folder.path());
}

TEST("checkpoint: tensors the artefact does not have are refused") {
  Fixture f;
  ToyPlan wide;
  Plan smaller = wide.plan();
  std::vector<StateInfo> states(smaller.state.begin(), smaller.state.end());
  states.erase(states.begin() + 6);
  smaller.state = {states.data(), static_cast<int32_t>(states.size())};
  Session s(smaller, {.threads = 1});
  CHECK_THROWS(load_checkpoint(f.path, s), "the artefact has no tensor encoder_q.bn1.running_var");
}

TEST("checkpoint: a full disk leaves the previous one, and nothing half-written") {
  Fixture f;
  const std::string before = read_bytes(f.path);
  f.session.init_state(6);
  rlimit old{};
  getrlimit(RLIMIT_FSIZE, &old);
  std::signal(SIGXFSZ, SIG_IGN);
  for (const rlim_t room : {rlim_t{4}, rlim_t{1000}, rlim_t{before.size() - 1}}) {
    const rlimit small{room, old.rlim_max};
    setrlimit(RLIMIT_FSIZE, &small);
    std::string message;
    try {
      save_checkpoint(f.path, f.session, some_info(),
                      RunRecord{"train", parsed<command::TrainSettings>("train", {})->flags.recorded()});
    } catch (const InputError& e) {
      message = e.what();
    }
    setrlimit(RLIMIT_FSIZE, &old);
    CHECK(message.find("cannot write " + f.path + ".") == 0);
    CHECK(message.ends_with(".tmp: File too large"));
    CHECK(read_bytes(f.path) == before);
    CHECK_EQ(list(f.folder.path()).size(), size_t{1});
  }
  CHECK_THROWS(OutputFile("/dev/full", OutputFile::Open::append).write("x"),
               "cannot write /dev/full: No space left on device");
}

TEST("checkpoint: the newest is the one furthest on") {
  Folder folder;
  CHECK_EQ(newest_checkpoint(folder.path()), "");
  for (const char* name :
       {"checkpoint_0001.safetensors", "checkpoint_0002_000100.safetensors", "checkpoint_0002_000020.safetensors",
        "checkpoint_0009.safetensors.tmp", "checkpoint_x.safetensors"})
    write_bytes(folder / name, "");
  CHECK_EQ(newest_checkpoint(folder.path()), folder / "checkpoint_0002_000100.safetensors");
  write_bytes(folder / "checkpoint_0002.safetensors", "");
  CHECK_EQ(newest_checkpoint(folder.path()), folder / "checkpoint_0002.safetensors");
  CHECK_EQ(checkpoint_name(3, std::nullopt), "checkpoint_0003.safetensors");
  CHECK_EQ(checkpoint_name(3, 120), "checkpoint_0003_000120.safetensors");
}
