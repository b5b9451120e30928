// Files and folders of tests.
#include "support.h"

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include <unistd.h>

#include "formats/safetensors.h"

namespace moproc::test {
namespace {

/// What the signalling kernel does; a kernel is a plain function.
struct Signalling {
  CpuEntry entry;
  int signal, launch, count, pause_ms;
  std::atomic<int> launches;
} signalling;

void signalling_kernel(const Params& p, const Task& t) {
  if (t.phase == 0 && t.begin == 0 && signalling.launches++ == signalling.launch)
    for (int i = 0; i < signalling.count; ++i) {
      if (i > 0) usleep(1000 * static_cast<useconds_t>(signalling.pause_ms));
      std::raise(signalling.signal);
    }
  signalling.entry(p, t);
}

}  // namespace

SignallingPlan::SignallingPlan(const Plan& plan, const std::string& symbol, int signal, int launch, int count,
                               int pause_ms)
    : plan_(plan), kernels_(plan.kernels.begin(), plan.kernels.end()) {
  for (KernelInfo& k : kernels_) {
    if (symbol != k.symbol) continue;
    signalling.entry = k.entry;
    k.entry = signalling_kernel;
  }
  signalling.signal = signal, signalling.launch = launch, signalling.count = count;
  signalling.pause_ms = pause_ms, signalling.launches = 0;
  plan_.kernels.data = kernels_.data();
}

Folder::Folder() {
  std::string pattern = std::filesystem::temp_directory_path().string() + "/moproc-test-XXXXXX";
  if (!mkdtemp(pattern.data())) throw std::runtime_error("cannot make a folder " + pattern);
  path_ = pattern;
}

Folder::~Folder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string sha_of(const std::string& path) { return formats::SafetensorsFile(path).metadata().at("sha256"); }

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
  for (const auto& e : std::filesystem::directory_iterator(folder)) names.push_back(e.path().filename().string());
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

}  // namespace moproc::test
