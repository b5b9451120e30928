#include "table_list.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <stdexcept>
#include <unordered_map>

#include "core/json.h"
#include "list_file.h"

namespace moproc::data {
namespace {

// The fields of one line of CSV. Throws a std::string with the reason.
std::vector<std::string> fields_of(const std::string& line) {
  std::vector<std::string> fields = {""};
  bool quoted_field = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (quoted_field) {
      if (c != '"') fields.back() += c;
      else if (i + 1 < line.size() && line[i + 1] == '"') fields.back() += line[++i];
      else quoted_field = false;
    } else if (c == ',') {
      fields.emplace_back();
    } else if (c == '"' && fields.back().empty()) {
      quoted_field = true;
    } else {
      fields.back() += c;
    }
  }
  if (quoted_field) throw std::string("a quote is not closed");
  return fields;
}

std::unordered_map<std::string, std::int64_t> class_names(const std::string& folder) {
  std::unordered_map<std::string, std::int64_t> names;
  std::ifstream in(folder + "/classes.txt", std::ios::binary);
  std::string line;
  while (std::getline(in, line))
    if (const std::string name(trimmed(line));
        !name.empty() && !names.emplace(name, static_cast<std::int64_t>(names.size())).second)
      throw DatasetError(folder + "/classes.txt: " + quoted(name) + " is there twice");
  return names;
}

class Reader {
 public:
  Reader(const std::string& file, const std::string& folder, int num_class)
      : csv_(file.ends_with(".csv")), names_(class_names(folder)), out_(folder, num_class) {}

  void add(std::string& line, std::size_t number) {
    if (csv_ && number == 1) return header(fields_of(line));
    const auto [path, label] = csv_ ? row(fields_of(line)) : object(line);
    const std::int64_t c = number_of(label);
    const std::int64_t known = names_.empty() ? INT32_MAX : static_cast<std::int64_t>(names_.size());
    if (c < 0 || c >= known) throw out_of_range(c, known);
    if (path.empty()) throw std::string("the path is empty");
    if (c < out_.num_classes()) out_.add(path, c);
  }
  Dataset take() { return std::move(out_); }

 private:
  struct Row {
    std::string path, label;
  };

  void header(const std::vector<std::string>& names) {
    const auto column = [&](const char* name) {
      const auto at = std::find(names.begin(), names.end(), name);
      if (at == names.end())
        throw "the first line names the columns, among them path and label; there is no " + std::string(name);
      return static_cast<std::size_t>(at - names.begin());
    };
    path_ = column("path");
    label_ = column("label");
    columns_ = names.size();
  }
  Row row(const std::vector<std::string>& fields) const {
    if (fields.size() != columns_)
      throw std::to_string(fields.size()) + " fields, the first line has " + std::to_string(columns_);
    return {fields[path_], fields[label_]};
  }
  static Row object(const std::string& line) {
    Json json;
    try {
      json = parse_json(line, "no JSON");
    } catch (const std::exception& e) {
      throw std::string(e.what());
    }
    const Json *const path = json.find("path"), *const label = json.find("label");
    if (!path || !path->string() || !label) throw std::string("needs a \"path\" and a \"label\"");
    std::int64_t number = 0;
    if (label->string()) return {*path->string(), *label->string()};
    if (!label->integer(number)) throw std::string("the label is neither a number nor a name");
    return {*path->string(), std::to_string(number)};
  }
  std::int64_t number_of(const std::string& label) const {
    if (const auto found = names_.find(label); found != names_.end()) return found->second;
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(label.data(), label.data() + label.size(), number);
    if (label.empty() || error != std::errc() || end != label.data() + label.size())
      throw "label " + quoted(label) + " is not a number" +
          (names_.empty() ? ", and there is no classes.txt" : ", and not in classes.txt");
    return number;
  }

  bool csv_;
  std::unordered_map<std::string, std::int64_t> names_;
  Dataset out_;
  std::size_t path_ = 0, label_ = 1, columns_ = 2;
};

}  // namespace

Dataset read_table(const std::string& file, const std::string& folder, int num_class) {
  std::ifstream in(file, std::ios::binary);
  if (!in) throw DatasetError(file + ": cannot read this list: " + std::strerror(errno));
  Reader reader(file, folder, num_class);
  std::string line;
  for (std::size_t number = 1; std::getline(in, line); ++number) {
    if (line.ends_with('\r')) line.pop_back();
    if (trimmed(line).empty()) continue;
    try {
      reader.add(line, number);
    } catch (const std::string& what) {
      bad_line(file, number, what);
    }
  }
  Dataset out = reader.take();
  if (out.size() == 0) throw DatasetError(file + ": has no image with a label below " + std::to_string(num_class));
  return out;
}

}  // namespace moproc::data
