// Looks up inputs and outputs of the step programs by name, and copies them into and out of the io arena.
#include "train/step.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <numeric>

#include "comm/world.h"
#include "core/error.h"
#include "core/layout.h"
#include "core/meta.h"
#include "data/sampler.h"

namespace moproc::train {
namespace {

struct HyperName {
  const char* name;
  double Hyper::* value;
};

constexpr HyperName kHyper[] = {
    {"hyper.lr", &Hyper::lr},
    {"hyper.momentum", &Hyper::momentum},
    {"hyper.weight_decay", &Hyper::weight_decay},
    {"hyper.beta1", &Hyper::beta1},
    {"hyper.beta2", &Hyper::beta2},
    {"hyper.eps", &Hyper::eps},
    {"hyper.trust", &Hyper::trust},
    {"hyper.clip_norm", &Hyper::clip_norm},
    {"hyper.moco_m", &Hyper::moco_m},
    {"hyper.proto_m", &Hyper::proto_m},
    {"hyper.temperature", &Hyper::temperature},
    {"hyper.alpha", &Hyper::alpha},
    {"hyper.pseudo_th", &Hyper::pseudo_th},
    {"hyper.w_inst", &Hyper::w_inst},
    {"hyper.w_proto", &Hyper::w_proto},
    {"hyper.label_smoothing", &Hyper::label_smoothing},
};

void expect(const TensorInfo& t, DType dtype, std::initializer_list<int64_t> shape) {
  bool same = t.dtype == dtype && t.rank == static_cast<int32_t>(shape.size());
  for (size_t d = 0; same && d < shape.size(); ++d) same = t.shape[d] == shape.begin()[d];
  if (same) return;
  TensorInfo want = t;
  want.dtype = dtype;
  want.rank = static_cast<int32_t>(shape.size());
  std::copy(shape.begin(), shape.end(), want.shape);
  throw InputError(std::string("input ") + t.name + " is " + show_type(t) + ", training feeds " + show_type(want));
}

/// The number of words in a rank's mail before the two numbers of each of its rows: the rest of the plan's input.
/// Throws InputError unless there is at least one.
int64_t mail_words(const TensorInfo& mail, int64_t rows) {
  const int64_t words = mail.rank == 1 ? mail.shape[0] - 2 * rows : 0;
  if (words < 1) expect(mail, DType::i64, {1 + 2 * rows});
  expect(mail, DType::i64, {words + 2 * rows});
  return words;
}

double sum(const std::vector<double>& v) { return std::accumulate(v.begin(), v.end(), 0.0); }

}  // namespace

StepRunner::StepRunner(Session& session, const Hyper& hyper, uint64_t seed, bool features)
    : session_(session),
      hyper_(hyper),
      seed_(seed),
      loads_keys_(session.ranks() > 1 && meta(session.plan(), "shuffle_bn") != "exchange"),
      supervised_(session.has_program("train") && !session.has_program("warmup")) {
  if (supervised_) {
    phases_[static_cast<int>(Phase::train)] = bind(features ? "train_features" : "train", Phase::train);
    return;
  }
  for (const Phase phase : {Phase::warmup, Phase::proto, Phase::clean})
    phases_[static_cast<int>(phase)] = bind(phase_name(phase), phase);
}

Phase StepRunner::phase(int epoch, int start_clean_epoch) const {
  return supervised_ ? Phase::train : phase_of(epoch, start_clean_epoch);
}

bool StepRunner::needs_strong() const {
  return std::any_of(std::begin(phases_), std::end(phases_), [](const Bound& b) { return b.img_aug >= 0; });
}

void StepRunner::require_outputs(const Bound& b, Phase phase) const {
  session_.output(b.program, "loss");
  session_.output(b.program, "finite");
  if (phase != Phase::clean) return;
  const TensorInfo& labels = session_.info(session_.output(b.program, "target_out"));
  const TensorInfo& kept = session_.info(session_.output(b.program, "kept"));
  session_.output(b.program, "clean");
  if (labels.dtype != DType::i64 || kept.dtype != DType::f32 || elements(labels) != batch() ||
      elements(kept) != batch())
    throw InputError("program clean: target_out is " + show_type(labels) + " and kept " + show_type(kept) +
                     ", not i64 and f32 of the batch");
}

StepRunner::Bound StepRunner::bind(const std::string& name, Phase phase) {
  Bound b;
  b.program = session_.program(name);
  const ProgramInfo& p = session_.plan().programs[b.program];
  const int feature = session_.find_input(b.program, "feature");
  b.img = feature >= 0 ? feature : session_.input(b.program, "img");
  b.img_aug = session_.find_input(b.program, "img_aug");
  b.target = session_.input(b.program, "target");
  b.order = session_.find_input(b.program, "order");
  for (const HyperName& h : kHyper) {
    const int t = session_.find_input(b.program, h.name);
    if (t < 0) continue;
    expect(session_.info(t), DType::f32, {});
    b.hyper.push_back({t, h.value});
  }
  b.target_b = session_.find_input(b.program, "target_b");
  b.mix = session_.find_input(b.program, "hyper.mix");
  b.weight = session_.find_input(b.program, "weight");
  b.mail = session_.find_input(b.program, "mail");
  size_t fed = 2 + b.hyper.size();
  for (const int t : {b.img_aug, b.order, b.target_b, b.mix, b.weight, b.mail}) fed += t >= 0;
  if (static_cast<size_t>(p.inputs.size) != fed) {
    std::string text = "program " + name + " has inputs that training does not feed; it has";
    for (const int32_t t : p.inputs) text += std::string(" ") + session_.info(t).name;
    throw InputError(text);
  }
  const TensorInfo& img = session_.info(b.img);
  part_ = img.shape[0];
  image_size_ = feature >= 0 ? 0 : img.shape[2];
  image_dtype_ = img.dtype == DType::f32 ? DType::f32 : DType::u8;
  for (const int t : {b.img, b.img_aug})
    if (t >= 0 && t != feature) expect(session_.info(t), image_dtype_, {part_, 3, image_size_, image_size_});
  for (const int t : {b.target, b.target_b})
    if (t >= 0) expect(session_.info(t), DType::i64, {part_});
  if (b.order >= 0) expect(session_.info(b.order), DType::i64, {batch()});
  if (b.weight >= 0) expect(session_.info(b.weight), DType::f32, {part_});
  if (b.mix >= 0) expect(session_.info(b.mix), DType::f32, {});
  if (b.mail >= 0) b.mail_words = mail_words(session_.info(b.mail), part_);
  require_outputs(b, phase);
  return b;
}

void StepRunner::start(Phase phase, const TrainBatch& batch, double lr, uint64_t global_step) {
  const Bound& p = phases_[static_cast<int>(phase)];
  feed(p, batch, lr, global_step);
  session_.start(p.program);
}

StepResult StepRunner::finish(Phase phase) {
  session_.wait();
  return read(phases_[static_cast<int>(phase)]);
}

StepResult StepRunner::run(Phase phase, const TrainBatch& batch, double lr, uint64_t global_step) {
  start(phase, batch, lr, global_step);
  return finish(phase);
}

void StepRunner::feed(const Bound& p, const TrainBatch& batch, double lr, uint64_t global_step) {
  Hyper now = hyper_;
  now.lr = lr;
  for (const Scalar& s : p.hyper) session_.view<float>(s.tensor)[0] = static_cast<float>(now.*s.value);
  const auto copy = [&](int t, const void* from) {
    if (t >= 0) std::memcpy(session_.data(t), from, static_cast<size_t>(session_.info(t).bytes));
  };
  const auto copy_batch = [&](int t, const void* from) {
    if (t < 0 || kept(t)) return;
    copy(t, from);
    if (!keep_batch_) return;
    session_.keep(t);
    kept_.push_back(t);
  };
  copy_batch(p.img, batch.img);
  copy_batch(p.img_aug, batch.img_aug);
  copy_batch(p.target, batch.target);
  if (p.weight >= 0) {
    const auto weight = session_.view<float>(p.weight);
    for (int64_t i = 0; i < part_; ++i)
      weight[i] = weights_.empty() ? 1.0f : weights_[static_cast<size_t>(batch.sample[i])];
  }
  if (p.mail >= 0) write_mail(p, batch);
  if (p.order < 0) return;
  std::vector<int64_t> order(batch.order, batch.order ? batch.order + this->batch() : nullptr);
  if (order.empty()) order = data::permutation(seed_, global_step, static_cast<uint64_t>(this->batch()));
  copy(p.order, order.data());
  if (p.mix < 0) return;
  session_.view<float>(p.mix)[0] = static_cast<float>(data::beta_draw(seed_, global_step, mixup_));
  const auto other = session_.view<int64_t>(p.target_b);
  const std::vector<int64_t> targets = targets_of_all(batch);
  const int64_t from = part_ * session_.rank();
  for (int64_t i = 0; i < part_; ++i) other[i] = targets[static_cast<size_t>(order[static_cast<size_t>(from + i)])];
}

/// Writes the step's input `mail`, which this rank sends to all others with the step; the output `mails` holds the
/// mails of all ranks. A mail begins with p.mail_words words: the first is a signal's number, and the others are unused
/// (-1). Then come the labels of this rank's images and their indices in the list. The other ranks need labels and
/// indices because only the rank that loads an image knows which image has replaced a broken file.
void StepRunner::write_mail(const Bound& p, const TrainBatch& batch) {
  const auto mail = session_.view<int64_t>(p.mail);
  std::fill(mail.begin(), mail.end(), -1);
  mail[0] = signal_;
  std::copy_n(batch.target, part_, mail.begin() + p.mail_words);
  if (batch.sample) std::copy_n(batch.sample, part_, mail.begin() + p.mail_words + part_);
}

void StepRunner::read_mails(const Bound& p, StepResult& to) const {
  const int t = session_.find_output(p.program, "mails");
  if (t < 0) return;
  const auto mails = session_.view<int64_t>(t);
  const size_t size = mails.size() / static_cast<size_t>(session_.ranks());
  for (size_t at = 0; at < mails.size(); at += size) {
    const auto mail = mails.subspan(at, size);
    to.signal = std::max(to.signal, mail[0]);
    const auto rows = mail.subspan(static_cast<size_t>(p.mail_words));
    to.all_targets.insert(to.all_targets.end(), rows.begin(), rows.begin() + part_);
    to.all_samples.insert(to.all_samples.end(), rows.begin() + part_, rows.end());
  }
}

/// The labels of the whole batch, needed before its step.
std::vector<int64_t> StepRunner::targets_of_all(const TrainBatch& batch) const {
  if (session_.ranks() == 1) return {batch.target, batch.target + part_};
  const std::string own(reinterpret_cast<const char*>(batch.target), static_cast<size_t>(part_) * sizeof(int64_t));
  std::vector<int64_t> all;
  for (const std::string& text : session_.world()->exchange("labels of mixed images", own)) {
    all.resize(all.size() + static_cast<size_t>(part_));
    std::memcpy(all.data() + all.size() - part_, text.data(), text.size());
  }
  return all;
}

/// All elements of a floating-point or integer output as doubles; nothing if the program has no such output.
std::optional<std::vector<double>> StepRunner::values(int program, const char* output) const {
  const int t = session_.find_output(program, output);
  if (t < 0) return std::nullopt;
  const auto as = [&](auto zero) {
    const auto v = session_.view<decltype(zero)>(t);
    return std::vector<double>(v.begin(), v.end());
  };
  switch (session_.info(t).dtype) {
    case DType::f32: return as(float{});
    case DType::f64: return as(double{});
    case DType::i64: return as(int64_t{});
    case DType::i32: return as(int32_t{});
    default: return as(uint8_t{});
  }
}

StepResult StepRunner::read(const Bound& p) const {
  StepResult r;
  r.samples = static_cast<double>(batch());
  const auto total = [&](const char* name) -> std::optional<double> {
    const auto v = values(p.program, name);
    return v ? std::optional(sum(*v)) : std::nullopt;
  };
  const auto mean = [&](const char* name) -> std::optional<double> {
    const auto v = values(p.program, name);
    return v && !v->empty() ? std::optional(sum(*v) / static_cast<double>(v->size())) : std::nullopt;
  };
  r.finite = total("finite").value_or(1) != 0;
  r.loss = mean("loss");
  r.loss_cls = mean("loss_cls");
  r.loss_inst = mean("loss_inst");
  r.loss_proto = mean("loss_proto");
  r.correct_cls = total("correct_cls");
  if (supervised_) r.correct_cls = total("correct");
  r.correct_inst = total("correct_inst");
  r.correct_proto = total("correct_proto");
  r.kept = total("clean").value_or(r.samples);
  read_mails(p, r);
  if (const int t = session_.find_output(p.program, "target_out"); t >= 0)
    r.target_new = session_.view<int64_t>(t).data();
  if (const int t = session_.find_output(p.program, "kept"); t >= 0) r.kept_flags = session_.view<float>(t).data();
  return r;
}

}  // namespace moproc::train
