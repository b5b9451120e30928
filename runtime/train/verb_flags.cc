// What the verbs besides train have of their own.
#include "train/flag_section.h"

namespace moproc::train {
namespace {

/// Accepted for the sake of old command lines; said so when the run starts.
void set_nothing(Options& o, const Value& v) { o.without_effect.push_back(v.flag); }

void set_compat(Options& o, const Value& v) { o.compat_released = is_second(v, "paper", "released"); }

void add_clean(std::vector<Flag>& table) {
  Section t(table, "cleaning");
  t.one({"--resume"}, "FILE", "", "the checkpoint that judges, also PyTorch's", text(AT(resume)));
  t.one({"--annotation"}, "FILE", "pseudo_label.json",
        "images that stay and their labels; beside it a line an image in NAME.report.jsonl", text(AT(annotation)));
  t.one({"--compat"}, "NAME", "paper", "or released: --alpha has no effect, as in the published noise_cleaning.py", set_compat);
}

void set_init_classifier(Options& o, const Value& v) { o.keep_classifier = !is_second(v, "keep", "reset"); }

void add_retrain(std::vector<Flag>& table) {
  Section t(table, "retraining");
  t.one({"--annotation"}, "FILE", "pseudo_label.json", "images and their labels, as clean writes them", text(AT(annotation)));
  t.one({"--resume"}, "FILE|auto", "",
        "the checkpoint to begin with, also PyTorch's, or one of a retraining to go on with; auto: the newest in --exp-dir",
        text(AT(resume)));
  t.one({"--pretrained"}, "FILE", "", "with --resume auto: the checkpoint to begin with while there is none", text(AT(pretrained)));
  t.one({"--init-classifier"}, "NAME", "keep", "the classifier begins as the checkpoint's, or is drawn anew: reset",
        set_init_classifier);
  t.none({"--cache-features"}, "no augmentation: features of all images are computed once, kept in EXP-DIR/features, and trained on",
         on(AT(cache_features)));
  t.none({"--finetune"}, "all layers are trained, not the classifier alone (compiled in)", on(AT(finetune)));
  t.one({"--imagenet"}, "DIR", "", "ImageNet: the images in DIR/val are evaluated as well", text(AT(imagenet)));
  t.one({"--compat"}, "NAME", "paper", "or released: one epoch more than --epochs, as the published classifier_retrain.py runs",
        set_compat);
}

void add_finetune(std::vector<Flag>& table) {
  Section t(table, "fine-tuning");
  t.one({"--model-path"}, "FILE", "", "the checkpoint to begin with, also PyTorch's", text(AT(pretrained)));
  t.one({"--resume"}, "FILE|auto", "", "go on with a checkpoint of a fine-tuning; auto: the newest in --exp-dir, if there is one",
        text(AT(resume)));
  t.one({"--low-resource"}, "SHARE", "0.01", "of the training images, drawn by --seed; written to EXP-DIR/subset.txt",
        number<double>(AT(low_resource), 1e-9, 1));
  t.one({"--list"}, "FILE", "", "the training images instead: a name a line, as in SimCLR's 1percent.txt", text(AT(list)));
  t.one({"--decay-rate"}, "X", "0.2", "what lr is multiplied by at each of --schedule", number<double>(AT(decay_rate), 0, 1));
  t.one({"--init-classifier"}, "NAME", "keep", "the classifier begins as the checkpoint's, or is drawn anew: reset",
        set_init_classifier);
  t.one({"--compat"}, "NAME", "paper", "or released: each group of the batch draws a subset of its own, as the published ranks do",
        set_compat);
}

void set_dataset(Options& o, const Value& v) { o.dataset = is_second(v, "voc", "places") ? "places" : "voc"; }

void set_difficult(Options& o, const Value& v) { o.ignore_difficult = is_second(v, "negative", "ignore"); }

void set_seed(Options& o, const Value& v) {
  o.seed = parse<uint64_t>(v.flag, v.texts[0], 0, std::numeric_limits<uint64_t>::max(), "a whole number");
}

void set_shots(Options& o, const Value& v) {
  o.shots.clear();
  for (const std::string& t : v.texts) o.shots.push_back(parse<int>(v.flag, t, 1, kMaxInt, "a whole number"));
  if (o.shots.empty()) throw InputError(v.flag + " needs a value");
}

void add_lowshot(std::vector<Flag>& table) {
  Section t(table, "low-shot transfer");
  t.one({"--model-path"}, "FILE", "", "the checkpoint whose features are measured, also PyTorch's", text(AT(pretrained)));
  t.none({"--supervise"}, "no effect: a network trained with labels is recognised by its tensors", set_nothing);
  t.one({"--seed"}, "N", "0", "of the draws: those of the published script with this seed", set_seed);
  t.one({"--dataset"}, "NAME", "voc", "or places", set_dataset);
  t.one({"--voc-path"}, "DIR", "", "the folder that holds VOCdevkit/VOC2007", text(AT(voc_path)));
  t.one({"--places-path"}, "DIR", "", "the folder that holds trainvalsplit_places205 and data/vision/...", text(AT(places_path)));
  t.one({"--cost"}, "C", "0.5", "weight of an error against a small margin; VOC's positives count twice", number<double>(AT(cost), 1e-12, 1e12));
  t.many({"--shots"}, "K...", "1 2 4 8 16", "training images a class", set_shots);
  t.one({"--draws"}, "N", "5", "draws of training images for each K", number<int>(AT(draws), 1, 1000000));
  t.one({"--difficult"}, "NAME", "negative", "VOC: objects that are hard to see count as absent; or ignore: their images count neither way",
        set_difficult);
  t.one({"--tol"}, "X", "1e-4", "an SVM is done when the projected gradient spans less", number<double>(AT(tolerance), 1e-15, 1));
  t.one({"--max-iter"}, "N", "2000", "passes over the rows of an SVM, at most", number<int>(AT(max_passes), 1, kMaxInt));
  t.one({"--output"}, "FILE", "lowshot.json", "the table as JSON; FILE.features while the run is under way; only an older table is replaced", text(AT(output)));
}

}  // namespace

void add_own_flags(std::vector<Flag>& table, Verb verb) {
  switch (verb) {
    case Verb::train: return;
    case Verb::clean: return add_clean(table);
    case Verb::retrain: return add_retrain(table);
    case Verb::finetune: return add_finetune(table);
    case Verb::lowshot: return add_lowshot(table);
  }
}

std::vector<std::pair<const char*, std::vector<std::string>>> presets(Verb verb) {
  if (verb == Verb::finetune)
    return {{"--exp-dir", {"Finetune_1percent"}}, {"--epochs", {"40"}}, {"--learning-rate", {"0.005"}},
            {"--schedule", {"20", "30"}},         {"--weight-decay", {"0"}}, {"--print-freq", {"10"}},
            {"--crop-min", {"0.08"}},             {"--decay-rate", {"0.2"}}};
  if (verb != Verb::retrain) return {};
  return {{"--exp-dir", {"experiment/cRT"}}, {"--epochs", {"15"}}, {"--learning-rate", {"0.01"}},
          {"--schedule", {"5", "10"}},       {"--weight-decay", {"0"}}};
}

}  // namespace moproc::train
