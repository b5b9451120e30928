// The scheduler of one block. A fiber that waits switches to another that can run. If there is none, the block is
// deadlocked and everything that waits is listed. A failed block is abandoned: its stacks are not unwound.
#include "block.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <map>

namespace emulator {

Block*& running_block() {
  static thread_local Block* block = nullptr;
  return block;
}

Block::Block(const Launch& l, const std::function<void()>& kernel)
    : launch_(l),
      kernel_(kernel),
      stacks_(borrow_stacks(l.block)),
      shared_(l.shared_bytes),
      fibers_(l.block),
      warps_((l.block + 31) / 32) {
  ready_.reserve(l.block + 1);
}

bool Block::run(unsigned index) {
  start(index);
  running_block() = this;
  current_ = choose();
  switch_stacks(main_, current_->stack);
  running_block() = nullptr;
  if (error_.empty()) {
    const std::string damage = shared_.damage();
    if (!damage.empty()) error_ = launch_.name + ", block " + std::to_string(index) + ": " + damage;
  }
  for (Fiber& f : fibers_) f.states.clear();
  states_.clear();
  return error_.empty();
}

void Block::start(unsigned index) {
  const unsigned n = launch_.block;
  rng_ = (uint64_t{launch_.seed} << 32 | index) * 0x9e3779b97f4a7c15u + 1;
  live_ = n;
  conditions_ = 0;
  block_barrier_ = {};
  for (Barrier& b : named_) b = {};
  for (Warp& w : warps_) w = {};
  shared_.poison();
  ready_.clear();
  for (unsigned i = n; i-- > 0;) {
    Fiber& f = fibers_[i];
    f.stack = stacks_->prepare(i, enter);
    f.place = {{i, 0, 0}, {index, 0, 0}, {n, 1, 1}, {launch_.grid, 1, 1}};
    f.ended = false;
    f.wait = Wait::nothing;
    f.at_end = nullptr;
    warps_[i / 32].live |= 1u << (i % 32);
    ready_.push_back(&f);
  }
}

void Block::enter() {
  Block& b = *running_block();
  Stopped other;
  has_switched(b.main_.bottom == nullptr ? b.main_ : other);
  b.kernel_();
  if (b.current_->at_end) b.current_->at_end();
  b.end_of_fiber();
}

/// Ends the running thread; from now on no barrier or warp operation waits for it.
void Block::end_of_fiber() {
  Fiber& me = *current_;
  me.ended = true;
  --live_;
  if (live_ == 0) switch_stacks(me.stack, main_);
  if (block_barrier_.arrived == live_) release(Wait::block_barrier, 0);
  const unsigned first = me.place.thread.x / 32 * 32;
  Warp& w = warps_[first / 32];
  w.live &= ~(1u << (me.place.thread.x % 32));
  for (unsigned left = w.waiting; left != 0; left &= left - 1) {
    const Fiber& f = fibers_[first + static_cast<unsigned>(std::countr_zero(left))];
    const unsigned lanes = f.mask & w.live;
    if ((w.waiting & lanes) != lanes) continue;
    complete(w, first, f);
    break;  // at most one group of lanes can have waited for this lane
  }
  go(choose());
  __builtin_unreachable();
}

uint32_t Block::random(uint32_t below) {
  rng_ ^= rng_ << 13;
  rng_ ^= rng_ >> 7;
  rng_ ^= rng_ << 17;
  return static_cast<uint32_t>((rng_ >> 32) * below >> 32);
}

Fiber* Block::choose() {
  if (ready_.empty() || (launch_.seed != 0 && conditions_ > 0 && random(4) == 0)) wake_conditions();
  if (ready_.empty())
    abandon(launch_.name + ", block " + std::to_string(fibers_[0].place.block.x) + ": deadlock: " + waiting_list());
  if (launch_.seed != 0) std::swap(ready_[random(static_cast<uint32_t>(ready_.size()))], ready_.back());
  Fiber* const next = ready_.back();
  ready_.pop_back();
  return next;
}

/// Makes the fibers ready whose condition has become true; returns whether there were any.
bool Block::wake_conditions() {
  bool any = false;
  for (size_t i = fibers_.size(); i-- > 0 && conditions_ > 0;) {
    Fiber& f = fibers_[i];
    if (f.ended || f.wait != Wait::condition || !f.condition(f.context)) continue;
    f.wait = Wait::nothing;
    --conditions_;
    ready_.push_back(&f);
    any = true;
  }
  return any;
}

void Block::go(Fiber* next) {
  Fiber* const me = current_;
  if (next == me) return;
  current_ = next;
  switch_stacks(me->stack, next->stack);
}

void Block::park(Wait wait) {
  current_->wait = wait;
  go(choose());
}

/// After waking others: with a random order, the waking fiber competes with them.
void Block::yield_among_ready() {
  if (launch_.seed == 0) return;
  ready_.push_back(current_);
  go(choose());
}

void Block::release(Wait wait, int barrier) {
  Barrier& b = wait == Wait::block_barrier ? block_barrier_ : named_[barrier];
  b.arrived = 0;
  b.result = b.sum;
  b.sum = 0;
  for (size_t i = fibers_.size(); i-- > 0;) {
    Fiber& f = fibers_[i];
    if (f.ended || f.wait != wait || (wait == Wait::named_barrier && f.barrier != barrier)) continue;
    f.wait = Wait::nothing;
    ready_.push_back(&f);
  }
}

int Block::sync_threads(int value) {
  block_barrier_.sum += value;
  if (++block_barrier_.arrived < live_) park(Wait::block_barrier);
  else {
    release(Wait::block_barrier, 0);
    yield_among_ready();
  }
  return block_barrier_.result;  // still valid, because the next release needs this thread, too
}

void Block::named_barrier(int id, unsigned threads, bool wait) {
  if (id < 1 || id > 15) fail("named barrier " + std::to_string(id) + ": there are 1 to 15");
  if (threads == 0 || threads % 32 != 0 || threads > fibers_.size())
    fail("named barrier " + std::to_string(id) + " of " + std::to_string(threads) +
         " threads: not a multiple of 32 within the block");
  Barrier& b = named_[id];
  if (b.arrived > 0 && b.expected != threads)
    fail("named barrier " + std::to_string(id) + " of " + std::to_string(threads) + " threads, but others came for " +
         std::to_string(b.expected));
  b.expected = threads;
  if (++b.arrived == threads) {
    release(Wait::named_barrier, id);
    yield_among_ready();
  } else if (wait) {
    current_->barrier = id;
    park(Wait::named_barrier);
  }
}

void Block::collective(const char* what, unsigned mask, const void* in, void* out, CollectiveBody all,
                       const void* context) {
  Fiber& me = *current_;
  const unsigned bit = 1u << (me.place.thread.x % 32), first = me.place.thread.x / 32 * 32;
  if ((mask & bit) == 0) fail(std::string(what) + ": its mask does not name the calling lane");
  me.what = what, me.mask = mask, me.in = in, me.out = out, me.all = all, me.context = context;
  Warp& w = warps_[first / 32];
  w.waiting |= bit;
  const unsigned lanes = mask & w.live;
  if ((w.waiting & lanes) != lanes) return park(Wait::warp);
  complete(w, first, me);  // also makes `me` ready
  const auto self = std::find(ready_.rbegin(), ready_.rend(), &me);
  if (launch_.seed == 0) ready_.erase(self.base() - 1);
  else go(choose());
}

/// Executes the operation that all lanes of by.mask wait for.
void Block::complete(Warp& w, unsigned first_thread, const Fiber& by) {
  const unsigned lanes = by.mask & w.live;
  const void* in[32] = {};
  void* out[32] = {};
  for (unsigned left = lanes; left != 0; left &= left - 1) {
    const unsigned l = static_cast<unsigned>(std::countr_zero(left));
    const Fiber& f = fibers_[first_thread + l];
    if (f.mask != by.mask || (f.what != by.what && std::strcmp(f.what, by.what) != 0))
      abandon(who(by) + by.what + ", while " + who(f) + f.what + ": lanes of one mask do different things");
    in[l] = f.in, out[l] = f.out;
  }
  by.all(by.context, lanes, in, out);
  w.waiting &= ~lanes;
  for (unsigned l = 32; l-- > 0;) {
    if ((lanes >> l & 1) == 0) continue;
    fibers_[first_thread + l].wait = Wait::nothing;
    ready_.push_back(&fibers_[first_thread + l]);
  }
}

void Block::wait_until(const char* what, bool (*ready)(const void*), const void* state,
                       std::string (*describe)(const void*)) {
  if (ready(state)) return;
  current_->what = what, current_->condition = ready, current_->context = state, current_->describe = describe;
  ++conditions_;
  park(Wait::condition);
}

std::string Block::who(const Fiber& f) const {
  return launch_.name + ", block " + std::to_string(f.place.block.x) + ", thread " + std::to_string(f.place.thread.x) +
         ": ";
}

std::string Block::waiting_list() const {
  std::map<std::string, std::string> threads;  // by the reason for which they wait
  const auto reason = [&](const Fiber& f) -> std::string {
    if (f.ended) return "ended";
    if (f.wait == Wait::block_barrier)
      return "wait at __syncthreads (" + std::to_string(block_barrier_.arrived) + " of " + std::to_string(live_) +
             " came)";
    if (f.wait == Wait::named_barrier)
      return "wait at barrier " + std::to_string(f.barrier) + " (" + std::to_string(named_[f.barrier].arrived) +
             " of " + std::to_string(named_[f.barrier].expected) + " came)";
    if (f.wait == Wait::condition && f.describe) return f.describe(f.context);
    return std::string("wait in ") + f.what;
  };
  for (unsigned i = 0; i < fibers_.size();) {
    const std::string why = reason(fibers_[i]);
    unsigned end = i + 1;
    while (end < fibers_.size() && reason(fibers_[end]) == why) ++end;
    std::string& list = threads[why];
    list += (list.empty() ? "threads " : ", ") + std::to_string(i) + (end > i + 1 ? "-" + std::to_string(end - 1) : "");
    i = end;
  }
  std::string text;
  for (const auto& [why, list] : threads) text += (text.empty() ? "" : "; ") + list + " " + why;
  return text;
}

void Block::fail(const std::string& what) { abandon(who(*current_) + what); }

void Block::abandon(const std::string& error) {
  error_ = error;
  switch_stacks(current_->stack, main_);
  __builtin_unreachable();
}

std::shared_ptr<void>& Block::find_state(States& states, const void* key) {
  for (auto& [k, s] : states)
    if (k == key) return s;
  return states.emplace_back(key, nullptr).second;
}

bool Block::is_stack_guard(const void* address) const {
  const unsigned char* const bottom = stacks_->bottom(current_->place.thread.x);
  return address < bottom && address >= bottom - 4096;
}

}  // namespace emulator
