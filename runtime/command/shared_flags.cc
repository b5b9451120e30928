// Flags about the machine, the artefact and the images.
#include "command/shared_flags.h"

#include <cstdlib>
#include <string_view>

#include "core/error.h"
#include "core/meta.h"

namespace moproc::command {

void add_data_flag(FlagTable& table, std::string& data, const char* help) { table.text({"--data"}, "DIR", data, help); }

void add_val_split_flag(FlagTable& table, train::HoldOut& hold_out) {
  table
      .number({"--val-split"}, "SHARE", hold_out.share, 0.0, 0.9,
              "share of each class's training images that is held out for validation, if --data has no validation "
              "images; drawn by the run's seed and written to EXP-DIR/val_split.txt")
      .without("0, or the checkpoint's")
      .agree();
}

void add_first_label_flag(FlagTable& table, int& first_label) {
  table
      .number({"--first-label"}, "N", first_label, 0, kMaxInt,
              "number of the first class in csv and jsonl lists whose labels are numbers")
      .record("first_label");
}

Flag& add_max_broken_flag(FlagTable& table, double& max_broken) {
  return table.number(
      {"--max-broken"}, "PERCENT", max_broken, 0.0, 100.0,
      "do not start if more images of a set cannot be read, or all images of a class; 100: start in any case");
}

void add_device_flags(FlagTable& t, train::Compute& c) {
  t.number({"--threads"}, "N", c.threads, 1, 4096, "CPU threads that compute; results do not depend on their number")
      .without("usable cores");
  t.number({"--gpu"}, "N", c.gpu, 0, kMaxInt,
           "which GPU to use, of those that CUDA_VISIBLE_DEVICES shows; not for CPU artefacts")
      .without("0");
  t.on({"--check"}, c.check, "stop at the first NaN or infinity and say where it is");
}

void add_compute_flags(FlagTable& t, train::Compute& c) {
  t.section("machine and output");
  add_device_flags(t, c);
  t.number({"-j", "--num-workers", "--workers"}, "N", c.workers, 1, 4096, "threads that decode images")
      .without("usable cores");
  t.on({"--quiet"}, c.quiet, "print less: one line per epoch");
}

void add_profile_flag(FlagTable& t, train::Compute& c) {
  t.on({"--profile"}, c.profile,
       "time each kernel: per template and step, ms, share, GFLOP/s and GB/s; on GPUs also the share of the roofline");
}

void check_compute(const train::Compute& c, const Plan& plan) {
  if (c.gpu && std::string_view(plan.device) == "cpu")
    throw InputError("--gpu " + std::to_string(*c.gpu) + ": this artefact is compiled for the CPU");
}

void add_confirmed_flags(FlagTable& t, Confirmed& c) {
  t.section("compiled in (a flag is accepted if it agrees with the artefact)");
  const auto whole = [&](FlagTable::Names names, const char* unit, int64_t& field, const char* help) {
    t.number(std::move(names), unit, field, int64_t{1}, kMaxLong, help);
  };
  t.text({"-a", "--arch", "--network"}, "NAME", c.arch, "network of the encoder");
  t.number({"--width"}, "X", c.width, 1e-3, 1e3, "factor of the encoder's channels");
  whole({"-b", "--batch-size"}, "N", c.batch, "images per step, over all groups");
  whole({"--num-class"}, "N", c.num_class, "number of classes");
  whole({"--low-dim"}, "N", c.low_dim, "dimensions of the embedding");
  whole({"--moco_queue"}, "N", c.moco_queue, "number of keys in the queue");
  whole({"--image-size"}, "PIXELS", c.image_size, "side of a training image");
  whole({"--bn-groups"}, "N", c.bn_groups, "groups of the batch that have their own BatchNorm statistics");
}

void check_confirmed(const Confirmed& c) {
  if (c.preset_classes != 0 && c.num_class != 0 && c.num_class != c.preset_classes)
    throw InputError("--preset has " + std::to_string(c.preset_classes) + " classes, --num-class says " +
                     std::to_string(c.num_class));
}

void check_confirmed(const Confirmed& c, const Plan& plan) {
  const auto number = [&](const char* flag, int64_t given, const char* key) {
    if (given != 0 && given != meta_number(plan, key))
      throw InputError(std::string(flag) + " " + std::to_string(given) + ": this artefact is compiled with " +
                       std::to_string(meta_number(plan, key)) + "; compile another");
  };
  if (!c.arch.empty() && c.arch != meta(plan, "arch"))
    throw InputError("--arch " + c.arch + ": this artefact holds " + meta(plan, "arch") + "; compile another");
  if (c.width != 0 && c.width != std::strtod(meta(plan, "width").c_str(), nullptr))
    throw InputError("--width " + show_number(c.width) + ": this artefact is compiled with " + meta(plan, "width") +
                     "; compile another");
  number("--batch-size", c.batch, "batch");
  number("--num-class", c.classes(), "num_class");
  number("--low-dim", c.low_dim, "low_dim");
  number("--moco_queue", c.moco_queue, "queue");
  number("--image-size", c.image_size, "image_size");
  number("--bn-groups", c.bn_groups, "groups");
}

void add_source_flags(FlagTable& t, bool& google, bool& flickr, Confirmed& confirmed) {
  const auto sources = [&google, &flickr] {
    return std::string(google ? "google" : "") + (google && flickr ? "," : "") + (flickr ? "flickr" : "");
  };
  Flag list{.names = {"--sources"},
            .unit = "LIST",
            .range = "google, flickr or google,flickr",
            .help = "WebVision: whose images are used, separated by commas"};
  list.set = [&google, &flickr, range = list.range](const std::string& name, const std::vector<std::string>& values) {
    const std::string& v = values[0];
    if (v != "google" && v != "flickr" && v != "google,flickr" && v != "flickr,google") refuse(name, v, range);
    google = v.find("google") != std::string::npos;
    flickr = v.find("flickr") != std::string::npos;
  };
  list.show = sources;
  t.add(std::move(list)).record("sources");

  Flag mini{.names = {"--mini"}, .arity = Arity::none, .help = "WebVision: the same as --sources google"};
  mini.set = [&flickr](const std::string&, const std::vector<std::string>&) { flickr = false; };
  mini.show = [&flickr] { return std::string(flickr ? "false" : "true"); };
  t.add(std::move(mini)).record("sources", sources);

  Flag preset{.names = {"--preset"},
              .unit = "NAME",
              .range = "mini-webvision",
              .help = "mini-webvision: the same as --sources google --num-class 50"};
  preset.set = [&flickr, &confirmed, range = preset.range](const std::string& name,
                                                           const std::vector<std::string>& values) {
    if (values[0] != range) refuse(name, values[0], range);
    flickr = false;
    confirmed.preset_classes = 50;
  };
  preset.show = [] { return std::string(); };
  t.add(std::move(preset)).record("sources", sources);
}

}  // namespace moproc::command
