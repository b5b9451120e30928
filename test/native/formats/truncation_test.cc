// A small file of each kind, cut at every byte and with every byte changed: it is refused or read, and never crashes.
#include "core/error.h"
#include "formats/checkpoint_file.h"
#include "formats/pickled_file.h"
#include "formats/safetensors.h"
#include "support.h"
#include "tap.h"
#include "tree.h"

using namespace moproc;
using namespace moproc::formats;
using namespace moproc::test;

namespace {

/// Bytes of one file of each kind; those of a few hundred bytes have tensors of every sort of pickle.
std::vector<std::pair<std::string, std::string>> small_files() {
  Folder folder;
  const std::vector<float> values = {1, 2, 3};
  const ByteSpan bytes = std::as_bytes(std::span(values));
  write_safetensors(folder / "s",
                    {{"a", row_major_tensor(DType::f32, {3}, bytes)}, {"b", row_major_tensor(DType::f32, {0}, {})}},
                    {{"format", kConvertedFormat}});
  std::vector<std::pair<std::string, std::string>> files = {{"own.safetensors", read_bytes(folder / "s")}};
  for (const char* const name : {"tensors.zip.pth", "tensors.stream.pth", "values.zip.pth", "values.stream.pth",
                                 "arrays.p2.pkl", "arrays.p4.pkl", "arrays.p5.pkl", "toy.stream.pth.tar"})
    files.emplace_back(name, read_bytes(fixture(name)));
  return files;
}

/// Reads every element of every tensor below.
void walk(const Value& v) {
  if (v.tensor()) test::show(*v.tensor());
  if (v.sequence())
    for (const Value& item : v.sequence()->items) walk(item);
  if (v.dict())
    for (const auto& [key, value] : v.dict()->members) walk(value);
}

/// Reads all that a file holds; true when it was accepted. Only InputError that names the file may come out.
bool accepted(const std::string& name, const std::string& bytes) {
  try {
    if (name.ends_with(".safetensors")) {
      const Checkpoint c = parse_checkpoint(as_bytes(bytes), name);
      for (const NamedTensor& t : c.tensors) test::show(t.tensor);
    } else {
      walk(parse_pickled(as_bytes(bytes), name).root);
    }
    return true;
  } catch (const InputError& e) {
    if (std::string(e.what()).find(name) == std::string::npos)
      note(false, __FILE__, __LINE__, std::string("lacks the file's name: ") + e.what());
    return false;
  }
}

}  // namespace

TEST("truncated at every byte: every kind of file is refused, naming it") {
  for (const auto& [name, bytes] : small_files()) {
    CHECK(accepted(name, bytes));
    size_t taken = 0;
    for (size_t size = 0; size < bytes.size(); ++size) taken += accepted(name, bytes.substr(0, size));
    CHECK_EQ(name + " " + std::to_string(taken), name + " 0");
    CHECK(!accepted(name, bytes + '\0'));
  }
}

TEST("any byte changed: refused with the file's name, or read within bounds") {
  for (const auto& [name, bytes] : small_files()) {
    size_t refused = 0;
    for (size_t at = 0; at < bytes.size(); ++at)
      for (const int change : {0x01, 0x80, 0xff}) {
        std::string bad = bytes;
        bad[at] = static_cast<char>(bad[at] ^ change);
        refused += !accepted(name, bad);
      }
    CHECK(refused > 0);
  }
}
