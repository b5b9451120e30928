// The names of a run's classes. A label is an index of this table, and every set of images of a run is mapped to the
// same table by the names of its classes.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace moproc::data {

// Copies share the names. An empty table means that classes have numbers and no names.
class ClassTable {
 public:
  ClassTable() = default;
  // Throws std::string, the reason, if a name occurs twice.
  explicit ClassTable(std::vector<std::string> names);

  bool empty() const { return !data_; }
  std::size_t size() const { return data_ ? data_->names.size() : 0; }
  const std::string& name(std::size_t i) const { return data_->names[i]; }
  // The index of a name. A table of synsets, "n01440764 tench", also finds the number alone if it is unique, and a
  // table of numbers alone finds "n01440764 tench".
  std::optional<std::int64_t> find(std::string_view name) const;
  // The first `n` names.
  ClassTable first(std::size_t n) const;

  // A JSON list of the names, in ASCII; "" for an empty table. parse() is the inverse; it throws InputError, which
  // begins with `where`.
  std::string json() const;
  static ClassTable parse(const std::string& json, const std::string& where);

  friend bool operator==(const ClassTable& a, const ClassTable& b) {
    return a.size() == b.size() && (a.empty() || a.data_->names == b.data_->names);
  }

 private:
  struct Data {
    std::vector<std::string> names;
    std::unordered_map<std::string, std::int64_t> by_name;
  };
  std::shared_ptr<const Data> data_;
};

}  // namespace moproc::data
