// Writes TensorBoard event files: scalars as tf.Event protocol buffers in TFRecord framing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "formats/output_file.h"

namespace moproc::train {

/// CRC-32C (Castagnoli, reflected polynomial 0x82f63b78).
uint32_t crc32c(std::span<const std::byte> bytes);
/// CRC-32C rotated right by 15 bits plus a constant, as TFRecord stores it.
uint32_t masked_crc32c(std::span<const std::byte> bytes);

/// One TFRecord: length (u64), its masked CRC, payload, its masked CRC; little endian.
std::string tf_record(std::string_view payload);
/// The first event of a file: {wall_time, file_version "brain.Event:2"}.
std::string version_event(double wall_time);
/// {wall_time, step, summary {value {tag, simple_value}}}.
std::string scalar_event(double wall_time, int64_t step, std::string_view tag, float value);

/// A new file DIR/events.out.tfevents.TIME.HOST.PID.0. Every scalar is written immediately.
class EventFile {
 public:
  /// Throws InputError if the file cannot be made.
  explicit EventFile(const std::string& folder);
  void scalar(std::string_view tag, double value, int64_t step);

 private:
  formats::OutputFile file_;
};

}  // namespace moproc::train
