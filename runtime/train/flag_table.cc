// All flags: those of the published train.py with its names and defaults, then what only this binary has.
#include "train/flag_table.h"

#include <algorithm>
#include <set>

#include "train/flag_section.h"

namespace moproc::train {
namespace {

void set_schedule(Options& o, const Value& v) {
  o.schedule.clear();
  for (const std::string& t : v.texts)
    o.schedule.push_back(parse<int>(v.flag, t, 0, std::numeric_limits<int>::max(), "a whole number"));
}

void set_seed(Options& o, const Value& v) {
  o.seed = parse<uint64_t>(v.flag, v.texts[0], 0, std::numeric_limits<uint64_t>::max(), "a whole number");
}

void set_save_every(Options& o, const Value& v) {
  const std::string& text = v.texts[0];
  const std::string units = "smh";
  const size_t unit = text.empty() ? std::string::npos : units.find(text.back());
  if (unit == std::string::npos) {
    o.save_steps = parse<int64_t>(v.flag, text, 1, kMaxLong, "a number of steps, nor a time like 30s, 10m or 2h");
    return;
  }
  const double seconds[] = {1, 60, 3600};
  o.save_seconds = parse<double>(v.flag, text.substr(0, text.size() - 1), 0.01, 1e6, "a number before the unit") * seconds[unit];
}

void set_checkpoint_format(Options& o, const Value& v) {
  if (v.texts[0] != "safetensors" && v.texts[0] != "pth.tar")
    throw InputError(v.flag + " " + v.texts[0] + ": known are safetensors and pth.tar");
  o.checkpoint_format = v.texts[0];
}

/// What carries the collectives. The published default is nccl, on whatever device.
void set_backend(Options& o, const Value& v) {
  if (v.texts[0] != "nccl" && v.texts[0] != "gloo" && v.texts[0] != "mpi" && v.texts[0] != "shm")
    throw InputError(v.flag + " " + v.texts[0] + ": known are nccl, gloo, mpi and shm");
  o.backend = v.texts[0];
}

void set_sources(Options& o, const Value& v) {
  const std::string list = "," + v.texts[0] + ",";
  o.google = list.find(",google,") != std::string::npos;
  o.flickr = list.find(",flickr,") != std::string::npos;
  const std::string known[] = {"google", "flickr", "google,flickr", "flickr,google"};
  if (std::find(std::begin(known), std::end(known), v.texts[0]) == std::end(known))
    throw InputError(v.flag + " " + v.texts[0] + ": a comma list of google and flickr");
}

void set_preset(Options& o, const Value& v) {
  if (v.texts[0] != "mini-webvision") throw InputError(v.flag + " " + v.texts[0] + ": known is mini-webvision");
  if (o.confirmed.num_class != 0 && o.confirmed.num_class != 50)
    throw InputError(v.flag + " " + v.texts[0] + " has 50 classes, --num-class says " + std::to_string(o.confirmed.num_class));
  o.flickr = false;
  o.confirmed.num_class = 50;
}

/// The published code counts epochs from 0 and begins to clean at 11, the paper says 10.
void set_epoch_of(Options& o, const Value& v) {
  const int epoch = is_second(v, "paper", "released") ? 11 : 10;
  if (!o.start_clean_given) o.start_clean_epoch = epoch;
}

void set_gpu(Options& o, const Value& v) {
  o.gpu = parse<int>(v.flag, v.texts[0], 0, std::numeric_limits<int>::max(), "a whole number");
}

void add_run(std::vector<Flag>& table) {
  Section t(table, "data and run");
  t.one({"--data"}, "DIR", "", "WebVision folder (info/), or train.csv or .jsonl and val.*, or train/ and val/ with a folder a class; plain or packed", text(AT(data)));
  t.one({"--exp-dir"}, "DIR", "", "where checkpoints and logs go; made if missing; a file there that is none of moproc's is never replaced", text(AT(exp_dir)));
  t.one({"-j", "--num-workers", "--workers"}, "N", "usable cores", "threads that decode images",
        number<int>(AT(workers), 1, 4096));
  t.one({"--epochs"}, "N", "90", "epochs in all", number<int>(AT(epochs), 1, kMaxInt));
  t.one({"--start-epoch"}, "N", "0", "first epoch (a resumed run starts where it ended)",
        number<int>(AT(start_epoch), 0, kMaxInt));
  t.one({"-p", "--print-freq"}, "STEPS", "50", "steps between two lines of the log",
        number<int>(AT(print_freq), 1, kMaxInt));
  t.one({"--resume"}, "FILE|auto", "",
        "continue from a checkpoint, also PyTorch's; auto: the newest in --exp-dir", text(AT(resume)));
  t.one({"--seed"}, "N", "0", "of initial values, data order and augmentation", set_seed);
}

void add_hyper(std::vector<Flag>& table) {
  Section t(table, "optimisation and loss");
  const auto real = [&](std::vector<std::string> names, const char* preset, const char* help, double low,
                        double high, auto at) {
    t.one(std::move(names), "X", preset, help, number<double>(at, low, high));
  };
  real({"--lr", "--learning-rate"}, "0.1", "learning rate before the schedule", 0, kInfinity, AT(hyper.lr));
  t.many({"--schedule"}, "EPOCH...", "40 80", "epochs at which lr is multiplied by 0.1", set_schedule);
  t.none({"--cos"}, "cosine schedule by epoch instead", on(AT(cosine)));
  real({"--momentum"}, "0.9", "of SGD", 0, 1, AT(hyper.momentum));
  real({"--wd", "--weight-decay"}, "1e-4", "weight decay of every parameter", 0, kInfinity,
       AT(hyper.weight_decay));
  real({"--moco_m"}, "0.999", "momentum of the key encoder", 0, 1, AT(hyper.moco_m));
  real({"--proto_m"}, "0.999", "momentum of the prototypes", 0, 1, AT(hyper.proto_m));
  real({"--temperature"}, "0.1", "of the contrastive logits", 1e-6, kInfinity, AT(hyper.temperature));
  real({"--w-inst"}, "1", "weight of the instance loss", 0, kInfinity, AT(hyper.w_inst));
  real({"--w-proto"}, "1", "weight of the prototype loss", 0, kInfinity, AT(hyper.w_proto));
  t.one({"--start_clean_epoch"}, "EPOCH", "11", "first epoch with noise correction",
        [](Options& o, const Value& v) {
          o.start_clean_epoch = parse<int>(v.flag, v.texts[0], 0, kMaxInt, "a whole number");
          o.start_clean_given = true;
        });
  t.one({"--compat"}, "NAME", "released", "what --start_clean_epoch is where it is not given: 11, or paper: 10", set_epoch_of);
  real({"--pseudo_th"}, "0.8", "score above which a label is replaced", 0, kInfinity, AT(hyper.pseudo_th));
  real({"--alpha"}, "0.5", "share of the classifier in the score", 0, 1, AT(hyper.alpha));
}

void add_confirmed(std::vector<Flag>& table) {
  Section t(table, "compiled in (accepted when they agree with the artefact)");
  const auto whole = [&](std::vector<std::string> names, const char* unit, const char* help, auto at) {
    t.one(std::move(names), unit, "", help, number<int64_t>(at, 1, kMaxLong));
  };
  t.one({"-a", "--arch", "--network"}, "NAME", "", "encoder", text(AT(confirmed.arch)));
  t.one({"--width"}, "X", "", "factor of the encoder's channels",
        number<double>(AT(confirmed.width), 1e-3, 1e3));
  whole({"-b", "--batch-size"}, "N", "images a step, over all groups", AT(confirmed.batch));
  whole({"--num-class"}, "N", "classes", AT(confirmed.num_class));
  whole({"--low-dim"}, "N", "dimensions of the embedding", AT(confirmed.low_dim));
  whole({"--moco_queue"}, "N", "keys in the queue", AT(confirmed.moco_queue));
  whole({"--image-size"}, "PIXELS", "side of a training image", AT(confirmed.image_size));
  whole({"--bn-groups"}, "N", "groups with BatchNorm statistics of their own", AT(confirmed.bn_groups));
}

void add_own(std::vector<Flag>& table) {
  Section t(table, "only here");
  t.one({"--threads"}, "N", "usable cores", "threads of the CPU that compute; results do not depend on it",
        number<int>(AT(threads), 1, 4096));
  t.one({"--steps"}, "N", "", "stop after so many steps", number<int64_t>(AT(steps), 1, kMaxLong));
  t.one({"--gpu"}, "N", "0", "which GPU, of those that CUDA_VISIBLE_DEVICES shows; not for the CPU", set_gpu);
  t.none({"--synthetic"}, "random images and labels, no data; every step printed", on(AT(synthetic)));
  t.none({"--evaluate"}, "only evaluate the checkpoint of --resume", on(AT(evaluate)));
  t.one({"--checkpoint-every", "--save-every"}, "STEPS|TIME", "", "checkpoints within an epoch, too: every so many steps, or 30s, 10m, 2h",
        set_save_every);
  t.one({"--keep"}, "N", "3", "how many checkpoints from within epochs stay", number<int>(AT(keep), 1, kMaxInt));
  t.one({"--keep-epochs"}, "N", "all", "how many checkpoints from the ends of epochs stay", number<int>(AT(keep_epochs), 1, kMaxInt));
  t.one({"--max-skips"}, "N", "10", "the run ends after so many steps in a row whose loss or gradient is not finite",
        number<int>(AT(max_skips), 1, kMaxInt));
  t.one({"--checkpoint-format"}, "NAME", "safetensors",
        "or pth.tar, which the published PyTorch scripts load", set_checkpoint_format);
  t.one({"--label-smoothing"}, "SHARE", "0", "of the uniform distribution in the labels; --task classifier",
        number<double>(AT(hyper.label_smoothing), 0, 1));
  t.one({"--mixup"}, "ALPHA", "", "mixes images in pairs, with shares of Beta(ALPHA, ALPHA); --task classifier",
        number<double>(AT(mixup), 1e-3, 1e3));
  t.one({"--sample-weights"}, "FILE", "", "how much each training image counts wherever its label does: lines PATH WEIGHT",
        text(AT(sample_weights)));
  t.one({"--truth"}, "FILE", "", "true labels (truth.json): report how noise was handled", text(AT(truth)));
  t.one({"--json-log"}, "FILE", "EXP-DIR/metrics.jsonl", "one JSON line a print", text(AT(json_log)));
  t.none({"--mini"}, "WebVision: only images found through Google", [](Options& o, const Value&) { o.flickr = false; });
  t.one({"--sources"}, "LIST", "google,flickr", "WebVision: whose images, a comma list", set_sources);
  t.one({"--preset"}, "NAME", "", "mini-webvision: --sources google --num-class 50", set_preset);
  t.one({"--crop-min"}, "X", "0.2", "smallest share of an image a random crop takes",
        number<double>(AT(crop_min), 0.001, 1));
  t.one({"--jitter"}, "X", "0.4", "strength of colour jitter in the strong view",
        number<double>(AT(jitter), 0, 0.5));
  t.one({"--gray"}, "X", "0.2", "share of strong views in grey", number<double>(AT(gray), 0, 1));
  t.none({"--profile"}, "a line a template and a step: ms, share, GFLOP/s, GB/s; GPU: share of the roofline",
         on(AT(profile)));
  t.none({"--check"}, "stop at the first NaN or infinity and say where", on(AT(check)));
  t.none({"--quiet"}, "one line an epoch", on(AT(quiet)));
}

void add_replay(std::vector<Flag>& table) {
  Section t(table, "checking against another implementation");
  t.one({"--replay"}, "FILE", "", "run the batches of this safetensors file instead of --data",
        text(AT(replay)));
  t.one({"--trace"}, "FILE", "", "losses, accuracies, labels and state of the replay, as JSON",
        text(AT(trace)));
  t.one({"--trace-state"}, "DIR", "", "the whole state after each step of the replay, as checkpoints",
        text(AT(trace_state)));
  t.one({"--dump-step"}, "N", "", "write every value and gradient of step N, the first being 0",
        [](Options& o, const Value& v) {
          o.dump_step = parse<int64_t>(v.flag, v.texts[0], 0, kMaxLong, "a whole number");
        });
  t.one({"--dump"}, "DIR", "", "where to: DIR/step_00000N.safetensors", text(AT(dump)));
}

void add_launchers(std::vector<Flag>& table) {
  Section t(table, "several ranks (processes that share the batch)");
  t.one({"--nproc-per-node"}, "N", "1", "ranks to start on this node", number<int>(AT(launch.per_node), 1, 4096));
  t.one({"--world-size"}, "NODES", "1", "nodes of the run", number<int>(AT(launch.world_size), -1, 1 << 20));
  t.one({"--rank"}, "N", "0", "this node, counted from 0", number<int>(AT(launch.rank), -1, 1 << 20));
  t.one({"--dist-url"}, "URL", "", "where rank 0 is, tcp://HOST:PORT; env://: MASTER_ADDR and MASTER_PORT say it", text(AT(launch.dist_url)));
  t.one({"--dist-backend"}, "NAME", "", "what carries a step's data. GPUs: nccl; CPU: shm on one machine, mpi on several; nccl and gloo there mean that choice", set_backend);
  t.none({"--multiprocessing-distributed"}, "a rank for each GPU of this node; on the CPU --nproc-per-node says how many", on(AT(process_a_gpu)));
  t.none({"--deterministic"}, "GPUs: sums over ranks in the order they have on the CPU, so that any number of ranks leaves the same bits", on(AT(deterministic)));
  t.one({"--timeout"}, "SECONDS", "600", "how long a rank may be missed before the others give it up", number<double>(AT(timeout), 0.1, 1e6));
  t.one({"--max-restarts"}, "N", "0", "how often to go on from the newest checkpoint after a rank was lost", number<int>(AT(max_restarts), 0, 1 << 20));
}

/// What of the above means the same to another verb.
bool is_shared(const Flag& f, Verb verb) {
  static const std::set<std::string> by_all = {"--data",      "--workers",    "--network", "--width", "--batch-size",
                                               "--num-class", "--low-dim",    "--moco_queue", "--bn-groups",
                                               "--image-size", "--threads",   "--gpu",     "--check", "--quiet"};
  static const std::set<std::string> by_clean = {"--temperature", "--pseudo_th", "--alpha", "--mini", "--sources", "--preset"};
  static const std::set<std::string> by_retrain = {
      "--exp-dir",  "--epochs",   "--start-epoch",      "--print-freq",        "--seed",       "--learning-rate",
      "--schedule", "--cos",      "--momentum",         "--weight-decay",      "--steps",      "--evaluate",
      "--json-log", "--crop-min", "--save-every", "--keep", "--keep-epochs", "--max-skips", "--checkpoint-format", "--profile",    "--world-size",
      "--rank",     "--dist-url", "--dist-backend",     "--multiprocessing-distributed", "--deterministic", "--nproc-per-node", "--timeout", "--max-restarts"};
  const std::string& name = f.names.back();
  if (verb == Verb::finetune && name == "--cos") return false;  // the published script has none
  if (verb == Verb::lowshot) return by_all.contains(name) && name != "--data";
  return by_all.contains(name) || (verb == Verb::clean ? by_clean : by_retrain).contains(name);
}

}  // namespace

std::vector<Flag> flag_table(Verb verb) {
  std::vector<Flag> table;
  add_run(table);
  add_hyper(table);
  add_confirmed(table);
  add_own(table);
  add_replay(table);
  add_launchers(table);
  if (verb == Verb::train) return table;
  std::erase_if(table, [&](const Flag& f) { return !is_shared(f, verb); });
  add_own_flags(table, verb);
  for (const auto& [name, values] : presets(verb))
    for (Flag& f : table)
      if (f.names.back() == name) {
        f.preset.clear();
        for (const std::string& v : values) f.preset += (f.preset.empty() ? "" : " ") + v;
      }
  return table;
}

Options defaults(Verb verb) {
  Options options;
  options.verb = verb;
  const std::vector<Flag> table = flag_table(verb);
  for (const auto& [name, values] : presets(verb))
    for (const Flag& f : table)
      if (f.names.back() == name) f.set(options, {name, values});
  return options;
}

}  // namespace moproc::train
