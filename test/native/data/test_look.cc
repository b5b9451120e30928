// Looking at files before a run: what their ends show, what is decoded, and what the result depends on.
#include <algorithm>

#include "../tap.h"
#include "data/look.h"
#include "golden.h"
#include "support.h"

using namespace moproc;
using namespace moproc::data;

namespace {

const std::string pictures = MOPROC_PICTURES;

std::vector<std::uint8_t> fixture(const std::string& name) { return test::read_bytes(pictures + "/in/" + name); }

FileEnds ends_of(const std::vector<std::uint8_t>& bytes) {
  const auto kept = static_cast<std::ptrdiff_t>(std::min(bytes.size(), kEndBytes));
  return {bytes.size(), {bytes.begin(), bytes.begin() + kept}, {bytes.end() - kept, bytes.end()}};
}

/// A folder of images, by name; what has no bytes is listed, but not there.
struct Set {
  Set() : list(folder.str(), 3) {}
  void add(const std::string& name, const std::vector<std::uint8_t>& bytes, int label = 0) {
    if (!bytes.empty()) test::write_bytes(folder / name, bytes);
    list.add(name, label);
  }
  std::vector<std::uint32_t> all() const {
    std::vector<std::uint32_t> samples(list.size());
    for (std::size_t i = 0; i < samples.size(); ++i) samples[i] = static_cast<std::uint32_t>(i);
    return samples;
  }
  test::TempDir folder;
  Dataset list;
};

std::string text_of(const std::vector<Broken>& broken) {
  std::string text;
  for (const Broken& b : broken)
    text += std::to_string(b.sample) + " " + b.name + " " + b.kind + ": " + b.reason + "\n";
  return text;
}

/// A JPEG file whose data end early, although its last two bytes are those of a complete one.
std::vector<std::uint8_t> hollow() {
  std::vector<std::uint8_t> bytes = test::scene_jpeg(3, 60);
  bytes.erase(bytes.begin() + static_cast<std::ptrdiff_t>(bytes.size() / 2), bytes.end() - 2);
  return bytes;
}

}  // namespace

TEST("the ends of complete files of every format are complete; those of cut ones are not") {
  int whole = 0;
  for (const tools::GoldenCase& c : tools::read_golden(pictures).cases) {
    const auto bytes = fixture(c.in);
    if (!is_decoded(sniff(bytes)->name)) continue;
    if (c.in == "behind_the_end.jpg") {
      CHECK(!ends_whole(ends_of(bytes)));  // decoding has to tell
      continue;
    }
    if (CHECK(ends_whole(ends_of(bytes)))) ++whole;
    else std::printf("# %s\n", c.in.c_str());
    for (const std::size_t missing : {1, 2, 5, 40})
      CHECK(!ends_whole(ends_of({bytes.begin(), bytes.end() - static_cast<std::ptrdiff_t>(missing)})));
  }
  CHECK(whole > 50);
  CHECK(!ends_whole(ends_of({})));
}

TEST("missing, empty, cut and foreign files are found by any number of threads; odd but complete ones are read") {
  Set set;
  const auto good = test::scene_jpeg(1);
  const std::string html = "<!DOCTYPE html><title>404</title>";
  set.add("good.jpg", good);
  set.add("gone.jpg", {});
  test::write_text(set.folder / "empty.jpg", "");
  set.list.add("empty.jpg", 0);
  set.add("cut.jpg", {good.begin(), good.end() - 40});
  set.add("page.jpg", {html.begin(), html.end()});
  set.add("scan.tif", {'I', 'I', '*', 0, 8, 0, 0, 0});
  set.add("odd.jpg", fixture("behind_the_end.jpg"));
  set.add("hollow.jpg", hollow());
  test::write_text(set.folder / "folder.jpg/inside", "x");
  set.list.add("folder.jpg", 0);
  for (const int threads : {1, 4}) {
    const std::string found = text_of(look(set.list, set.all(), {.threads = threads}));
    CHECK_EQ(found,
             "1 gone.jpg : No such file or directory\n"
             "2 empty.jpg : the file is empty\n"
             "3 cut.jpg : the picture's data end early (truncated file)\n"
             "4 page.jpg : not a " +
                 decoded_kinds_text("or") +
                 " file, it looks like HTML\n"
                 "5 scan.tif TIFF: its format is TIFF; only " +
                 decoded_kinds_text("and") +
                 " are read\n"
                 "7 hollow.jpg : the picture's data end early (truncated file)\n"
                 "8 folder.jpg : not a regular file\n");
  }
}

TEST("without a budget only the ends count, except of files that look odd; the budget goes to the first samples") {
  Set set;
  for (int i = 0; i < 4; ++i) set.add("hollow" + std::to_string(i) + ".jpg", hollow());
  const auto good = test::scene_jpeg(1);
  set.add("cut.jpg", {good.begin(), good.end() - 40});
  const std::uint64_t one = hollow().size();
  CHECK_EQ(look(set.list, set.all(), {.decode_bytes = 0}).size(), 1u);
  const std::vector<std::uint32_t> order = {4, 2, 0, 1, 3};
  const auto broken = look(set.list, order, {.threads = 3, .decode_bytes = good.size() - 40 + one + 1});
  std::vector<std::size_t> samples;
  for (const Broken& b : broken) samples.push_back(b.sample);
  CHECK(samples == std::vector<std::size_t>({0, 2, 4}));
}

TEST("a class is read until one of its images can be") {
  Set set;
  set.add("a.jpg", {});
  set.add("b.jpg", hollow());
  set.add("c.jpg", test::scene_jpeg(1));
  set.add("d.jpg", {});
  std::vector<Broken> broken;
  CHECK(any_readable(set.list, set.all(), broken));
  CHECK_EQ(broken.size(), 2u);
  const std::vector<std::uint32_t> none = {0, 1, 3};
  CHECK(!any_readable(set.list, none, broken));
  CHECK(!any_readable(set.list, {}, broken));
}

int main(int argc, char** argv) { return moproc::test::run(argc, argv); }
