// The safetensors container: u64 header length, JSON header, one data section without gaps.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/plan.h"
#include "formats/mapped_file.h"
#include "formats/tensor.h"

namespace moproc::formats {

using Metadata = std::map<std::string, std::string>;

struct TensorEntry {
  std::string name;
  DType dtype;
  std::vector<int64_t> shape;
  int64_t begin = 0, end = 0;  // bytes in the data section
};

/// "f32[64,3,7,7]"
std::string show_type(const TensorEntry& t);

/// A file mapped for reading. The constructor checks the whole header against the file.
class SafetensorsFile {
 public:
  /// Throws InputError with the file, and with the tensor if one is to blame: for a file that is unreadable or
  /// truncated, an invalid header, an unknown type, a shape and a size that disagree, or ranges that overlap, leave
  /// gaps or leave the file.
  explicit SafetensorsFile(const std::string& path);
  /// The same for bytes, which must outlive this object. Messages use `where` as the name of the file.
  SafetensorsFile(ByteSpan bytes, const std::string& where);

  const std::string& path() const { return path_; }
  const Metadata& metadata() const { return metadata_; }
  const std::vector<TensorEntry>& tensors() const { return tensors_; }
  /// The tensor with this name, or null.
  const TensorEntry* find(const std::string& name) const;
  std::span<const std::byte> data() const { return data_; }
  std::span<const std::byte> bytes(const TensorEntry& t) const {
    return data_.subspan(static_cast<size_t>(t.begin), static_cast<size_t>(t.end - t.begin));
  }
  Tensor tensor(const TensorEntry& t) const { return row_major_tensor(t.dtype, t.shape, bytes(t)); }

 private:
  void read_header();
  void check_ranges() const;

  std::string path_;
  std::shared_ptr<const MappedFile> mapped_;  // null: the caller owns the bytes
  std::span<const std::byte> file_, data_;
  Metadata metadata_;
  std::vector<TensorEntry> tensors_;
  std::map<std::string, size_t> index_;
};

/// Fills the bytes of a tensor (row-major) when the writer reaches it.
using Fill = std::function<void(size_t tensor, std::span<std::byte> bytes)>;

/// Writes a file beside `path`, flushes it and renames it to `path`. Sets the offsets of `tensors` in their order, and
/// adds "sha256" of the data section to the metadata. `fill` is called twice per tensor. Throws InputError; the
/// temporary file is then removed and an older `path` unchanged. Only a file with metadata "format" "moproc-..." is
/// replaced, so a caller that may write the same path again sets "format".
void write_safetensors(const std::string& path, std::vector<TensorEntry> tensors, Metadata metadata, const Fill& fill);
/// The same for tensors that are in memory already.
void write_safetensors(const std::string& path, const std::vector<NamedTensor>& tensors, Metadata metadata);

}  // namespace moproc::formats
