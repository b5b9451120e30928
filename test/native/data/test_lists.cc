// WebVision lists: what is read, and the message for every kind of mistake.
#include <algorithm>

#include "../tap.h"
#include "data/data_folder.h"
#include "support.h"

using namespace moproc::data;
using moproc::test::TempDir;
using moproc::test::write_text;

namespace {

void make_lists(const TempDir& dir, const std::string& google, const std::string& flickr, const std::string& val) {
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
  CHECK_EQ(train.folder() + "/" + std::string(train.name(0)), dir / "google/q0001/a.jpg");
  const Dataset val = read_webvision(dir.str(), Split::val, {});
  CHECK_EQ(val.size(), 1u);
  CHECK_EQ(val.folder() + "/" + std::string(val.name(0)), dir / "val_images_256/val000001.jpg");
  CHECK_EQ(val.label(0), 440);
}

TEST("num_class keeps the labels below it, from both sources; mini means google only") {
  TempDir dir;
  make_lists(dir, good, "flickr/y.jpg 49\nflickr/z.jpg 50\n", "v.jpg 3\n");
  CHECK_EQ(read_webvision(dir.str(), Split::train, {.num_class = 50}).size(), 3u);
  const Dataset mini = read_webvision(dir.str(), Split::train, {.num_class = 50, .flickr = false});
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
  CHECK_EQ(read_webvision(dir.str(), Split::train, {.flickr = false}).size(),
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
  train_error("a.jpg 1\n\nb.jpg x1\n", "train_filelist_google.txt:3: expected 'PATH LABEL', but 'x1' is not a label");
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

TEST("WebVision V2: one list, whose sources are told apart by their folders; its classes are those of synsets.txt") {
  TempDir dir;
  std::string synsets;
  for (int c = 0; c < 5000; ++c) synsets += "n" + std::to_string(c) + " name\n";
  write_text(dir / "info/synsets.txt", synsets);
  write_text(dir / "info/train_filelist_all.txt", "google/q1/a.jpg 4999\nflickr/q1/b.jpg 3\ngoogle/q1/c.jpg 3\n");
  write_text(dir / "info/val_filelist.txt", "v.jpg 4998\n");
  std::filesystem::create_directories(dir / "val_images_resized");
  const Dataset all = read_webvision(dir.str(), Split::train, {.num_class = 5000});
  CHECK_EQ(all.size(), 3u);
  CHECK_EQ(all.label(0), 4999);
  CHECK_EQ(read_webvision(dir.str(), Split::train, {.num_class = 5000, .flickr = false}).size(), 2u);
  const Dataset flickr = read_folder(dir.str(), Split::train, {.num_class = 5000, .google = false});
  CHECK_EQ(flickr.size(), 1u);
  CHECK_EQ(flickr.name(0), "flickr/q1/b.jpg");
  CHECK_EQ(read_webvision(dir.str(), Split::val, {.num_class = 5000}).name(0), "val_images_resized/v.jpg");
  write_text(dir / "info/train_filelist_all.txt", "google/q1/a.jpg 5000\n");
  CHECK_THROWS(read_webvision(dir.str(), Split::train, {.num_class = 5000}),
               "train_filelist_all.txt:1: label 5000 is out of range 0..4999");
}

TEST("lists of one's own: csv with quotes and further columns, jsonl, class names, and what is wrong with them") {
  TempDir dir;
  write_text(dir / "train.csv",
             "\xef\xbb\xbflabel,path,note\r\n2,\"a, b.jpg\",x\r\n\r\n0,c d.jpg,\"say \"\"so\"\"\"\n");
  const Dataset csv = read_folder(dir.str(), Split::train, {.num_class = 5});
  CHECK_EQ(csv.size(), 2u);
  CHECK_EQ(csv.name(0), "a, b.jpg");
  CHECK_EQ(csv.label(0), 2);
  CHECK_EQ(csv.name(1), "c d.jpg");
  write_text(dir / "val.jsonl",
             "{\"path\": \"x y.jpg\", \"label\": 1}\n{\"path\": \"z.jpg\", \"label\": \"dog\", \"more\": []}\n");
  CHECK_THROWS(read_folder(dir.str(), Split::val, {}),
               "val.jsonl:2: label 'dog' is not a number, and there is no classes.txt");
  write_text(dir / "classes.txt", "cat\nbird\ndog\n");
  const Dataset val = read_folder(dir.str(), Split::val, {});
  CHECK_EQ(val.label(0), 1);
  CHECK_EQ(val.label(1), 2);
  const auto refused = [&](const std::string& text, const char* what) {
    write_text(dir / "train.csv", text);
    CHECK_THROWS(read_folder(dir.str(), Split::train, {}), what);
  };
  refused(
      "file,label\na,1\n",
      "train.csv:1: the first line names the columns, with commas between them, among them path and label; there is "
      "no path");
  refused("path,label\na\n", "train.csv:2: 1 fields, the first line has 2");
  refused("path,label\n\"a,1\n", "train.csv:2: a quote is not closed");
  refused("path,label\na,3\n", "train.csv:2: label 3 is out of range 0..2");
  refused("path,label\n", "train.csv: has no image");
  write_text(dir / "val.jsonl", "{\"path\": 3, \"label\": 1}\n");
  CHECK_THROWS(read_folder(dir.str(), Split::val, {}), "val.jsonl:1: needs a \"path\" and a \"label\"");
  write_text(dir / "val.jsonl", "{\"path\"\n");
  CHECK_THROWS(read_folder(dir.str(), Split::val, {}), "val.jsonl:1: no JSON");
}

TEST("a folder a class, and a folder that is none of these") {
  TempDir dir;
  CHECK_THROWS(read_folder(dir.str(), Split::train, {}),
               "is not a data folder: there is neither info/ (WebVision), nor train.csv");
  write_text(dir / "train/b class/2.jpg", "");
  write_text(dir / "train/a/1.JPEG", "");
  const Dataset train = read_folder(dir.str() + "/", Split::train, {});
  CHECK_EQ(train.name(0), "train/a/1.JPEG");
  CHECK_EQ(train.name(1), "train/b class/2.jpg");
  CHECK_EQ(train.label(1), 1);
  CHECK(train.files().exists(train.name(1)));
  CHECK_THROWS(read_folder(dir.str(), Split::train, {.flickr = false}),
               "only a WebVision folder (with info/) lists images by source");
}

namespace {

/// Label of each image of a set, by name, as "NAME=LABEL ...".
std::string labels_of(const Dataset& set) {
  std::string text;
  for (std::size_t i = 0; i < set.size(); ++i)
    text += (i ? " " : "") + std::string(set.name(i)) + "=" + std::to_string(set.label(i));
  return text;
}

std::string all_notes(const Dataset& set) {
  std::string text;
  for (const std::string& n : set.notes()) text += n + "\n";
  return text;
}

bool has(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

void make_classes(const TempDir& dir, const char* split, std::initializer_list<const char*> names) {
  for (const char* name : names) write_text(dir / (std::string(split) + "/" + name + "/" + name + ".jpg"), "");
}

}  // namespace

TEST("one table of classes: the validation images are mapped to it by name, whatever folders are missing") {
  TempDir dir;
  make_classes(dir, "train", {"ant", "bee", "cat", "dog"});
  make_classes(dir, "val", {"bee", "dog"});
  const ListOptions options{.num_class = 6};
  const Dataset train = read_folder(dir.str(), Split::train, options);
  CHECK_EQ(train.classes().json(), "[\"ant\", \"bee\", \"cat\", \"dog\"]");
  CHECK_EQ(all_notes(train), "");
  ListOptions mapped = options;
  mapped.classes = train.classes();
  const Dataset val = read_folder(dir.str(), Split::val, mapped);
  CHECK_EQ(labels_of(val), "val/bee/bee.jpg=1 val/dog/dog.jpg=3");
  CHECK(has(all_notes(val), "val: 2 of 4 classes have no image: ant, cat"));
  CHECK(read_classes(dir.str(), options) == train.classes());
  make_classes(dir, "val", {"elk"});
  CHECK_THROWS(read_folder(dir.str(), Split::val, mapped), "val/elk: the run has no class of this name; it has 4");
  CHECK_THROWS(read_folder(dir.str(), Split::train, {.num_class = 3}), "has 4 classes, but the network has 3");
}

TEST("a class without images keeps its index; hidden files and folders are no classes and no images, at any depth") {
  TempDir dir;
  make_classes(dir, "train", {"ant", "cat"});
  std::filesystem::create_directories(dir / "train/bee/deeper");
  for (const char* name : {".ipynb_checkpoints/x.jpg", "__MACOSX/ant/._ant.jpg", "ant/.DS_Store", "ant/._ant.jpg",
                           "cat/.thumbs/c.jpg", "cat/deep/@eaDir/c.jpg", "cat/Thumbs.db", "cat/deep/er/c2.png"})
    write_text(dir / (std::string("train/") + name), "");
  const Dataset train = read_folder(dir.str(), Split::train, {});
  CHECK_EQ(labels_of(train), "train/ant/ant.jpg=0 train/cat/cat.jpg=2 train/cat/deep/er/c2.png=2");
  CHECK(has(all_notes(train), "train: 1 of 3 classes have no image: bee"));
  CHECK(has(all_notes(train), "train: hidden files and folders are not used: 7, such as "));
}

TEST("links to folders and files keep their own names, classes and order; a circle of links is refused") {
  TempDir dir, elsewhere;
  write_text(elsewhere / "real ant/z.jpg", "z");
  write_text(elsewhere / "store/1234.bin", "b");
  std::filesystem::create_directories(dir / "train/bee");
  std::filesystem::create_directory_symlink(elsewhere / "real ant", dir / "train/ant");
  std::filesystem::create_symlink(elsewhere / "store/1234.bin", dir / "train/bee/b.jpg");
  std::filesystem::create_symlink(dir / "nowhere.jpg", dir / "train/bee/gone.jpg");
  const Dataset train = read_folder(dir.str(), Split::train, {});
  CHECK_EQ(labels_of(train), "train/ant/z.jpg=0 train/bee/b.jpg=1 train/bee/gone.jpg=1");
  CHECK(train.files().exists(train.name(1)));
  CHECK(!train.files().exists(train.name(2)));
  std::filesystem::create_directory_symlink(dir / "train/bee", dir / "train/bee/again");
  CHECK_THROWS(read_folder(dir.str(), Split::train, {}), "folders deep; is there a link to a folder above it?");
}

TEST("lists with numbers: what the network has no class for is refused with its line; the first class may be 1") {
  TempDir dir;
  std::string list = "path,label\n";
  for (int c = 1; c <= 10; ++c) list += "i" + std::to_string(c) + ".jpg," + std::to_string(c) + "\n";
  write_text(dir / "train.csv", list);
  CHECK_THROWS(read_folder(dir.str(), Split::train, {.num_class = 10}),
               "train.csv:11: label '10' is class 10, but the network has 10 classes (--num-class)");
  const Dataset odd = read_folder(dir.str(), Split::train, {.num_class = 11});
  CHECK(has(all_notes(odd), "train.csv: no label is 0; if the first class is 1, use --first-label 1"));
  const Dataset train = read_folder(dir.str(), Split::train, {.num_class = 10, .first_label = 1});
  CHECK_EQ(train.label(0), 0);
  CHECK_EQ(train.label(9), 9);
  CHECK_EQ(all_notes(train), "");
  write_text(dir / "train.csv", "path,label\na.jpg,-1\n");
  CHECK_THROWS(read_folder(dir.str(), Split::train, {.num_class = 10}), "train.csv:2: label -1 is out of range 0..9");
  write_text(dir / "train.csv", list + "i0.jpg,0\n");
  CHECK_THROWS(read_folder(dir.str(), Split::train, {.num_class = 10, .first_label = 1}),
               "train.csv:12: label '0' is below --first-label 1");
}

TEST("lists with names are mapped to the run's classes by name, numbers by the names of classes.txt") {
  TempDir dir;
  write_text(dir / "val.csv", "path,label\na.jpg,dog\nb.jpg,ant\n");
  const ClassTable run({"ant", "bee", "cat", "dog"});
  const ListOptions options{.num_class = 4, .classes = run};
  CHECK_EQ(labels_of(read_folder(dir.str(), Split::val, options)), "a.jpg=3 b.jpg=0");
  write_text(dir / "classes.txt", "dog\r\ncat\r\nant\r\n");  // another order
  write_text(dir / "val.csv", "path,label\na.jpg,dog\nb.jpg,2\nc.jpg,1\n");
  CHECK_EQ(labels_of(read_folder(dir.str(), Split::val, options)), "a.jpg=3 b.jpg=0 c.jpg=2");
  write_text(dir / "classes.txt", "dog\nelk\n");
  write_text(dir / "val.csv", "path,label\na.jpg,1\n");
  CHECK_THROWS(read_folder(dir.str(), Split::val, options),
               "val.csv:2: label '1' is class 'elk', which the run does not");
  std::filesystem::remove(dir / "classes.txt");
  CHECK_THROWS(read_folder(dir.str(), Split::val, options),
               "val.csv:2: label '1' is a number, but the run's classes have names; write them into classes.txt");
  write_text(dir / "classes.txt", "dog\nelk\n");
  CHECK_THROWS(read_folder(dir.str(), Split::val, {.first_label = 1}), "classes.txt: its first line is class 0");
}

TEST("only a synset's number stands for the whole name of a class, not any first word") {
  const ClassTable table({"hot dog", "n01440764 tench", "n02 crane", "n02 machine", "nine lives"});
  CHECK_EQ(table.find("hot dog").value_or(-1), 0);
  CHECK_EQ(table.find("n01440764").value_or(-1), 1);
  CHECK_EQ(ClassTable({"n02", "n01440764"}).find("n01440764 tench").value_or(-1), 1);
  CHECK(!ClassTable({"hot", "nine"}).find("hot dog"));
  for (const char* name : {"hot", "nine", "n02", "n", "tench", ""}) CHECK(!table.find(name));
}

TEST("WebVision's labels are mapped by synsets.txt; folders that are called like a synset are found, too") {
  TempDir dir;
  make_lists(dir, "a.jpg 0\nb.jpg 2\n", "f.jpg 1\n", "v.jpg 2\n");
  write_text(dir / "info/synsets.txt", "n01 tench, Tinca\nn02 crane\nn03 crane\n");
  const Dataset train = read_webvision(dir.str(), Split::train, {.num_class = 3});
  ListOptions mapped{.num_class = 3, .classes = train.classes()};
  make_classes(dir, "imagenet", {"n03", "n01"});
  CHECK_EQ(labels_of(read_image_folder(dir / "imagenet", mapped)), "n01/n01.jpg=0 n03/n03.jpg=2");
  write_text(dir / "info/synsets.txt", "n03 crane\nn01 tench, Tinca\nn02 crane\n");
  CHECK_EQ(labels_of(read_webvision(dir.str(), Split::val, mapped)), "val_images_256/v.jpg=1");
  write_text(dir / "info/synsets.txt", "crane\ncrane\ntench\n");  // names without ids may repeat
  const Dataset twins = read_webvision(dir.str(), Split::val, {.num_class = 3});
  CHECK_EQ(twins.classes().json(), "[\"crane\", \"crane (class 1)\", \"tench\"]");
  CHECK_THROWS(read_webvision(dir.str(), Split::val, mapped),
               "val_filelist.txt:1: label 2 is class 'tench', which the run does not have");
  std::filesystem::remove(dir / "info/synsets.txt");
  CHECK_THROWS(read_webvision(dir.str(), Split::val, mapped),
               "synsets.txt: is missing, so the labels cannot be compared");
  CHECK(has(all_notes(read_webvision(dir.str(), Split::train, {.num_class = 2})),
            "1 images of other classes than the first 2 are left out (--num-class)"));
}

TEST("two layouts in one folder are refused, not mixed") {
  TempDir dir;
  make_classes(dir, "train", {"ant"});
  make_classes(dir, "val", {"ant"});
  write_text(dir / "train.csv", "path,label\ntrain/ant/ant.jpg,0\n");
  for (const Split split : {Split::train, Split::val})
    CHECK_THROWS(read_folder(dir.str(), split, {}),
                 "has a list of the training images, but none of the validation images");
  write_text(dir / "val.jsonl", "{\"path\": \"val/ant/ant.jpg\", \"label\": 0}\n");
  CHECK_EQ(read_folder(dir.str(), Split::val, {}).size(), 1u);
  write_text(dir / "train.jsonl", "");
  CHECK_THROWS(read_folder(dir.str(), Split::train, {}), "has both train.csv and train.jsonl; remove one");
  std::filesystem::remove(dir / "train.jsonl");
  std::filesystem::create_directories(dir / "info");
  CHECK_THROWS(read_folder(dir.str(), Split::train, {}), "has lists of WebVision in info/, and also train.csv");
}

TEST("an index of shards that cannot be used is refused with its line") {
  TempDir dir;
  const auto refused = [&](const std::string& index, const char* what) {
    write_text(dir / "shards/index.txt", index);
    CHECK_THROWS(Dataset(dir.str(), 1), what);
  };
  refused("", "index.txt: is empty");
  refused("moproc-shards-9\n", "index.txt:1: is not an index of shards that this version reads");
  refused("moproc-shards-1\na.tar 512 x b.jpg\n", "index.txt:2: expected 'SHARD OFFSET BYTES NAME'");
  refused("moproc-shards-1\na.tar 512 3 b.jpg", "index.txt:2: is cut off");
  refused("moproc-shards-1\na.tar 512 3 b.jpg\n", "a.tar: No such file or directory");
  write_text(dir / "shards/a.tar", std::string(512, 'x') + "ab");
  const Dataset cut(dir.str(), 1);
  std::vector<std::uint8_t> bytes;
  CHECK_THROWS(cut.files().read("b.jpg", bytes, {}), "its shard ends early");
  CHECK_THROWS(cut.files().read("c.jpg", bytes, {}), "is not in the shards");
}

int main(int argc, char** argv) { return moproc::test::run(argc, argv); }
