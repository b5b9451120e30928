// Parsing: looks each argument up in the table of flag_table.cc. Surprising: --schedule takes all numbers
// behind it.
#include "command/flags.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <set>
#include <string_view>

#include "command/flag_table.h"
#include "core/error.h"
#include "core/meta.h"

namespace moproc::train {
namespace {

std::string normal_name(std::string name) {
  if (name.starts_with("--")) std::replace(name.begin() + 2, name.end(), '_', '-');
  return name;
}

const Flag& find_flag(const std::vector<Flag>& table, const std::string& given) {
  const std::string name = normal_name(given);
  for (const Flag& f : table)
    for (const std::string& n : f.names)
      if (normal_name(n) == name) return f;
  throw InputError("unknown flag " + given + " (--help lists all)");
}

bool is_flag(const std::string& arg) {
  return arg.size() > 1 && arg[0] == '-' && !(arg[1] >= '0' && arg[1] <= '9') && arg[1] != '.';
}

}  // namespace

const char* name_of(Verb verb) {
  static constexpr const char* names[] = {"train", "clean", "retrain", "finetune", "lowshot"};
  return names[static_cast<int>(verb)];
}

Verb verb_of(std::string_view name) {
  for (const Verb v : {Verb::clean, Verb::retrain, Verb::finetune, Verb::lowshot})
    if (name == name_of(v)) return v;
  return Verb::train;
}

Options parse_flags(int argc, const char* const* argv, bool& help) {
  std::vector<std::string> args(argv + 1, argv + argc);
  help = std::any_of(args.begin(), args.end(), [](const std::string& a) { return a == "--help" || a == "-h"; });
  const Verb verb = verb_of(args.empty() ? "" : args[0]);
  if (verb != Verb::train) args.erase(args.begin());
  Options options = defaults(verb);
  if (help) return options;
  const std::vector<Flag> table = flag_table(options.verb);
  std::set<const Flag*> seen;
  for (size_t i = 0; i < args.size(); ++i) {
    if (!is_flag(args[i])) throw InputError("'" + args[i] + "' is no flag (--help lists all)");
    std::vector<std::string> values;
    std::string name = args[i];
    const size_t equal = name.starts_with("--") ? name.find('=') : std::string::npos;
    if (equal != std::string::npos) {
      values.push_back(name.substr(equal + 1));
      name.resize(equal);
    }
    const Flag& flag = find_flag(table, name);
    if (!seen.insert(&flag).second) throw InputError(name + " is given twice");
    const bool may_take = equal == std::string::npos;
    if (flag.arity == Arity::none) {
      if (!may_take) throw InputError(name + " takes no value");
    } else if (flag.arity == Arity::one) {
      if (may_take && (i + 1 >= args.size() || is_flag(args[i + 1]))) throw InputError(name + " needs a value");
      if (may_take) values.push_back(args[++i]);
    } else if (may_take) {
      while (i + 1 < args.size() && !is_flag(args[i + 1])) values.push_back(args[++i]);
    }
    flag.set(options, Value{name, values});
  }
  return options;
}

namespace {

std::string usage(const std::string& program, Verb verb) {
  if (verb == Verb::clean)
    return program +
           " clean --data DIR --resume FILE [flags]\n\nThe checkpoint judges the label of every training image: it "
           "stays, becomes the class that classifier and\nprototypes agree on, or the image is dropped. Started "
           "again, a stopped run goes on.";
  if (verb == Verb::retrain)
    return program +
           " retrain --data DIR --annotation FILE --resume FILE [flags]\n\nTrains a classifier on the cleaned labels, "
           "on "
           "top of a network that stays as it is; rare classes are shown more often.";
  if (verb == Verb::finetune)
    return program +
           " finetune --data DIR --model-path FILE [flags]\n\nTrains all layers on a small part of ImageNet "
           "(DIR/train and DIR/val, a folder a class).";
  if (verb == Verb::lowshot)
    return program +
           " lowshot --model-path FILE --dataset voc --voc-path DIR [flags]\n\nHow good a network's features are: "
           "linear SVMs "
           "on a few images a class of VOC 2007 or Places205,\nmean and deviation over draws. Started again, a stopped "
           "run goes on.";
  return program + " --data DIR --exp-dir DIR [flags]\n       " + program + " --synthetic --steps 3\n       " +
         program + " clean|retrain|finetune|lowshot --help\n\nTrains the compiled programs.";
}

}  // namespace

std::string help_text(const std::string& program, Verb verb) {
  std::string text = "usage: " + usage(program, verb) + " A '-' inside a flag may be written '_'.\n";
  std::string section;
  for (const Flag& f : flag_table(verb)) {
    if (f.section != section) text += "\n" + (section = f.section) + "\n";
    std::string left = "  ";
    for (size_t i = 0; i < f.names.size(); ++i) left += (i ? ", " : "") + f.names[i];
    if (f.arity != Arity::none) left += " " + f.unit;
    left.resize(std::max<size_t>(left.size() + 2, 34), ' ');
    text += left + f.help + (f.preset.empty() ? "" : " [" + f.preset + "]") + "\n";
  }
  return text;
}

namespace {

/// What the flags of replays and dumps need of each other.
void check_replay(const Options& o) {
  if (o.dump_step.has_value() != !o.dump.empty()) throw InputError("--dump-step N and --dump DIR need each other");
  if (o.dump_step && o.evaluate) throw InputError("--dump-step needs steps, --evaluate makes none");
  if (o.replay.empty()) {
    for (const auto& [flag, value] : {std::pair{"--trace", &o.trace}, {"--trace-state", &o.trace_state}})
      if (!value->empty()) throw InputError(std::string(flag) + " needs --replay FILE");
    return;
  }
  if (!o.data.empty() || o.synthetic) throw InputError("--replay excludes --data and --synthetic");
  if (o.evaluate) throw InputError("--replay and --evaluate exclude each other");
  if (o.trace.empty()) throw InputError("--replay needs --trace FILE");
  if (o.resume == "auto" && o.exp_dir.empty()) throw InputError("--resume auto needs --exp-dir");
}

void check_clean(const Options& o) {
  if (o.data.empty()) throw InputError("--data DIR is needed");
  if (o.resume.empty() || o.resume == "auto") throw InputError("--resume FILE is needed: the checkpoint that judges");
}

void check_retrain(const Options& o, const Plan& plan) {
  if (o.data.empty()) throw InputError("--data DIR is needed: what the annotation's paths are relative to");
  if (o.resume.empty()) throw InputError("--resume FILE is needed: the checkpoint to begin with");
  if (o.cache_features && o.finetune)
    throw InputError("--cache-features: features change when all layers are trained (--finetune)");
  if (o.cache_features && o.evaluate) throw InputError("--cache-features needs training, --evaluate makes none");
  const std::string trained = meta(plan, "trained");
  if (trained.empty()) throw InputError("this artefact does not retrain; compile one with --task retrain");
  if (o.finetune != (trained == "all"))
    throw InputError(
        "this artefact trains " +
        std::string(trained == "all" ? "all layers (--finetune)" : "the classifier alone (no --finetune)") +
        "; compile another");
}

void check_finetune(const Options& o, const Plan& plan) {
  if (o.data.empty()) throw InputError("--data DIR is needed: DIR/train and DIR/val hold a folder a class");
  if (o.resume.empty() && o.pretrained.empty())
    throw InputError("--model-path FILE is needed: the checkpoint to begin with");
  if (meta(plan, "trained") != "all")
    throw InputError("this artefact does not train all layers; compile one with --task classifier");
}

/// What a step takes only where it was compiled to.
void check_compiled_in(const Options& o, const Plan& plan) {
  const auto need = [&](bool given, const char* flag, const char* key) {
    if (given && meta(plan, key).empty())
      throw InputError(std::string("--") + flag + ": this artefact's steps do not take it; compile one with --task " +
                       (key == std::string("sample_weights") ? meta(plan, "task") : "classifier") + " --with " + flag);
  };
  need(o.hyper.label_smoothing > 0, "label-smoothing", "label_smoothing");
  need(o.mixup > 0, "mixup", "mixup");
  need(!o.sample_weights.empty(), "sample-weights", "sample_weights");
  if (o.verb != Verb::train || o.evaluate || !o.replay.empty()) return;
  if (!meta(plan, "mixup").empty() && o.mixup == 0)
    throw InputError("this artefact mixes images: --mixup ALPHA is needed");
}

}  // namespace

void check_against(const Options& o, const Plan& plan) {
  const auto number = [&](const char* flag, int64_t given, const char* key) {
    if (given != 0 && given != meta_number(plan, key))
      throw InputError(std::string(flag) + " " + std::to_string(given) + ": this artefact is compiled with " +
                       std::to_string(meta_number(plan, key)) + "; compile another");
  };
  if (o.gpu && std::string_view(plan.device) == "cpu")
    throw InputError("--gpu " + std::to_string(*o.gpu) + ": this artefact is compiled for the CPU");
  if (!o.confirmed.arch.empty() && o.confirmed.arch != meta(plan, "arch"))
    throw InputError("--arch " + o.confirmed.arch + ": this artefact holds " + meta(plan, "arch") +
                     "; compile another");
  if (o.confirmed.width != 0 && o.confirmed.width != std::strtod(meta(plan, "width").c_str(), nullptr))
    throw InputError("--width: this artefact is compiled with " + meta(plan, "width") + "; compile another");
  number("--batch-size", o.confirmed.batch, "batch");
  number("--num-class", o.confirmed.num_class, "num_class");
  number("--low-dim", o.confirmed.low_dim, "low_dim");
  number("--moco_queue", o.confirmed.moco_queue, "queue");
  number("--image-size", o.confirmed.image_size, "image_size");
  number("--bn-groups", o.confirmed.bn_groups, "groups");
  check_replay(o);
  if (o.synthetic && !o.data.empty()) throw InputError("--synthetic and --data exclude each other");
  if (!o.replay.empty()) return;
  check_compiled_in(o, plan);
  if (o.verb == Verb::clean) return check_clean(o);
  if (o.verb == Verb::lowshot) {
    if (o.pretrained.empty())
      throw InputError("--model-path FILE is needed: the checkpoint whose features are measured");
    return;
  }
  if (o.verb == Verb::retrain) check_retrain(o, plan);
  if (o.verb == Verb::finetune) check_finetune(o, plan);
  if (!o.synthetic && o.data.empty()) throw InputError("--data DIR is needed (or --synthetic, --replay)");
  if (!o.synthetic && !o.evaluate && o.exp_dir.empty()) throw InputError("--exp-dir DIR is needed");
  if (o.evaluate && o.synthetic) throw InputError("--evaluate needs --data, not --synthetic");
  if (o.evaluate && o.resume.empty()) throw InputError("--evaluate needs --resume FILE");
  if (o.resume == "auto" && o.exp_dir.empty()) throw InputError("--resume auto needs --exp-dir");
  if (o.synthetic && !o.truth.empty()) throw InputError("--truth needs --data, not --synthetic");
  if (o.start_epoch >= o.epochs && !o.evaluate)
    throw InputError("--start-epoch " + std::to_string(o.start_epoch) + " leaves nothing of --epochs " +
                     std::to_string(o.epochs));
}

}  // namespace moproc::train
