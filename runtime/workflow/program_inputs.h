// The inputs of a program's steps, from a safetensors file and from numbers on the command line.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "formats/safetensors.h"
#include "log/console.h"
#include "session/session.h"

namespace moproc::train {

class ProgramInputs {
 public:
  /// Checks that `file` ("" for none) and `values` ("NAME=NUMBER") give every input of the program once, with its
  /// type. Says which tensors of the file are not used. Throws InputError naming the input.
  ProgramInputs(Session& session, int program, const std::string& file, const std::vector<std::string>& values,
                Console& console);

  /// Slices of the inputs that are series; 0 if no input is one.
  int64_t length() const { return length_; }
  /// Sets all inputs for the step with this number.
  void set(int64_t step) const;

 private:
  struct Input {
    int tensor;
    std::span<const std::byte> bytes;  // of all slices; logical order
    bool series;
  };

  void add_value(int program, const std::string& text);
  void add_file(int program, const std::string& path, Console& console);
  bool has(int tensor) const;

  Session& session_;
  std::unique_ptr<const formats::SafetensorsFile> file_;
  std::vector<std::vector<std::byte>> filled_;  // bytes of the inputs given as numbers
  std::vector<Input> inputs_;
  int64_t length_ = 0;
};

}  // namespace moproc::train
