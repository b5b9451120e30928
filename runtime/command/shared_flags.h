// Flags that several verbs have, with the checks that belong to them.
#pragma once

#include <cstdint>
#include <string>

#include "command/flag.h"
#include "core/plan.h"
#include "train/settings.h"

namespace moproc::command {

/// --max-broken: how many images may be unreadable when a run starts (train/readable.h).
Flag& add_max_broken_flag(FlagTable& table, double& max_broken);

/// --data.
void add_data_flag(FlagTable& table, std::string& data, const char* help);

/// --first-label.
/// --val-split.
void add_val_split_flag(FlagTable& table, train::HoldOut& hold_out);
void add_first_label_flag(FlagTable& table, int& first_label);

/// --threads, --gpu, --check.
void add_device_flags(FlagTable& table, train::Compute& compute);
/// The same, with --num-workers and --quiet, in a section of their own.
void add_compute_flags(FlagTable& table, train::Compute& compute);
/// --profile.
void add_profile_flag(FlagTable& table, train::Compute& compute);
/// Throws InputError if the artefact's device contradicts --gpu.
void check_compute(const train::Compute& compute, const Plan& plan);

/// Properties of the artefact, which flags cannot change but may confirm. 0 or "": not given.
struct Confirmed {
  std::string arch;
  double width = 0;
  int64_t batch = 0, num_class = 0, low_dim = 0, moco_queue = 0, image_size = 0, bn_groups = 0;
  int64_t preset_classes = 0;  // that --preset stands for

  /// The number of classes that the flags state.
  int64_t classes() const { return num_class != 0 ? num_class : preset_classes; }
};
void add_confirmed_flags(FlagTable& table, Confirmed& confirmed);
/// Throws InputError if --preset and --num-class state different numbers.
void check_confirmed(const Confirmed& confirmed);
/// Throws InputError if the artefact was compiled with another value.
void check_confirmed(const Confirmed& confirmed, const Plan& plan);

/// --mini, --sources, --preset: which of WebVision's two sources are used.
void add_source_flags(FlagTable& table, bool& google, bool& flickr, Confirmed& confirmed);

}  // namespace moproc::command
