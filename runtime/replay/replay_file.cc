// Reads a replay file. Every tensor's name is parsed, so a tensor with a misspelt name is refused, not overlooked.
#include "replay/replay_file.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <optional>
#include <set>
#include <string_view>

#include "core/check.h"
#include "core/error.h"
#include "core/json.h"
#include "core/layout.h"

namespace moproc::train {

using namespace formats;
namespace {

constexpr float kMean[] = {0.485f, 0.456f, 0.406f}, kStd[] = {0.229f, 0.224f, 0.225f};  // ImageNet's

constexpr int64_t kMaxNumber = 1'000'000'000;  // of steps, ranks, epochs

/// The parts of a name step{step}.WHAT.
struct TensorName {
  size_t step = 0;
  int64_t rank = -1;      // of rank{r}.KIND
  std::string_view rest;  // KIND, "idx_shuffle", or the state's name
  bool state = false;
};

/// Takes a decimal number without leading zeros off the front of `text`.
bool take_number(std::string_view& text, int64_t& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  const size_t digits = static_cast<size_t>(end - text.data());
  if (error != std::errc() || out < 0 || out > kMaxNumber || (digits > 1 && text[0] == '0')) return false;
  text.remove_prefix(digits);
  return true;
}

bool take(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

std::optional<TensorName> parse_name(std::string_view text) {
  TensorName n;
  int64_t step = 0;
  if (!take(text, "step") || !take_number(text, step) || !take(text, ".")) return std::nullopt;
  n.step = static_cast<size_t>(step);
  n.state = take(text, "state.");
  if (!n.state && take(text, "rank")) {
    if (!take_number(text, n.rank) || !take(text, ".")) return std::nullopt;
    if (text != "img" && text != "img_aug" && text != "target") return std::nullopt;
  } else if (!n.state && text != "idx_shuffle") {
    return std::nullopt;
  }
  n.rest = text;
  return n;
}

std::string show(DType dtype, const std::vector<int64_t>& shape) { return show_type(TensorEntry{"", dtype, shape}); }

/// Returns the bytes, or a copy if they are not aligned: a file need not align its tensors.
std::span<const std::byte> aligned(std::span<const std::byte> bytes, std::vector<std::byte>& copy) {
  if (reinterpret_cast<uintptr_t>(bytes.data()) % 8 == 0) return bytes;
  copy.assign(bytes.begin(), bytes.end());
  return copy;
}

/// The bytes as T. `copy` holds them if they are not aligned.
template <class T>
std::span<const T> as(std::span<const std::byte> bytes, std::vector<std::byte>& copy) {
  const std::span<const std::byte> at = aligned(bytes, copy);
  return {reinterpret_cast<const T*>(at.data()), at.size() / sizeof(T)};
}

Phase phase_named(const std::string& name, const std::string& where) {
  for (const Phase p : {Phase::warmup, Phase::proto, Phase::clean})
    if (name == phase_name(p)) return p;
  throw InputError(where + ": phase '" + name + "' is not warmup, proto or clean");
}

ReplayStep parse_step(const Json& json, const std::string& where) {
  const Json *phase = json.find("phase"), *lr = json.find("lr"), *epoch = json.find("epoch");
  if (!phase || !phase->string()) throw InputError(where + ": no phase");
  ReplayStep s;
  s.phase = phase_named(*phase->string(), where);
  if (!lr || !lr->number() || !(*lr->number() >= 0) || !std::isfinite(static_cast<float>(*lr->number())))
    throw InputError(where + ": lr is not a number of at least 0");
  s.lr = *lr->number();
  int64_t e = -1;
  if (!epoch || !epoch->integer(e) || e < 0 || e > kMaxNumber)
    throw InputError(where + ": epoch is not a whole number of at least 0");
  s.epoch = static_cast<int>(e);
  return s;
}

}  // namespace

ReplayFile::ReplayFile(const std::string& path, const ReplayShape& shape, const Session& session)
    : file_(path), shape_(shape) {
  read_steps();
  sort_tensors(session);
  for (size_t i = 0; i < steps_.size(); ++i) check_step(i, session);
}

void ReplayFile::fail(size_t step, const std::string& name, const std::string& reason) const {
  throw InputError(file_.path() + ": step " + std::to_string(step) + ": tensor step" + std::to_string(step) + "." +
                   name + " " + reason);
}

const TensorEntry& ReplayFile::tensor(size_t step, const std::string& name) const {
  const TensorEntry* const t = file_.find("step" + std::to_string(step) + "." + name);
  if (!t) fail(step, name, "is missing");
  return *t;
}

void ReplayFile::read_steps() {
  const auto found = file_.metadata().find("steps");
  const std::string where = file_.path() + ": __metadata__.steps";
  if (found == file_.metadata().end()) throw InputError(where + " is missing: not a replay file");
  const Json json = parse_json(found->second, where);
  if (!json.array() || json.array()->empty()) throw InputError(where + " is not a list of steps");
  for (const Json& step : *json.array())
    steps_.push_back(parse_step(step, file_.path() + ": step " + std::to_string(steps_.size())));
}

/// Finds out which states each step replaces. Checks the number of ranks, and that every tensor has a known name.
void ReplayFile::sort_tensors(const Session& session) {
  replaced_.resize(steps_.size());
  int64_t world = 0;
  for (const TensorEntry& t : file_.tensors()) {
    const std::optional<TensorName> n = parse_name(t.name);
    if (!n) throw InputError(file_.path() + ": tensor " + t.name + " has a name that a replay file cannot contain");
    if (n->step >= steps_.size())
      throw InputError(file_.path() + ": tensor " + t.name +
                       " belongs to a step that __metadata__.steps lacks (it has " + std::to_string(steps_.size()) +
                       ")");
    world = std::max(world, n->rank + 1);
    if (n->state) replaced_[n->step].emplace_back(n->rest);
  }
  if (world == 0) throw InputError(file_.path() + ": holds no step0.rank0.img");
  if (world != shape_.groups)
    throw InputError(file_.path() + ": holds batches of " + std::to_string(world) + " ranks, but the artefact has " +
                     std::to_string(shape_.groups) + " groups; compile one with --bn-groups " + std::to_string(world));
  std::set<std::string> known;
  for (const StateInfo& s : session.plan().state)
    if (s.role != Role::derived) known.insert(session.info(s.tensor).name);
  for (size_t i = 0; i < steps_.size(); ++i)
    for (const std::string& name : replaced_[i])
      if (!known.contains(name)) fail(i, "state." + name, "replaces a state that the artefact does not have");
}

void ReplayFile::check_step(size_t step, const Session& session) const {
  std::vector<std::byte> copy;
  const auto want = [&](const std::string& name, DType dtype, std::vector<int64_t> shape) -> const TensorEntry& {
    const TensorEntry& t = tensor(step, name);
    if (t.dtype != dtype || t.shape != shape)
      fail(step, name, "is " + show_type(t) + ", the artefact needs " + show(dtype, shape));
    return t;
  };
  for (int64_t r = 0; r < shape_.groups; ++r) {
    const std::string rank = "rank" + std::to_string(r) + ".";
    check_images(step, rank + "img");
    check_images(step, rank + "img_aug");
    const TensorEntry& target = want(rank + "target", DType::i64, {shape_.rank_batch()});
    for (const int64_t v : as<int64_t>(file_.bytes(target), copy))
      if (v < 0 || v >= shape_.num_class)
        fail(
            step, rank + "target",
            "holds label " + std::to_string(v) + ", the artefact has " + std::to_string(shape_.num_class) + " classes");
  }
  const TensorEntry& order = want("idx_shuffle", DType::i64, {shape_.batch});
  std::vector<bool> seen(static_cast<size_t>(shape_.batch));
  for (const int64_t v : as<int64_t>(file_.bytes(order), copy)) {
    if (v < 0 || v >= shape_.batch || seen[static_cast<size_t>(v)])
      fail(step, "idx_shuffle",
           "is not a permutation of 0.." + std::to_string(shape_.batch - 1) + ": see " + std::to_string(v));
    seen[static_cast<size_t>(v)] = true;
  }
  for (const std::string& name : replaced_[step]) {
    const TensorInfo& state = session.info(session.tensor(name));
    const TensorEntry& t = want("state." + name, state.dtype, {state.shape, state.shape + state.rank});
    if (const int64_t at = first_nonfinite(state, aligned(file_.bytes(t), copy).data()); at >= 0)
      fail(step, "state." + name, "is not finite at element " + std::to_string(at));
  }
}

/// Images must be u8 or f32 and have the rank's size. f32 is allowed only if the programs take it, and must be finite.
void ReplayFile::check_images(size_t step, const std::string& name) const {
  const TensorEntry& t = tensor(step, name);
  const std::vector<int64_t> shape{shape_.rank_batch(), 3, shape_.image_size, shape_.image_size};
  if ((t.dtype != DType::u8 && t.dtype != DType::f32) || t.shape != shape)
    fail(step, name,
         "is " + show_type(t) + ", the artefact needs " + show(DType::u8, shape) + " or " + show(DType::f32, shape));
  if (t.dtype == DType::u8) return;
  if (shape_.images != DType::f32)
    fail(step, name,
         "is f32, and this artefact takes u8 images, which it normalises itself; compile one that "
         "takes f32 with --image-input f32");
  std::vector<std::byte> copy;
  TensorInfo info{};
  info.dtype = DType::f32;
  info.rank = 4;
  std::copy(shape.begin(), shape.end(), info.shape);
  if (const int64_t at = first_nonfinite(info, aligned(file_.bytes(t), copy).data()); at >= 0)
    fail(step, name, "is not finite at element " + std::to_string(at));
}

int ReplayFile::replace_state(size_t step, Session& session) const {
  std::vector<std::byte> copy;
  for (const std::string& name : replaced_[step])
    session.set(session.tensor(name), aligned(file_.bytes(tensor(step, "state." + name)), copy));
  return static_cast<int>(replaced_[step].size());
}

/// Writes all ranks' images to `to`, in stored order and the type that the programs take.
void ReplayFile::gather(size_t step, const char* what, std::vector<std::byte>& to) const {
  const int64_t size = dtype_size(shape_.images), pixels = shape_.image_size * shape_.image_size;
  const int64_t values = shape_.rank_batch() * 3 * pixels;
  to.resize(static_cast<size_t>(shape_.groups * values * size));
  std::vector<std::byte> copy, normalised;
  for (int64_t r = 0; r < shape_.groups; ++r) {
    const TensorEntry& t = tensor(step, "rank" + std::to_string(r) + "." + what);
    std::span<const std::byte> from = aligned(file_.bytes(t), copy);
    if (t.dtype != shape_.images) {  // bytes for programs that take f32: one rounding per operation
      normalised.resize(static_cast<size_t>(4 * values));
      float* const out = reinterpret_cast<float*>(normalised.data());
      for (int64_t i = 0; i < values; ++i) {
        const int64_t c = i / pixels % 3;
        out[i] = (static_cast<float>(from[static_cast<size_t>(i)]) / 255.0f - kMean[c]) / kStd[c];
      }
      from = normalised;
    }
    TensorInfo info{};
    info.dtype = shape_.images;
    info.rank = 4;
    const int64_t shape[] = {shape_.rank_batch(), 3, shape_.image_size, shape_.image_size};
    std::copy_n(shape, 4, info.shape);
    to_stored(info, from.data(), to.data() + r * values * size);
  }
}

TrainBatch ReplayFile::batch(size_t step, int rank, int ranks, bool loads_keys) {
  gather(step, "img", img_);
  gather(step, "img_aug", img_aug_);
  std::vector<std::byte> copy;
  target_.clear();
  for (int64_t r = 0; r < shape_.groups; ++r) {
    const auto part = as<int64_t>(file_.bytes(tensor(step, "rank" + std::to_string(r) + ".target")), copy);
    target_.insert(target_.end(), part.begin(), part.end());
  }
  const auto order = as<int64_t>(file_.bytes(tensor(step, "idx_shuffle")), copy);
  order_.assign(order.begin(), order.end());
  const size_t part = target_.size() / static_cast<size_t>(ranks), from = part * static_cast<size_t>(rank),
               image = img_.size() / target_.size();
  if (loads_keys) {
    keys_.resize(part * image);
    for (size_t i = 0; i < part; ++i)
      std::memcpy(keys_.data() + i * image, img_aug_.data() + static_cast<size_t>(order_[from + i]) * image, image);
  }
  return {steps_[step].epoch,
          static_cast<int64_t>(step),
          img_.data() + from * image,
          loads_keys ? keys_.data() : img_aug_.data() + from * image,
          target_.data() + from,
          nullptr,
          order_.data()};
}

}  // namespace moproc::train
