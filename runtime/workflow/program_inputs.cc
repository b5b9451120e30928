#include "workflow/program_inputs.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <memory>

#include "core/error.h"
#include "core/layout.h"

namespace moproc::train {
namespace {

/// Writes `value` as every element of type T. Throws InputError if T cannot hold it.
template <class T>
void fill(std::vector<std::byte>& bytes, double value, const std::string& text) {
  const T v = static_cast<T>(value);
  if (std::is_integral_v<T> && static_cast<double>(v) != value)
    throw InputError("--set " + text + ": the input's type does not hold this number");
  for (size_t i = 0; i < bytes.size(); i += sizeof(T)) std::memcpy(&bytes[i], &v, sizeof(T));
}

void fill(std::vector<std::byte>& bytes, DType type, double value, const std::string& text) {
  switch (type) {
    case DType::f32: return fill<float>(bytes, value, text);
    case DType::f64: return fill<double>(bytes, value, text);
    case DType::i64: return fill<int64_t>(bytes, value, text);
    case DType::i32: return fill<int32_t>(bytes, value, text);
    case DType::i16: return fill<int16_t>(bytes, value, text);
    case DType::i8: return fill<int8_t>(bytes, value, text);
    case DType::u64: return fill<uint64_t>(bytes, value, text);
    case DType::u32: return fill<uint32_t>(bytes, value, text);
    case DType::u16: return fill<uint16_t>(bytes, value, text);
    case DType::u8: return fill<uint8_t>(bytes, value, text);
    case DType::boolean:
      if (value != 0 && value != 1) throw InputError("--set " + text + ": a bool is 0 or 1");
      return fill<uint8_t>(bytes, value, text);
    case DType::bf16:
    case DType::f16: break;
  }
  throw InputError("--set " + text + ": the input is " + dtype_name(type) + "; give it in the file of --inputs");
}

}  // namespace

ProgramInputs::ProgramInputs(Session& session, int program, const std::string& file,
                             const std::vector<std::string>& values, Console& console)
    : session_(session) {
  for (const std::string& v : values) add_value(program, v);
  if (!file.empty()) add_file(program, file, console);
  std::string missing;
  for (const int32_t t : session.plan().programs[program].inputs)
    if (!has(t))
      missing +=
          (missing.empty() ? "" : ", ") + std::string(short_name(session.info(t))) + " " + show_type(session.info(t));
  if (!missing.empty())
    throw InputError("program " + std::string(session.plan().programs[program].name) + " needs inputs that are not " +
                     "given: " + missing + "; --inputs FILE or --set NAME=NUMBER gives them");
}

bool ProgramInputs::has(int tensor) const {
  return std::any_of(inputs_.begin(), inputs_.end(), [&](const Input& i) { return i.tensor == tensor; });
}

void ProgramInputs::add_value(int program, const std::string& text) {
  const size_t equal = text.find('=');
  if (equal == std::string::npos || equal == 0) throw InputError("--set " + text + ": must be NAME=NUMBER");
  const int t = session_.input(program, text.substr(0, equal));
  if (has(t)) throw InputError("--set " + text + ": this input is given twice");
  double value = 0;
  const char* const end = text.data() + text.size();
  const auto [after, error] = std::from_chars(text.data() + equal + 1, end, value);
  if (error != std::errc() || after != end) throw InputError("--set " + text + ": what follows = must be a number");
  std::vector<std::byte>& bytes = filled_.emplace_back(static_cast<size_t>(session_.info(t).bytes));
  fill(bytes, session_.info(t).dtype, value, text);
  inputs_.push_back({t, bytes, false});
}

void ProgramInputs::add_file(int program, const std::string& path, Console& console) {
  file_ = std::make_unique<const formats::SafetensorsFile>(path);
  std::string unused, first;
  for (const formats::TensorEntry& e : file_->tensors()) {
    const int t = session_.find_input(program, e.name);
    if (t < 0) {
      unused += (unused.empty() ? "" : ", ") + formats::shown(e.name);
      continue;
    }
    if (has(t)) throw InputError(path + ": " + e.name + " is also given by --set; give it once");
    const TensorInfo& want = session_.info(t);
    const auto ends_with_shape = [&](size_t axes) {
      return e.shape.size() == axes + static_cast<size_t>(want.rank) &&
             std::equal(e.shape.begin() + static_cast<std::ptrdiff_t>(axes), e.shape.end(), want.shape);
    };
    const bool series = ends_with_shape(1);
    if (e.dtype != want.dtype || (!series && !ends_with_shape(0)))
      throw InputError(path + ": " + e.name + " is " + show_type(e) + ", the program needs " + show_type(want) +
                       ", or a series of these with one more axis in front");
    if (series) {
      if (e.shape[0] == 0) throw InputError(path + ": " + e.name + " is a series of no slices");
      if (length_ != 0 && e.shape[0] != length_)
        throw InputError(path + ": " + e.name + " is a series of " + std::to_string(e.shape[0]) + ", " + first +
                         " of " + std::to_string(length_) + "; all series must have the same length");
      length_ = e.shape[0];
      first = e.name;
    }
    inputs_.push_back({t, file_->bytes(e), series});
  }
  if (!unused.empty()) console.line(path + ": not used by this program: " + unused);
}

void ProgramInputs::set(int64_t step) const {
  for (const Input& i : inputs_) {
    const size_t bytes = static_cast<size_t>(session_.info(i.tensor).bytes);
    const size_t slice = i.series ? static_cast<size_t>(step % length_) : 0;
    session_.set(i.tensor, i.bytes.subspan(slice * bytes, bytes));
  }
}

}  // namespace moproc::train
