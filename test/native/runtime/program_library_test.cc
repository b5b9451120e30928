// The loader of compiled programs: what it loads, and the message of each refusal.
#include "core/program_library.h"

#include <filesystem>

#include "core/error.h"
#include "tap.h"

using namespace moproc;

TEST("a program is loaded by its file or by its folder") {
  const std::filesystem::path file = MOPROC_EMPTY_PROGRAM;
  CHECK_EQ(std::string(ProgramLibrary(file.string()).plan().name), std::string("empty"));
  CHECK_EQ(std::string(ProgramLibrary(file.parent_path().string()).plan().name), std::string("empty"));
}

TEST("another plan version, a library without a plan, no library and no file are refused") {
  CHECK_THROWS(ProgramLibrary(MOPROC_NEWER_PROGRAM),
               "has plan version 3, this program reads version 2; compile the artefact again");
  CHECK_THROWS(ProgramLibrary(MOPROC_NO_PROGRAM), "is not a program of moproc");
  CHECK_THROWS(ProgramLibrary(MOPROC_TOY_CHECKPOINT), "cannot load ");
  CHECK_THROWS(ProgramLibrary("/nowhere/program.so"), "no such file; is /nowhere an artefact directory?");
}
