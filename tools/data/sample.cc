// Planning which image shows what, then drawing all of them in parallel; each is a function of (seed, its
// number).
#include "sample.h"

#include <atomic>
#include <cerrno>
#include <cstring>
#include <exception>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <vector>

#include "core/json.h"
#include "data/rng.h"
#include "scene.h"

namespace fs = std::filesystem;

namespace moproc::tools {
namespace {

using data::Purpose;
using data::Stream;

constexpr std::uint32_t train_scenes = 0, val_scenes = 1;  // the "epoch" of a scene's stream
constexpr const char* marker = ".moproc-sample";           // says that a .partial folder is ours to remove

struct Plan {
  std::string name;   // below the folder
  int truth;          // class, or -1
  int label;          // as listed
  int kind;           // index of all_kinds(), or -1: no object
  std::uint32_t set;  // train_scenes or val_scenes
  std::uint32_t number;
};

std::string padded(int value, int digits) {
  std::string text = std::to_string(value);
  return std::string(std::max(0, digits - static_cast<int>(text.size())), '0') + text;
}

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
  p.name = std::string(google ? "google/q" : "flickr/q") + padded(p.label + 1, 4) + "/" + padded(number, 6) +
           ".jpg";
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

void write_file(const fs::path& path, const char* bytes, std::size_t size) {
  errno = 0;
  std::ofstream out(path, std::ios::binary);
  out.write(bytes, static_cast<std::streamsize>(size));
  out.close();
  if (!out) throw std::runtime_error(path.string() + ": cannot write: " + std::strerror(errno));
}

void write_file(const fs::path& path, const std::string& text) { write_file(path, text.data(), text.size()); }

void draw(const SampleOptions& o, const Plan& p, const fs::path& folder) {
  Stream s(o.seed, Purpose::sample_scene, p.set, p.number);
  const Kind* kind = p.kind < 0 ? nullptr : &all_kinds()[static_cast<std::size_t>(p.kind)];
  const Canvas canvas = draw_scene(kind, o.size, o.variation, s);
  const std::vector<std::uint8_t> jpeg = encode_jpeg(canvas, s.between(80, 95));
  write_file(folder / p.name, reinterpret_cast<const char*>(jpeg.data()), jpeg.size());
}

void draw_all(const SampleOptions& o, const std::vector<Plan>& plans, const fs::path& folder,
              const std::function<void(int, int)>& progress) {
  std::atomic<std::size_t> next{0};
  std::mutex mutex;  // guards failure and done
  std::exception_ptr failure;
  int done = 0;
  const auto work = [&] {
    for (std::size_t i; (i = next++) < plans.size();) {
      try {
        draw(o, plans[i], folder);
        const std::lock_guard lock(mutex);
        if (progress) progress(++done, static_cast<int>(plans.size()));
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (!failure) failure = std::current_exception();
        next = plans.size();
      }
    }
  };
  const unsigned threads =
      o.threads > 0 ? static_cast<unsigned>(o.threads) : std::thread::hardware_concurrency();
  {
    std::vector<std::jthread> pool;
    for (unsigned i = 1; i < threads; ++i) pool.emplace_back(work);
    work();
  }
  if (failure) std::rethrow_exception(failure);
}

// truth.json, one image a line.
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

// The folder under its temporary name; removed unless it was renamed.
class Partial {
 public:
  explicit Partial(const fs::path& final_name) : final_(final_name), path_(final_name.string() + ".partial") {
    if (fs::exists(final_) && !(fs::is_directory(final_) && fs::is_empty(final_))) {
      throw std::runtime_error(final_.string() +
                               ": exists and is no empty folder; remove it or choose another --out");
    }
    if (fs::exists(path_)) {
      if (!fs::exists(path_ / marker))
        throw std::runtime_error(path_.string() + ": is in the way, remove it");
      fs::remove_all(path_);  // of a run that was killed
    }
    fs::create_directories(path_);
    ours_ = true;
    write_file(path_ / marker, "");
  }
  ~Partial() {
    std::error_code ignored;
    if (ours_) fs::remove_all(path_, ignored);
  }
  Partial(const Partial&) = delete;
  Partial& operator=(const Partial&) = delete;

  const fs::path& path() const { return path_; }
  void commit() {
    fs::remove(path_ / marker);
    fs::rename(path_, final_);
    ours_ = false;
  }

 private:
  fs::path final_, path_;
  bool ours_ = false;
};

fs::path cleaned(const std::string& out) {
  fs::path path = fs::path(out).lexically_normal();
  return path.has_filename() ? path : path.parent_path();
}

}  // namespace

SampleSummary write_sample(const SampleOptions& o, const std::function<void(int, int)>& progress) {
  Partial partial(cleaned(o.out));
  make_folders(o, partial.path());
  std::vector<Plan> plans;
  SampleSummary summary;
  for (int i = 0; i < o.images; ++i) {
    plans.push_back(plan_training(o, i));
    summary.out_of_class += plans.back().truth < 0;
    summary.wrong += plans.back().truth >= 0 && plans.back().truth != plans.back().label;
  }
  for (int i = 0; i < o.val; ++i) plans.push_back(plan_validation(o, i));
  draw_all(o, plans, partial.path(), progress);
  write_lists(o, plans, partial.path());
  partial.commit();
  summary.images = o.images;
  summary.val = o.val;
  return summary;
}

}  // namespace moproc::tools
