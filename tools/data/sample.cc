// WebVision's layout: plans which image shows what, and writes the lists.
#include "sample.h"

#include <filesystem>
#include <stdexcept>
#include <vector>

#include "core/json.h"
#include "core/rng.h"
#include "kinds.h"
#include "sample_folder.h"

namespace fs = std::filesystem;

namespace moproc::tools {
namespace {

using data::Purpose;
using data::Stream;

constexpr std::uint32_t train_scenes = 0, val_scenes = 1;  // the "epoch" of a scene's stream

struct Plan {
  std::string name;   // below the folder
  int truth;          // class, or -1
  int label;          // the label in the list
  int kind;           // index of all_kinds(), or -1: no object
  std::uint32_t set;  // train_scenes or val_scenes
  std::uint32_t number;
};

Plan plan_training(const SampleOptions& o, int number) {
  Stream s(o.seed, Purpose::sample_label, train_scenes, static_cast<std::uint32_t>(number));
  const int classes = o.classes, kinds = static_cast<int>(all_kinds().size());
  const bool out_of_class = s.chance(o.ood);
  const int shown = static_cast<int>(s.below(static_cast<std::uint32_t>(classes)));
  const int other = static_cast<int>(s.below(static_cast<std::uint32_t>(classes - 1)));
  const bool wrong = s.chance(o.noise);
  const bool empty = s.chance(0.25);
  const int stranger = s.between(classes, kinds - 1);
  const bool google = s.chance(0.5);
  Plan p{};
  p.truth = out_of_class ? -1 : shown;
  p.label = out_of_class || !wrong ? shown : other + (other >= shown);
  p.kind = !out_of_class ? shown : empty ? -1 : stranger;
  p.set = train_scenes;
  p.number = static_cast<std::uint32_t>(number);
  // A search engine's folder is that of the query, so a wrong label and a wrong folder go together.
  p.name = std::string(google ? "google/q" : "flickr/q") + padded(p.label + 1, 4) + "/" + padded(number, 6) + ".jpg";
  return p;
}

Plan plan_validation(const SampleOptions& o, int number) {
  const int shown = number % o.classes;
  return {"val_images_256/val" + padded(number + 1, 6) + ".jpg",
          shown,
          shown,
          shown,
          val_scenes,
          static_cast<std::uint32_t>(number)};
}

// The text of truth.json, one image per line.
std::string truth_text(const SampleOptions& o, const std::vector<Plan>& plans) {
  std::string names, train;
  for (int c = 0; c < o.classes; ++c) {
    if (c > 0) names += ", ";
    write_json(names, all_kinds()[static_cast<std::size_t>(c)].name);
  }
  for (const Plan& p : plans) {
    if (p.set != train_scenes) continue;
    train += train.empty() ? "\n  " : ",\n  ";
    write_json(train, p.name);
    train += ": " + (p.truth < 0 ? std::string("null") : std::to_string(p.truth));
  }
  const std::string options = JsonLine()
                                  .add("images", std::int64_t{o.images})
                                  .add("val", std::int64_t{o.val})
                                  .add("size", std::int64_t{o.size})
                                  .add("noise", o.noise)
                                  .add("ood", o.ood)
                                  .add("variation", o.variation)
                                  .add_raw("seed", std::to_string(o.seed))
                                  .text();
  return "{\n \"format\": \"moproc-sample-1\",\n \"classes\": [" + names + "],\n \"options\": " + options +
         ",\n \"train\": {" + train + "\n }\n}\n";
}

void write_lists(const SampleOptions& o, const std::vector<Plan>& plans, const fs::path& folder) {
  std::string google, flickr, val, synsets, queries;
  for (const Plan& p : plans) {
    if (p.set == val_scenes) {
      val += p.name.substr(p.name.find('/') + 1) + " " + std::to_string(p.label) + "\n";
    } else {
      (p.name[0] == 'g' ? google : flickr) += p.name + " " + std::to_string(p.label) + "\n";
    }
  }
  for (int c = 0; c < o.classes; ++c) {
    const std::string name(all_kinds()[static_cast<std::size_t>(c)].name);
    synsets += "n" + padded(c + 1, 8) + " " + name + "\n";
    queries += std::to_string(c + 1) + " " + std::to_string(c + 1) + "\n";
  }
  write_file(folder / "info/train_filelist_google.txt", google);
  write_file(folder / "info/train_filelist_flickr.txt", flickr);
  write_file(folder / "info/val_filelist.txt", val);
  write_file(folder / "info/synsets.txt", synsets);
  write_file(folder / "info/queries_synsets_map.txt", queries);
  write_file(folder / "truth.json", truth_text(o, plans));
}

void make_folders(const SampleOptions& o, const fs::path& folder) {
  fs::create_directories(folder / "info");
  fs::create_directories(folder / "val_images_256");
  for (int c = 0; c < o.classes; ++c) {
    fs::create_directories(folder / "google" / ("q" + padded(c + 1, 4)));
    fs::create_directories(folder / "flickr" / ("q" + padded(c + 1, 4)));
  }
}

SampleSummary write_webvision(const SampleOptions& o, const fs::path& folder, const Drawn& progress) {
  make_folders(o, folder);
  std::vector<Plan> plans;
  SampleSummary summary{o.images, 0, 0, o.val, o.classes};
  for (int i = 0; i < o.images; ++i) {
    plans.push_back(plan_training(o, i));
    summary.out_of_class += plans.back().truth < 0;
    summary.wrong += plans.back().truth >= 0 && plans.back().truth != plans.back().label;
  }
  for (int i = 0; i < o.val; ++i) plans.push_back(plan_validation(o, i));
  std::vector<Scene> scenes;
  for (const Plan& p : plans)
    scenes.push_back({p.name, p.kind < 0 ? std::vector<int>{} : std::vector<int>{p.kind}, p.set, p.number});
  draw_scenes(o, scenes, folder, progress);
  write_lists(o, plans, folder);
  return summary;
}

}  // namespace

SampleSummary write_sample(const SampleOptions& o, const std::function<void(int, int)>& progress) {
  const auto write = o.layout == "webvision"  ? write_webvision
                     : o.layout == "imagenet" ? write_imagenet
                     : o.layout == "voc"      ? write_voc
                     : o.layout == "places"   ? write_places
                                              : nullptr;
  if (!write) throw std::runtime_error("--layout " + o.layout + ": known are webvision, imagenet, voc and places");
  PartialFolder partial(o.out);
  const SampleSummary summary = write(o, partial.path(), progress);
  partial.commit();
  return summary;
}

}  // namespace moproc::tools
