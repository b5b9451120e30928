// Session on the toy plan: names, sizes and order of tensors, initial values, derived state, running, checks.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <set>

#include "core/check.h"
#include "core/error.h"
#include "session/session.h"
#include "tap.h"
#include "toy_plan.h"

using namespace moproc;
using namespace moproc::test;

namespace {

std::vector<std::byte> get(const Session& s, const char* name) {
  const int t = s.tensor(name);
  std::vector<std::byte> bytes(static_cast<size_t>(s.info(t).bytes));
  s.get(t, bytes);
  return bytes;
}

std::vector<float> floats(const Session& s, const char* name) {
  const std::vector<std::byte> bytes = get(s, name);
  std::vector<float> v(bytes.size() / 4);
  std::memcpy(v.data(), bytes.data(), bytes.size());
  return v;
}

std::vector<std::byte> all_state(const Session& s) {
  std::vector<std::byte> all;
  for (const StateInfo& i : s.plan().state) {
    const auto bytes = get(s, s.info(i.tensor).name);
    all.insert(all.end(), bytes.begin(), bytes.end());
  }
  return all;
}

void feed(Session& s, int program) {
  const auto set = [&](const char* name, float v) { s.view<float>(s.input(program, name))[0] = v; };
  set("hyper.lr", 0.1f), set("hyper.momentum", 0.9f), set("hyper.weight_decay", 1e-4f);
  set("hyper.moco_m", 0.99f), set("hyper.w_inst", 1), set("hyper.pseudo_th", 0.8f);
  for (const char* name : {"img", "img_aug"}) {
    auto img = s.view<uint8_t>(s.input(program, name));
    for (size_t i = 0; i < img.size(); ++i) img[i] = static_cast<uint8_t>(i * 31 + i / 7);
  }
  auto target = s.view<int64_t>(s.input(program, "target")), order = s.view<int64_t>(s.input(program, "order"));
  for (size_t i = 0; i < target.size(); ++i)
    target[i] = static_cast<int64_t>(i % 5), order[i] = static_cast<int64_t>((i * 3) % 8);
}

}  // namespace

TEST("session: unknown names list what there is") {
  ToyPlan toy;
  Session s(toy.plan(), {.threads = 1});
  CHECK_THROWS(s.program("train"), "no program train; it has warmup proto clean evaluate broken");
  CHECK_THROWS(s.tensor("nothing"), "no tensor nothing");
  CHECK_THROWS(s.input(0, "image"), "no input image; it has img img_aug");
  CHECK_THROWS(s.output(0, "kept"), "program warmup has no output kept");
  CHECK_EQ(s.find_output(2, "kept"), s.tensor("clean/kept"));
  CHECK_EQ(s.find_output(2, "clean/kept"), s.tensor("clean/kept"));
}

TEST("session: other versions, devices and CPUs are refused") {
  ToyPlan toy;
  Plan p = toy.plan();
  p.version = 3;
  CHECK_THROWS(Session s(p), "version 3");
  p = toy.plan();
  p.device = "npu";
  CHECK_THROWS(Session s(p), "compiled for npu, this runtime runs cpu and cuda");
  p = toy.plan();
  p.arch = "x86-64-v9";
  CHECK_THROWS(Session s(p), "x86-64-v9");
}

TEST("session: arenas start as zeros and are aligned") {
  ToyPlan toy;
  Session s(toy.plan(), {.threads = 2});
  for (int32_t t = 0; t < toy.plan().tensors.size; ++t) {
    CHECK_EQ(reinterpret_cast<uintptr_t>(s.data(t)) % 64, uintptr_t{0});
    for (const std::byte b : s.view<std::byte>(t)) CHECK(b == std::byte{0});
  }
}

TEST("session: set and get are logical, storage is channels-last") {
  ToyPlan toy;
  Session s(toy.plan(), {.threads = 1});
  const int t = s.tensor("encoder_q.conv1.weight");  // (4, 3, 2, 5)
  std::vector<float> logical(120);
  std::iota(logical.begin(), logical.end(), 0.0f);
  s.set(t, std::as_bytes(std::span(logical)));
  const auto stored = s.view<float>(t);
  for (int o = 0; o < 4; ++o)
    for (int i = 0; i < 3; ++i)
      for (int h = 0; h < 2; ++h)
        for (int w = 0; w < 5; ++w)
          CHECK_EQ(stored[static_cast<size_t>(((o * 2 + h) * 5 + w) * 3 + i)],
                   logical[static_cast<size_t>(((o * 3 + i) * 2 + h) * 5 + w)]);
  CHECK(floats(s, "encoder_q.conv1.weight") == logical);
  CHECK_THROWS(s.set(t, std::as_bytes(std::span(logical).first(7))),
               "encoder_q.conv1.weight: f32[4,3,2,5] has 480 bytes, not 28");
}

TEST("session: initial values depend on the seed and the name, not on threads") {
  ToyPlan toy({.batch = 8, .groups = 2, .size = 64, .classes = 5});  // 61,440 weights: several tasks
  Session one(toy.plan(), {.threads = 1}), four(toy.plan(), {.threads = 4}), other(toy.plan(), {.threads = 1});
  one.init_state(7), four.init_state(7), other.init_state(8);
  CHECK(all_state(one) == all_state(four));
  CHECK(all_state(one) != all_state(other));
  other.init_state(7 + (uint64_t{1} << 32));
  CHECK(all_state(one) != all_state(other));
  CHECK(get(one, "encoder_k.classifier.weight") == get(one, "encoder_q.classifier.weight"));
  CHECK(floats(one, "encoder_q.bn1.running_var") == std::vector<float>(7, 1.0f));
  const std::vector<float> w = floats(one, "encoder_q.classifier.weight");
  CHECK(*std::min_element(w.begin(), w.end()) >= -0.1f);
  CHECK(*std::max_element(w.begin(), w.end()) <= 0.1f);
  CHECK(std::set<float>(w.begin(), w.end()).size() > w.size() * 9 / 10);
}

TEST("session: normal values have the plan's mean and deviation, unit columns length 1") {
  ToyPlan toy;
  double sum = 0, squares = 0, fourth = 0;
  int n = 0;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    Session s(toy.plan(), {.threads = 1});
    s.init_state(seed);
    for (const float v : floats(s, "encoder_q.conv1.weight")) sum += v, squares += v * v, fourth += v * v * v * v, ++n;
  }
  CHECK_NEAR(sum / n, 0, 4 * 0.5 / std::sqrt(n));
  CHECK_NEAR(squares / n, 0.25, 4 * 0.25 * std::sqrt(2.0 / n));
  CHECK_NEAR(fourth / n, 3 * 0.0625, 4 * 0.0625 * std::sqrt(96.0 / n));  // a normal's fourth moment
  Session s(toy.plan(), {.threads = 2});
  s.init_state(3);
  const std::vector<float> q = floats(s, "queue");  // (16, 64)
  for (size_t c = 0; c < 64; ++c) {
    double length = 0;
    for (size_t r = 0; r < 16; ++r) length += static_cast<double>(q[r * 64 + c]) * q[r * 64 + c];
    CHECK_NEAR(length, 1, 1e-6);
  }
}

TEST("session: a known initial value (Philox, Box-Muller) never changes") {
  ToyPlan toy;
  Session s(toy.plan(), {.threads = 1});
  s.init_state(42);
  CHECK_NEAR(floats(s, "encoder_q.conv1.weight")[0], -0.448412212060078, 1e-6);  // by another implementation
  CHECK_NEAR(floats(s, "encoder_q.classifier.weight")[1], 0.05027412036829755, 1e-8);
}

TEST("session: derived state is rebuilt after set, before the next run") {
  ToyPlan toy;
  Session s(toy.plan(), {.threads = 1});
  s.init_state(1);
  const int warmup = s.program("warmup");
  feed(s, warmup);
  s.run(warmup);
  CHECK(floats(s, "packed") == floats(s, "encoder_q.classifier.weight"));
  std::vector<float> w(floats(s, "packed").size(), 0.25f);
  s.set(s.tensor("encoder_q.classifier.weight"), std::as_bytes(std::span(w)));
  CHECK(floats(s, "packed") != w);
  s.refresh();
  CHECK(floats(s, "packed") == w);
}

TEST("session: a run gives the same bits on any number of threads, and they are right") {
  ToyPlan toy;
  std::vector<std::byte> first;
  for (const int threads : {1, 2, 5}) {
    Session s(toy.plan(), {.threads = threads});
    s.init_state(1);
    for (int step = 0; step < 20; ++step) feed(s, 0), s.run(0);
    if (first.empty()) first = all_state(s);
    CHECK(all_state(s) == first);
    CHECK_EQ(s.view<int64_t>(s.tensor("queue_ptr"))[0], int64_t{160});
  }
  Session s(toy.plan(), {.threads = 2});  // equal weights: every class has probability 1/5
  feed(s, 0);
  s.run(0);
  for (const float loss : s.view<float>(s.output(0, "loss_cls"))) CHECK_NEAR(loss, std::log(5.0), 1e-6);
}

TEST("session: --check names tensor, kernel, step and program") {
  ToyPlan toy;
  Session s(toy.plan(), {.threads = 1, .check = true});
  s.init_state(1);
  CHECK_THROWS(s.run(s.program("broken")),
               "losses[3] is not finite after kernel toy_nan of step poison in program broken");
  feed(s, 0);
  s.run(0);
  feed(s, 0);
  s.view<float>(s.input(0, "hyper.lr"))[0] = INFINITY;
  CHECK_THROWS(s.run(0), "hyper.lr[0] is not finite before program warmup");
  Session unchecked(toy.plan(), {.threads = 1});
  unchecked.run(unchecked.program("broken"));
}

TEST("session: the profile counts runs and lists templates and steps") {
  ToyPlan toy;
  Session s(toy.plan(), {.threads = 1, .profile = true});
  s.init_state(1);
  feed(s, 0);
  s.run(0), s.run(0);
  const std::string report = s.profiler().report();
  CHECK(report.find("profile of warmup: 2 runs") != std::string::npos);
  CHECK(report.find("toy_step  classifier") != std::string::npos);
  CHECK(report.find("profile of proto") == std::string::npos);
}
