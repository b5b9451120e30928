// Everything before the first step: finds the checkpoint, the data and the batches. Bad input is found here, before
// anything is computed.
#include "train/trainer.h"

#include <unistd.h>
#include <filesystem>

#include <algorithm>
#include <random>
#include <utility>

#include "comm/world.h"
#include "core/error.h"
#include "core/meta.h"
#include "cpu/cores.h"
#include "data/class_spelling.h"
#include "data/list_file.h"
#include "data/sampler.h"
#include "train/compute.h"
#include "train/continuation.h"
#include "train/dump.h"
#include "train/foreign_network.h"
#include "train/pretrained.h"
#include "train/readable.h"
#include "train/supervisor.h"
#include "train/written_list.h"

namespace moproc::train {
namespace {

constexpr int64_t kSyntheticEpoch = 10;  // steps

/// Returns the settings with values for everything that they leave open, and makes the folders that the run writes to.
RunSettings prepared(RunSettings s, const Plan& plan, const comm::World* world) {
  const comm::Launch alone, &launch = world ? world->launch() : alone;
  const int own_cores = cores_of_rank(launch.local_ranks, launch.by_node);
  if (s.compute.workers == 0) s.compute.workers = own_cores;
  if (s.compute.threads == 0) s.compute.threads = own_cores;
  if (world && s.cache_features) throw InputError("--cache-features runs as one process");
  if (world && s.dump.step) throw InputError("--dump-step runs as one process");
  if (s.synthetic && s.steps == 0) s.steps = kSyntheticEpoch;
  if (s.dump.step) require_kept_values(plan);
  if (!s.dump.folder.empty()) formats::make_writable_folder(s.dump.folder, "--dump");
  if (!s.saving.exp_dir.empty() && !s.evaluate && (!world || world->rank() == 0))
    formats::make_writable_folder(s.saving.exp_dir, "--exp-dir");
  return s;
}

/// The id of a run that begins: twelve random hexadecimal digits.
std::string new_run_id() {
  std::random_device random;
  return format("%08x%04x", random(), random() & 0xffffu);
}

}  // namespace

Trainer::Trainer(const Plan& plan, RunSettings settings, Job job, comm::World* world)
    : settings_(prepared(std::move(settings), plan, world)),
      job_(std::move(job)),
      world_(world),
      console_(isatty(STDOUT_FILENO) == 1, settings_.compute.quiet, !world || world->rank() == 0),
      session_(plan, session_options(settings_.compute, world)) {
  for (const std::string& note : settings_.notes) console_.line("note: " + note);
  const bool writes = !settings_.saving.exp_dir.empty() && !settings_.evaluate && first();
  if (writes) folder_lock_.emplace(settings_.saving.exp_dir);
  find_start();
  if (!settings_.synthetic) read_lists();
  if (settings_.recipe.automatic) apply_recipe();
  start_state();
  agree();
  if (is_complete_) return;
  check_images();
  if (writes)
    if (const std::string removed = remove_other_run(settings_); !removed.empty()) console_.line(removed);
  if (writes) keep_network(session_.plan(), settings_.saving.exp_dir);
  if (writes && lists_.held_out) write_list(settings_.saving.exp_dir, kHeldOutList, lists_.val.front().list);
  if (job_.record_lists && lists_.train && writes) job_.record_lists(settings_.saving.exp_dir, lists_);
  const std::string json = !settings_.saving.json_log.empty() && first() ? settings_.saving.json_log
                           : writes                                      ? settings_.saving.exp_dir + "/metrics.jsonl"
                                                                         : "";
  log_ = std::make_unique<RunLog>(writes ? settings_.saving.exp_dir : "", json, run_);
  if (!settings_.evaluate) {
    runner_.emplace(session_, settings_.hyper, seed_, settings_.cache_features);
    runner_->set_mixup(settings_.augmentation.mixup);
    runner_->set_weights(std::move(lists_.weights));
    if (runner_->image_dtype() != DType::u8 && !settings_.cache_features)
      throw InputError("this artefact takes f32 images (--image-input f32), which only --replay feeds");
    if (settings_.synthetic && session_.device().separate()) {
      runner_->keep_batch();
      console_.line("note: --synthetic on a GPU: one batch stays there for all steps");
    }
    if (!settings_.cache_features) open_source();  // otherwise run() does it after it has computed the features
  }
  if (writes) {
    std::string note;
    class_results_.emplace(settings_.saving.exp_dir, lists_.classes, at_.epoch, note);
    if (!note.empty()) console_.line("warning: " + note);
  }
  if (writes) saver_.emplace(session_, settings_.saving, settings_.record, console_, *log_);
  report_.emplace(console_, *log_, settings_.print_freq, runner_ ? runner_->batch() : 0, settings_.schedule.epochs,
                  settings_.synthetic);
}

/// Reads the lists, mapped to the classes of the checkpoint whose classifier the run takes, and says what is odd.
void Trainer::read_lists() {
  const bool takes_classifier = !network_only_ || job_.keep_classifier || settings_.evaluate;
  if (!start_checkpoint_.empty()) {
    DataOfRun data = data_of_run(start_checkpoint_);
    if (takes_classifier) settings_.classes = std::move(data.classes);
    complete(settings_.hold_out, data.hold_out, settings_.data);
  }
  if (!settings_.hold_out.seed) settings_.hold_out.seed = seed_;
  try {
    lists_ = job_.lists(session_.plan(), settings_, seed_, console_);
  } catch (const data::UnknownClass& e) {
    if (settings_.classes.empty()) throw;
    throw InputError(
        std::string(e.what()) + "; these are the classes of " + start_checkpoint_ +
        (job_.from_network ? ", and --init-classifier reset begins with a new classifier for the data's" : ""));
  }
  if (settings_.evaluate && lists_.val.empty())
    throw InputError(settings_.data + ": has no validation images, so there is nothing to evaluate");
  if (const auto alike = data::alike_classes(lists_.classes); !alike.empty())
    console_.line("warning: " + settings_.data + ": names of different classes are spelled alike: " +
                  data::some(alike) + "; if they are the same class, give them one name");
  const auto warn = [&](const data::Dataset& list) {
    for (const std::string& note : list.notes()) console_.line("warning: " + note);
  };
  if (lists_.train) warn(*lists_.train);
  for (const Validation& v : lists_.val) {
    warn(v.list);
    const std::string missing = lists_.train ? data::classes_missing(*lists_.train, v.list) : "";
    if (!missing.empty())
      console_.line("warning: " + v.list.folder() + ": " + missing +
                    " have validation images, but no training image, so they cannot be learned");
  }
  if (!start_checkpoint_.empty() && takes_classifier && settings_.classes.empty() && !lists_.classes.empty())
    console_.line("note: " + start_checkpoint_ + " does not name its classes; they are taken to be those of " +
                  settings_.data + ", in the same order");
  const auto outputs = static_cast<size_t>(meta_number(session_.plan(), "num_class"));
  if (!lists_.classes.empty() && lists_.classes.size() < outputs)
    console_.line(format("note: the network has %zu classes, the data names %zu", outputs, lists_.classes.size()));
}

/// Throws InputError if too many images cannot be read.
void Trainer::check_images() {
  const ReadableOptions options{settings_.max_broken, settings_.compute.workers};
  if (lists_.train) require_readable(*lists_.train, "training images", options, world_, console_);
  for (Validation& v : lists_.val)
    require_readable(v.list, (lists_.val.size() > 1 ? v.name + "'s " : "") + std::string("validation images"), options,
                     world_, console_);
}

/// Throws InputError unless all ranks have the same data, position in the run and settings.
void Trainer::agree() const {
  if (!world_) return;
  std::vector<std::pair<std::string, std::string>> fields = {
      {"command", settings_.record.verb},
      {"artefact", session_.plan().digest},
      {"training list", data_digest()},
      {"names of the classes", lists_.classes.json()},
      {"seed", std::to_string(seed_)},
      {"epoch to begin with", std::to_string(at_.epoch)},
      {"step to begin with", std::to_string(at_.step)},
      {"number of validation lists", std::to_string(lists_.val.size())}};
  for (size_t i = 0; i < lists_.val.size(); ++i)
    fields.emplace_back("validation list " + std::to_string(i + 1), hex(lists_.val[i].list.digest()));
  for (const Recorded& r : settings_.record.values)
    if (r.agreed) fields.emplace_back(r.flag, r.value);
  world_->agree(fields);
}

/// The permutation by which this rank loads key images; empty if the ranks send them to each other.
std::function<std::vector<int64_t>(uint32_t, uint64_t)> Trainer::keys() const {
  if (!runner_->loads_keys() || !runner_->needs_strong()) return {};
  return [this](uint32_t epoch, uint64_t index) {
    return data::permutation(seed_, uint64_t{epoch} * static_cast<uint64_t>(batches_) + index,
                             static_cast<uint64_t>(runner_->batch()));
  };
}

std::string Trainer::data_digest() const { return lists_.train ? hex(lists_.train->digest()) : "synthetic"; }

/// Finds the seed, and the checkpoint that the run continues or whose network it begins with.
void Trainer::find_start() {
  run_ = new_run_id();
  seed_ = settings_.seed_or_default();
  start_checkpoint_ = settings_.resume;
  if (start_checkpoint_ == "auto") {
    std::vector<std::string> notes;
    if (first()) start_checkpoint_ = newest_whole_checkpoint(settings_.saving.exp_dir, notes);
    for (const std::string& note : notes) console_.line("warning: " + note);
    if (world_) start_checkpoint_ = world_->from_first("checkpoint", start_checkpoint_);
    if (start_checkpoint_.empty())
      console_.line("no checkpoint in " + settings_.saving.exp_dir + " yet: starting anew");
  }
  if (!job_.from_network) return;
  if (start_checkpoint_.empty()) start_checkpoint_ = job_.pretrained;
  if (start_checkpoint_.empty())
    throw InputError("--resume auto needs --pretrained FILE, the checkpoint to begin with");
  const std::optional<uint64_t> seed = seed_of_run(start_checkpoint_, settings_.record.verb);
  network_only_ = !seed;
  if (seed && !settings_.seed) seed_ = *seed;
}

/// If the run's best checkpoint is no longer in its folder, the best of the epochs to come takes its place.
void Trainer::forget_lost_best() {
  const std::filesystem::path folder = std::filesystem::absolute(start_checkpoint_).parent_path();
  std::error_code error;
  if (at_.best < 0 || !std::filesystem::equivalent(folder, settings_.saving.exp_dir, error) ||
      std::filesystem::exists(best_path(), error))
    return;
  console_.line("note: " + best_path() + " is gone; the best of the epochs from now on is written there");
  at_.best = Position{}.best;
  at_.best_epoch = Position{}.best_epoch;
}

/// Sets the state from the seed or from a checkpoint.
void Trainer::start_state() {
  at_.epoch = settings_.start_epoch;
  if (network_only_) return begin_from_network();
  const std::string& path = start_checkpoint_;
  if (path.empty()) {
    begin_state(session_, seed_);
    return;
  }
  const CheckpointInfo info = load_checkpoint(path, session_,
                                              settings_.evaluate          ? Optimizer::unused
                                              : settings_.reset_optimizer ? Optimizer::reset
                                                                          : Optimizer::needed);
  for (const std::string& note : info.notes) console_.line("note: " + note);
  at_ = info.at;
  if (info.of_run && !info.run.empty()) run_ = info.run;
  if (!info.knows_epoch) at_.epoch = settings_.start_epoch;
  if (info.of_run && !settings_.seed) seed_ = info.seed;
  if (!settings_.evaluate) forget_lost_best();
  if (!settings_.evaluate) compare_with(info, path);
  console_.line(format("%s: epoch %d, step %lld, %lld images seen", path.c_str(), at_.epoch,
                       static_cast<long long>(at_.step), static_cast<long long>(at_.samples)));
}

/// Sets the network from a checkpoint that another verb or program has written.
void Trainer::begin_from_network() {
  if (settings_.evaluate)
    console_.line("note: " + start_checkpoint_ +
                  " is not a checkpoint of this command: the run evaluates the classifier in it");
  begin_state(session_, seed_);
  for (const std::string& note : load_pretrained(start_checkpoint_, session_, job_.keep_classifier))
    console_.line("note: " + note);
  console_.line(start_checkpoint_ + ": the network to begin with; " +
                (job_.keep_classifier ? "its classifier too" : "the classifier is drawn anew"));
}

/// Throws InputError unless the run may continue the checkpoint; prints a note about what is different.
void Trainer::compare_with(const CheckpointInfo& info, const std::string& path) {
  const Plan& plan = session_.plan();
  if (info.of_run) {
    const std::string note = differences(info, path, settings_,
                                         {.task = meta(plan, "task"),
                                          .data_digest = data_digest(),
                                          .plan_digest = plan.digest,
                                          .precision = meta(plan, "precision"),
                                          .dropout = meta(plan, "dropout"),
                                          .decay_params = meta(plan, "decay_params"),
                                          .global_batch = meta_number(plan, "batch"),
                                          .groups = meta_number(plan, "groups"),
                                          .seed = seed_});
    if (!note.empty()) console_.line("note: this run goes on with changes: " + note);
  }
  is_complete_ = settings_.resume == "auto" && info.of_run && at_.epoch >= settings_.schedule.epochs;
  if (at_.epoch >= settings_.schedule.epochs && !is_complete_)
    throw InputError(path + ": ends at epoch " + std::to_string(at_.epoch) + ", nothing is left of --epochs " +
                     std::to_string(settings_.schedule.epochs));
}

/// Computes the features of all lists, or reads them from EXP-DIR/features. False if a signal came.
bool Trainer::cache_features() {
  const std::string folder = settings_.saving.exp_dir + "/features", network = trunk_digest(session_);
  formats::make_writable_folder(folder, "--exp-dir");
  const auto features_of = [&](const data::Dataset& list, const std::string& name) {
    console_.line("features of " +
                  (name == "train" ? std::string("the training images") : "the validation images (" + name + ")"));
    return compute_features(session_, list, network, folder + "/" + name, settings_.compute.workers, console_,
                            *interrupt_);
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
  const int epochs = settings_.schedule.epochs - at_.epoch;
  const uint64_t visits = lists_.train ? (lists_.order ? lists_.visits : lists_.train->size()) : 0;
  batches_ = settings_.synthetic ? kSyntheticEpoch : static_cast<int64_t>(visits) / runner_->batch();
  if (settings_.synthetic) {
    source_ = make_synthetic_source({runner_->batch(), runner_->image_size(), meta_number(session_.plan(), "num_class"),
                                     kSyntheticEpoch, at_.epoch, epochs, at_.step, seed_, session_.device().separate(),
                                     session_.rank(), session_.ranks(), keys()});
  } else {
    data::LoaderOptions o = loader_options(settings_, seed_, at_.epoch, at_.step);
    o.batch = static_cast<int>(runner_->batch());
    o.rank = session_.rank();
    o.ranks = session_.ranks();
    o.keys = keys();
    o.strong = runner_->needs_strong();
    o.augment.size = static_cast<int>(runner_->image_size());
    if (lists_.order) o.order = [this](uint32_t epoch) { return lists_.order(seed_, epoch); };
    o.visits = lists_.visits;
    source_ = cached_ ? make_feature_source(*lists_.train, *cached_, o) : make_loader_source(*lists_.train, o);
  }
  batches_ = source_->batches_per_epoch();
  if (at_.step > batches_)
    throw InputError("the checkpoint is at step " + std::to_string(at_.step) + " of an epoch of " +
                     std::to_string(batches_));
}

}  // namespace moproc::train
