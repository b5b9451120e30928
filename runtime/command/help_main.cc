// moproc-train-help knows the flags of every training binary before one is compiled:
// - moproc-train-help [VERB [--json]] prints the flags as text, or as JSON (command/help.h);
// - moproc-train-help --verbs prints the names of the verbs, one per line;
// - moproc-train-help launch prints what the environment says about ranks, one line per variable;
// - moproc-train-help preflight [VERB] FLAGS checks what can be checked without an artefact: flags, files that the
//   command would replace, the data folder and the checkpoint. It prints what the artefact needs to know as JSON,
//   {"checkpoint": "run/checkpoint_0003.safetensors", "num_class": 10, "all_classes": true}; "" and 0: unknown.
//   all_classes: a network needs as many. Exit code 2: bad input.
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>

#include "comm/launch.h"
#include "command/help.h"
#include "command/parse.h"
#include "command/verbs.h"
#include "core/error.h"
#include "data/data_folder.h"
#include "log/jsonl.h"
#include "train/checkpoint.h"

namespace {

int explain_launch() {
  using namespace moproc::comm;
  try {
    const Launch l = plan_launch({}, process_environment()).launch;
    if (l.by.empty())
      return std::puts("one process: no launcher has set RANK, OMPI_COMM_WORLD_RANK or SLURM_PROCID"), 0;
    std::printf("%s: rank %d of %d, %d of %d on this machine", l.by.c_str(), l.rank, l.ranks, l.local_rank,
                l.local_ranks);
    if (!l.master.host.empty()) std::printf("; rank 0 is at %s, port %d", l.master.host.c_str(), l.master.port);
    std::puts("");
    for (const std::string& line : l.read) std::puts(line.c_str());
    return 0;
  } catch (const moproc::InputError& e) {
    std::printf("%s\n", e.what());
    return 2;
  }
}

/// Reads the lists of a data folder, whose lines may have errors; the images of class folders are not looked for.
/// `run`: the classes that the checkpoint names. Returns the number of classes.
int classes_of(const moproc::command::Inputs& in, const moproc::data::ClassTable& run) {
  using namespace moproc::data;
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
int64_t classes_of_either(const moproc::command::Inputs& in, const moproc::data::ClassTable& run) {
  if (run.empty()) return classes_of(in, run);
  try {
    return classes_of(in, run);
  } catch (const moproc::data::DatasetError&) {
    try {
      return classes_of(in, {});
    } catch (const moproc::data::DatasetError&) {
    }
    throw;
  }
}

int preflight(int argc, char** argv) {
  using namespace moproc::command;
  std::string verb = "train";
  try {
    const Request request = request_of(argc, argv);
    verb = request.verb.name;
    const std::unique_ptr<Command> command = request.verb.make();
    if (asks_for_help(request.flags)) return 0;
    parse_flags(command->flags, request.flags);
    command->require_targets();
    const Inputs in = command->inputs();
    moproc::data::ClassTable run;
    if (!in.checkpoint.empty()) run = moproc::train::data_of_run(in.checkpoint).classes;
    moproc::JsonLine line;
    line.add("checkpoint", in.checkpoint).add("num_class", in.data.empty() ? int64_t{0} : classes_of_either(in, run));
    const bool all = !in.data.empty() && moproc::data::layout_of(in.data) != moproc::data::Layout::webvision;
    line.add_raw("all_classes", all ? "true" : "false");
    std::puts(line.text().c_str());
    return 0;
  } catch (const moproc::InputError& e) {
    std::fprintf(stderr, "moproc %s: %s\n", verb.c_str(), e.what());
  } catch (const moproc::data::DatasetError& e) {
    std::fprintf(stderr, "moproc %s: %s\n", verb.c_str(), e.what());
  }
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace moproc::command;
  const std::string first = argc > 1 ? argv[1] : "";
  if (first == "launch") return explain_launch();
  if (first == "preflight") return preflight(argc - 1, argv + 1);
  if (first == "--verbs") {
    for (const Verb& v : verbs()) std::puts(v.name.c_str());
    return 0;
  }
  try {
    const Verb& verb = first.empty() ? verbs().front() : verb_named(first);
    const bool json = argc > 2 && std::strcmp(argv[2], "--json") == 0;
    if (argc > (json ? 3 : 2))
      throw moproc::InputError("usage: moproc-train-help [VERB [--json] | --verbs | launch | preflight [VERB] FLAGS]");
    std::fputs(json ? help_json(verb).c_str() : help_text("train", verb).c_str(), stdout);
    return 0;
  } catch (const moproc::InputError& e) {
    std::fprintf(stderr, "moproc-train-help: %s\n", e.what());
    return 2;
  }
}
