// TensorBoard event files: tf.Event protocol buffers in TFRecord framing. The messages are those of
// tensorboard/compat/proto/{event,summary,tensor}.proto and tensorboard/plugins/hparams/{api,plugin_data}.proto.
// Surprising: a run has two kinds of scalars. Tags that begin with "step/" count the steps of the run, all others its
// epochs, as the published logs do.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "formats/output_file.h"
#include "log/past_events.h"

namespace moproc::train {

/// CRC-32C (Castagnoli, reflected polynomial 0x82f63b78).
uint32_t crc32c(std::span<const std::byte> bytes);
/// CRC-32C rotated right by 15 bits plus a constant, as TFRecord stores it.
uint32_t masked_crc32c(std::span<const std::byte> bytes);

/// One TFRecord: length (u64), its masked CRC, payload, its masked CRC; little endian.
std::string tf_record(std::string_view payload);
/// The first event of a file: {wall_time, file_version "brain.Event:2", source_metadata {writer "moproc"}}.
std::string version_event(double wall_time);
/// {wall_time, step, summary {value {tag, simple_value}}}.
std::string scalar_event(double wall_time, int64_t step, std::string_view tag, float value);
/// A session begins: readers forget what they have from this step on.
std::string restart_event(double wall_time, int64_t step);
/// A text of the text plugin, in Markdown.
std::string text_event(double wall_time, int64_t step, std::string_view tag, std::string_view text);

/// A setting of a run: its value as JSON (a number, or true or false), or as text.
struct Setting {
  std::string name, value;
  bool json = false;
};
enum class Ending { success = 1, failure = 2 };  // tensorboard.hparams.Status

/// The three records of the HParams plugin: which settings and metrics (tags of scalars) there are; the values of the
/// settings of this run; and how the run ended.
std::string experiment_event(double wall_time, const std::vector<Setting>& settings,
                             const std::vector<std::string>& metrics);
std::string session_start_event(double wall_time, const std::vector<Setting>& settings);
std::string session_end_event(double wall_time, Ending ending);

/// Where a run is: steps and epochs that are complete.
struct RunPlace {
  int64_t step = 0, epoch = 0;
};

/// A new file DIR/events.out.tfevents.TIME.HOST.PID.0. Everything is written immediately.
class EventFile {
 public:
  /// From the files of moproc in the folder, removes what was written after `from`, because the run repeats it: all
  /// files together then have one curve. Throws InputError if the file cannot be made.
  EventFile(const std::string& folder, const RunPlace& from);
  /// Writes the settings, and which scalars are the results of the run.
  void begin(const std::vector<Setting>& settings, const std::vector<std::string>& metrics);
  void scalar(std::string_view tag, double value, int64_t step);
  void end(Ending ending);

  /// How many scalars of earlier processes were removed.
  int64_t removed() const { return past_.removed; }

 private:
  RunPlace from_;
  PastEvents past_;
  formats::OutputFile file_;
};

}  // namespace moproc::train
