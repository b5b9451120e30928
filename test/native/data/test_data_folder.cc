// Layouts of data folders, and images that are held out for validation.
#include <algorithm>
#include <filesystem>
#include <set>

#include "../tap.h"
#include "data/data_folder.h"
#include "support.h"

using namespace moproc::data;
using moproc::test::TempDir;
using moproc::test::write_text;

namespace {

/// Class folders with the given numbers of images; the images are empty files.
void make_classes(const std::string& folder, const std::vector<std::pair<std::string, int>>& classes) {
  for (const auto& [name, count] : classes)
    for (int i = 0; i < count; ++i) write_text(folder + "/" + name + "/" + std::to_string(i) + ".jpg", "");
}

std::set<std::string> names_of(const Dataset& set) {
  std::set<std::string> names;
  for (std::size_t i = 0; i < set.size(); ++i) names.emplace(set.name(i));
  return names;
}

}  // namespace

TEST("layouts: a folder train or val with images and no folder is a class; with folders it is a split") {
  TempDir dir;
  make_classes(dir.str(), {{"bus", 2}, {"train", 3}, {"val", 1}});
  CHECK(layout_of(dir.str() + "//") == Layout::class_folders);
  CHECK(!has_validation(dir.str()));
  CHECK_EQ(read_folder(dir.str(), Split::train, {}).size(), 6u);
  CHECK_EQ(read_classes(dir.str(), {}).name(1), "train");
  CHECK_THROWS(read_folder(dir.str(), Split::val, {}), "has no validation images: there is no val/; the folder holds");
  make_classes(dir / "train", {{"bus", 2}});
  CHECK(layout_of(dir.str()) == Layout::split_folders);
  CHECK_EQ(count_classes(dir.str(), {}), 1);
  CHECK(!has_validation(dir.str()));
  make_classes(dir / "val", {{"bus", 2}});
  CHECK(has_validation(dir.str()));
}

TEST("layouts: only hidden folders are no classes; only a validation split is enough to read its classes") {
  TempDir dir;
  write_text(dir / ".cache/a.jpg", "");
  write_text(dir / "b.jpg", "");
  CHECK_THROWS(layout_of(dir.str()), "is not a data folder: there is neither info/");
  TempDir only;
  make_classes(only / "val", {{"bus", 1}, {"car", 1}});
  CHECK(layout_of(only.str()) == Layout::split_folders);
  CHECK(has_validation(only.str()));
  CHECK_EQ(read_classes(only.str(), {}).size(), 2u);
  CHECK_EQ(count_classes(only.str(), {}), 2);
  CHECK_THROWS(read_folder(only.str(), Split::train, {}), "has no training images: there is no train/");
}

TEST("images are counted up to a number; a link to a folder above is an error, one to another folder is not") {
  TempDir dir;
  make_classes(dir.str(), {{"bus", 30}, {"car", 3}});
  CHECK_EQ(count_images(dir.str(), Split::train, 100), 33u);
  CHECK_EQ(count_images(dir.str(), Split::val, 100), 0u);
  CHECK(count_images(dir.str(), Split::train, 5) >= 5u);
  std::filesystem::create_directory_symlink("bus", dir / "lorry");  // twice the same images, but no circle
  CHECK_EQ(count_images(dir.str(), Split::train, 100), 63u);
  std::filesystem::create_directory_symlink("../car", dir / "bus/cars");
  CHECK_EQ(count_images(dir.str(), Split::train, 100), 69u);
  std::filesystem::create_directory_symlink("../bus", dir / "car/buses");  // bus/cars/buses is bus
  CHECK_THROWS(count_images(dir.str(), Split::train, 1000), "is a link to a folder above it; remove it");
  TempDir top;
  make_classes(top.str(), {{"bus", 30}});
  std::filesystem::create_directory_symlink(".", top / "again");
  CHECK_THROWS(count_images(top.str(), Split::train, 5), "/again: is a link to a folder above it; remove it");
}

TEST("classes are counted by names, by WebVision's synsets, or by the largest label") {
  TempDir dir;
  write_text(dir / "train.csv", "path,label\na.jpg,4\nb.jpg,2\n");
  CHECK_EQ(count_classes(dir.str(), {}), 5);
  CHECK_EQ(count_classes(dir.str(), {.first_label = 1}), 4);
  write_text(dir / "classes.txt", "a\nb\nc\nd\ne\nf\n");
  CHECK_EQ(count_classes(dir.str(), {}), 6);
  TempDir web;
  write_text(web / "info/train_filelist_google.txt", "a.jpg 3\n");
  CHECK_EQ(count_classes(web.str(), {}), 4);
  write_text(web / "info/synsets.txt", "n1 a\nn2 b\nn3 c\nn4 d\nn5 e\n");
  CHECK_EQ(count_classes(web.str(), {}), 5);
}

TEST("held out: the nearest whole number of each class, never all, at least one of two, in list order") {
  TempDir dir;
  make_classes(dir.str(), {{"a", 1}, {"b", 2}, {"c", 3}, {"d", 14}, {"e", 26}});
  const Dataset all = read_folder(dir.str(), Split::train, {.num_class = 5});
  const auto [kept, held] = hold_out(all, 0.1, 7);
  const auto count = [](const Dataset& set, int c) { return std::ranges::count(set.labels(), c); };
  const int expected[] = {0, 1, 1, 1, 3};
  for (int c = 0; c < 5; ++c) {
    CHECK_EQ(count(held, c), expected[c]);
    CHECK_EQ(count(kept, c) + count(held, c), count(all, c));
  }
  CHECK(std::ranges::is_sorted(held.labels()));
  CHECK(kept.classes() == all.classes() && held.classes() == all.classes());
  auto together = names_of(kept);
  together.merge(names_of(held));
  CHECK(together == names_of(all));
  const auto most = hold_out(all, 0.9, 7).second;
  CHECK_EQ(count(most, 1), 1);
  CHECK_EQ(count(most, 2), 2);
}

TEST("held out: the same seed holds out the same images, which more images change at the border only") {
  TempDir dir;
  make_classes(dir.str(), {{"a", 40}, {"b", 40}});
  const auto held = [&](std::uint64_t seed) {
    return names_of(hold_out(read_folder(dir.str(), Split::train, {.num_class = 2}), 0.25, seed).second);
  };
  const std::set<std::string> first = held(0);
  CHECK(held(0) == first);
  CHECK(held(1) != first);
  CHECK(held(uint64_t{1} << 40) != first);
  // Images of two classes that have the same file name are drawn apart.
  std::set<std::string> a, b;
  for (const std::string& n : first) (n[0] == 'a' ? a : b).insert(n.substr(2));
  CHECK(a != b);
  for (int i = 40; i < 44; ++i) write_text(dir / ("a/" + std::to_string(i) + ".jpg"), "");
  std::size_t same = 0;
  for (const std::string& n : held(0)) same += first.contains(n);
  CHECK(same >= first.size() - 4);
  CHECK_THROWS(hold_out(read_folder(dir.str(), Split::train, {.num_class = 2}), 1.0, 0), "above 0 and below 1");
  TempDir single;
  make_classes(single.str(), {{"a", 1}, {"b", 1}});
  CHECK_THROWS(hold_out(read_folder(single.str(), Split::train, {.num_class = 2}), 0.5, 0), "no class has two images");
}

int main(int argc, char** argv) { return moproc::test::run(argc, argv); }
