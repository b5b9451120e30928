// WebVision lists: what is read, and what every kind of mistake is told.
#include <algorithm>

#include "../tap.h"
#include "data/dataset.h"
#include "support.h"

using namespace moproc::data;
using moproc::test::TempDir;
using moproc::test::write_text;

namespace {

void make_lists(const TempDir& dir, const std::string& google, const std::string& flickr,
                const std::string& val) {
  write_text(dir / "info/train_filelist_google.txt", google);
  write_text(dir / "info/train_filelist_flickr.txt", flickr);
  write_text(dir / "info/val_filelist.txt", val);
  std::filesystem::create_directories(dir / "val_images_256");
}

constexpr const char* good = "google/q0001/a.jpg 0\ngoogle/q0001/b c.jpg 7\r\n\ngoogle/q0002/x  60 \n";

}  // namespace

TEST("google first, then flickr, names with spaces, Windows line ends") {
  TempDir dir;
  make_lists(dir, good, "flickr/z.jpg 999", "val000001.jpg 440\n");
  const Dataset train = read_webvision(dir.str() + "/", Split::train, {});
  CHECK_EQ(train.size(), 4u);
  CHECK_EQ(train.name(1), "google/q0001/b c.jpg");
  CHECK_EQ(train.label(1), 7);
  CHECK_EQ(train.name(2), "google/q0002/x");
  CHECK_EQ(train.name(3), "flickr/z.jpg");
  CHECK_EQ(train.path(0), dir / "google/q0001/a.jpg");
  const Dataset val = read_webvision(dir.str(), Split::val, {});
  CHECK_EQ(val.size(), 1u);
  CHECK_EQ(val.path(0), dir / "val_images_256/val000001.jpg");
  CHECK_EQ(val.label(0), 440);
}

TEST("num_class keeps the labels below it, from both sources; mini means google only") {
  TempDir dir;
  make_lists(dir, good, "flickr/y.jpg 49\nflickr/z.jpg 50\n", "v.jpg 3\n");
  CHECK_EQ(read_webvision(dir.str(), Split::train, {.num_class = 50}).size(), 3u);
  const Dataset mini = read_webvision(dir.str(), Split::train, {.num_class = 50, .mini = true});
  CHECK_EQ(mini.size(), 2u);
  CHECK_EQ(mini.num_classes(), 50);
  CHECK_THROWS(read_webvision(dir.str(), Split::val, {.num_class = 3}), "no image with a label below 3");
}

TEST("a digest tells lists apart, not folders") {
  TempDir a, b;
  make_lists(a, good, "f.jpg 1\n", "v 1\n");
  make_lists(b, good, "f.jpg 1\n", "v 1\n");
  const auto digest = [](const TempDir& d, Split s) { return read_webvision(d.str(), s, {}).digest(); };
  CHECK_EQ(digest(a, Split::train), digest(b, Split::train));
  CHECK(digest(a, Split::train) != digest(a, Split::val));
  write_text(b / "info/train_filelist_flickr.txt", "f.jpg 2\n");
  CHECK(digest(a, Split::train) != digest(b, Split::train));
}

TEST("missing folders and lists are named") {
  TempDir dir;
  CHECK_THROWS(read_webvision(dir / "none", Split::train, {}), "none: no such folder");
  CHECK_THROWS(read_webvision(dir.str(), Split::train, {}), "info: no such folder");
  make_lists(dir, good, "f.jpg 1\n", "v 1\n");
  std::filesystem::remove(dir / "info/train_filelist_flickr.txt");
  CHECK_THROWS(read_webvision(dir.str(), Split::train, {}), "info/train_filelist_flickr.txt: cannot read");
  CHECK_EQ(read_webvision(dir.str(), Split::train, {.mini = true}).size(),
           3u);  // does not need flickr's list
  std::filesystem::remove(dir / "val_images_256");
  CHECK_THROWS(read_webvision(dir.str(), Split::val, {}), "val_images_256: no such folder");
}

TEST("lines that do not parse are named by file and number") {
  TempDir dir;
  const auto train_error = [&](const std::string& list, const std::string& part) {
    make_lists(dir, list, "f.jpg 1\n", "v 1\n");
    CHECK_THROWS(read_webvision(dir.str(), Split::train, {}), part);
  };
  train_error("a.jpg 1\nb.jpg\n", "info/train_filelist_google.txt:2: expected 'PATH LABEL', got 'b.jpg'");
  train_error("a.jpg 1\n\nb.jpg x1\n",
              "train_filelist_google.txt:3: expected 'PATH LABEL', but 'x1' is no label");
  train_error("a.jpg 1.5\n", "google.txt:1: ");
  train_error("a.jpg 5\nb.jpg -1\n", "google.txt:2: label -1 is out of range 0..999");
  train_error("a.jpg 1000\n", "google.txt:1: label 1000 is out of range 0..999");
  train_error("a.jpg 99999999999999999999\n", "google.txt:1: label '99999999999999999999' is out of range");
}

TEST("synsets.txt says how many classes there are") {
  TempDir dir;
  make_lists(dir, "a.jpg 9\n", "f.jpg 10\n", "v 1\n");
  write_text(dir / "info/synsets.txt", "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n");
  CHECK_THROWS(read_webvision(dir.str(), Split::train, {}), "flickr.txt:1: label 10 is out of range 0..9");
}

int main(int argc, char** argv) { return moproc::test::run(argc, argv); }
