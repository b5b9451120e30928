// Numbers are written so that they read back as the same numbers. Sums are in f64.
#include "replay/trace.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <span>
#include <string_view>

#include "core/error.h"
#include "core/json.h"
#include "core/layout.h"
#include "formats/output_file.h"

namespace moproc::train {

using namespace formats;
namespace {

using Values = std::optional<std::vector<double>>;

std::string number(double v) {
  std::string text;
  write_json(text, v);
  return text;
}

/// "[a, b]", one value per group.
std::string list(int64_t n, const std::function<std::string(size_t)>& at) {
  std::string text = "[";
  for (int64_t i = 0; i < n; ++i) text += (i ? ", " : "") + at(static_cast<size_t>(i));
  return text + "]";
}

std::string each(const Values& v, int64_t groups) {
  return list(groups, [&](size_t g) { return v ? number((*v)[g]) : "null"; });
}

/// 100 part / whole, per group.
std::string percents(const Values& part, const std::vector<double>& whole) {
  return list(static_cast<int64_t>(whole.size()),
              [&](size_t g) { return part && whole[g] != 0 ? number(100.0 * (*part)[g] / whole[g]) : "null"; });
}

/// A list per group of its samples' values, as whole numbers.
std::string rows(const Values& v, int64_t groups) {
  return list(groups, [&](size_t g) -> std::string {
    if (!v) return "null";
    const int64_t n = static_cast<int64_t>(v->size()) / groups;
    return list(n,
                [&](size_t i) { return std::to_string(static_cast<int64_t>((*v)[g * static_cast<size_t>(n) + i])); });
  });
}

/// All values of a tensor in logical order.
std::vector<double> logical(const Session& session, int tensor) {
  const TensorInfo& t = session.info(tensor);
  std::vector<std::byte> bytes(static_cast<size_t>(t.bytes));
  session.get(tensor, bytes);
  const auto as = [&](auto zero) {
    const auto* const p = reinterpret_cast<const decltype(zero)*>(bytes.data());
    return std::vector<double>(p, p + elements(t));
  };
  switch (t.dtype) {
    case DType::f32: return as(float{});
    case DType::i64: return as(int64_t{});
    default: throw InputError(std::string(t.name) + ": a trace has no states of type " + dtype_name(t.dtype));
  }
}

std::string summary(const std::vector<double>& v) {
  double sum = 0, square = 0;
  for (const double x : v) sum += x, square += x * x;
  const int64_t first = std::min<int64_t>(4, static_cast<int64_t>(v.size()));
  return JsonLine()
      .add("l2", std::sqrt(square))
      .add("mean", v.empty() ? 0.0 : sum / static_cast<double>(v.size()))
      .add_raw("first", list(first, [&](size_t i) { return number(v[i]); }))
      .text();
}

constexpr std::string_view kMomentum = "optimizer.momentum.";

}  // namespace

Trace::Trace(const std::string& path) : path_(path), partial_(temporary_name(path)) {
  require_file(path_, json_mark(kTraceFormat));
  OutputFile(partial_, OutputFile::Open::fresh);
}

Trace::~Trace() {
  if (!done_) unlink(partial_.c_str());
}

void Trace::before(const Session& session) {
  for (const StateInfo& s : session.plan().state) {
    if (s.role != Role::param && s.role != Role::momentum) continue;
    auto& v = before_[s.tensor];
    v.resize(static_cast<size_t>(elements(session.info(s.tensor))));
    session.read(s.tensor, std::as_writable_bytes(std::span(v)));
  }
}

std::string Trace::gradients(const Session& session, const Hyper& hyper) const {
  JsonLine line;
  double all = 0;
  std::vector<std::pair<std::string, double>> norms;
  for (const StateInfo& s : session.plan().state) {
    const std::string_view name = session.info(s.tensor).name;
    if (s.role != Role::momentum || !name.starts_with(kMomentum)) continue;
    const std::string param(name.substr(kMomentum.size()));
    const std::vector<float>&v = before_.at(s.tensor), &p = before_.at(session.tensor(param));
    std::vector<float> now(v.size());
    session.read(s.tensor, std::as_writable_bytes(std::span(now)));
    const double m = static_cast<float>(hyper.momentum), wd = static_cast<float>(hyper.weight_decay);
    double square = 0;
    for (size_t i = 0; i < now.size(); ++i) {
      const double g = now[i] - m * v[i] - wd * p[i];
      square += g * g;
    }
    all += square;
    norms.emplace_back(param, std::sqrt(square));
  }
  line.add("all", std::sqrt(all));
  for (const auto& [name, norm] : norms) line.add(name, norm);
  return line.text();
}

void Trace::after(const Session& session, const StepRunner& runner, const ReplayStep& step, const Hyper& hyper,
                  int64_t groups) {
  const auto output = [&](const char* name) { return runner.output(step.phase, name); };
  const Values clean = output("clean");
  const double group = static_cast<double>(runner.batch() / groups);
  const std::vector<double> samples(static_cast<size_t>(groups), group);
  const bool finite = output("finite").value_or(std::vector<double>{1})[0] != 0;
  JsonLine line;
  line.add("phase", phase_name(step.phase)).add("lr", step.lr).add("epoch", int64_t{step.epoch});
  for (const char* name : {"loss", "loss_cls", "loss_inst", "loss_proto"})
    line.add_raw(name, each(output(name), groups));
  line.add_raw("acc_cls", percents(output("correct_cls"), clean.value_or(samples)))
      .add_raw("acc_inst", percents(output("correct_inst"), samples))
      .add_raw("acc_proto", percents(output("correct_proto"), clean.value_or(samples)))
      .add_raw("clean", each(clean, groups))
      .add_raw("target", rows(output("target_out"), groups))
      .add_raw("kept", rows(output("kept"), groups))
      .add_raw("finite", finite ? "true" : "false")
      .add_raw("grad_l2", finite ? gradients(session, hyper) : "null");
  steps_ += (steps_.empty() ? "  " : ",\n  ") + line.text();
}

void Trace::finish(const Session& session) {
  std::string tensors;
  for (const StateInfo& s : session.plan().state) {
    if (s.role == Role::derived) continue;
    tensors += tensors.empty() ? "  " : ",\n  ";
    write_json(tensors, std::string_view(session.info(s.tensor).name));
    tensors += ": " + summary(logical(session, s.tensor));
  }
  OutputFile file(partial_, OutputFile::Open::begin);  // the constructor has made it
  file.write("{\"format\": \"" + std::string(kTraceFormat) + "\",\n\"steps\": [\n" + steps_ + "\n],\n\"tensors\": {\n" +
             tensors + "\n}}\n");
  file.sync_and_close();
  require_file(path_, json_mark(kTraceFormat));
  rename_durably(partial_, path_);
  done_ = true;
}

}  // namespace moproc::train
