// Averages, and their JSON for a checkpoint that is written within an epoch.
#include "train/meters.h"

#include "core/error.h"

namespace moproc::train {
namespace {

struct NamedMeter {
  const char* name;
  Meter Meters::* meter;
};
struct NamedCount {
  const char* name;
  double Meters::* count;
};

constexpr NamedMeter kMeters[] = {
    {"loss", &Meters::loss},           {"loss_cls", &Meters::loss_cls},
    {"loss_inst", &Meters::loss_inst}, {"loss_proto", &Meters::loss_proto},
    {"acc_cls", &Meters::acc_cls},     {"acc_inst", &Meters::acc_inst},
    {"acc_proto", &Meters::acc_proto},
};
constexpr NamedCount kCounts[] = {
    {"samples", &Meters::samples},
    {"corrected", &Meters::corrected},
    {"dropped", &Meters::dropped},
    {"not_finite", &Meters::not_finite},
    {"right", &Meters::right},
    {"right_kept", &Meters::right_kept},
    {"wrong", &Meters::wrong},
    {"wrong_corrected", &Meters::wrong_corrected},
    {"wrong_dropped", &Meters::wrong_dropped},
    {"out", &Meters::out},
    {"out_dropped", &Meters::out_dropped},
};

}  // namespace

void Meters::add(const StepResult& r, const int64_t* given) {
  of_step = {};
  if (!r.finite) {
    not_finite += 1;
    return;
  }
  const auto take = [](Meter& m, const std::optional<double>& v) {
    if (v) m.add(*v);
  };
  const auto share = [](Meter& m, const std::optional<double>& correct, double of) {
    if (correct && of > 0) m.add(100.0 * *correct / of);
  };
  take(loss, r.loss);
  take(loss_cls, r.loss_cls);
  take(loss_inst, r.loss_inst);
  take(loss_proto, r.loss_proto);
  share(acc_cls, r.correct_cls, r.kept);
  share(acc_inst, r.correct_inst, r.samples);
  share(acc_proto, r.correct_proto, r.kept);
  if (!r.target_new || !r.kept_flags) return;
  const int64_t n = static_cast<int64_t>(r.samples);
  of_step.samples = r.samples;
  for (int64_t i = 0; i < n; ++i) {
    if (r.kept_flags[i] == 0) of_step.dropped += 1;
    else if (r.target_new[i] != given[i]) of_step.corrected += 1;
  }
  samples += of_step.samples;
  corrected += of_step.corrected;
  dropped += of_step.dropped;
}

void Meters::add_truth(const StepResult& r, const int64_t* given, const int64_t* truth) {
  if (!r.finite || !r.target_new || !r.kept_flags) return;
  for (int64_t i = 0; i < static_cast<int64_t>(r.samples); ++i) {
    const bool kept = r.kept_flags[i] != 0;
    if (truth[i] == kUnknown) continue;
    if (truth[i] == kNoClass) {
      out += 1;
      out_dropped += !kept;
    } else if (truth[i] == given[i]) {
      right += 1;
      right_kept += kept && r.target_new[i] == given[i];
    } else {
      wrong += 1;
      wrong_corrected += kept && r.target_new[i] == truth[i];
      wrong_dropped += !kept;
    }
  }
}

std::string Meters::to_json() const {
  JsonLine line;
  for (const NamedMeter& n : kMeters) {
    const Meter& m = this->*n.meter;
    std::string triple = "[";
    write_json(triple, m.last);
    write_json(triple += ", ", m.sum);
    write_json(triple += ", ", m.count);
    line.add_raw(n.name, triple + "]");
  }
  for (const NamedCount& n : kCounts) line.add(n.name, this->*n.count);
  return line.text();
}

Meters Meters::from_json(const Json& json, const std::string& where) {
  Meters meters;
  for (const NamedMeter& n : kMeters) {
    const Json* v = json.find(n.name);
    const Json::Array* a = v ? v->array() : nullptr;
    if (!a || a->size() != 3 || !(*a)[0].number() || !(*a)[1].number() || !(*a)[2].number())
      throw InputError(where + ": no meter " + n.name);
    meters.*n.meter = {*(*a)[0].number(), *(*a)[1].number(), *(*a)[2].number()};
  }
  for (const NamedCount& n : kCounts) {
    const Json* v = json.find(n.name);
    if (!v || !v->number()) throw InputError(where + ": no count " + n.name);
    meters.*n.count = *v->number();
  }
  return meters;
}

}  // namespace moproc::train
