// Running of queued work. An operation is ready when it is first in its stream and what it waits for is done;
// among the ready ones the seed chooses.
#include <algorithm>

#include <cstring>

#include "cuda/params.cuh"
#include "machine.h"

namespace emulator::driver {

void Machine::queue(Stream& s, std::function<void()> body) {
  if (s.capturing) s.captured.push_back(std::move(body));
  else put(s, {std::move(body), nullptr, nullptr});
}

void Machine::put(Stream& s, Operation op) {
  if (s.capturing) {
    problem("an event is recorded or waited for on a stream that is being captured: not emulated");
    throw Failure{kCaptureUnsupported};
  }
  s.queue.push_back(std::move(op));
  run_some(4);
}

bool Machine::run_one() {
  std::vector<Stream*> ready;
  for (const auto& [handle, s] : streams_)
    if (!s->queue.empty() && (!s->queue.front().after || s->queue.front().after->done))
      ready.push_back(s.get());
  if (ready.empty()) return false;
  std::sort(ready.begin(), ready.end(),
            [](const Stream* a, const Stream* b) { return a->number < b->number; });
  Stream& s = *ready[config_.seed == 0 ? 0 : random_() % ready.size()];
  const Operation op = std::move(s.queue.front());
  s.queue.pop_front();
  if (op.body && !broken_) op.body();
  if (op.record) *op.record = {true, std::chrono::steady_clock::now()};
  return true;
}

/// With a seed, work may also be done before anybody waits for it.
void Machine::run_some(int one_in) {
  if (config_.seed == 0) return;
  while (random_() % static_cast<unsigned>(one_in) == 0 && run_one()) {
  }
}

void Machine::run_until(const std::function<bool()>& done) {
  while (!done()) {
    if (run_one()) continue;
    problem("a stream waits for what never comes");
    throw Failure{kDeadlock};
  }
  run_some(2);
}

void Machine::run_all() {
  run_until([this] {
    for (const auto& [handle, s] : streams_)
      if (!s->queue.empty()) return false;
    return true;
  });
}

void Machine::run_kernel(const Kernel& k, unsigned grid, unsigned block, unsigned shared,
                         const void* params) {
  moproc::Params p;
  std::memcpy(&p, params, sizeof p);
  const auto check = [&](const void* address, const std::string& what) {
    if (!address || lives(reinterpret_cast<DevicePtr>(address))) return;
    problem("kernel " + k.name + ": " + what + " is no device memory (any more)");
    broken_ = kIllegalAddress;
  };
  for (int i = 0; i < 48; ++i) check(p.buf[i], "buffer " + std::to_string(i));
  check(p.workspace, "the workspace");
  if (broken_) return;
  const auto entry = reinterpret_cast<void (*)(moproc::Params)>(k.entry);
  try {
    const uint32_t seed = config_.seed == 0 ? 0 : static_cast<uint32_t>(random_()) | 1;
    launch({k.name, grid, block, shared, seed, config_.workers}, [&] { entry(p); });
  } catch (const Error& e) {
    problem(e.what());
    broken_ = kIllegalAddress;
  }
  for (const auto& [address, m] : memory_) {
    if (m->intact()) continue;
    problem("kernel " + k.name + " wrote beside " + m->name());
    broken_ = kIllegalAddress;
  }
}

}  // namespace emulator::driver
