// Parsing of MOPROC_EMULATOR.
#include "config.h"

#include <sstream>
#include <stdexcept>

namespace emulator::driver {
namespace {

void set_fail(Config& c, const std::string& value) {
  std::istringstream in(value);
  std::string call, error, nth;
  std::getline(in, call, ':');
  std::getline(in, error, ':');
  std::getline(in, nth, ':');
  c.fail[call] = {std::stoi(error), nth.empty() ? 1 : std::stoi(nth)};
}

void set_flip(Config& c, const std::string& value) {
  const size_t colon = value.find(':');
  c.flip = value.substr(0, colon);
  if (colon != std::string::npos) c.flip_from = std::stoi(value.substr(colon + 1));
}

/// Bytes of shared memory that a block of this compute capability can have.
int shared_of(int compute) {
  const int kib = compute == 80 || compute == 87                     ? 163
                  : compute == 86 || compute == 89 || compute >= 120 ? 99
                  : compute < 80                                     ? 64
                                                                     : 227;
  return kib << 10;
}

}  // namespace

Config read_config(const char* text) {
  Config c;
  std::istringstream in(text ? text : "");
  for (std::string item; std::getline(in, item, ',');) {
    const size_t equal = item.find('=');
    const std::string key = item.substr(0, equal), value = equal == std::string::npos ? "" : item.substr(equal + 1);
    if (key == "seed") c.seed = static_cast<uint32_t>(std::stoul(value));
    else if (key == "version") c.version = std::stoi(value);
    else if (key == "devices") c.devices = std::stoi(value);
    else if (key == "name") c.name = value;
    else if (key == "compute") c.compute = std::stoi(value);
    else if (key == "memory") c.memory = std::stoll(value);
    else if (key == "shared") c.shared = std::stoi(value);
    else if (key == "binary") c.binary = std::stoi(value);
    else if (key == "workers") c.workers = static_cast<unsigned>(std::stoul(value));
    else if (key == "fail") set_fail(c, value);
    else if (key == "hang") c.hang = value;
    else if (key == "flip") set_flip(c, value);
    else throw std::runtime_error("MOPROC_EMULATOR: there is no " + item);
  }
  if (c.shared == 0) c.shared = shared_of(c.compute);
  return c;
}

}  // namespace emulator::driver
