#include "formats/csv.h"

#include <filesystem>

#include "formats/own_file.h"

namespace moproc::formats {

std::string csv_field(std::string_view text) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(text);
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? "\"\"" : std::string(1, c);
  return quoted + "\"";
}

void require_new_table(const std::string& path) {
  require_file(path, checked_mark());  // refuses links and folders
  std::error_code error;
  if (std::filesystem::exists(path, error) && std::filesystem::file_size(path, error) > 0)
    refuse_target(path, "exists already");
}

}  // namespace moproc::formats
