// EXP-DIR/evaluation.json: what a run's evaluations say about each class. It holds the last and the best evaluation of
// each validation list; what was confused is listed sparsely, so that thousands of classes need no matrix.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/class_table.h"
#include "train/evaluate.h"
#include "train/lists.h"

namespace moproc::train {

/// "format" of the file.
inline constexpr const char* kEvaluationFormat = "moproc-evaluation-1";
std::string evaluation_file(const std::string& exp_dir);

class ClassResults {
 public:
  /// Takes up the file that earlier processes of the run have written, as far as its epochs are before `from_epoch`. If
  /// it cannot be read, `note` says so, and the file begins anew.
  ClassResults(const std::string& exp_dir, data::ClassTable classes, int64_t from_epoch, std::string& note);

  /// Adds the evaluation of a list after an epoch, and writes the file. Nothing happens if the evaluation has no counts
  /// by class. Throws InputError if the file cannot be written.
  void add(const Validation& list, int64_t epoch, const EvaluateResult& r);

 private:
  struct Evaluation {
    int64_t epoch = 0;
    double top1 = 0;
    std::string json;
  };
  struct Set {
    std::string title;
    std::vector<Evaluation> kept;  // in the order of epochs: the best, if it is another one, and the last
  };
  void read(const std::string& path, int64_t from_epoch);
  void write() const;

  std::string path_;
  data::ClassTable classes_;
  std::vector<Set> sets_;
};

}  // namespace moproc::train
