// Parses the whole file at once; WebVision's has 90 MB.
#include "workflow/annotation.h"

#include "core/error.h"
#include "core/json.h"
#include "data/list_file.h"
#include "formats/mapped_file.h"

namespace moproc::train {
namespace {

/// The class of the run for each label of the file; -1 if the run lacks it. Empty: labels are the run's numbers.
std::vector<int64_t> classes_by_label(const Json& json, const std::string& path, const data::ClassTable& run) {
  const Json* const names = json.find("classes");
  std::vector<int64_t> classes;
  if (!names || run.empty()) return classes;
  if (!names->array()) throw InputError(path + ": \"classes\" is not a list of names");
  for (const Json& name : *names->array()) {
    if (!name.string()) throw InputError(path + ": \"classes\" is not a list of names");
    classes.push_back(run.find(*name.string()).value_or(-1));
  }
  return classes;
}

}  // namespace

data::Dataset read_annotation(const std::string& path, const std::string& folder, const data::ListOptions& options) {
  const formats::MappedFile file(path);
  const Json json = parse_json({reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()}, path);
  const Json *const images = json.find("images"), *const labels = json.find("labels");
  if (!images || !images->array() || !labels || !labels->array())
    throw InputError(path + ": is not an annotation: it needs the lists \"images\" and \"labels\"");
  const Json::Array &names = *images->array(), &numbers = *labels->array();
  if (names.size() != numbers.size())
    throw InputError(path + ": " + std::to_string(names.size()) + " images, but " + std::to_string(numbers.size()) +
                     " labels");
  const std::vector<int64_t> mapped = classes_by_label(json, path, options.classes);
  const int64_t most = mapped.empty() ? options.num_class : static_cast<int64_t>(mapped.size());
  data::Dataset out(folder, options.num_class);
  out.set_classes(options.classes);
  size_t missing = 0;
  std::string first;
  for (size_t i = 0; i < names.size(); ++i) {
    const auto where = [&] {
      return path + ": entry " + std::to_string(i) + (names[i].string() ? " (" + *names[i].string() + ")" : "");
    };
    int64_t label = 0;
    if (!names[i].string()) throw InputError(where() + ": the image is not text");
    if (!numbers[i].integer(label) || label < 0 || label >= most)
      throw InputError(where() + ": the label is not in 0.." + std::to_string(most - 1));
    if (!mapped.empty()) {
      const int64_t c = mapped[static_cast<size_t>(label)];
      if (c < 0)
        throw InputError(where() + ": the label is class " +
                         data::quoted(*(*json.find("classes")->array())[static_cast<size_t>(label)].string()) +
                         ", which the run does not have");
      label = c;
    }
    out.add(*names[i].string(), label);
    if (out.files().exists(out.name(i))) continue;
    if (missing++ == 0) first = *names[i].string();
  }
  if (missing > 0)
    throw InputError(path + ": " + std::to_string(missing) + " of " + std::to_string(names.size()) +
                     " images are not in " + folder + "; the first: " + first);
  return out;
}

}  // namespace moproc::train
