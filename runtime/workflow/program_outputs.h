// The outputs of a program's steps: kept for a file, and shown as numbers.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "session/session.h"

namespace moproc::train {

/// __metadata__.format of a file with outputs.
inline constexpr const char* kOutputsFormat = "moproc-outputs-1";

class ProgramOutputs {
 public:
  /// `only`: the outputs that are kept for `file`; empty: all. `stacked`: the file has the steps along a new first
  /// axis, even if there is one step only. Throws InputError if there is no such output.
  ProgramOutputs(const Session& session, int program, const std::vector<std::string>& only, const std::string& file,
                 bool stacked);

  /// Takes the outputs of the step that has just run.
  void take();
  /// "loss 0.25  correct 61": outputs of one number, at most four.
  std::string numbers() const;
  /// The same for all outputs; "logits f32[64,2]" for those that have several elements.
  std::string summary() const;
  /// Writes the file. Returns a line for the user; "" without a
  /// file. Throws InputError if it cannot be written.
  std::string write() const;

 private:
  struct Output {
    int tensor;
    bool kept;
    std::vector<std::byte> steps;  // all steps, one after the other, in logical order
    std::string number;            // of the last step, if it is one number
  };

  const Session& session_;
  const std::string program_, file_;
  const bool stacked_;
  int64_t taken_ = 0;
  std::vector<Output> outputs_;
};

}  // namespace moproc::train
