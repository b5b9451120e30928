// Every flag of every verb: setting it changes its own field and no other, and the right value is recorded. A flag
// without an entry here fails.
#include <algorithm>
#include <functional>
#include <map>

#include "command/clean_verb.h"
#include "command/evaluate_verb.h"
#include "command/finetune_verb.h"
#include "command/lowshot_verb.h"
#include "command/predict_verb.h"
#include "command/retrain_verb.h"
#include "command/train_verb.h"
#include "tap.h"
#include "train/source.h"
#include "verb_support.h"

using namespace moproc;
using namespace moproc::test;
using namespace moproc::command;

namespace {

/// What a flag has to do.
template <class S>
struct Entry {
  const char* flag;                    // Flag::name()
  std::vector<std::string> values;     // other than the default
  std::function<bool(const S&)> set;   // whether the field has that value
  const char* key = "";                // recorded under
  const char* recorded = "";           // what is recorded then
  std::vector<std::string> also = {};  // other flags that read the same field
};

template <class S>
using Entries = std::vector<Entry<S>>;

#define IS(expression) [](const auto& s) { return expression; }

template <class S, class At>
void add_compute(Entries<S>& e, At at) {
  const auto is = [at](auto test) { return [at, test](const S& s) { return test(at(s)); }; };
  e.push_back({"--threads", {"3"}, is(IS(s.threads == 3))});
  e.push_back({"--num-workers", {"5"}, is(IS(s.workers == 5))});
  e.push_back({"--gpu", {"2"}, is(IS(s.gpu == 2))});
  e.push_back({"--check", {}, is(IS(s.check))});
  e.push_back({"--quiet", {}, is(IS(s.quiet))});
}

template <class S>
void add_confirmed(Entries<S>& e) {
  e.push_back({"--arch", {"resnet18"}, IS(s.confirmed.arch == "resnet18")});
  e.push_back({"--width", {"0.25"}, IS(s.confirmed.width == 0.25)});
  e.push_back({"--batch-size", {"32"}, IS(s.confirmed.batch == 32)});
  e.push_back({"--num-class", {"7"}, IS(s.confirmed.num_class == 7)});
  e.push_back({"--low-dim", {"16"}, IS(s.confirmed.low_dim == 16)});
  e.push_back({"--moco_queue", {"64"}, IS(s.confirmed.moco_queue == 64)});
  e.push_back({"--image-size", {"64"}, IS(s.confirmed.image_size == 64)});
  e.push_back({"--bn-groups", {"4"}, IS(s.confirmed.bn_groups == 4)});
}

template <class S, class At>
void add_sources(Entries<S>& e, At at) {
  const auto google_only = [at](const S& s) { return at(s).google && !at(s).flickr; };
  e.push_back({"--sources", {"flickr"}, [at](const S& s) { return !at(s).google; }, "sources", "flickr"});
  e.push_back({"--mini", {}, google_only, "sources", "google", {"--sources"}});
  e.push_back({"--preset",
               {"mini-webvision"},
               [google_only](const S& s) { return google_only(s) && s.confirmed.classes() == 50; },
               "sources",
               "google",
               {"--sources", "--mini", "--num-class"}});
}

template <class S>
void add_ranks(Entries<S>& e) {
  e.push_back({"--nproc-per-node", {"4"}, IS(s.ranks.launch.per_node == 4)});
  e.push_back({"--world-size", {"2"}, IS(s.ranks.launch.world_size == 2)});
  e.push_back({"--rank", {"1"}, IS(s.ranks.launch.rank == 1)});
  e.push_back({"--dist-url", {"env://"}, IS(s.ranks.launch.dist_url == "env://")});
  e.push_back({"--dist-backend", {"mpi"}, IS(s.ranks.backend == "mpi")});
  e.push_back({"--multiprocessing-distributed", {}, IS(s.ranks.process_per_gpu)});
  e.push_back({"--timeout", {"3"}, IS(s.ranks.timeout == 3)});
  e.push_back({"--max-restarts", {"2"}, IS(s.ranks.max_restarts == 2)});
}

/// Flags of the verbs that train. Settings have run and ranks.
template <class S>
void add_training(Entries<S>& e) {
  e.push_back({"--data", {"d"}, IS(s.run.data == "d")});
  e.push_back({"--first-label", {"1"}, IS(s.run.first_label == 1), "first_label", "1"});
  e.push_back({"--val-split", {"0.25"}, IS(s.run.hold_out.share == 0.25), "", "0.25"});
  e.push_back({"--resume", {"auto"}, IS(s.run.resume == "auto")});
  e.push_back({"--exp-dir", {"e"}, IS(s.run.saving.exp_dir == "e")});
  e.push_back({"--epochs", {"7"}, IS(s.run.schedule.epochs == 7), "epochs", "7"});
  e.push_back({"--start-epoch", {"2"}, IS(s.run.start_epoch == 2)});
  e.push_back({"--steps", {"9"}, IS(s.run.steps == 9), "", "9"});
  e.push_back({"--seed", {"6"}, IS(s.run.seed == uint64_t{6})});
  e.push_back({"--evaluate", {}, IS(s.run.evaluate)});
  e.push_back({"--lr", {"0.5"}, IS(s.run.hyper.lr == 0.5), "lr", "0.5"});
  e.push_back({"--schedule", {"3", "4"}, IS((s.run.schedule.milestones == std::vector{3, 4})), "schedule", "3 4"});
  e.push_back({"--decay-rate", {"0.3"}, IS(s.run.schedule.decay_rate == 0.3), "decay_rate", "0.3"});
  e.push_back({"--warmup-epochs", {"2"}, IS(s.run.schedule.warmup_epochs == 2), "warmup_epochs", "2"});
  e.push_back({"--momentum", {"0.8"}, IS(s.run.hyper.momentum == 0.8), "momentum", "0.8"});
  e.push_back({"--wd", {"0.25"}, IS(s.run.hyper.weight_decay == 0.25), "weight_decay", "0.25"});
  e.push_back({"--optimizer", {"lars"}, IS(s.run.optimizer.name == "lars"), "optimizer", "lars"});
  e.push_back({"--beta1", {"0.8"}, IS(s.run.hyper.beta1 == 0.8), "beta1", "0.8"});
  e.push_back({"--beta2", {"0.8"}, IS(s.run.hyper.beta2 == 0.8), "beta2", "0.8"});
  e.push_back({"--eps", {"0.5"}, IS(s.run.hyper.eps == 0.5), "eps", "0.5"});
  e.push_back({"--trust", {"0.5"}, IS(s.run.hyper.trust == 0.5), "trust", "0.5"});
  e.push_back({"--clip-norm", {"2"}, IS(s.run.hyper.clip_norm == 2), "clip_norm", "2"});
  e.push_back({"--crop-min", {"0.6"}, IS(s.run.augmentation.crop_min == 0.6), "crop_min", "0.6"});
  e.push_back({"--checkpoint-every", {"2m"}, IS(s.run.saving.every_seconds == 120), "", "120s"});
  e.push_back({"--overwrite", {}, IS(s.run.saving.overwrite)});
  e.push_back({"--keep", {"5"}, IS(s.run.saving.keep == 5)});
  e.push_back({"--keep-epochs", {"4"}, IS(s.run.saving.keep_epochs == 4)});
  e.push_back({"--keep-every", {"5"}, IS(s.run.saving.keep_every == 5)});
  e.push_back({"--accept-changes", {}, IS(s.run.accept_changes)});
  e.push_back({"--checkpoint-format", {"pth.tar"}, IS(s.run.saving.format == "pth.tar")});
  e.push_back({"--max-broken", {"2.5"}, IS(s.run.max_broken == 2.5)});
  e.push_back({"--max-skips", {"2"}, IS(s.run.max_skips == 2)});
  e.push_back({"--stop-on-collapse", {}, IS(s.run.stop_on_collapse), "", "true"});
  e.push_back({"--print-freq", {"8"}, IS(s.run.print_freq == 8)});
  e.push_back({"--json-log", {"l"}, IS(s.run.saving.json_log == "l")});
  add_compute(e, IS(s.run.compute));
  e.push_back({"--profile", {}, IS(s.run.compute.profile)});
  add_confirmed(e);
  e.push_back({"--deterministic", {}, IS(s.run.compute.deterministic), "deterministic", "true"});
  add_ranks(e);
}

template <class S>
void add_cosine(Entries<S>& e) {
  e.push_back({"--cos", {}, IS(s.run.schedule.cosine), "schedule", "cosine"});
}

const char* changed(const std::vector<train::Recorded>& before, const std::vector<train::Recorded>& after, size_t i) {
  return before[i].value == after[i].value ? nullptr : after[i].flag.c_str();
}

/// The flags of a verb against its entries.
template <class S>
void check_verb(const std::string& verb, const Entries<S>& entries) {
  const auto fresh = parsed<S>(verb, {});
  const auto complain = [&](const std::string& flag, const std::string& what) {
    note(false, __FILE__, __LINE__, verb + " " + flag + ": " + what);
  };
  for (const Flag& f : fresh->flags.all())
    if (std::count_if(entries.begin(), entries.end(), [&](const Entry<S>& e) { return f.name() == e.flag; }) != 1)
      complain(f.name(), "needs one entry in this test");
  for (const Entry<S>& e : entries) {
    const Flag* const flag = fresh->flags.find(e.flag);
    if (!flag) {
      complain(e.flag, "is no flag");
      continue;
    }
    std::vector<std::string> args{e.flag};
    args.insert(args.end(), e.values.begin(), e.values.end());
    const auto given = parsed<S>(verb, args);
    if (e.set(fresh->settings)) complain(e.flag, "the value of the entry is the default");
    if (!e.set(given->settings)) complain(e.flag, "does not set its field");
    for (const Flag& other : given->flags.all()) {
      const bool moves = other.show() != fresh->flags.find(other.name())->show();
      const bool may =
          other.name() == flag->name() || std::find(e.also.begin(), e.also.end(), other.name()) != e.also.end();
      if (moves && !may) complain(e.flag, "also changes " + other.name());
      if (!moves && may && e.flag != std::string("--preset")) complain(e.flag, "does not change " + other.name());
    }
    if (flag->key != e.key) complain(e.flag, "is recorded as '" + flag->key + "'");
    const auto before = fresh->flags.recorded(), after = given->flags.recorded();
    bool found = false;
    for (size_t i = 0; i < after.size(); ++i) {
      const bool own = flag->recorded && (e.key[0] ? after[i].key == e.key : after[i].flag == flag->name());
      found |= own && after[i].value == e.recorded;
      const char* const moved = changed(before, after, i);
      if (!own && moved) complain(e.flag, std::string("also changes the record of ") + moved);
      if (own && !moved) complain(e.flag, "does not change the record");
    }
    if (found != (e.recorded[0] != '\0')) complain(e.flag, "records another value");
  }
}

}  // namespace

TEST("flag table: train's flags change what they should") {
  Entries<TrainSettings> e;
  add_training(e);
  add_cosine(e);
  add_sources(e, IS(s.lists));
  e.push_back({"--synthetic", {}, IS(s.run.synthetic)});
  e.push_back({"--reset-optimizer", {}, IS(s.run.reset_optimizer), "reset_optimizer", "true"});
  e.push_back({"--moco_m", {"0.5"}, IS(s.run.hyper.moco_m == 0.5), "moco_m", "0.5"});
  e.push_back({"--proto_m", {"0.5"}, IS(s.run.hyper.proto_m == 0.5), "proto_m", "0.5"});
  e.push_back({"--temperature", {"0.5"}, IS(s.run.hyper.temperature == 0.5), "temperature", "0.5"});
  e.push_back({"--w-inst", {"0.5"}, IS(s.run.hyper.w_inst == 0.5), "w_inst", "0.5"});
  e.push_back({"--w-proto", {"0.5"}, IS(s.run.hyper.w_proto == 0.5), "w_proto", "0.5"});
  e.push_back({"--pseudo_th", {"0.5"}, IS(s.run.hyper.pseudo_th == 0.5), "pseudo_th", "0.5"});
  e.push_back({"--alpha", {"0.25"}, IS(s.run.hyper.alpha == 0.25), "alpha", "0.25"});
  e.push_back({"--start_clean_epoch", {"4"}, IS(s.run.start_clean_epoch == 4), "start_clean_epoch", "4"});
  e.push_back({"--recipe", {"auto"}, IS(s.run.recipe.automatic), "", "auto"});
  e.push_back({"--compat",
               {"paper"},
               IS(s.compat_paper && s.run.start_clean_epoch == 10),
               "start_clean_epoch",
               "10",
               {"--start_clean_epoch"}});
  e.push_back({"--label-smoothing", {"0.1"}, IS(s.run.hyper.label_smoothing == 0.1), "label_smoothing", "0.1"});
  e.push_back({"--mixup", {"0.2"}, IS(s.run.augmentation.mixup == 0.2), "mixup", "0.2"});
  e.push_back({"--jitter", {"0.3"}, IS(s.run.augmentation.jitter == 0.3), "jitter", "0.3"});
  e.push_back({"--gray", {"0.7"}, IS(s.run.augmentation.gray == 0.7), "gray", "0.7"});
  e.push_back({"--sample-weights", {"w"}, IS(s.lists.sample_weights == "w"), "sample_weights", "w"});
  e.push_back({"--truth", {"t"}, IS(s.lists.truth == "t")});
  e.push_back({"--replay", {"r"}, IS(s.replay.file == "r")});
  e.push_back({"--trace", {"t"}, IS(s.replay.trace == "t")});
  e.push_back({"--trace-state", {"t"}, IS(s.replay.state == "t")});
  e.push_back({"--dump-step", {"0"}, IS(s.run.dump.step == int64_t{0})});
  e.push_back({"--dump", {"d"}, IS(s.run.dump.folder == "d")});
  check_verb("train", e);
}

TEST("flag table: the defaults of --lr and --wd are AdamW's, wherever --optimizer stands, unless they are given") {
  const auto hyper = [](const std::vector<std::string>& args) {
    const train::Hyper h = parsed<TrainSettings>("train", args)->settings.run.hyper;
    return std::pair(h.lr, h.weight_decay);
  };
  CHECK((hyper({"--optimizer", "adamw"}) == std::pair(1e-3, 1e-2)));
  CHECK((hyper({"--lr", "0.5", "--optimizer", "adamw"}) == std::pair(0.5, 1e-2)));
  CHECK((hyper({"--optimizer", "adamw", "--lr", "0.5", "--wd", "0"}) == std::pair(0.5, 0.0)));
  CHECK((hyper({"--optimizer", "lars"}) == hyper({})));
  CHECK_THROWS(hyper({"--optimizer", "adam"}), "sgd, adamw or lars");
  const auto given = [](const std::vector<std::string>& args) {
    return parsed<TrainSettings>("train", args)->settings.run.recipe.given;
  };
  CHECK((given({"--optimizer", "adamw", "--recipe", "auto"}) == std::vector<std::string>{"lr"}));
  CHECK(given({"--optimizer", "sgd", "--recipe", "auto"}).empty());
}

TEST("flag table: clean's flags change what they should") {
  Entries<CleanVerbSettings> e;
  add_compute(e, IS(s.clean.compute));
  add_confirmed(e);
  add_sources(e, IS(s.clean));
  e.push_back({"--first-label", {"1"}, IS(s.clean.first_label == 1), "first_label", "1"});
  e.push_back({"--val-split", {"0.25"}, IS(s.clean.hold_out.share == 0.25), "", "0.25"});
  e.push_back({"--decisions", {"d.json"}, IS(s.clean.decisions == "d.json")});
  e.push_back({"--data", {"d"}, IS(s.clean.data == "d")});
  e.push_back({"--resume", {"c"}, IS(s.clean.checkpoint == "c")});
  e.push_back({"--annotation", {"a"}, IS(s.clean.annotation == "a")});
  e.push_back({"--max-broken", {"2.5"}, IS(s.clean.max_broken == 2.5)});
  e.push_back({"--alpha", {"0.25"}, IS(s.clean.alpha == 0.25), "alpha", "0.25"});
  e.push_back({"--pseudo_th", {"0.6"}, IS(s.clean.pseudo_th == 0.6), "pseudo_th", "0.6"});
  e.push_back({"--temperature", {"0.5"}, IS(s.clean.temperature == 0.5), "temperature", "0.5"});
  const Entry<CleanVerbSettings> compat{"--compat", {"released"}, IS(s.clean.compat_released), "compat", "released"};
  e.push_back(compat);
  check_verb("clean", e);
  CHECK_EQ(parsed<CleanVerbSettings>("clean", {"--alpha", "0.25"})->settings.clean.used_alpha(), 0.25);
  CHECK_EQ(parsed<CleanVerbSettings>("clean", {"--alpha", "0.25", "--compat", "released"})->settings.clean.used_alpha(),
           0.5);
}

TEST("flag table: retrain's flags change what they should") {
  Entries<RetrainVerbSettings> e;
  add_training(e);
  add_cosine(e);
  e.push_back({"--annotation", {"a"}, IS(s.retrain.annotation == "a")});
  e.push_back({"--pretrained", {"p"}, IS(s.retrain.pretrained == "p")});
  e.push_back({"--init-classifier", {"reset"}, IS(!s.retrain.keep_classifier), "init_classifier", "reset"});
  e.push_back({"--cache-features", {}, IS(s.run.cache_features), "cache_features", "true"});
  e.push_back({"--finetune", {}, IS(s.finetune)});
  e.push_back({"--imagenet", {"i"}, IS(s.retrain.imagenet == "i")});
  e.push_back({"--compat", {"released"}, IS(s.compat_released), "compat", "released"});
  check_verb("retrain", e);
}

TEST("flag table: finetune's flags change what they should") {
  Entries<FinetuneVerbSettings> e;
  add_training(e);
  e.push_back({"--model-path", {"m"}, IS(s.finetune.pretrained == "m")});
  e.push_back({"--low-resource", {"0.1"}, IS(s.finetune.share == 0.1), "low_resource", "0.1"});
  e.push_back({"--list", {"l"}, IS(s.finetune.list == "l")});
  e.push_back({"--init-classifier", {"reset"}, IS(!s.finetune.keep_classifier), "init_classifier", "reset"});
  e.push_back({"--compat", {"released"}, IS(s.finetune.compat_released), "compat", "released"});
  check_verb("finetune", e);
}

TEST("flag table: evaluate's flags change what they should") {
  Entries<EvaluateVerbSettings> e;
  add_compute(e, IS(s.evaluation.compute));
  add_confirmed(e);
  add_sources(e, IS(s.evaluation));
  add_ranks(e);
  e.push_back({"--deterministic", {}, IS(s.evaluation.compute.deterministic), "deterministic", "true"});
  e.push_back({"--resume", {"c"}, IS(s.evaluation.checkpoint == "c")});
  e.push_back({"--data", {"d"}, IS(s.evaluation.data == "d")});
  e.push_back({"--csv", {"f"}, IS(s.evaluation.csv == "f")});
  e.push_back({"--first-label", {"1"}, IS(s.evaluation.first_label == 1), "first_label", "1"});
  e.push_back({"--val-split", {"0"}, IS(s.evaluation.hold_out.share == 0.0), "", "0"});
  check_verb("evaluate", e);
}

TEST("flag table: predict's flags change what they should; arguments without a flag are images") {
  Entries<PredictVerbSettings> e;
  add_compute(e, IS(s.predict.compute));
  add_confirmed(e);
  e.push_back({"--resume", {"c"}, IS(s.predict.checkpoint == "c")});
  e.push_back({"--images", {"a", "b"}, IS((s.predict.images == std::vector<std::string>{"a", "b"}))});
  e.push_back({"--top", {"3"}, IS(s.predict.top == 3)});
  e.push_back({"--csv", {"f"}, IS(s.predict.csv == "f")});
  e.push_back({"--classes", {"n"}, IS(s.predict.classes == "n")});
  check_verb("predict", e);
  const auto images = [](const std::vector<std::string>& args) {
    return parsed<PredictVerbSettings>("predict", args)->settings.predict.images;
  };
  CHECK((images({"a", "--top", "2", "b", "--check", "c"}) == std::vector<std::string>{"a", "b", "c"}));
  CHECK_THROWS(images({"a", "--images", "b"}), "'a': give all of them to --images");
}

TEST("flag table: lowshot's flags change what they should") {
  Entries<LowshotVerbSettings> e;
  add_compute(e, IS(s.lowshot.compute));
  add_confirmed(e);
  e.push_back({"--model-path", {"m"}, IS(s.lowshot.checkpoint == "m")});
  e.push_back({"--dataset", {"places"}, IS(s.lowshot.places), "dataset", "places"});
  e.push_back({"--voc-path", {"v"}, IS(s.lowshot.voc_path == "v")});
  e.push_back({"--places-path", {"p"}, IS(s.lowshot.places_path == "p")});
  e.push_back({"--first-label", {"1"}, IS(s.lowshot.first_label == 1), "first_label", "1"});
  e.push_back({"--shots", {"3", "5"}, IS((s.lowshot.shots == std::vector{3, 5})), "shots", "3 5"});
  e.push_back({"--max-broken", {"2.5"}, IS(s.lowshot.max_broken == 2.5)});
  e.push_back({"--draws", {"2"}, IS(s.lowshot.draws == 2), "number_of_draws", "2"});
  e.push_back({"--seed", {"4"}, IS(s.lowshot.seed == 4), "seed", "4"});
  e.push_back({"--difficult", {"ignore"}, IS(s.lowshot.ignore_difficult), "difficult", "ignore"});
  e.push_back({"--cost", {"2"}, IS(s.lowshot.cost == 2), "cost", "2"});
  e.push_back({"--tol", {"0.01"}, IS(s.lowshot.tolerance == 0.01), "tolerance", "0.01"});
  e.push_back({"--max-iter", {"10"}, IS(s.lowshot.max_passes == 10), "max_iter", "10"});
  e.push_back({"--output", {"o"}, IS(s.lowshot.output == "o")});
  e.push_back({"--supervise", {}, IS(s.supervise)});
  check_verb("lowshot", e);
}

TEST("flag table: every verb has a test here, and the ranks agree about all that is recorded but a file's place") {
  std::vector<std::string> names;
  for (const Verb& v : verbs()) {
    names.push_back(v.name);
    const auto command = v.make();
    for (const Flag& f : command->flags.all())
      if (f.agreed != (f.recorded && f.key != "sample_weights")) note(false, __FILE__, __LINE__, v.name + f.name());
  }
  CHECK((names == std::vector<std::string>{"train", "clean", "retrain", "finetune", "lowshot", "evaluate", "predict"}));
}

TEST("flag table: augmentation reaches the loader from every verb that trains") {
  const auto options = [](const train::RunSettings& run) { return train::loader_options(run, 1, 0, 0).augment; };
  const auto train = [&](std::vector<std::string> args) {
    return options(parsed<TrainSettings>("train", args)->settings.run);
  };
  CHECK_EQ(train({}).scale_low, 0.2);
  CHECK_EQ(train({}).jitter, 0.4);
  CHECK_EQ(train({}).gray, 0.2);
  CHECK_EQ(train({"--crop-min", "0.33"}).scale_low, 0.33);
  CHECK_EQ(train({"--jitter", "0.11"}).jitter, 0.11);
  CHECK_EQ(train({"--gray", "0.55"}).gray, 0.55);
  CHECK_EQ(options(parsed<RetrainVerbSettings>("retrain", {})->settings.run).scale_low, 0.2);
  CHECK_EQ(options(parsed<RetrainVerbSettings>("retrain", {"--crop-min", "0.33"})->settings.run).scale_low, 0.33);
  CHECK_EQ(options(parsed<FinetuneVerbSettings>("finetune", {})->settings.run).scale_low, 0.08);
  CHECK_EQ(options(parsed<FinetuneVerbSettings>("finetune", {"--crop-min", "0.33"})->settings.run).scale_low, 0.33);
}

TEST("flag table: the loader gets seed, threads and the place in the run") {
  train::RunSettings run;
  run.compute.workers = 3;
  run.schedule.epochs = 10;
  const data::LoaderOptions o = train::loader_options(run, 77, 4, 6);
  CHECK_EQ(o.seed, uint64_t{77});
  CHECK_EQ(o.threads, 3);
  CHECK_EQ(o.start_epoch, uint32_t{4});
  CHECK_EQ(o.start_batch, uint64_t{6});
  CHECK_EQ(o.epochs, uint32_t{6});
}
