// A verb of the training binary is one record. Its file, VERB_verb.cc, defines its flags, its checks and the function
// that runs it. verbs.cc lists all verbs.
#pragma once

#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "command/flag.h"
#include "core/plan.h"
#include "data/dataset.h"
#include "train/lists.h"
#include "train/settings.h"

namespace moproc::command {

/// The process that runs a verb.
struct Invocation {
  const Plan& plan;
  char** argv;                            // the ranks are started with it
  std::string verb;                       // messages begin with it
  int rank = 0, ranks = 1;                // set as soon as they are known; with several ranks, messages name the rank
  std::function<void()> require_targets;  // Command::require_targets(); called by the rank that writes
};

/// A file or folder that a command reads.
struct Needed {
  enum class Kind { file, folder, either, json };
  const char* flag;  // that names it; "": an argument without a flag
  std::string path;  // "": not given
  Kind kind = Kind::file;
};

/// What a command reads, so that it can be checked before an artefact is compiled for it.
struct Inputs {
  std::string data;                  // data folder; "": none
  data::ListOptions lists;           // how its lists are read, except num_class
  std::string checkpoint;            // from which the run begins or which it continues; "": none
  int64_t num_class = 0;             // that the command line states; 0: none
  bool fits_size = false;            // whether the artefact is to fit the number of training images
  bool trains = false;               // on the training images of the folder
  train::HoldOut hold_out = {};      // as the command line states it
  train::WebVisionLists about = {};  // files about the training images
  std::vector<Needed> needed = {};   // further files and folders
};

/// The record of a verb whose flags fill a `Settings`.
template <class Settings>
struct VerbRecord {
  const char* name;
  const char* usage;                           // the arguments after the verb's name
  const char* about;                           // what it does, for the help page
  void (*presets)(Settings&) = nullptr;        // sets the defaults that differ from those of Settings
  void (*flags)(FlagTable&, Settings&);        // binds the flags to the settings
  void (*check)(const Settings&);              // throws InputError if flags contradict or one is missing
  void (*fits)(const Settings&, const Plan&);  // throws InputError if flags contradict the artefact
  void (*targets)(const Settings&);            // throws InputError if a file to replace is not moproc's own
  Inputs (*inputs)(const Settings&);           // throws InputError if it cannot tell
  int (*run)(const Settings&, const FlagTable&, Invocation&);  // returns the exit status
  bool one_process = false;                                    // cannot run as several ranks
};

/// A verb's settings at their defaults, with flags bound to them.
class Command {
 public:
  virtual ~Command() = default;
  FlagTable flags;
  /// Throws InputError, naming the flags, if flags contradict each other or one is missing.
  virtual void check() const = 0;
  /// Throws InputError, naming the flag, its value and the artefact's, if flags contradict the artefact.
  virtual void fits(const Plan& plan) const = 0;
  /// Throws InputError, naming path and remedy, if the command would replace or extend a file that moproc did not
  /// write.
  virtual void require_targets() const = 0;
  /// What the command reads. Throws InputError.
  virtual Inputs inputs() const = 0;
  virtual int run(Invocation& invocation) const = 0;
};

template <class Settings>
class CommandOf : public Command {
 public:
  explicit CommandOf(const VerbRecord<Settings>& record) : record_(record) {
    if (record.presets) record.presets(settings);
    record.flags(flags, settings);
  }
  CommandOf(const CommandOf&) = delete;
  CommandOf& operator=(const CommandOf&) = delete;
  void check() const override { record_.check(settings); }
  void fits(const Plan& plan) const override { record_.fits(settings, plan); }
  void require_targets() const override { record_.targets(settings); }
  Inputs inputs() const override { return record_.inputs(settings); }
  int run(Invocation& invocation) const override { return record_.run(settings, flags, invocation); }

  Settings settings;

 private:
  const VerbRecord<Settings> record_;
};

/// A VerbRecord without the type of its settings.
struct Verb {
  template <class Settings>
  Verb(const VerbRecord<Settings>& r)
      : name(r.name), usage(r.usage), about(r.about), one_process(r.one_process), make([r] {
          return std::make_unique<CommandOf<Settings>>(r);
        }) {
    // Every verb says what its flags are, what contradicts, what it would replace and what it reads.
    if (!r.flags || !r.check || !r.fits || !r.targets || !r.inputs || !r.run)
      throw std::logic_error("the record of " + name + " is incomplete");
  }

  std::string name, usage, about;
  bool one_process;
  std::function<std::unique_ptr<Command>()> make;
};

}  // namespace moproc::command
