// Known answers: SHA-256, CRC-32C, event records, JSON, schedules.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>

#include "core/error.h"
#include "core/json.h"
#include "formats/sha256.h"
#include "log/events.h"
#include "tap.h"
#include "train/schedule.h"

using namespace moproc;
using namespace moproc::formats;
using namespace moproc::train;

namespace {

std::span<const std::byte> bytes(const std::string& s) { return std::as_bytes(std::span(s.data(), s.size())); }

std::string sha(const std::string& text, size_t piece) {
  Sha256 s;
  for (size_t i = 0; i < text.size(); i += piece) s.add(bytes(text).subspan(i, std::min(piece, text.size() - i)));
  return s.hex();
}

uint64_t varint(const std::string& s, size_t& at) {
  uint64_t v = 0;
  for (int shift = 0;; shift += 7) {
    const auto b = static_cast<unsigned char>(s.at(at++));
    v |= static_cast<uint64_t>(b & 127) << shift;
    if (b < 128) return v;
  }
}

/// Where a length-delimited field that starts at `at` ends.
size_t rest(const std::string& s, size_t& at) {
  const size_t n = varint(s, at);
  return at + n;
}

}  // namespace

TEST("sha256: FIPS 180-4 examples, in any pieces") {
  CHECK_EQ(sha("", 1), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK_EQ(sha("abc", 1), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  const std::string two = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
  for (const size_t piece : {1, 3, 55, 64, 100})
    CHECK_EQ(sha(two, piece), "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  CHECK_EQ(sha(std::string(1000000, 'a'), 997), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  for (size_t n = 50; n < 140; ++n) CHECK_EQ(sha(std::string(n, 'x'), 1), sha(std::string(n, 'x'), 64));
}

TEST("crc32c: RFC 3720 examples") {
  CHECK_EQ(crc32c(bytes("123456789")), 0xe3069283u);
  CHECK_EQ(crc32c(bytes(std::string(32, '\0'))), 0x8a9136aau);
  CHECK_EQ(crc32c(bytes(std::string(32, '\xff'))), 0x62a8ab43u);
}

TEST("events: a record is length, masked CRC, payload, masked CRC") {
  const std::string r = tf_record("hello");
  REQUIRE(r.size() == 8 + 4 + 5 + 4);
  uint64_t length = 0;
  uint32_t head = 0, body = 0;
  std::memcpy(&length, r.data(), 8);
  std::memcpy(&head, r.data() + 8, 4);
  std::memcpy(&body, r.data() + 17, 4);
  CHECK_EQ(length, uint64_t{5});
  const auto masked = [](uint32_t c) { return ((c >> 15) | (c << 17)) + 0xa282ead8u; };
  CHECK_EQ(head, masked(crc32c(bytes(r.substr(0, 8)))));
  CHECK_EQ(body, masked(crc32c(bytes("hello"))));
}

TEST("events: a scalar decodes to its time, step, tag and value") {
  const std::string e = scalar_event(1234.5, 300, "Train Acc", 0.75f);
  size_t at = 0;
  CHECK_EQ(varint(e, at), uint64_t{1 << 3 | 1});
  double time = 0;
  std::memcpy(&time, e.data() + at, 8);
  at += 8;
  CHECK_EQ(time, 1234.5);
  CHECK_EQ(varint(e, at), uint64_t{2 << 3 | 0});
  CHECK_EQ(varint(e, at), uint64_t{300});
  CHECK_EQ(varint(e, at), uint64_t{5 << 3 | 2});
  CHECK_EQ(rest(e, at), e.size());
  CHECK_EQ(varint(e, at), uint64_t{1 << 3 | 2});
  CHECK_EQ(rest(e, at), e.size());
  CHECK_EQ(varint(e, at), uint64_t{1 << 3 | 2});
  const size_t n = varint(e, at);
  CHECK_EQ(e.substr(at, n), "Train Acc");
  at += n;
  CHECK_EQ(varint(e, at), uint64_t{2 << 3 | 5});
  float value = 0;
  std::memcpy(&value, e.data() + at, 4);
  CHECK_EQ(value, 0.75f);
  CHECK_EQ(at + 4, e.size());
}

TEST("json: what it writes it reads, to the last bit") {
  const std::string line =
      JsonLine().add("a\"b\n", "\\\x01é").add("x", 0.1).add("n", int64_t{-7}).add_raw("l", "[1, null]").text();
  const Json json = parse_json(line, "test");
  CHECK_EQ(*json.find("a\"b\n")->string(), "\\\x01é");
  CHECK_EQ(*json.find("x")->number(), 0.1);
  int64_t n = 0;
  CHECK(json.find("n")->integer(n) && n == -7);
  CHECK((*json.find("l")->array())[1].is_null());
  CHECK_EQ(*parse_json(R"("é😀\/")", "t").string(), "é😀/");
}

TEST("json: what is no JSON is refused with its place") {
  for (const char* bad : {"",      "{",     "[1,]",  "{\"a\":1,}", "{\"a\":1,\"a\":2}", "01",          "1.",     "1e",
                          "+1",    "inf",   "nul",   "\"a",        "\"\\x\"",           "\"\\ud800\"", "\"\n\"", "1 2",
                          "{a:1}", "[1 2]", "1e999", "'a'"})
    CHECK_THROWS(parse_json(bad, "file.json"), "file.json: bad JSON at byte");
  CHECK_THROWS(parse_json(std::string(1000, '['), "deep"), "nested too deeply");
}

TEST("schedule: steps and cosine are the published formulas") {
  Schedule o;
  CHECK_EQ(learning_rate(0.1, o, 0, 0, 10), 0.1);
  CHECK_EQ(learning_rate(0.1, o, 39, 0, 10), 0.1);
  CHECK_NEAR(learning_rate(0.1, o, 40, 0, 10), 0.01, 1e-17);
  CHECK_NEAR(learning_rate(0.1, o, 80, 0, 10), 0.001, 1e-17);
  o.milestones = {3};
  CHECK_NEAR(learning_rate(0.1, o, 80, 0, 10), 0.01, 1e-17);
  o.decay_rate = 0.5;
  CHECK_EQ(learning_rate(0.1, o, 3, 0, 10), 0.05);
  o.cosine = true;
  CHECK_EQ(learning_rate(0.1, o, 0, 0, 10), 0.1);
  CHECK_NEAR(learning_rate(0.1, o, 45, 0, 10), 0.05, 1e-17);
  CHECK_NEAR(learning_rate(0.1, o, 30, 0, 10), 0.05 * (1 + std::cos(std::numbers::pi / 3)), 1e-17);
}

TEST("schedule: warm-up rises by step from lr / (N steps) to the scheduled rate") {
  Schedule o;
  o.warmup_epochs = 2;
  CHECK_NEAR(learning_rate(0.1, o, 0, 0, 10), 0.1 / 20, 1e-17);
  CHECK_NEAR(learning_rate(0.1, o, 0, 9, 10), 0.05, 1e-17);
  CHECK_NEAR(learning_rate(0.1, o, 1, 4, 10), 0.1 * (15.0 / 20), 1e-17);
  CHECK_EQ(learning_rate(0.1, o, 1, 9, 10), 0.1);
  CHECK_EQ(learning_rate(0.1, o, 2, 0, 10), 0.1);
  o.milestones = {1};
  CHECK_NEAR(learning_rate(0.1, o, 1, 4, 10), 0.01 * 15 / 20, 1e-17);
  o.cosine = true;
  CHECK_NEAR(learning_rate(0.1, o, 1, 4, 10), 0.05 * (1 + std::cos(std::numbers::pi / 90)) * 15 / 20, 1e-17);
}

TEST("schedule: phases by epoch") {
  CHECK(phase_of(0, 11) == Phase::warmup);
  CHECK(phase_of(1, 11) == Phase::proto);
  CHECK(phase_of(10, 11) == Phase::proto);
  CHECK(phase_of(11, 11) == Phase::clean);
  CHECK(phase_of(0, 0) == Phase::warmup);
  CHECK(phase_of(1, 0) == Phase::clean);
  CHECK(phase_of(1, 1) == Phase::clean);
}

TEST("json: ASCII strings are those of Python's json.dump, of names that are no UTF-8 too") {
  const std::pair<const char*, const char*> cases[] = {{"a b/\xc3\xbc.jpg", R"("a b/\u00fc.jpg")"},
                                                       {"q\"\\\x7f\x01\t\n.jpg", R"("q\"\\\u007f\u0001\t\n.jpg")"},
                                                       {"\xe6\x97\xa5\xe6\x9c\xac", R"("\u65e5\u672c")"},
                                                       {"\xf0\x9f\x98\x80", R"("\ud83d\ude00")"},
                                                       {"\xff\xe4x", R"("\udcff\udce4x")"},
                                                       {"\xc0\x80", R"("\udcc0\udc80")"},            // overlong
                                                       {"\xed\xa0\x80", R"("\udced\udca0\udc80")"},  // a surrogate
                                                       {"\xe6\x97", R"("\udce6\udc97")"},            // cut off
                                                       {"\xf4\x90\x80\x80", R"("\udcf4\udc90\udc80\udc80")"}};
  for (const auto& [text, want] : cases) {
    std::string out;
    moproc::write_json_ascii(out, text);
    CHECK_EQ(out, want);
  }
}
