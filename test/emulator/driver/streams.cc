// Runs queued work. An operation is ready when it is the first in its stream and the recording that it waits for is
// done; the seed chooses among the ready ones.
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "cuda/params.cuh"
#include "machine.h"

namespace emulator::driver {

void Machine::queue(Stream& s, std::function<void()> body) {
  if (s.capture) s.capture->operations.push_back({s.lane, std::move(body)});
  else put(s, {std::move(body), nullptr, nullptr});
}

void Machine::put(Stream& s, Operation op) {
  s.queue.push_back(std::move(op));
  run_some(4);
}

void Machine::record(Stream& s, Event& e) {
  e.capture = s.capture;
  if (s.capture) {
    e.captured = s.capture->records++;
    s.capture->operations.push_back({s.lane, nullptr, -1, e.captured});
    return;
  }
  e.last = std::make_shared<Record>();
  put(s, {nullptr, nullptr, e.last});
}

void Machine::wait_for(Stream& s, const Event& e) {
  if (e.capture == nullptr && s.capture == nullptr) return put(s, {nullptr, e.last, nullptr});
  const bool active = e.capture && !e.capture->lanes.empty();
  if (!active || (s.capture && s.capture != e.capture)) {
    problem("a stream waits for an event of another capture, or in a capture for one outside it");
    throw Failure{kCaptureIsolation};
  }
  if (!s.capture) {
    if (!s.queue.empty()) problem("a stream with work joins a capture: that work is no part of it");
    s.capture = e.capture;
    s.lane = static_cast<int>(s.capture->lanes.size());
    s.capture->lanes.push_back(&s);
  }
  s.capture->operations.push_back({s.lane, nullptr, e.captured, -1});
}

/// Ends a capture. The first stream must wait for the last operation of every other stream, which otherwise might run
/// after the end of the graph.
Graph Machine::end_capture(Stream& s) {
  const std::shared_ptr<Capture> c = s.capture;
  bool joined = true;
  for (int lane = 1; lane < static_cast<int>(c->lanes.size()); ++lane) {
    int last = -1;
    for (const Capture::Operation& op : c->operations)
      if (op.lane == lane) last = op.record;
    bool waited = false;
    for (const Capture::Operation& op : c->operations) waited |= op.lane == 0 && last >= 0 && op.after == last;
    joined &= waited;
  }
  Graph g{std::move(c->operations), static_cast<int>(c->lanes.size()), c->records, {}};
  for (Stream* lane : c->lanes) lane->capture = nullptr;
  c->lanes.clear();
  if (joined) return g;
  problem("a capture ends before the stream that began it has waited for all others");
  throw Failure{kCaptureUnjoined};
}

void Machine::launch_graph(const Graph& g, Stream& s) {
  std::vector<std::shared_ptr<Record>> records;
  for (int i = 0; i < g.records; ++i) records.push_back(std::make_shared<Record>());
  const auto of = [&](int i) { return i < 0 ? nullptr : records[static_cast<size_t>(i)]; };
  for (const Capture::Operation& op : g.operations)
    put(op.lane == 0 ? s : *g.streams[static_cast<size_t>(op.lane - 1)], {op.body, of(op.after), of(op.record)});
}

bool Machine::run_one() {
  std::vector<Stream*> ready;
  for (const auto& [handle, s] : streams_)
    if (!s->queue.empty() && (!s->queue.front().after || s->queue.front().after->done)) ready.push_back(s.get());
  if (ready.empty()) return false;
  std::sort(ready.begin(), ready.end(), [](const Stream* a, const Stream* b) { return a->number < b->number; });
  Stream& s = *ready[config_.seed == 0 ? 0 : random_() % ready.size()];
  const Operation op = std::move(s.queue.front());
  s.queue.pop_front();
  if (op.body && !broken_) op.body();
  if (op.record) *op.record = {true, std::chrono::steady_clock::now()};
  return true;
}

/// With a seed, work may also run before anything waits for it.
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

void Machine::run_kernel(const Kernel& k, unsigned grid, unsigned block, unsigned shared, const void* params) {
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
  while (!config_.hang.empty() && k.name.find(config_.hang) != std::string::npos) pause();
  const auto entry = reinterpret_cast<void (*)(moproc::Params)>(k.entry);
  try {
    const uint32_t seed = config_.seed == 0 ? 0 : static_cast<uint32_t>(random_()) | 1;
    launch({k.name, grid, block, shared, seed, config_.workers}, [&] { entry(p); });
  } catch (const Error& e) {
    problem(e.what());
    broken_ = kIllegalAddress;
  }
  if (!config_.flip.empty() && k.name.find(config_.flip) != std::string::npos) flip_a_bit(k, p);
  for (const auto& [address, m] : memory_) {
    if (m->intact()) continue;
    problem("kernel " + k.name + " wrote beside " + m->name());
    broken_ = kIllegalAddress;
  }
}

/// Makes some launches of a kernel wrong, as a race would: a bit of its last argument.
void Machine::flip_a_bit(const Kernel& k, const moproc::Params& p) {
  const int64_t launch = ++counts_["launches of " + k.name] - config_.flip_from;
  if (launch < 0 || launch % 2 != 0) return;
  int last = 47;
  while (last > 0 && !p.buf[last]) --last;
  *static_cast<unsigned char*>(p.buf[last]) ^= 1;
}

}  // namespace emulator::driver
