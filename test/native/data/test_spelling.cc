// Names of classes that a person takes for the same.
#include "../tap.h"
#include "data/class_spelling.h"

using namespace moproc::data;

namespace {

bool same(const char* a, const char* b) { return spelling_of(a) == spelling_of(b); }

}  // namespace

TEST("spelling: case, space around and the two Unicode forms make no difference; anything else does") {
  CHECK(same("Dog", "dog"));
  CHECK(same(" dog\t", "dog"));
  CHECK(same("dog\xc2\xa0", "dog"));           // no-break space
  CHECK(same("caf\xc3\xa9", "cafe\xcc\x81"));  // é
  CHECK(same("CAF\xc3\x89", "cafe\xcc\x81"));  // É
  CHECK(same("\xc3\x85ngstr\xc3\xb6m", "A\xcc\x8angstro\xcc\x88m"));
  CHECK(same("\xe1\xba\xbf", "e\xcc\x82\xcc\x81"));                     // ế, of two marks
  CHECK(same("\xe1\xbb\xa3", "\xc6\xa1\xcc\xa3"));                      // ợ, half composed
  CHECK(same("\xe3\x82\xac", "\xe3\x82\xab\xe3\x82\x99"));              // ガ
  CHECK(same("\xea\xb0\x95", "\xe1\x84\x80\xe1\x85\xa1\xe1\x86\xbc"));  // Hangul with a final consonant
  CHECK(same("\xd0\x96\xd1\x83\xd0\xba", "\xd0\xb6\xd1\x83\xd0\xba"));  // Жук
  CHECK(same("\xd0\x99", "\xd0\xb8\xcc\x86"));                          // Й
  CHECK(!same("dog", "dogs"));
  CHECK(!same("hot dog", "hotdog"));
  CHECK(!same("cafe", "caf\xc3\xa9"));
  CHECK(!same("o", "\xc3\xb8"));
  CHECK(!same("\xff", "\xfe"));  // no UTF-8
  CHECK(!same("a\xcc", "a"));
}

TEST("classes that are spelled alike are named with what differs, each with the first of them") {
  const ClassTable table({"Dog", "dog", "cafe\xcc\x81", "caf\xc3\xa9", "cat", "cat ", "DOG"});
  const auto alike = alike_classes(table);
  REQUIRE(alike.size() == 4);
  CHECK_EQ(alike[0], "'Dog' and 'dog' (case)");
  CHECK_EQ(alike[1], "'cafe\xcc\x81' and 'caf\xc3\xa9' (Unicode normal form)");
  CHECK_EQ(alike[2], "'cat' and 'cat ' (space)");
  CHECK_EQ(alike[3], "'Dog' and 'DOG' (case)");
  CHECK(alike_classes({}).empty());
}

TEST("the class that is meant: case, space anywhere, Unicode form") {
  const ClassTable table({"hot dog", "caf\xc3\xa9"});
  CHECK_EQ(did_you_mean(table, "HotDog "), "; did you mean 'hot dog'?");
  CHECK_EQ(did_you_mean(table, "Cafe\xcc\x81"), "; did you mean 'caf\xc3\xa9'?");
  CHECK_EQ(did_you_mean(table, "cafe"), "");
}

int main(int argc, char** argv) { return moproc::test::run(argc, argv); }
