#include "workflow/program_outputs.h"

#include <algorithm>
#include <cstring>

#include "core/error.h"
#include "core/layout.h"
#include "formats/safetensors.h"
#include "log/console.h"

namespace moproc::train {
namespace {

constexpr size_t kShownNumbers = 4;

/// The only element of a tensor as text; "" for element types that have no number.
std::string number_of(DType type, const std::byte* at) {
  const auto as = [&]<class T>(T v) {
    std::memcpy(&v, at, sizeof v);
    return v;
  };
  switch (type) {
    case DType::f32: return format("%.6g", static_cast<double>(as(float{})));
    case DType::f64: return format("%.6g", as(double{}));
    case DType::i64: return std::to_string(as(int64_t{}));
    case DType::i32: return std::to_string(as(int32_t{}));
    case DType::i16: return std::to_string(as(int16_t{}));
    case DType::i8: return std::to_string(as(int8_t{}));
    case DType::u64: return std::to_string(as(uint64_t{}));
    case DType::u32: return std::to_string(as(uint32_t{}));
    case DType::u16: return std::to_string(as(uint16_t{}));
    case DType::u8:
    case DType::boolean: return std::to_string(as(uint8_t{}));
    default: return "";
  }
}

}  // namespace

ProgramOutputs::ProgramOutputs(const Session& session, int program, const std::vector<std::string>& only,
                               const std::string& file, bool stacked)
    : session_(session), program_(session.plan().programs[program].name), file_(file), stacked_(stacked) {
  std::vector<int> kept;
  for (const std::string& name : only) kept.push_back(session.output(program, name));
  for (const int32_t t : session.plan().programs[program].outputs) {
    const bool wanted = kept.empty() || std::find(kept.begin(), kept.end(), t) != kept.end();
    outputs_.push_back({t, !file.empty() && wanted, {}, ""});
  }
}

void ProgramOutputs::take() {
  std::vector<std::byte> now;
  for (Output& o : outputs_) {
    const TensorInfo& info = session_.info(o.tensor);
    const bool is_number = elements(info) == 1;
    if (!o.kept && !is_number) continue;
    now.resize(static_cast<size_t>(info.bytes));
    session_.get(o.tensor, now);
    if (is_number) o.number = number_of(info.dtype, now.data());
    if (o.kept) o.steps.insert(o.steps.end(), now.begin(), now.end());
  }
  ++taken_;
}

std::string ProgramOutputs::numbers() const {
  std::string text;
  size_t shown = 0;
  for (const Output& o : outputs_) {
    if (o.number.empty() || shown == kShownNumbers) continue;
    text += (shown++ ? "  " : "") + std::string(short_name(session_.info(o.tensor))) + " " + o.number;
  }
  return text;
}

std::string ProgramOutputs::summary() const {
  std::string text;
  for (const Output& o : outputs_) {
    const TensorInfo& info = session_.info(o.tensor);
    text += (text.empty() ? "" : "  ") + std::string(short_name(info)) + " " +
            (o.number.empty() ? show_type(info) : o.number);
  }
  return text.empty() ? "no outputs" : text;
}

std::string ProgramOutputs::write() const {
  if (file_.empty()) return "";
  std::vector<formats::NamedTensor> tensors;
  std::string names;
  for (const Output& o : outputs_) {
    if (!o.kept) continue;
    const TensorInfo& info = session_.info(o.tensor);
    std::vector<int64_t> shape(info.shape, info.shape + info.rank);
    if (stacked_) shape.insert(shape.begin(), taken_);
    tensors.push_back({short_name(info), formats::row_major_tensor(info.dtype, std::move(shape), o.steps)});
    names += (names.empty() ? ": " : ", ") + std::string(short_name(info)) + " " + show_type(tensors.back().tensor);
  }
  formats::write_safetensors(file_, tensors,
                             {{"format", kOutputsFormat},
                              {"artefact", session_.plan().name},
                              {"program", program_},
                              {"steps", std::to_string(taken_)}});
  return file_ + names;
}

}  // namespace moproc::train
