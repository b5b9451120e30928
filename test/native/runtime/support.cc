// The training binary runs in this process, with stdout and stderr turned into files for as long.
#include "support.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "train/main.h"

namespace moproc::test {
namespace {

/// A file descriptor that writes to a file until this is gone.
class Redirect {
 public:
  Redirect(int fd, const std::string& path) : fd_(fd), saved_(dup(fd)) {
    const int to = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    dup2(to, fd);
    close(to);
  }
  ~Redirect() {
    std::fflush(nullptr);
    dup2(saved_, fd_);
    close(saved_);
  }

 private:
  int fd_, saved_;
};

}  // namespace

Folder::Folder() {
  std::string pattern = std::filesystem::temp_directory_path().string() + "/moproc-test-XXXXXX";
  if (!mkdtemp(pattern.data())) throw std::runtime_error("cannot make a folder " + pattern);
  path_ = pattern;
}

Folder::~Folder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string read_bytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot read " + path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

void write_bytes(const std::string& path, const std::string& bytes) {
  std::ofstream file(path, std::ios::binary);
  file << bytes;
  if (!file.flush()) throw std::runtime_error("cannot write " + path);
}

bool exists(const std::string& path) { return std::filesystem::exists(path); }

std::vector<std::string> list(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& e : std::filesystem::directory_iterator(folder))
    names.push_back(e.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<Json> records(const std::string& path, const std::string& event) {
  std::istringstream in(read_bytes(path));
  std::vector<Json> found;
  for (std::string line; std::getline(in, line);) {
    Json record = parse_json(line, path);
    if (const Json* e = record.find("event"); e && e->string() && *e->string() == event)
      found.push_back(std::move(record));
  }
  return found;
}

double number_of(const Json& record, const char* key) {
  const Json* v = record.find(key);
  if (!v || !v->number()) throw std::runtime_error(std::string("the record has no number ") + key);
  return *v->number();
}

Ran run_train(const Plan& plan, std::vector<std::string> args) {
  Folder folder;
  args.insert(args.begin(), "train");
  std::vector<char*> argv;
  for (std::string& a : args) argv.push_back(a.data());
  Ran ran{};
  std::fflush(nullptr);
  {
    const Redirect out(STDOUT_FILENO, folder / "out"), err(STDERR_FILENO, folder / "err");
    ran.status = moproc_train_main(static_cast<int>(argv.size()), argv.data(), plan);
  }
  ran.out = read_bytes(folder / "out");
  ran.err = read_bytes(folder / "err");
  return ran;
}

}  // namespace moproc::test
