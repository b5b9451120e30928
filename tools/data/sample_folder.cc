// Each scene depends only on the seed, its set and its number, so the number of threads does not change the result.
#include "sample_folder.h"

#include <atomic>
#include <cerrno>
#include <cstring>
#include <exception>
#include <fstream>
#include <mutex>
#include <stdexcept>
#include <thread>

#include "core/error.h"
#include "core/rng.h"
#include "formats/own_file.h"
#include "scene.h"

namespace fs = std::filesystem;

namespace moproc::tools {
namespace {

constexpr const char* marker = ".moproc-sample";  // marks a .partial folder that we may remove

fs::path cleaned(const std::string& out) {
  fs::path path = fs::absolute(out).lexically_normal();
  return path.has_filename() ? path : path.parent_path();
}

void write_bytes(const fs::path& path, const char* bytes, std::size_t size) {
  errno = 0;
  std::ofstream out(path, std::ios::binary);
  out.write(bytes, static_cast<std::streamsize>(size));
  out.close();
  if (!out) throw std::runtime_error(path.string() + ": cannot write: " + std::strerror(errno));
}

void draw(const SampleOptions& o, const Scene& scene, const fs::path& folder) {
  data::Stream s(o.seed, data::Purpose::sample_scene, scene.set, scene.number);
  std::vector<const Kind*> kinds;
  for (const int k : scene.kinds) kinds.push_back(&all_kinds()[static_cast<std::size_t>(k)]);
  const Canvas canvas = draw_scene(kinds, o.size, o.variation, s);
  const std::vector<std::uint8_t> jpeg = encode_jpeg(canvas, s.between(80, 95));
  write_bytes(folder / scene.name, reinterpret_cast<const char*>(jpeg.data()), jpeg.size());
}

}  // namespace

void write_file(const fs::path& path, const std::string& text) { write_bytes(path, text.data(), text.size()); }

std::string padded(int value, int digits) {
  std::string text = std::to_string(value);
  return std::string(std::max(0, digits - static_cast<int>(text.size())), '0') + text;
}

void draw_scenes(const SampleOptions& o, const std::vector<Scene>& scenes, const fs::path& folder,
                 const Drawn& progress) {
  std::atomic<std::size_t> next{0};
  std::mutex mutex;  // guards failure and done
  std::exception_ptr failure;
  int done = 0;
  const auto work = [&] {
    for (std::size_t i; (i = next++) < scenes.size();) {
      try {
        draw(o, scenes[i], folder);
        const std::lock_guard lock(mutex);
        if (progress) progress(++done, static_cast<int>(scenes.size()));
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (!failure) failure = std::current_exception();
        next = scenes.size();
      }
    }
  };
  const unsigned threads = o.threads > 0 ? static_cast<unsigned>(o.threads) : std::thread::hardware_concurrency();
  {
    std::vector<std::jthread> pool;
    for (unsigned i = 1; i < threads; ++i) pool.emplace_back(work);
    work();
  }
  if (failure) std::rethrow_exception(failure);
}

PartialFolder::PartialFolder(const std::string& final_name)
    : final_(cleaned(final_name)), path_(final_.string() + ".partial") {
  std::error_code error;
  if (fs::is_symlink(final_)) formats::refuse_target(final_.string(), "is a symbolic link, which is not replaced");
  if (fs::equivalent(final_, ".", error))
    throw InputError(final_.string() + ": is the current folder, which is not replaced; choose another path");
  formats::require_folder(final_.string());
  if (fs::exists(fs::symlink_status(path_))) {
    if (fs::is_symlink(path_) || !fs::is_regular_file(fs::symlink_status(path_ / marker, error)))
      formats::refuse_target(path_.string(), "is in the way, and moproc did not make it");
    fs::remove_all(path_);  // left by a run that was killed
  }
  fs::create_directories(path_);
  ours_ = true;
  write_file(path_ / marker, "");
}

PartialFolder::~PartialFolder() {
  std::error_code ignored;
  if (ours_) fs::remove_all(path_, ignored);
}

void PartialFolder::commit() {
  fs::remove(path_ / marker);
  fs::rename(path_, final_);
  ours_ = false;
}

}  // namespace moproc::tools
