// What may be replaced: missing and empty files, and files with the mark. Everything else is refused and unchanged.
#include <sys/stat.h>

#include <filesystem>

#include "core/error.h"
#include "formats/output_file.h"
#include "formats/own_file.h"
#include "support.h"
#include "tap.h"

using namespace moproc;
using namespace moproc::formats;
using namespace moproc::test;

namespace {

const std::string kSafe = "; choose another path, or remove it yourself";

}  // namespace

TEST("own files: the mark decides, wherever blanks and ends of lines are") {
  Folder f;
  const std::string eight(8, '\x01');
  const struct {
    Mark mark;
    std::string ours, theirs;
  } cases[] = {
      {json_mark("moproc-x-1"), "{\"format\": \"moproc-x-1\", \"a\": 1}", "{\"format\": \"moproc-y-1\", \"a\": 1}"},
      {json_mark("moproc-x-1"), "{\n \"format\":\"moproc-x-1\"}", "{\"a\": 1, \"format\": \"moproc-x-1\"}"},
      {log_mark(), "{\"event\": \"start\"}\n", "notes about {\"event\": \"start\"}\n"},
      {safetensors_mark(), eight + "{\"__metadata__\": {\"arch\": \"r\", \"format\": \"moproc-checkpoint-1\"}}",
       eight + "{\"__metadata__\": {\"format\": \"pt\"}}"},
      {safetensors_mark(), eight + "{\"__metadata__\":{\"format\":\"moproc-dump-1\"}}",
       "\"format\": \"moproc-dump-1\""},
      {torch_mark(), "PK\3\4 ... archive/.data/moproc ...", "PK\3\4 ... archive/.data/serialization_id ..."},
      {pickle_mark(), "\x80\2 ... __written_by_moproc__ ...", "\x80\2 ... __author__ ..."},
  };
  for (const auto& c : cases) {
    const std::string path = f / "a";
    for (const std::string& bytes : {c.ours, std::string()}) {
      write_bytes(path, bytes);
      write_atomically(path, c.mark, [](OutputFile& out) { out.write("new"); });
      CHECK_EQ(read_bytes(path), "new");
    }
    for (const std::string& bytes : {c.theirs, std::string("x"), c.ours.substr(0, c.ours.size() / 3)}) {
      write_bytes(path, bytes);
      CHECK_THROWS(write_atomically(path, c.mark, [](OutputFile& out) { out.write("new"); }),
                   path + ": exists, and moproc did not write it" + kSafe);
      CHECK_EQ(read_bytes(path), bytes);
      CHECK_EQ(list(f.path()).size(), size_t{1});
    }
  }
}

TEST("own files: links, folders, devices and files that came meanwhile stay") {
  Folder f;
  const auto write = [](const std::string& path) {
    write_atomically(path, checked_mark(), [](OutputFile& out) { out.write("new"); });
  };
  std::filesystem::create_directory(f / "folder");
  CHECK_THROWS(write(f / "folder"), "is a folder, and moproc needs a file there; choose another path");
  for (const char* const to : {"nowhere", "folder", "/dev/null"}) {
    std::filesystem::create_symlink(to, f / "link");
    CHECK_THROWS(write(f / "link"), "is a symbolic link, which is not replaced" + kSafe);
    CHECK_EQ(std::filesystem::read_symlink(f / "link").string(), to);
    std::filesystem::remove(f / "link");
  }
  REQUIRE(mkfifo((f / "pipe").c_str(), 0600) == 0);
  CHECK_THROWS(write(f / "pipe"), "is not a regular file, and moproc replaces only those" + kSafe);
  CHECK_THROWS(write("/dev/null"), "is not a regular file, and moproc replaces only those" + kSafe);
  CHECK_THROWS(
      write_atomically(f / "late", json_mark("moproc-x-1"), [&](OutputFile&) { write_bytes(f / "late", "mine"); }),
      "late: exists, and moproc did not write it" + kSafe);
  CHECK_EQ(read_bytes(f / "late"), "mine");
  CHECK_EQ(list(f.path()).size(), size_t{3});
}

TEST("own files: names of temporary files are nobody else's") {
  const std::string name = temporary_name("a/checkpoint_0001.safetensors");
  CHECK(name != temporary_name("a/checkpoint_0001.safetensors"));
  CHECK_EQ(std::string(without_temporary_end(name)), "a/checkpoint_0001.safetensors");
  for (const char* const other :
       {"a.tmp", "a.0123456789abcde.tmp", "a.0123456789abcdeg.tmp", "a.0123456789abcdef.tm", ".tmp", ""})
    CHECK_EQ(std::string(without_temporary_end(other)), "");
}

TEST("own folders: absent, empty or marked as one of the kind") {
  Folder f;
  const std::string path = f / "out";
  require_folder(path, "pack");
  mark_folder(path, "pack");
  require_folder(path, "pack");
  CHECK_THROWS(require_folder(path, "sample"), "is a folder with files, and moproc did not make it" + kSafe);
  CHECK_THROWS(require_folder(path), "is not an empty folder" + kSafe);
  std::filesystem::remove(path + "/.moproc");
  require_folder(path);
  write_bytes(path + "/photo.jpg", "x");
  CHECK_THROWS(require_folder(path, "pack"), "is a folder with files, and moproc did not make it" + kSafe);
  CHECK_THROWS(require_folder(path + "/photo.jpg", "pack"), "is not a folder, and moproc needs one there" + kSafe);
}
