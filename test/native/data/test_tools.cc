// The command line of moproc-data: which input is refused, and that verify-pixels notices differences.
#include <algorithm>
#include <cstdio>

#include "../tap.h"
#include "commands.h"
#include "flags.h"
#include "golden.h"
#include "support.h"

using namespace moproc;
using namespace moproc::tools;
using moproc::test::TempDir;

namespace {

const std::string golden_folder = MOPROC_IMAGE_GOLDEN;

// A folder of one decode case, whose expected picture is `out`, and whose refused files are `refused`.
Golden one_case(const TempDir& dir, const std::string& in, const std::string& out, const std::string& ops,
                const std::string& refused) {
  const auto how = test::fs::copy_options::recursive | test::fs::copy_options::overwrite_existing;
  for (const char* folder : {"/in", "/out"}) test::fs::copy(golden_folder + folder, dir.str() + folder, how);
  test::write_text(dir / "cases.json", "{\"cases\": [{\"in\": \"" + in + "\", \"ops\": " + ops + ", \"out\": \"" + out +
                                           "\"}], \"truncated\": [" + refused + "]}");
  return read_golden(dir.str());
}

std::string expected_of(const std::string& in, const std::string& kind) {
  for (const GoldenCase& one : read_golden(golden_folder).cases) {
    if (one.in == in && one.operations[0].kind == kind && one.operations.size() == 1) return one.out;
  }
  throw std::runtime_error("no " + kind + " case of " + in);
}

}  // namespace

TEST("flags: both spellings, both ways to give a value, and what is refused") {
  int n = 3;
  double share = 0.5;
  bool on = false;
  std::string out;
  const std::vector<Flag> flags = {{"num-class", "N", "", &n, 1, 10},
                                   {"share", "S", "", &share, 0, 1},
                                   {"on", "", "", &on},
                                   {"out", "DIR", "", &out}};
  const Arguments a = parse_flags({"x y", "--num_class=7", "--share", "0.25", "--on", "--out", "a=b"}, flags);
  CHECK_EQ(a.positional.size(), 1u);
  CHECK_EQ(n, 7);
  CHECK_EQ(share, 0.25);
  CHECK(on);
  CHECK_EQ(out, "a=b");
  CHECK_THROWS(parse_flags({"--nope"}, flags), "unknown flag --nope (--help lists all)");
  CHECK_THROWS(parse_flags({"--num-class", "11"}, flags), "--num-class wants a number from 1 to 10, got '11'");
  CHECK_THROWS(parse_flags({"--num-class", "1.5"}, flags), "got '1.5'");
  CHECK_THROWS(parse_flags({"--share", "nan"}, flags), "got 'nan'");
  CHECK_THROWS(parse_flags({"--out"}, flags), "--out needs a value");
  CHECK_THROWS(parse_flags({"--on=1"}, flags), "takes no value");
  CHECK_THROWS(parse_flags({"--num-clas", "7"}, flags), "unknown flag --num-clas (did you mean --num-class?)");
  CHECK(describe_flags(flags).find("default: 0.25)") != std::string::npos);
}

TEST("verbs refuse bad use") {
  CHECK_THROWS(run_sample({}), "--out DIR is missing");
  CHECK_THROWS(run_sample({"--out", "x", "y"}), "unexpected argument 'y'");
  CHECK_THROWS(run_sample({"--out", "x", "--classes", "21"}), "from 2 to 20");
  CHECK_THROWS(run_verify_pixels({}), "one folder");
  CHECK_THROWS(run_verify_pixels({"/nowhere"}), "/nowhere/cases.json: cannot read");
  CHECK_THROWS(run_check({"/nowhere"}), "/nowhere: no such folder");
  CHECK_THROWS(run_bench({}), "which image files");
}

TEST("verify-pixels: a wrong picture, a wrong size, a refused and an accepted file are all found") {
  TempDir dir;
  const std::string tiny = "tiny_40x30.jpg", grey = "grey_320x240.jpg";
  const std::string good = expected_of(tiny, "decode");
  Verdict v = verify(one_case(dir, tiny, good, "[[\"decode\"]]", "\"truncated_320x240.jpg\""));
  CHECK(v.failures.empty() && v.kinds.at("decode").exact == 1 && !v.refusals[0].second.empty());
  CHECK_EQ(run_verify_pixels({dir.str()}), 0);
  v = verify(one_case(dir, tiny, good, "[[\"decode\"], [\"brightness\", 0.9]]", ""));
  CHECK_EQ(v.failures.size(), 1u);
  CHECK(v.kinds.at("brightness").largest > 1 && v.kinds.at("brightness").exact == 0);
  CHECK_EQ(run_verify_pixels({dir.str()}), 1);
  v = verify(one_case(dir, grey, good, "[[\"decode\"]]", ""));
  CHECK(v.failures.at(0).find("another size") != std::string::npos);
  v = verify(one_case(dir, "html.jpg", good, "[[\"decode\"]]", ""));
  CHECK(v.failures.at(0).find("looks like HTML") != std::string::npos);
  v = verify(one_case(dir, tiny, good, "[[\"turn\"]]", ""));
  CHECK(v.failures.at(0).find("unknown operation 'turn'") != std::string::npos);
  v = verify(one_case(dir, tiny, good, "[[\"decode\"]]", "\"tiny_40x30.jpg\""));
  CHECK(v.failures.empty() && v.refusals.at(0).second.empty());
  CHECK_EQ(run_verify_pixels({dir.str()}), 1);
  v = verify(one_case(dir, tiny, good, "[[\"decode\"]]", "\"missing.jpg\""));
  CHECK(v.failures.at(0).find("missing.jpg") != std::string::npos);
  CHECK_THROWS(one_case(dir, tiny, good, "[[\"hue\", \"x\"]]", ""), "case 0: hue wants numbers");
}

int main(int argc, char** argv) { return moproc::test::run(argc, argv); }
