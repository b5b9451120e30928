// Collectives in the background: they run in order, and an error is kept.
#include <vector>

#include "comm/queue.h"
#include "tap.h"

using namespace moproc::comm;

namespace {

/// Writes down what it is asked for; the third thing fails.
class Recorder : public Communicator {
 public:
  const char* name() const override { return "recorder"; }
  int rank() const override { return 0; }
  int ranks() const override { return 1; }
  void all_reduce(const char* what, const float*, float*, int64_t) override { add(what); }
  void all_gather(const char* what, const std::byte*, std::byte*, int64_t) override { add(what); }
  void broadcast(const char* what, std::byte*, int64_t, int) override { add(what); }
  void give_up(const std::string&) noexcept override {}

  std::vector<std::string> done;
  bool fails = false;

 private:
  void add(const char* what) {
    if (fails && done.size() == 2) throw LostRank("the third");
    done.push_back(what);
  }
};

}  // namespace

TEST("what is begun is done in order, by the next wait") {
  Recorder r;
  Queue q(r);
  q.wait();
  for (int round = 0; round < 50; ++round) {
    r.done.clear();
    q.all_reduce("a", nullptr, nullptr, 1);
    q.all_gather("b", nullptr, nullptr, 8);
    q.all_reduce("c", nullptr, nullptr, 2);
    q.wait();
    CHECK(r.done == std::vector<std::string>({"a", "b", "c"}));
  }
  CHECK_EQ(q.bytes_sent(), int64_t{50 * 20});
}

TEST("after an error nothing more is done, and every wait says so") {
  Recorder r;
  r.fails = true;
  Queue q(r);
  for (int i = 0; i < 5; ++i) q.all_reduce("x", nullptr, nullptr, 1);
  for (int i = 0; i < 2; ++i) {
    std::string why;
    try {
      q.wait();
    } catch (const LostRank& e) {
      why = e.what();
    }
    CHECK_EQ(why, "the third");
  }
  CHECK_EQ(r.done.size(), size_t{2});
}
