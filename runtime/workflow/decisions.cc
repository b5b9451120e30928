#include "workflow/decisions.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>

#include "core/error.h"
#include "core/json.h"

namespace moproc::train {
namespace {

constexpr const char* kKinds[] = {"keep", "drop", "relabel"};

class Reader {
 public:
  Reader(const data::Dataset& list, int64_t classes) : list_(list), classes_(classes) {
    for (size_t i = 0; i < list.size(); ++i) index_.emplace(list.name(i), static_cast<int64_t>(i));
  }

  /// The first place of an image in the list, which may have it several times.
  int64_t first_of(std::string_view image) const { return index_.find(image)->second; }

  /// The image, by its first place, and the decision of an entry. Throws std::string, the reason.
  std::pair<int64_t, Decision> read(const Json& entry) const {
    if (!entry.object()) throw std::string("is not an object with \"image\" and \"decision\"");
    for (const auto& [key, value] : *entry.object())
      if (key != "image" && key != "decision" && key != "class" && key != "name")
        throw "has the unknown member \"" + key + "\"; known are image, decision, class and name";
    const auto found = index_.find(text_of(entry, "image"));
    if (found == index_.end()) throw "this image is not among the training images of " + list_.folder();
    const std::string kind = text_of(entry, "decision");
    Decision d;
    while (kind != kKinds[static_cast<int>(d.kind)]) {
      if (d.kind == Decision::Kind::relabel) throw "its decision is \"" + kind + "\", not keep, drop or relabel";
      d.kind = static_cast<Decision::Kind>(static_cast<int>(d.kind) + 1);
    }
    if (d.kind == Decision::Kind::keep) d.label = list_.label(static_cast<size_t>(found->second));
    if (d.kind == Decision::Kind::relabel) d.label = class_of(entry);
    return {found->second, d};
  }

 private:
  static std::string text_of(const Json& entry, const char* key) {
    const Json* const value = entry.find(key);
    if (!value || !value->string()) throw std::string("has no text \"") + key + "\"";
    return *value->string();
  }

  /// By number, by name, or by both, which must agree then.
  int64_t class_of(const Json& entry) const {
    const Json *const number = entry.find("class"), *const name = entry.find("name");
    int64_t c = -1;
    if (!number && !name) throw std::string("relabels the image, but has neither \"class\" nor \"name\"");
    if (number && (!number->integer(c) || c < 0 || c >= classes_))
      throw "its class must be a whole number from 0 to " + std::to_string(classes_ - 1);
    if (!name || (name->is_null() && number)) return c;
    if (!name->string()) throw std::string("its name is no text");
    const std::string& called = *name->string();
    if (list_.classes().empty()) {
      if (number) return c;
      throw "names the class \"" + called + "\", but the classes of this data have numbers only; use \"class\"";
    }
    const std::optional<int64_t> found = list_.classes().find(called);
    if (!found || *found >= classes_) throw "there is no class \"" + called + "\"";
    if (number && *found != c)
      throw "its class " + std::to_string(c) + " is not \"" + called + "\", which is " + std::to_string(*found);
    return *found;
  }

  const data::Dataset& list_;
  const int64_t classes_;
  std::unordered_map<std::string_view, int64_t> index_;
};

}  // namespace

std::unordered_map<int64_t, Decision> read_decisions(const std::string& path, const data::Dataset& list,
                                                     int64_t classes) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw InputError("--decisions " + path + ": " + std::strerror(errno));
  const Json json = parse_json(std::string{std::istreambuf_iterator<char>(file), {}}, "--decisions " + path);
  const Json* const format = json.find("format");
  const Json* const entries = json.find("decisions");
  if (!format || !format->string() || *format->string() != kDecisionsFormat || !entries || !entries->array())
    throw InputError("--decisions " + path + ": is not a file of decisions; expected {\"format\": \"" +
                     kDecisionsFormat + "\", \"decisions\": [...]}, which the page of a cleaning saves");
  const Reader reader(list, classes);
  std::unordered_map<int64_t, Decision> decisions;
  std::unordered_map<int64_t, size_t> entry_of;
  size_t number = 0;
  for (const Json& entry : *entries->array()) {
    ++number;
    try {
      const auto [image, decision] = reader.read(entry);
      const auto [first, is_new] = entry_of.emplace(image, number);
      if (!is_new) throw "decides about the same image as entry " + std::to_string(first->second);
      decisions.emplace(image, decision);
    } catch (const std::string& why) {
      const Json* const image = entry.find("image");
      const std::string named = image && image->string() ? " (" + *image->string() + ")" : "";
      throw InputError("--decisions " + path + ": entry " + std::to_string(number) + named + ": " + why);
    }
  }
  for (size_t i = 0; i < list.size(); ++i) {
    const auto found = decisions.find(reader.first_of(list.name(i)));
    if (found == decisions.end() || found->first == static_cast<int64_t>(i)) continue;
    Decision copied = found->second;
    if (copied.kind == Decision::Kind::keep) copied.label = list.label(i);
    decisions.emplace(static_cast<int64_t>(i), copied);
  }
  return decisions;
}

const char* name_of(Decision::Kind kind) { return kKinds[static_cast<int>(kind)]; }

}  // namespace moproc::train
