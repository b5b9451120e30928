// What happens before the first step: which checkpoint, which data, which batches. A mistake of the user's is found here,
// before anything is computed.
#include "train/trainer.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "comm/world.h"
#include "core/error.h"
#include "cpu/cores.h"
#include "data/sampler.h"
#include "train/dump.h"
#include "train/flags.h"
#include "train/pretrained.h"
#include "train/supervisor.h"

namespace moproc::train {
namespace {

constexpr int64_t kSyntheticEpoch = 10;  // steps

Options checked(Options options, const Plan& plan, const comm::World* world) {
  check_against(options, plan);
  const int own_cores = std::max(1, usable_cores() / (world ? world->launch().local_ranks : 1));
  if (options.workers == 0) options.workers = own_cores;
  if (options.threads == 0) options.threads = own_cores;
  if (world && options.cache_features) throw InputError("--cache-features runs as one process");
  if (world && options.dump_step) throw InputError("--dump-step runs as one process");
  if (options.synthetic && options.steps == 0) options.steps = kSyntheticEpoch;
  if (options.verb == Verb::retrain && options.compat_released) options.epochs += 1;
  if (options.dump_step) require_kept_values(plan);
  if (!options.dump.empty()) formats::make_writable_folder(options.dump, "--dump");
  if (!options.exp_dir.empty() && !options.evaluate && (!world || world->rank() == 0))
    formats::make_writable_folder(options.exp_dir, "--exp-dir");
  return options;
}

SessionOptions session_options(const Options& o, comm::World* world) {
  return {o.threads, o.profile, o.check, o.gpu.value_or(world ? world->launch().local_rank : 0), o.deterministic, world};
}

std::string hex(uint64_t v) { return format("%016llx", static_cast<unsigned long long>(v)); }

}  // namespace

Trainer::Trainer(const Plan& plan, Options options, comm::World* world)
    : options_(checked(std::move(options), plan, world)),
      world_(world),
      console_(isatty(STDOUT_FILENO) == 1, options_.quiet, !world || world->rank() == 0),
      session_(plan, session_options(options_, world)) {
  if (options_.start_clean_epoch == 0)
    console_.line("note: --start_clean_epoch 0: epoch 0 is warm-up, cleaning begins at epoch 1");
  if (options_.process_a_gpu && !world && !session_.device().separate())
    console_.line("note: --multiprocessing-distributed: one process; on the CPU --nproc-per-node N starts several");
  find_start();
  lists_ = read_lists(session_.plan(), options_, seed_, console_);
  const bool draws = options_.verb == Verb::finetune && lists_.train && !options_.exp_dir.empty();
  if (draws && first()) write_subset(options_.exp_dir, *lists_.train);
  start_state();
  agree();
  const bool logs = !options_.exp_dir.empty() && !options_.evaluate && first();
  const std::string json = !options_.json_log.empty() && first() ? options_.json_log
                           : logs                                ? options_.exp_dir + "/metrics.jsonl"
                                                                 : "";
  log_ = std::make_unique<RunLog>(logs ? options_.exp_dir : "", json);
  if (!options_.evaluate) {
    steps_.emplace(session_, options_.hyper, seed_, options_.cache_features);
    steps_->set_mixup(options_.mixup);
    steps_->set_weights(std::move(lists_.weights));
    if (steps_->image_dtype() != DType::u8 && !options_.cache_features)
      throw InputError("this artefact takes f32 images (--image-input f32), which only --replay feeds");
    if (options_.synthetic && session_.device().separate()) {
      steps_->keep_batch();
      console_.line("note: --synthetic on a GPU: one batch stays there for all steps");
    }
    if (!options_.cache_features) open_source();  // else when the features are there
  }
  if (logs) saver_.emplace(session_, options_, console_, *log_);
  report_.emplace(console_, *log_, options_.print_freq, steps_ ? steps_->batch() : 0, options_.epochs,
                  options_.synthetic);
}

/// Nothing starts before all ranks have the same in hand.
void Trainer::agree() const {
  if (!world_) return;
  const Hyper& h = options_.hyper;
  const Plan& plan = session_.plan();
  std::vector<std::pair<std::string, std::string>> fields = {
      {"command", name_of(options_.verb)}, {"artefact", plan.digest}, {"training list", data_digest()}, {"seed", std::to_string(seed_)},
      {"epoch to begin with", std::to_string(at_.epoch)}, {"step to begin with", std::to_string(at_.step)},
      {"epochs", std::to_string(options_.epochs)}, {"steps", std::to_string(options_.steps)}, {"--start_clean_epoch", std::to_string(options_.start_clean_epoch)},
      {"learning rate of the first epoch", format("%.17g", learning_rate(options_, at_.epoch))}, {"--crop-min", format("%g", options_.crop_min)},
      {"--jitter", format("%g", options_.jitter)}, {"--gray", format("%g", options_.gray)}, {"--mixup", format("%g", options_.mixup)},
      {"--save-every", std::to_string(options_.save_steps)}, {"number of validation lists", std::to_string(lists_.val.size())}};
  const std::pair<const char*, double> hyper[] = {
      {"--lr", h.lr}, {"--momentum", h.momentum}, {"--wd", h.weight_decay}, {"--moco_m", h.moco_m}, {"--proto_m", h.proto_m},
      {"--temperature", h.temperature}, {"--alpha", h.alpha}, {"--pseudo_th", h.pseudo_th}, {"--w-inst", h.w_inst}, {"--w-proto", h.w_proto}};
  for (const auto& [name, value] : hyper) fields.emplace_back(name, format("%.17g", value));
  world_->agree(fields);
}

/// Which key images this rank loads, where ranks do not send them.
std::function<std::vector<int64_t>(uint32_t, uint64_t)> Trainer::keys() const {
  if (!steps_->loads_keys() || !steps_->needs_strong()) return {};
  return [this](uint32_t epoch, uint64_t index) {
    return data::permutation(seed_, uint64_t{epoch} * static_cast<uint64_t>(batches_) + index, static_cast<uint64_t>(steps_->batch()));
  };
}

std::string Trainer::data_digest() const { return lists_.train ? hex(lists_.train->digest()) : "synthetic"; }

/// Which checkpoint the run goes on with, or, retraining or fine-tuning, begins with; and its seed.
void Trainer::find_start() {
  seed_ = options_.seed_or_default();
  from_ = options_.resume;
  if (from_ == "auto") {
    std::vector<std::string> notes;
    if (first()) from_ = newest_whole_checkpoint(options_.exp_dir, notes);
    for (const std::string& note : notes) console_.line("warning: " + note);
    if (world_) from_ = world_->from_first("checkpoint", from_);
    if (from_.empty()) console_.line("no checkpoint in " + options_.exp_dir + " yet: starting anew");
  }
  if (options_.verb == Verb::train) return;
  if (from_.empty()) from_ = options_.pretrained;
  if (from_.empty()) throw InputError("--resume auto needs --pretrained FILE, the checkpoint to begin with");
  const std::optional<uint64_t> seed = seed_of_run(from_, name_of(options_.verb));
  begins_ = !seed;
  if (seed && !options_.seed) seed_ = *seed;
}

/// From the seed, or from a checkpoint.
void Trainer::start_state() {
  at_.epoch = options_.start_epoch;
  if (begins_) return begin();
  const std::string& path = from_;
  if (path.empty()) {
    session_.init_state(seed_);
    return;
  }
  const CheckpointInfo info = load_checkpoint(path, session_);
  for (const std::string& note : info.notes) console_.line("note: " + note);
  at_ = info.at;
  if (!info.knows_epoch) at_.epoch = options_.start_epoch;
  if (info.of_run && !options_.seed) seed_ = info.seed;
  if (!options_.evaluate) compare_with(info, path);
  console_.line(format("%s: epoch %d, step %lld, %lld images seen", path.c_str(), at_.epoch,
                       static_cast<long long>(at_.step), static_cast<long long>(at_.samples)));
}

/// With the network of a checkpoint that is none of this command.
void Trainer::begin() {
  if (options_.evaluate)
    console_.line("note: " + from_ + " is no checkpoint of this command: its own classifier is evaluated");
  session_.init_state(seed_);
  for (const std::string& note : load_pretrained(from_, session_, options_.keep_classifier)) console_.line("note: " + note);
  console_.line(from_ + ": the network to begin with; " +
                (options_.keep_classifier ? "its classifier too" : "the classifier is drawn anew"));
}

/// Within an epoch, data and batch must be the checkpoint's; elsewhere differences are said.
void Trainer::compare_with(const CheckpointInfo& info, const std::string& path) {
  const auto differs = [&](const std::string& what, const std::string& was, const std::string& is) {
    if (was == is) return;
    if (at_.step > 0)
      throw InputError(path + ": was written within epoch " + std::to_string(at_.epoch) + " with " + what +
                       " " + was + ", this run has " + is);
    console_.line("note: the checkpoint was made with " + what + " " + was + ", this run has " + is);
  };
  if (info.of_run) {
    differs("training list", info.data_digest, data_digest());
    differs("global batch", std::to_string(info.global_batch), meta(session_.plan(), "batch"));
    differs("seed", std::to_string(info.seed), std::to_string(seed_));
    if (info.plan_digest != session_.plan().digest)
      console_.line(
          "note: the checkpoint was made by another build: the run continues, but not with the same bits");
  }
  if (at_.epoch >= options_.epochs)
    throw InputError(path + ": ends at epoch " + std::to_string(at_.epoch) +
                     ", nothing is left of --epochs " + std::to_string(options_.epochs));
}

/// Computes the features of all lists, or takes them from EXP-DIR/features. False when a signal came.
bool Trainer::cache_features() {
  const std::string folder = options_.exp_dir + "/features", network = trunk_digest(session_);
  formats::make_writable_folder(folder, "--exp-dir");
  const auto features_of = [&](const data::Dataset& list, const std::string& name) {
    console_.line("features of " + (name == "train" ? std::string("the training images") : "the validation images (" + name + ")"));
    return compute_features(session_, list, network, folder + "/" + name, options_.workers, console_, *interrupt_);
  };
  cached_ = features_of(*lists_.train, "train");
  if (!cached_) return false;
  for (const Validation& v : lists_.val) {
    auto features = features_of(v.list, v.name);
    if (!features) return false;
    cached_val_.push_back(std::move(*features));
  }
  return true;
}

void Trainer::open_source() {
  const int epochs = options_.epochs - at_.epoch;
  const uint64_t visits = lists_.train ? (lists_.order ? lists_.visits : lists_.train->size()) : 0;
  batches_ = options_.synthetic ? kSyntheticEpoch : static_cast<int64_t>(visits) / steps_->batch();
  if (options_.synthetic) {
    source_ = make_synthetic_source({steps_->batch(), steps_->image_size(),
                                     meta_number(session_.plan(), "num_class"), kSyntheticEpoch, at_.epoch,
                                     epochs, at_.step, seed_, session_.device().separate(), session_.rank(), session_.ranks(), keys()});
  } else {
    data::LoaderOptions o;
    o.batch = static_cast<int>(steps_->batch());
    o.rank = session_.rank();
    o.ranks = session_.ranks();
    o.keys = keys();
    o.threads = options_.workers;
    o.seed = seed_;
    o.start_epoch = static_cast<uint32_t>(at_.epoch);
    o.start_batch = static_cast<uint64_t>(at_.step);
    o.epochs = static_cast<uint32_t>(epochs);
    o.strong = steps_->needs_strong();
    if (lists_.order) o.order = [this](uint32_t epoch) { return lists_.order(seed_, epoch); };
    o.visits = lists_.visits;
    o.augment.size = static_cast<int>(steps_->image_size());
    o.augment.scale_low = options_.crop_min;
    o.augment.jitter = options_.jitter;
    o.augment.gray = options_.gray;
    source_ = cached_ ? make_feature_source(*lists_.train, *cached_, o) : make_loader_source(*lists_.train, o);
  }
  batches_ = source_->batches_per_epoch();
  if (at_.step > batches_)
    throw InputError("the checkpoint is at step " + std::to_string(at_.step) + " of an epoch of " +
                     std::to_string(batches_));
}
}  // namespace moproc::train
