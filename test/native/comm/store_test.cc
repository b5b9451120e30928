// The store between threads that stand for ranks, and what a wrong rank, size, port or address gets.
#include <chrono>
#include <thread>

#include "comm/store.h"
#include "core/error.h"
#include "tap.h"

using namespace moproc;
using namespace moproc::comm;

namespace {

std::string refusal(const StoreAddress& at, int rank, int ranks, double timeout = 1) {
  try {
    make_store(at, rank, ranks, timeout);
    return "";
  } catch (const InputError& e) {
    return e.what();
  }
}

#define CHECK_HAS(text, part) CHECK(std::string(text).find(part) != std::string::npos)

}  // namespace

TEST("texts of any bytes go from rank to rank, and a get waits for its set") {
  const auto first = make_store({"localhost", 0}, 0, 3, 5);
  const StoreAddress at{"localhost", first->port()};
  std::string long_text(100000, 'x');
  long_text[5] = '\0';
  long_text[6] = '\n';
  std::string got;
  std::thread later([&] { got = make_store(at, 1, 3, 5)->get("who"); });
  const auto second = make_store(at, 2, 3, 5);
  second->set("who", long_text);
  later.join();
  CHECK(got == long_text);
  CHECK(first->get("who") == long_text);
  first->set("empty", "");
  CHECK_EQ(second->get("empty"), "");
}

TEST("rank 0 may come later than the others") {
  int port = 0;
  { port = make_store({"localhost", 0}, 0, 2, 1)->port(); }
  std::string got;
  std::thread early([&] { got = make_store({"localhost", port}, 1, 2, 5)->get("k"); });
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  const auto first = make_store({"localhost", port}, 0, 2, 5);
  first->set("k", "v");
  early.join();
  CHECK_EQ(got, "v");
}

TEST("a run of another size, a rank twice, a rank that is none") {
  const auto first = make_store({"localhost", 0}, 0, 3, 5);
  const StoreAddress at{"localhost", first->port()};
  CHECK_HAS(refusal(at, 1, 4), "rank 1 is of a run of 4 ranks, rank 0 of one of 3");
  const auto one = make_store(at, 1, 3, 5);
  CHECK_HAS(refusal(at, 1, 3), "rank 1 is there already");
  CHECK_HAS(refusal(at, 3, 3), "there is no rank 3 of 3");
}

TEST("a port in use, a machine that does not answer, a name that is none: said in time") {
  const auto first = make_store({"localhost", 0}, 0, 2, 5);
  CHECK_HAS(refusal({"localhost", first->port()}, 0, 2), "choose another in --dist-url");
  int free = 0;
  { free = make_store({"localhost", 0}, 0, 2, 1)->port(); }
  const auto start = std::chrono::steady_clock::now();
  CHECK_HAS(refusal({"localhost", free}, 1, 2, 0.5), "rank 0 did not answer within 0.5 s");
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(5));
  CHECK_HAS(refusal({"no-such-host.invalid", 1}, 1, 2), "--dist-url names the machine of rank 0");
}

TEST("nobody tells: the wait ends") {
  const auto first = make_store({"localhost", 0}, 0, 2, 0.3);
  const auto second = make_store({"localhost", first->port()}, 1, 2, 0.3);
  for (Store* s : {first.get(), second.get()}) {
    std::string why;
    try {
      s->get("nothing");
    } catch (const InputError& e) {
      why = e.what();
    }
    CHECK_HAS(why, "nobody has told nothing");
  }
}
