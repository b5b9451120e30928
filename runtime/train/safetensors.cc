// Reading trusts nothing: the header is parsed strictly, and every number in it is checked before it is used.
#include "train/safetensors.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>

#include "core/error.h"
#include "core/json.h"
#include "core/layout.h"
#include "train/output_file.h"
#include "train/sha256.h"

namespace moproc::train {
namespace {

constexpr uint64_t kMaxHeader = 100'000'000;  // as the reference implementation

struct TypeName {
  const char* name;
  DType dtype;
};
constexpr TypeName kTypes[] = {{"F32", DType::f32}, {"BF16", DType::bf16},   {"F16", DType::f16},
                               {"F64", DType::f64}, {"I64", DType::i64},     {"I32", DType::i32},
                               {"U8", DType::u8},   {"BOOL", DType::boolean}};

const char* name_of(DType t) {
  for (const TypeName& n : kTypes)
    if (n.dtype == t) return n.name;
  return "?";
}

std::optional<DType> type_of(const std::string& name) {
  for (const TypeName& n : kTypes)
    if (name == n.name) return n.dtype;
  return std::nullopt;
}

/// Bytes of a tensor, or nothing when they do not fit 63 bits.
std::optional<int64_t> size_of(DType dtype, const std::vector<int64_t>& shape) {
  int64_t n = dtype_size(dtype);
  for (const int64_t d : shape)
    if (__builtin_mul_overflow(n, d, &n)) return std::nullopt;
  return n;
}

TensorEntry parse_entry(const std::string& where, const std::string& name, const Json& json) {
  const std::string at = where + ": tensor " + name;
  const Json *dtype = json.find("dtype"), *shape = json.find("shape"), *offsets = json.find("data_offsets");
  if (!json.object() || json.object()->size() != 3 || !dtype || !dtype->string() || !shape ||
      !shape->array() || !offsets || !offsets->array() || offsets->array()->size() != 2)
    throw InputError(at + ": its header is not {dtype, shape, data_offsets}");
  TensorEntry t{name, DType::f32, {}, 0, 0};
  const std::optional<DType> type = type_of(*dtype->string());
  if (!type) throw InputError(at + ": unknown dtype " + *dtype->string());
  t.dtype = *type;
  for (const Json& d : *shape->array()) {
    int64_t v = -1;
    if (!d.integer(v) || v < 0) throw InputError(at + ": its shape is not whole numbers");
    t.shape.push_back(v);
  }
  if (!(*offsets->array())[0].integer(t.begin) || !(*offsets->array())[1].integer(t.end) || t.begin < 0 ||
      t.end < t.begin)
    throw InputError(at + ": its data_offsets are no range");
  const std::optional<int64_t> size = size_of(t.dtype, t.shape);
  if (!size || *size != t.end - t.begin)
    throw InputError(at + ": its data_offsets hold " + std::to_string(t.end - t.begin) +
                     " bytes, its shape " + (size ? std::to_string(*size) : "too many"));
  return t;
}

std::string header_of(const std::vector<TensorEntry>& tensors, const Metadata& metadata) {
  JsonLine meta, header;
  for (const auto& [key, value] : metadata) meta.add(key, value);
  header.add_raw("__metadata__", meta.text());
  for (const TensorEntry& t : tensors) {
    std::string shape = "[";
    for (size_t d = 0; d < t.shape.size(); ++d) shape += (d ? ", " : "") + std::to_string(t.shape[d]);
    const std::string offsets = "[" + std::to_string(t.begin) + ", " + std::to_string(t.end) + "]";
    header.add_raw(t.name, JsonLine()
                               .add("dtype", name_of(t.dtype))
                               .add_raw("shape", shape + "]")
                               .add_raw("data_offsets", offsets)
                               .text());
  }
  std::string text = header.text();
  text.resize((text.size() + 7) / 8 * 8, ' ');  // aligns the data
  return text;
}

}  // namespace

SafetensorsFile::SafetensorsFile(const std::string& path) : path_(path) {
  map();
  try {
    read_header();
    check_ranges();
  } catch (...) {
    munmap(const_cast<std::byte*>(file_.data()), file_.size());
    throw;
  }
}

SafetensorsFile::~SafetensorsFile() { munmap(const_cast<std::byte*>(file_.data()), file_.size()); }

void SafetensorsFile::map() {
  const int fd = open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) throw InputError("cannot read " + path_ + ": " + std::strerror(errno));
  struct stat info{};
  if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode) || info.st_size < 8) {
    close(fd);
    throw InputError(path_ + ": no safetensors file (" + std::to_string(info.st_size) + " bytes)");
  }
  const size_t size = static_cast<size_t>(info.st_size);
  void* const at = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
  const int error = errno;
  close(fd);
  if (at == MAP_FAILED) throw InputError("cannot read " + path_ + ": " + std::strerror(error));
  file_ = {static_cast<const std::byte*>(at), size};
}

void SafetensorsFile::read_header() {
  uint64_t length = 0;
  std::memcpy(&length, file_.data(), 8);
  if (length > kMaxHeader || length > file_.size() - 8)
    throw InputError(path_ + ": no safetensors file, or truncated: its header claims " +
                     std::to_string(length) + " bytes, the file has " + std::to_string(file_.size()));
  const std::string_view text(reinterpret_cast<const char*>(file_.data()) + 8, length);
  data_ = file_.subspan(8 + static_cast<size_t>(length));
  const Json header = parse_json(text, path_ + ": header");
  if (!header.object()) throw InputError(path_ + ": its header is no JSON object");
  for (const auto& [name, value] : *header.object()) {
    if (name != "__metadata__") {
      index_[name] = tensors_.size();
      tensors_.push_back(parse_entry(path_, name, value));
      continue;
    }
    if (!value.object()) throw InputError(path_ + ": __metadata__ is no JSON object");
    for (const auto& [key, v] : *value.object()) {
      if (!v.string()) throw InputError(path_ + ": __metadata__." + key + " is no string");
      metadata_[key] = *v.string();
    }
  }
}

void SafetensorsFile::check_ranges() const {
  std::vector<const TensorEntry*> order;
  for (const TensorEntry& t : tensors_) order.push_back(&t);
  std::stable_sort(order.begin(), order.end(), [](const TensorEntry* a, const TensorEntry* b) {
    return a->begin != b->begin ? a->begin < b->begin : a->end < b->end;
  });
  int64_t at = 0;
  for (const TensorEntry* t : order) {
    if (t->begin != at)
      throw InputError(path_ + ": tensor " + t->name + ": its data " +
                       (t->begin < at ? "overlap" : "leave a gap behind") + " those of the tensor before");
    at = t->end;
    if (at > static_cast<int64_t>(data_.size()))
      throw InputError(path_ + ": tensor " + t->name + ": its data end at byte " + std::to_string(at) +
                       " of " + std::to_string(data_.size()) + ": the file is truncated");
  }
  if (at != static_cast<int64_t>(data_.size()))
    throw InputError(path_ + ": " + std::to_string(static_cast<int64_t>(data_.size()) - at) +
                     " bytes follow the last tensor");
}

const TensorEntry* SafetensorsFile::find(const std::string& name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : &tensors_[found->second];
}

void write_safetensors(const std::string& path, std::vector<TensorEntry> tensors, Metadata metadata,
                       const Fill& fill) {
  int64_t at = 0, largest = 0;
  for (TensorEntry& t : tensors) {
    const int64_t size = size_of(t.dtype, t.shape).value();
    t.begin = at;
    t.end = at += size;
    largest = std::max(largest, size);
  }
  std::vector<std::byte> buffer(static_cast<size_t>(largest));
  const auto each = [&](auto&& use) {
    for (size_t i = 0; i < tensors.size(); ++i) {
      const std::span bytes(buffer.data(), static_cast<size_t>(tensors[i].end - tensors[i].begin));
      fill(i, bytes);
      use(std::span<const std::byte>(bytes));
    }
  };
  Sha256 sha;
  each([&](std::span<const std::byte> bytes) { sha.add(bytes); });
  metadata["sha256"] = sha.hex();
  const std::string header = header_of(tensors, metadata);
  const uint64_t length = header.size();
  const std::string partial = path + ".tmp";
  try {
    OutputFile file(partial, OutputFile::Open::truncate);
    file.write(std::as_bytes(std::span(&length, 1)));
    file.write(header);
    each([&](std::span<const std::byte> bytes) { file.write(bytes); });
    file.sync_and_close();
    rename_durably(partial, path);
  } catch (...) {
    unlink(partial.c_str());
    throw;
  }
}

}  // namespace moproc::train
