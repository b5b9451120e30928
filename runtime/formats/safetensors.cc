// The reader trusts nothing: it parses the header strictly and checks every number before it uses it.
#include "formats/safetensors.h"

#include <algorithm>
#include <optional>

#include "core/error.h"
#include "core/json.h"
#include "core/layout.h"
#include "formats/output_file.h"
#include "formats/sha256.h"

namespace moproc::formats {
namespace {

constexpr uint64_t kMaxHeader = uint64_t{16} << 20;  // bytes; a parsed header takes up to twenty times as much memory

struct TypeName {
  const char* name;
  DType dtype;
};
constexpr TypeName kTypes[] = {{"F32", DType::f32}, {"BF16", DType::bf16},    {"F16", DType::f16}, {"F64", DType::f64},
                               {"I64", DType::i64}, {"I32", DType::i32},      {"I16", DType::i16}, {"I8", DType::i8},
                               {"U8", DType::u8},   {"BOOL", DType::boolean}, {"U64", DType::u64}, {"U32", DType::u32},
                               {"U16", DType::u16}};

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

TensorEntry parse_entry(const std::string& where, const std::string& name, const Json& json) {
  const std::string at = where + ": tensor " + shown(name);
  const Json *dtype = json.find("dtype"), *shape = json.find("shape"), *offsets = json.find("data_offsets");
  if (!json.object() || json.object()->size() != 3 || !dtype || !dtype->string() || !shape || !shape->array() ||
      !offsets || !offsets->array() || offsets->array()->size() != 2)
    throw InputError(at + ": its header is not {dtype, shape, data_offsets}");
  TensorEntry t{name, DType::f32, {}, 0, 0};
  const std::optional<DType> type = type_of(*dtype->string());
  if (!type) throw InputError(at + ": unknown dtype " + shown(*dtype->string()));
  t.dtype = *type;
  for (const Json& d : *shape->array()) {
    int64_t v = -1;
    if (!d.integer(v) || v < 0) throw InputError(at + ": its shape is not whole numbers");
    t.shape.push_back(v);
  }
  if (!(*offsets->array())[0].integer(t.begin) || !(*offsets->array())[1].integer(t.end) || t.begin < 0 ||
      t.end < t.begin)
    throw InputError(at + ": its data_offsets are not a range");
  const std::optional<int64_t> size = checked_product(t.shape, dtype_size(t.dtype));
  if (!size || *size != t.end - t.begin)
    throw InputError(at + ": its data_offsets hold " + std::to_string(t.end - t.begin) +
                     " bytes, but its shape takes " + (size ? std::to_string(*size) : "too many"));
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

std::string show_type(const TensorEntry& t) {
  std::string text = std::string(dtype_name(t.dtype)) + "[";
  for (size_t d = 0; d < t.shape.size(); ++d) text += (d ? "," : "") + std::to_string(t.shape[d]);
  return text + "]";
}

SafetensorsFile::SafetensorsFile(const std::string& path)
    : path_(path), mapped_(std::make_shared<MappedFile>(path)), file_(mapped_->bytes()) {
  read_header();
  check_ranges();
}

SafetensorsFile::SafetensorsFile(ByteSpan bytes, const std::string& where) : path_(where), file_(bytes) {
  read_header();
  check_ranges();
}

void SafetensorsFile::read_header() {
  if (file_.size() < 8)
    throw InputError(path_ + ": not a safetensors file, or truncated (" + std::to_string(file_.size()) + " bytes)");
  const uint64_t length = load<uint64_t>(file_, 0);
  if (length > kMaxHeader || length > file_.size() - 8)
    throw InputError(path_ + ": not a safetensors file, or truncated: its header claims " + std::to_string(length) +
                     " bytes, the file has " + std::to_string(file_.size()));
  const std::string_view text(reinterpret_cast<const char*>(file_.data()) + 8, length);
  data_ = file_.subspan(8 + static_cast<size_t>(length));
  const Json header = parse_json(text, path_ + ": header");
  if (!header.object()) throw InputError(path_ + ": its header is not a JSON object");
  for (const auto& [name, value] : *header.object()) {
    if (name != "__metadata__") {
      if (name.size() > kMaxTensorName) throw InputError(path_ + ": " + long_name(name));
      index_[name] = tensors_.size();
      tensors_.push_back(parse_entry(path_, name, value));
      continue;
    }
    if (!value.object()) throw InputError(path_ + ": __metadata__ is not a JSON object");
    for (const auto& [key, v] : *value.object()) {
      if (!v.string()) throw InputError(path_ + ": __metadata__." + shown(key) + " is not a string");
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
      throw InputError(path_ + ": tensor " + shown(t->name) + ": its data " +
                       (t->begin < at ? "overlap" : "leave a gap behind") + " those of the tensor before");
    at = t->end;
    if (at > static_cast<int64_t>(data_.size()))
      throw InputError(path_ + ": tensor " + shown(t->name) + ": its data end at byte " + std::to_string(at) + " of " +
                       std::to_string(data_.size()) + ": the file is truncated");
  }
  if (at != static_cast<int64_t>(data_.size()))
    throw InputError(path_ + ": " + std::to_string(static_cast<int64_t>(data_.size()) - at) +
                     " bytes follow the last tensor");
}

const TensorEntry* SafetensorsFile::find(const std::string& name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : &tensors_[found->second];
}

namespace {

/// Returns the bytes of a tensor, which may be in `buffer`.
using Source = std::function<ByteSpan(size_t tensor, std::vector<std::byte>& buffer)>;

void write(const std::string& path, std::vector<TensorEntry> tensors, Metadata metadata, const Source& source) {
  int64_t at = 0;
  for (TensorEntry& t : tensors) {
    t.begin = at;
    t.end = at += checked_product(t.shape, dtype_size(t.dtype)).value();
  }
  std::vector<std::byte> buffer;
  Sha256 sha;
  for (size_t i = 0; i < tensors.size(); ++i) sha.add(source(i, buffer));
  metadata["sha256"] = sha.hex();
  const std::string header = header_of(tensors, metadata);
  const uint64_t length = header.size();
  write_atomically(path, safetensors_mark(), [&](OutputFile& file) {
    file.write(std::as_bytes(std::span(&length, 1)));
    file.write(header);
    for (size_t i = 0; i < tensors.size(); ++i) file.write(source(i, buffer));
  });
}

}  // namespace

void write_safetensors(const std::string& path, std::vector<TensorEntry> tensors, Metadata metadata, const Fill& fill) {
  std::vector<size_t> sizes;
  for (const TensorEntry& t : tensors)
    sizes.push_back(static_cast<size_t>(checked_product(t.shape, dtype_size(t.dtype)).value()));
  write(path, std::move(tensors), std::move(metadata), [&](size_t i, std::vector<std::byte>& buffer) {
    buffer.resize(sizes[i]);
    fill(i, buffer);
    return ByteSpan(buffer);
  });
}

void write_safetensors(const std::string& path, const std::vector<NamedTensor>& tensors, Metadata metadata) {
  std::vector<TensorEntry> entries;
  for (const NamedTensor& t : tensors) entries.push_back({t.name, t.tensor.dtype, t.tensor.shape});
  write(path, std::move(entries), std::move(metadata),
        [&](size_t i, std::vector<std::byte>& buffer) { return row_major_bytes(tensors[i].tensor, buffer); });
}

}  // namespace moproc::formats
