#include "command/preflight.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <string>

#include <unistd.h>

#include "command/parse.h"
#include "command/verbs.h"
#include "core/error.h"
#include "core/json.h"
#include "data/data_folder.h"
#include "log/jsonl.h"
#include "train/checkpoint.h"
#include "train/lists.h"
#include "train/truth.h"

namespace moproc::command {
namespace {

/// Reads the lists of a data folder, whose lines may have errors; the images of class folders are not looked for.
/// `run`: the classes that the checkpoint names. Returns the number of classes.
int classes_of(const Inputs& in, const data::ClassTable& run) {
  using namespace data;
  ListOptions options = in.lists;
  options.classes = run;
  const int classes = count_classes(in.data, options);
  options.num_class = in.num_class > 0 ? static_cast<int>(in.num_class) : classes;
  const Layout layout = layout_of(in.data);
  if (layout != Layout::lists && layout != Layout::webvision) return classes;
  for (const Split split : {Split::train, Split::val})
    if (has_split(in.data, split)) options.classes = read_folder(in.data, split, options).classes();
  return classes;
}

/// The same for a run that may take the classes of the checkpoint or, with a new classifier, those of the data. If the
/// lists fit neither, the error is the one for the checkpoint's classes.
int64_t classes_of_either(const Inputs& in, const data::ClassTable& run) {
  if (run.empty()) return classes_of(in, run);
  try {
    return classes_of(in, run);
  } catch (const data::DatasetError&) {
    try {
      return classes_of(in, {});
    } catch (const data::DatasetError&) {
    }
    throw;
  }
}

/// Throws InputError, with the flag, if a file or folder is not there, is of the other kind, or cannot be read.
void require(const Needed& n) {
  if (n.path.empty()) return;
  const std::string named = (*n.flag ? std::string(n.flag) + " " : std::string()) + n.path;
  using enum Needed::Kind;
  std::error_code error;
  const auto status = std::filesystem::status(n.path, error);
  if (status.type() == std::filesystem::file_type::not_found)
    throw InputError(named + ": no such " +
                     (n.kind == folder   ? "folder"
                      : n.kind == either ? "file or folder"
                                         : "file"));
  const bool is_folder = status.type() == std::filesystem::file_type::directory;
  if ((n.kind == file || n.kind == json) && is_folder) throw InputError(named + ": is a folder; a file is needed");
  if (n.kind == folder && !is_folder) throw InputError(named + ": is no folder");
  if (access(n.path.c_str(), R_OK) != 0) throw InputError(named + ": cannot be read: " + std::strerror(errno));
  if (n.kind != json) return;
  if (!std::filesystem::is_regular_file(n.path, error)) throw InputError(named + ": is not a regular file");
  std::ifstream in(n.path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  if (!parse_json(text, named).object()) throw InputError(named + ": is not a JSON object");
}

/// Throws if a training run cannot use the classes of its folder. `classes`: their number.
void check_training_classes(const Inputs& in, int64_t classes) {
  if (classes == 1)
    throw InputError(in.data + ": has one class, and a network is trained on two or more; is each class a folder of " +
                     in.data + " or of its train/?");
  data::require_known_classes(in.data);
}

constexpr size_t kMany = 4096;

/// The training images of a run that begins, unless a pass over many class folders would be needed that tells only
/// their number. (Labels of a run that continues may be those of the checkpoint or of a new classifier.)
std::optional<data::Dataset> training_list(const Inputs& in, int64_t classes) {
  if (!in.trains || !in.checkpoint.empty() || !data::has_split(in.data, data::Split::train)) return std::nullopt;
  if (data::has_class_folders(in.data) && !in.fits_size) return std::nullopt;
  data::ListOptions options = in.lists;
  options.num_class = static_cast<int>(in.num_class > 0 ? in.num_class : classes);
  return data::read_folder(in.data, data::Split::train, options);
}

/// Throws if class folders have a link that leads in a circle. Returns the number of training images; 0 if there are
/// kMany or more, which fill any batch, or if there are no class folders.
int64_t count_in_folders(const Inputs& in) {
  if (!data::has_class_folders(in.data)) return 0;
  data::count_images(in.data, data::Split::val, kMany);
  const size_t count = data::count_images(in.data, data::Split::train, kMany);
  return in.trains && count < kMany ? static_cast<int64_t>(count) : 0;
}

/// Reads the files about the training images: whole if there is the list of these, and otherwise their lines alone.
/// `run`: the classes that the checkpoint names.
void check_files_about(const Inputs& in, const std::optional<data::Dataset>& list, const data::ClassTable& run,
                       int64_t classes) {
  const std::string &weights = in.about.sample_weights, &truth = in.about.truth;
  if (list) {
    if (!weights.empty()) train::read_weights(weights, *list);
    if (!truth.empty()) train::read_truth(truth, *list);
    return;
  }
  if (!weights.empty()) train::check_weights(weights);
  if (truth.empty() || in.data.empty()) return;
  data::ListOptions options = in.lists;
  options.num_class = static_cast<int>(classes);
  train::check_truth(truth, run.empty() ? data::read_classes(in.data, options) : run);
}

}  // namespace

int preflight(int argc, char** argv) {
  std::string verb = "train";
  try {
    const Request request = request_of(argc, argv);
    verb = request.verb.name;
    const std::unique_ptr<Command> command = request.verb.make();
    if (asks_for_help(request.flags)) return 0;
    parse_flags(command->flags, request.flags);
    command->require_targets();
    command->check();
    const Inputs in = command->inputs();
    for (const Needed& n : in.needed) require(n);
    data::ClassTable run;
    if (!in.checkpoint.empty()) run = train::data_of_run(in.checkpoint).classes;
    const int64_t classes = in.data.empty() ? 0 : classes_of_either(in, run);
    if (!in.data.empty()) train::require_no_validation(in.data, in.hold_out);
    if (!in.data.empty() && in.trains) check_training_classes(in, classes);
    const bool all = !in.data.empty() && data::layout_of(in.data) != data::Layout::webvision;
    const int64_t counted = in.data.empty() ? 0 : count_in_folders(in);
    const std::optional<data::Dataset> list = in.data.empty() ? std::nullopt : training_list(in, classes);
    check_files_about(in, list, run, classes);
    JsonLine line;
    line.add("checkpoint", in.checkpoint)
        .add("num_class", classes)
        .add_raw("all_classes", all ? "true" : "false")
        .add("images", list ? static_cast<int64_t>(list->size()) : counted);
    std::puts(line.text().c_str());
    return 0;
  } catch (const InputError& e) {
    std::fprintf(stderr, "moproc %s: %s\n", verb.c_str(), e.what());
  } catch (const data::DatasetError& e) {
    std::fprintf(stderr, "moproc %s: %s\n", verb.c_str(), e.what());
  }
  return 2;
}

}  // namespace moproc::command
