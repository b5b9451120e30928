// The lists of a WebVision folder: the input is the training list of a folder made for it.
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "data/dataset.h"
#include "fuzz.h"

namespace {

/// A folder in memory where there is one, removed at exit.
class ListFolder {
 public:
  ListFolder() {
    std::string pattern =
        (std::filesystem::is_directory("/dev/shm") ? "/dev/shm" : "/tmp") + std::string("/moproc-fuzz-XXXXXX");
    if (!mkdtemp(pattern.data())) std::abort();
    path_ = pattern;
    std::filesystem::create_directories(path_ + "/info");
    std::ofstream(path_ + "/info/train_filelist_flickr.txt") << "flickr/a.jpg 0\n";
  }
  ~ListFolder() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace moproc::data;
  static const ListFolder folder;
  std::ofstream(folder.path() + "/info/train_filelist_google.txt", std::ios::binary)
      .write(reinterpret_cast<const char*>(data), static_cast<std::streamsize>(size));
  try {
    const Dataset set = read_webvision(folder.path(), Split::train, {.num_class = 10});
    for (size_t i = 0; i < set.size(); ++i)
      if (set.label(i) < 0 || set.label(i) >= 10 || set.name(i).empty()) __builtin_trap();
    if (set.digest() == 0) __builtin_trap();
  } catch (const DatasetError& e) {
    if (std::string(e.what()).find(folder.path()) == std::string::npos) __builtin_trap();
  }
  return 0;
}
