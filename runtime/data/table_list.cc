#include "table_list.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <stdexcept>

#include "class_spelling.h"
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

class Reader {
 public:
  Reader(const std::string& file, const std::string& folder, const ListOptions& options)
      : file_(file),
        csv_(file.ends_with(".csv")),
        names_(read_names(folder + "/classes.txt")),
        options_(options),
        out_(folder, options.num_class) {
    if (!names_.empty() && options.first_label != 0)
      throw DatasetError(folder + "/classes.txt: its first line is class 0; --first-label " +
                         std::to_string(options.first_label) + " is for lists without it");
    out_.set_classes(options.classes.empty() ? names_ : options.classes);
  }

  void add(const std::string& line) {
    if (csv_ && columns_ == 0) return header(fields_of(line));
    const auto [path, label] = csv_ ? row(fields_of(line)) : object(line);
    if (path.empty()) throw std::string("the path is empty");
    const std::int64_t c = class_of(label);
    if (c >= out_.num_classes())
      throw "label " + quoted(label) + " is class " + std::to_string(c) + ", but the network has " +
          std::to_string(out_.num_classes()) + " classes (--num-class)" +
          (counts_from_one() ? "; no label before this line is 0: if the first class is 1, use --first-label 1" : "");
    zero_ = zero_ || c == 0;
    out_.add(path, c);
  }

  Dataset take() {
    if (out_.size() == 0) throw DatasetError(file_ + ": has no image");
    if (counts_from_one()) out_.note(file_ + ": no label is 0; if the first class is 1, use --first-label 1");
    return std::move(out_);
  }

 private:
  /// Whether the labels so far look as if the first class were 1.
  bool counts_from_one() const {
    return !zero_ && names_.empty() && options_.classes.empty() && options_.first_label == 0;
  }

  struct Row {
    std::string path, label;
  };

  void header(const std::vector<std::string>& names) {
    const auto column = [&](const char* name) {
      const auto at = std::find(names.begin(), names.end(), name);
      if (at == names.end())
        throw "the first line names the columns, with commas between them, among them path and label; there is no " +
            std::string(name);
      if (std::find(at + 1, names.end(), name) != names.end())
        throw "the first line names the column " + std::string(name) + " twice";
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
  /// The run's class for a label, which is a name or a number.
  std::int64_t class_of(const std::string& label) const {
    const ClassTable& run = out_.classes();
    require_clear(label);
    if (const auto named = run.find(label)) return *named;
    const std::int64_t number = number_of(label);
    if (names_.empty()) {
      if (!run.empty())
        throw "label " + quoted(label) + " is a number, but the run's classes have names; write them into classes.txt";
      if (number < 0 && options_.first_label == 0) throw out_of_range(number, out_.num_classes());
      if (number < 0)
        throw "label " + quoted(label) + " is below --first-label " + std::to_string(options_.first_label);
      return number;
    }
    if (number < 0 || number >= static_cast<std::int64_t>(names_.size()))
      throw out_of_range(number, static_cast<std::int64_t>(names_.size()));
    const std::string& name = names_.name(static_cast<std::size_t>(number));
    const auto found = run.find(name);
    if (!found) throw "label " + quoted(label) + " is class " + quoted(name) + ", which the run does not have";
    return *found;
  }
  /// Throws if a label may be the number of one class and the name of another.
  void require_clear(const std::string& label) const {
    const auto named = names_.find(label);
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(label.data(), label.data() + label.size(), number);
    if (!named || error != std::errc() || end != label.data() + label.size() || number == *named) return;
    throw "label " + quoted(label) + " is a name in classes.txt (class " + std::to_string(*named) +
        "), and it may be the number of another class; give the classes names that are no numbers";
  }
  /// The number that a label is, counted from 0, or that its name has in classes.txt.
  std::int64_t number_of(const std::string& label) const {
    if (const auto found = names_.find(label)) return *found;
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(label.data(), label.data() + label.size(), number);
    if (label.empty() || error != std::errc() || end != label.data() + label.size())
      throw "label " + quoted(label) + " is not a number" +
          (names_.empty() ? ", and there is no classes.txt" : ", and not in classes.txt" + did_you_mean(names_, label));
    return number - options_.first_label;
  }

  const std::string file_;
  const bool csv_;
  const ClassTable names_;  // of classes.txt
  const ListOptions& options_;
  Dataset out_;
  bool zero_ = false;  // whether class 0 occurs
  std::size_t path_ = 0, label_ = 1, columns_ = 0;
};

}  // namespace

Dataset read_table(const std::string& file, const std::string& folder, const ListOptions& options) {
  std::ifstream in = open_list(file);
  Reader reader(file, folder, options);
  std::string line;
  for (std::size_t number = 1; std::getline(in, line); ++number) {
    if (number == 1 && line.starts_with(kByteOrderMark)) line.erase(0, kByteOrderMark.size());
    if (line.ends_with('\r')) line.pop_back();
    if (trimmed(line).empty()) continue;
    try {
      reader.add(line);
    } catch (const std::string& what) {
      bad_line(file, number, what);
    }
  }
  return reader.take();
}

}  // namespace moproc::data
