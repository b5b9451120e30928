// What the data tests share: a folder that disappears, small JPEG files, hashes.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/rng.h"
#include "scene.h"

namespace moproc::test {

namespace fs = std::filesystem;

class TempDir {
 public:
  TempDir() {
    std::string name = (fs::temp_directory_path() / "moproc test XXXXXX").string();  // a space, to see that it works
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp failed for " + name);
    path_ = name;
  }
  ~TempDir() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  std::string operator/(const std::string& name) const { return (path_ / name).string(); }
  std::string str() const { return path_.string(); }

 private:
  fs::path path_;
};

inline void write_text(const std::string& path, const std::string& text) {
  fs::create_directories(fs::path(path).parent_path());
  std::ofstream out(path, std::ios::binary);
  out << text;
  out.close();
  if (!out) throw std::runtime_error("cannot write " + path);
}

inline void write_bytes(const std::string& path, const std::vector<std::uint8_t>& bytes) {
  write_text(path, std::string(bytes.begin(), bytes.end()));
}

inline std::vector<std::uint8_t> read_bytes(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw std::runtime_error("cannot read " + path);
  return {std::istreambuf_iterator<char>(in), {}};
}

// A scene as a JPEG file; different numbers give different pictures.
inline std::vector<std::uint8_t> scene_jpeg(std::uint32_t number, int size = 40) {
  data::Stream stream(7, data::Purpose::sample_scene, 0, number);
  const tools::Kind* const kinds[] = {&tools::all_kinds()[number % 20]};
  return tools::encode_jpeg(tools::draw_scene(kinds, size, 1.0, stream), 90);
}

inline std::uint64_t hash(const void* bytes, std::size_t size, std::uint64_t h = 0xcbf29ce484222325ull) {
  for (std::size_t i = 0; i < size; ++i) h = (h ^ static_cast<const std::uint8_t*>(bytes)[i]) * 0x100000001b3ull;
  return h;
}

// Name and content of every file below a folder.
inline std::uint64_t hash_folder(const std::string& folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  std::uint64_t h = 0xcbf29ce484222325ull;
  for (const fs::path& file : files) {
    const std::string name = fs::relative(file, folder).string();
    const std::vector<std::uint8_t> bytes = read_bytes(file.string());
    h = hash(bytes.data(), bytes.size(), hash(name.data(), name.size(), h));
  }
  return h;
}

}  // namespace moproc::test
