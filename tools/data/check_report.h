// The report about a data folder, as a table that explains each finding, and as JSON.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/picture_kind.h"
#include "layouts.h"

namespace moproc::tools {

enum class State { good, cmyk, truncated, other_format, unreadable, missing };

// One listed file.
struct FileCheck {
  State state = State::good;
  std::string reason;         // why it cannot be used; "" if it can
  std::string kind;           // State::other_format: "TIFF"
  int width = 0, height = 0;  // pixels; 0 if it cannot be decoded
  std::uint64_t content = 0;  // hash of its bytes; 0 if there is no file
};

class CheckReport {
 public:
  // images: a list for each set of the folder, in list order.
  CheckReport(const std::string& root, const DataFolder& folder, const std::vector<std::vector<FileCheck>>& images);

  std::string table() const;
  std::string json() const;
  static constexpr const char* format = "moproc-check-1";  // of json()
  // The number of listed files that cannot be used.
  std::int64_t unusable() const;

 private:
  struct Finding {
    std::string name, meaning;
    std::vector<std::string> examples;  // all of them, as "NAME: REASON"
  };
  struct Set {
    std::string name;
    std::int64_t images = 0;
    bool labelled = true;
    std::vector<std::int64_t> per_class;
    std::vector<int> shorter_sides;  // sorted
    std::vector<std::string> notes;  // of the reader of the list
    data::KindCounts unread;         // pictures of formats that are not read
  };

  void count(const NamedSet& set, const std::vector<FileCheck>& images);
  void find_alike(const DataFolder& folder);
  void find_twice(const DataFolder& folder, const std::vector<std::vector<FileCheck>>& images);
  void find_unlisted(const std::string& root, const DataFolder& folder);
  Finding& finding(const std::string& name);

  std::string root_, layout_;
  std::vector<Set> sets_;
  std::vector<Finding> findings_;
};

}  // namespace moproc::tools
