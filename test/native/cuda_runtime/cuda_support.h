// What the tests of sessions share: inputs, outputs and states as bytes.
#pragma once

#include <cstring>
#include <string>
#include <vector>

#include "cuda_toy.h"
#include "emulated.h"
#include "session/session.h"

namespace moproc::test {

inline std::vector<std::byte> get(const Session& s, int tensor) {
  std::vector<std::byte> bytes(static_cast<size_t>(s.info(tensor).bytes));
  s.get(tensor, bytes);
  return bytes;
}

inline std::vector<float> floats(const Session& s, int tensor) {
  const std::vector<std::byte> bytes = get(s, tensor);
  std::vector<float> v(bytes.size() / 4);
  std::memcpy(v.data(), bytes.data(), bytes.size());
  return v;
}

inline std::vector<std::byte> all_state(const Session& s) {
  std::vector<std::byte> all;
  for (const StateInfo& i : s.plan().state) {
    const auto bytes = get(s, i.tensor);
    all.insert(all.end(), bytes.begin(), bytes.end());
  }
  return all;
}

inline std::vector<std::byte> all_outputs(const Session& s, int program) {
  std::vector<std::byte> all;
  for (const int32_t t : s.plan().programs[program].outputs) {
    const auto bytes = get(s, t);
    all.insert(all.end(), bytes.begin(), bytes.end());
  }
  return all;
}

inline void feed_images(Session& s, int program, int step) {
  for (const char* name : {"img", "img_aug"}) {
    const auto img = s.view<uint8_t>(s.input(program, name));
    for (size_t i = 0; i < img.size(); ++i)
      img[i] = static_cast<uint8_t>((i + 7 * static_cast<size_t>(step)) * 31 + i / 7);
  }
}

/// Every input of a step program of the toy plan; another batch for each `step`.
inline void feed(Session& s, int program, int step) {
  const auto set = [&](const char* name, float v) { s.view<float>(s.input(program, name))[0] = v; };
  set("hyper.lr", 0.1f / static_cast<float>(step + 1)), set("hyper.momentum", 0.9f);
  set("hyper.weight_decay", 1e-4f), set("hyper.moco_m", 0.99f), set("hyper.w_inst", 1), set("hyper.pseudo_th", 0.8f);
  feed_images(s, program, step);
  const auto target = s.view<int64_t>(s.input(program, "target")), order = s.view<int64_t>(s.input(program, "order"));
  for (size_t i = 0; i < target.size(); ++i)
    target[i] = static_cast<int64_t>((i + static_cast<size_t>(step)) % 5), order[i] = static_cast<int64_t>((i * 3) % 8);
}

/// Runs some steps of every phase one by one; outputs of each and the state at the end.
inline std::vector<std::byte> run_phases(Session& s, int steps) {
  std::vector<std::byte> all;
  for (int i = 0; i < steps; ++i) {
    const int program = s.program(i % 3 == 0 ? "warmup" : i % 3 == 1 ? "proto" : "clean");
    feed(s, program, i);
    s.run(program);
    const auto outputs = all_outputs(s, program);
    all.insert(all.end(), outputs.begin(), outputs.end());
  }
  const auto state = all_state(s);
  all.insert(all.end(), state.begin(), state.end());
  return all;
}

}  // namespace moproc::test
