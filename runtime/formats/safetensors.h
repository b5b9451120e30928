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

/// A file mapped for reading. Everything in the header is checked against the file before anything is handed
/// out.
class SafetensorsFile {
 public:
  /// Throws InputError naming the file, and the tensor where it is one's fault: unreadable, truncated, no
  /// valid header, unknown type, shape and size that disagree, ranges that overlap, leave gaps or leave the
  /// file.
  explicit SafetensorsFile(const std::string& path);
  /// The same of bytes that must outlive this object; `where` stands for the file in messages.
  SafetensorsFile(ByteSpan bytes, const std::string& where);

  const std::string& path() const { return path_; }
  const Metadata& metadata() const { return metadata_; }
  const std::vector<TensorEntry>& tensors() const { return tensors_; }
  /// Null when there is no tensor of this name.
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
  std::shared_ptr<const MappedFile> mapped_;  // null: the bytes are somebody else's
  std::span<const std::byte> file_, data_;
  Metadata metadata_;
  std::vector<TensorEntry> tensors_;
  std::map<std::string, size_t> index_;
};

/// Fills a tensor's bytes (row-major) when the writer gets to it.
using Fill = std::function<void(size_t tensor, std::span<std::byte> bytes)>;

/// Writes `path` by way of a file beside it, which is synced and renamed; offsets of `tensors` are set here, in
/// their order. "sha256" of the data section is added to the metadata; `fill` is called twice a tensor.
/// Throws InputError; the temporary file is then gone and an older `path` untouched. Only a file with metadata "format"
/// "moproc-..." is replaced, so whoever writes one that may be replaced says "format".
void write_safetensors(const std::string& path, std::vector<TensorEntry> tensors, Metadata metadata,
                       const Fill& fill);
/// The same of tensors that are there already.
void write_safetensors(const std::string& path, const std::vector<NamedTensor>& tensors, Metadata metadata);

}  // namespace moproc::formats
