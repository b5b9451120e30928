// Parses the whole file at once; WebVision's has 90 MB.
#include "workflow/annotation.h"

#include "core/error.h"
#include "core/json.h"
#include "formats/mapped_file.h"

namespace moproc::train {

data::Dataset read_annotation(const std::string& path, const std::string& folder, int num_class) {
  const formats::MappedFile file(path);
  const Json json = parse_json({reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()}, path);
  const Json *const images = json.find("images"), *const labels = json.find("labels");
  if (!images || !images->array() || !labels || !labels->array())
    throw InputError(path + ": is not an annotation: it needs the lists \"images\" and \"labels\"");
  const Json::Array &names = *images->array(), &classes = *labels->array();
  if (names.size() != classes.size())
    throw InputError(path + ": " + std::to_string(names.size()) + " images, but " + std::to_string(classes.size()) +
                     " labels");
  data::Dataset out(folder, num_class);
  size_t missing = 0;
  std::string first;
  for (size_t i = 0; i < names.size(); ++i) {
    const std::string where = path + ": entry " + std::to_string(i);
    int64_t label = 0;
    if (!names[i].string()) throw InputError(where + ": the image is not text");
    if (!classes[i].integer(label) || label < 0 || label >= num_class)
      throw InputError(where + " (" + *names[i].string() + "): the label is not in 0.." +
                       std::to_string(num_class - 1));
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
