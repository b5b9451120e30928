// A folder of reference pictures, which the fixtures' tests and `verify-pixels` read: cases.json, in/ (files) and out/
// (expected pixels as PNG).
#pragma once

#include <map>
#include <string>
#include <vector>

#include "data/image.h"

namespace moproc::tools {

struct Operation {
  std::string kind;  // decode, resize, center_crop, resized_crop, grayscale, brightness, contrast,
                     // saturation, hue, hflip
  std::vector<double> arguments;
};

struct GoldenCase {
  std::string in;  // file name below in/
  std::vector<Operation> operations;
  std::string out;  // file name below out/
};

struct Golden {
  std::string folder;
  std::vector<GoldenCase> cases;
  std::vector<std::string> refused;  // files below in/ that must be refused: no images, or truncated ones
};

// Throws std::runtime_error, which names the file and, if the error is in one, the case.
Golden read_golden(const std::string& folder);

// Runs one case's operations on its file. Throws data::ImageError or std::runtime_error (unknown operation).
void run_case(const Golden& golden, const GoldenCase& one, data::Image& out);

struct Difference {
  bool same_size = true;
  int largest = 0;         // largest difference of a channel, 0..255
  std::size_t values = 0;  // number of channel values that differ
};
Difference compare(const data::Image& a, const data::Image& b);

// The counts that verify-pixels prints for a kind of operation. A case counts for every kind that it uses.
struct Tally {
  int cases = 0;
  int exact = 0;
  int largest = 0;
};

struct Verdict {
  std::map<std::string, Tally> kinds;
  std::vector<std::string> failures;                          // cases off by more than 1, of a wrong size, or refused
  std::vector<std::pair<std::string, std::string>> refusals;  // file and reason; reason empty: it was accepted
};
Verdict verify(const Golden& golden);

}  // namespace moproc::tools
