// The random numbers of dropout against the known answers of Random123, the library of the authors of Philox.
#include "common/philox.h"

#include "native/tap.h"

namespace {

using moproc::Philox;

void check_words(const Philox& got, uint32_t w0, uint32_t w1, uint32_t w2, uint32_t w3) {
  const uint32_t want[4] = {w0, w1, w2, w3};
  for (int i = 0; i < 4; ++i) CHECK_EQ(got.word[i], want[i]);
}

TEST("philox4x32 has the known answers") {
  check_words(moproc::philox4x32(0, 0, 0, 0, 0, 0), 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8);
  const uint32_t ones = 0xffffffff;
  check_words(moproc::philox4x32(ones, ones, ones, ones, ones, ones), 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd);
  check_words(moproc::philox4x32(0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0), 0xd16cfe09,
              0x94fdcceb, 0x5001e420, 0x24126ea1);
}

TEST("an element's counter has its position, the step and the stream; the key is the seed") {
  const Philox got = moproc::philox_of(0x85a308d3243f6a88, 0x13198a2e, 0x03707344, 0x299f31d0a4093822);
  check_words(got, 0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1);
}

}  // namespace

int main(int argc, char** argv) { return moproc::test::run(argc, argv); }
