#include "class_table.h"

#include <algorithm>

#include "core/error.h"
#include "core/json.h"
#include "list_file.h"

namespace moproc::data {
namespace {

constexpr std::int64_t kAmbiguous = -1;

// "n01440764": WordNet's number of a noun.
bool is_synset(const std::string& word) {
  return word.size() > 1 && word[0] == 'n' && word.find_first_not_of("0123456789", 1) == std::string::npos;
}

}  // namespace

ClassTable::ClassTable(std::vector<std::string> names) {
  if (names.empty()) return;
  auto data = std::make_shared<Data>();
  data->names = std::move(names);
  for (std::size_t i = 0; i < data->names.size(); ++i)
    if (!data->by_name.emplace(data->names[i], static_cast<std::int64_t>(i)).second)
      throw quoted(data->names[i]) + " is there twice";
  std::unordered_map<std::string, std::int64_t> by_word;
  for (std::size_t i = 0; i < data->names.size(); ++i) {
    const std::string& name = data->names[i];
    const std::size_t space = name.find(' ');
    if (space == std::string::npos || !is_synset(name.substr(0, space))) continue;
    const auto [at, fresh] = by_word.emplace(name.substr(0, space), static_cast<std::int64_t>(i));
    if (!fresh) at->second = kAmbiguous;
  }
  for (const auto& [word, i] : by_word)
    if (i != kAmbiguous) data->by_name.emplace(word, i);
  data_ = std::move(data);
}

std::optional<std::int64_t> ClassTable::find(std::string_view name) const {
  if (empty()) return std::nullopt;
  const auto exact = data_->by_name.find(std::string(name));
  if (exact != data_->by_name.end()) return exact->second;
  const std::string word(name.substr(0, name.find(' ')));
  const auto found = is_synset(word) ? data_->by_name.find(word) : data_->by_name.end();
  return found == data_->by_name.end() ? std::nullopt : std::optional(found->second);
}

ClassTable ClassTable::first(std::size_t n) const {
  if (n >= size()) return *this;
  return ClassTable({data_->names.begin(), data_->names.begin() + static_cast<std::ptrdiff_t>(n)});
}

std::string ClassTable::json() const {
  if (empty()) return "";
  std::string text;
  for (const std::string& name : data_->names) {
    text += text.empty() ? "[" : ", ";
    write_json_ascii(text, name);
  }
  return text + "]";
}

ClassTable ClassTable::parse(const std::string& json, const std::string& where) {
  const Json parsed = parse_json(json, where);
  if (!parsed.array() || parsed.array()->empty()) throw InputError(where + ": is not a list of names");
  std::vector<std::string> names;
  for (const Json& name : *parsed.array()) {
    if (!name.string()) throw InputError(where + ": holds something else than names");
    names.push_back(*name.string());
  }
  try {
    return ClassTable(std::move(names));
  } catch (const std::string& why) {
    throw InputError(where + ": " + why);
  }
}

}  // namespace moproc::data
