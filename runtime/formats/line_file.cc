#include "formats/line_file.h"

#include <filesystem>
#include <optional>

#include "core/error.h"
#include "core/json.h"
#include "formats/mapped_file.h"

namespace moproc::formats {

namespace fs = std::filesystem;

int64_t mend_last_line(const std::string& path) {
  std::error_code error;
  if (!fs::is_regular_file(path, error) || fs::file_size(path, error) == 0) return 0;
  size_t keep = 0, size = 0;
  bool whole = true;
  {
    const MappedFile file(path);
    const std::string_view text(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
    if (text.ends_with('\n')) return 0;
    keep = text.rfind('\n') + 1;  // 0 if there is no line feed
    size = text.size();
    try {
      parse_json(text.substr(keep), path);
    } catch (const InputError&) {
      whole = false;
    }
  }
  if (whole) {
    OutputFile(path, OutputFile::Open::append).write("\n");
    return 0;
  }
  fs::resize_file(path, keep, error);
  if (error) throw InputError(path + ": its last line is incomplete and cannot be removed: " + error.message());
  return static_cast<int64_t>(size - keep);
}

LineFile::LineFile(const std::string& path) : removed_(mend_last_line(path)), file_(path, OutputFile::Open::append) {}

void LineFile::line(std::string_view text) {
  const std::optional<int64_t> before = file_.size();
  try {
    file_.write((torn_ ? "\n" : "") + std::string(text) + "\n");
    torn_ = false;
  } catch (const InputError&) {
    torn_ = !before || !file_.cut(*before);
    throw;
  }
}

}  // namespace moproc::formats
