// Builds the tables of the toy plan. Offsets are assigned in order of definition.
#include "toy_plan.h"

#include <algorithm>

#include "core/layout.h"
#include "toy_kernels.h"

namespace moproc::test {

const char* ToyPlan::keep(const std::string& text) { return texts_.emplace_back(text).c_str(); }

template <class T>
Span<T> ToyPlan::keep(std::deque<std::vector<T>>& where, std::vector<T> values) {
  const std::vector<T>& v = where.emplace_back(std::move(values));
  return {v.data(), static_cast<int32_t>(v.size())};
}

int ToyPlan::tensor(const std::string& name, DType dtype, Arena arena, std::vector<int64_t> shape) {
  for (size_t i = 0; i < tensors_.size(); ++i)
    if (name == tensors_[i].name) return static_cast<int>(i);
  TensorInfo t{keep(name), dtype, arena, static_cast<int32_t>(shape.size()), {}, 0, 0};
  std::copy(shape.begin(), shape.end(), t.shape);
  t.bytes = elements(t) * dtype_size(dtype);
  int64_t& used = arena_[static_cast<int>(arena)];
  t.offset = used;
  used += (t.bytes + 63) / 64 * 64;
  tensors_.push_back(t);
  return static_cast<int>(tensors_.size()) - 1;
}

void ToyPlan::state(const std::string& name, DType dtype, std::vector<int64_t> shape, Role role, InitKind init,
                    double value, int copy_of) {
  states_.push_back({tensor(name, dtype, Arena::state, std::move(shape)), role, init, value, copy_of});
}

int ToyPlan::kernel(const char* symbol, CpuEntry entry) {
  kernels_.push_back({symbol, symbol, entry, 0, 0});
  return static_cast<int>(kernels_.size()) - 1;
}

int ToyPlan::hyper(const char* name) { return tensor(std::string("hyper.") + name, DType::f32, Arena::io, {}); }

StepInfo ToyPlan::launch(const char* name, int kernel, std::vector<int32_t> args, std::vector<int64_t> tasks) {
  return {StepKind::launch,
          name,
          kernel,
          keep(indices_, std::move(args)),
          z_.batch,
          z_.groups,
          {z_.features(), z_.classes, 0, 0},
          keep(sizes_, std::move(tasks)),
          0,
          1e6,
          1e6,  // large: over the pool
          {nullptr, 0}};
}

void ToyPlan::add_program(const std::string& name, std::vector<int32_t> in, std::vector<int32_t> out,
                          std::vector<StepInfo> steps) {
  programs_.push_back({keep(name), keep(indices_, std::move(in)), keep(indices_, std::move(out)),
                       keep(steps_, std::move(steps)), 4096, 4000});
}

void ToyPlan::step_program(const char* name, bool proto, bool clean) {
  const int64_t n = z_.batch, g = z_.groups, s = z_.size, k = z_.classes;
  const auto in = [&](const char* what, DType d, std::vector<int64_t> shape) {
    return tensor(what, d, Arena::io, std::move(shape));
  };
  const auto out = [&](const char* what, DType d, std::vector<int64_t> shape) {
    return tensor(std::string(name) + "/" + what, d, Arena::io, std::move(shape));
  };
  const int img = in("img", DType::u8, {n, 3, s, s}), aug = in("img_aug", DType::u8, {n, 3, s, s});
  const int target = in("target", DType::i64, {n}), order = in("order", DType::i64, {n});
  const int lr = hyper("lr"), momentum = hyper("momentum"), decay = hyper("weight_decay");
  const int m = hyper("moco_m"), w_inst = hyper("w_inst"), threshold = hyper("pseudo_th");
  const int packed = tensor("packed", DType::f32, Arena::state, {}), weight = states_[0].tensor;
  const int velocity = states_[2].tensor, key = states_[3].tensor, pointer = states_[5].tensor;
  const int probs = tensor("probs", DType::f32, Arena::work, {n, k}),
            losses = tensor("losses", DType::f32, Arena::work, {n, 3});
  const int loss = out("loss", DType::f32, {g}), cls = out("loss_cls", DType::f32, {g});
  const int inst = out("loss_inst", DType::f32, {g}),
            correct = out(z_.supervised ? "correct" : "correct_cls", DType::f32, {g});
  const int finite = out("finite", DType::f32, {}), labels = out("target_out", DType::i64, {n});
  const int kept = out("kept", DType::f32, {n}), count = out("clean", DType::f32, {g});
  std::vector<int32_t> outputs{loss, cls, inst, correct, finite};
  if (proto) outputs.push_back(tensor(std::string(name) + "/correct_proto", DType::f32, Arena::io, {g}));
  if (clean) outputs.insert(outputs.end(), {labels, kept, count});
  StepInfo step = launch("classifier", 0, {img,    aug,    target,  order,    lr,      momentum, decay,  threshold,
                                           w_inst, packed, weight,  velocity, pointer, probs,    losses, loss,
                                           cls,    inst,   correct, finite,   labels,  kept,     count},
                         {n, 1, k});
  step.extent[2] = clean;
  add_program(name, {img, aug, target, order, lr, momentum, decay, m, w_inst, threshold}, outputs,
              {launch("ema", 1, {key, weight, m}, {k}), step});
}

void ToyPlan::evaluate_program() {
  const int64_t n = z_.batch, s = z_.size;
  const int img = tensor("img", DType::u8, Arena::io, {n, 3, s, s}),
            target = tensor("target", DType::i64, Arena::io, {n});
  const int weight = tensor("weight", DType::f32, Arena::io, {n});
  const int logits = tensor("evaluate/logits", DType::f32, Arena::io, {n, z_.classes});
  const int one = tensor("evaluate/correct1", DType::f32, Arena::io, {});
  const int five = tensor("evaluate/correct5", DType::f32, Arena::io, {});
  const int packed = tensor("packed", DType::f32, Arena::state, {});
  add_program("evaluate", {img, target, weight}, {logits, one, five},
              {launch("evaluate", 3, {img, target, weight, packed, logits, one, five}, {1})});
}

void ToyPlan::refresh_program() {
  const int packed = tensor("packed", DType::f32, Arena::state, {});
  add_program("refresh", {}, {}, {launch("pack", 2, {states_[0].tensor, packed}, {z_.classes})});
}

ToyPlan::ToyPlan(ToySizes z) : z_(z) {
  const std::vector<int64_t> matrix{z.classes, z.features()};
  state("encoder_q.classifier.weight", DType::f32, matrix, Role::param, InitKind::uniform, 0.1);
  state("encoder_q.conv1.weight", DType::f32, {4, 3, 2, 5}, Role::param, InitKind::normal, 0.5);
  state("optimizer.momentum.encoder_q.classifier.weight", DType::f32, matrix, Role::momentum, InitKind::constant, 0);
  state("encoder_k.classifier.weight", DType::f32, matrix, Role::buffer, InitKind::copy, 0, 0);
  state("queue", DType::f32, {16, 64}, Role::buffer, InitKind::unit_columns, 0);
  state("queue_ptr", DType::i64, {1}, Role::buffer, InitKind::constant, 0);
  state("encoder_q.bn1.running_var", DType::f32, {7}, Role::buffer, InitKind::constant, 1);
  state("packed", DType::f32, matrix, Role::derived, InitKind::constant, 0);
  kernel("toy_step", toy_step);
  kernel("toy_ema", toy_ema);
  kernel("toy_pack", toy_pack);
  kernel("toy_evaluate", toy_evaluate);
  kernel("toy_nan", toy_nan);
  if (z.supervised) {
    step_program("train", false, false);
  } else {
    step_program("warmup", false, false);
    step_program("proto", true, false);
    step_program("clean", true, true);
  }
  evaluate_program();
  refresh_program();
  add_program("broken", {}, {}, {launch("poison", 4, {tensor("losses", DType::f32, Arena::work, {})}, {1})});
  for (const auto& [key, value] :
       std::initializer_list<std::pair<const char*, std::string>>{{"task", "mopro"},
                                                                  {"arch", "toy"},
                                                                  {"num_class", std::to_string(z.classes)},
                                                                  {"batch", std::to_string(z.batch)},
                                                                  {"groups", std::to_string(z.groups)},
                                                                  {"image_size", std::to_string(z.size)},
                                                                  {"low_dim", "16"},
                                                                  {"width", "0.5"},
                                                                  {"queue", "64"}})
    meta_.push_back({key, keep(value)});
  finish("cpu", "x86-64-v2");
}

void ToyPlan::finish(const char* device, const char* arch) {
  const auto span = [](const auto& v) {
    return Span<std::decay_t<decltype(v[0])>>{v.data(), static_cast<int32_t>(v.size())};
  };
  plan_ = {kPlanVersion,
           "toy",
           "toy-digest",
           device,
           arch,
           span(meta_),
           {arena_[0], arena_[1], arena_[2], arena_[3]},
           100,
           span(tensors_),
           span(states_),
           span(kernels_),
           span(programs_),
           {nullptr, 0}};
}

}  // namespace moproc::test
