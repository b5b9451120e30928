// A link at the place of a file is refused, except that a log may be a link to an empty file, a device or a pipe. A
// link to a folder is treated as that folder.
#include "formats/own_file.h"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include <unistd.h>

#include "core/error.h"
#include "core/json.h"
#include "formats/output_file.h"

namespace moproc::formats {
namespace {

namespace fs = std::filesystem;

constexpr size_t kHead = 65536, kTail = 1024;
constexpr const char* kFolderMark = ".moproc";

std::string without_blanks(std::string text) {
  std::erase_if(text, [](char c) { return c == ' ' || c == '\n'; });
  return text;
}

/// At most `size` bytes of the file, beginning at byte `at`.
std::string part(std::ifstream& file, size_t at, size_t size) {
  std::string bytes(size, '\0');
  file.clear();
  file.seekg(static_cast<std::streamoff>(at));
  file.read(bytes.data(), static_cast<std::streamsize>(size));
  bytes.resize(static_cast<size_t>(file.gcount()));
  return bytes;
}

fs::file_status status_of(const std::string& path) {
  std::error_code error;
  const fs::file_status status = fs::symlink_status(path, error);
  if (error && status.type() != fs::file_type::not_found)
    throw InputError(path + ": cannot be examined: " + std::strerror(error.value()));
  return status;
}

std::string folder_mark(std::string_view kind) {
  return JsonLine().add("format", "moproc-folder-1").add("kind", kind).text();
}

}  // namespace

Mark json_mark(std::string_view format) { return {.begin = "{\"format\": \"" + std::string(format) + "\""}; }
Mark safetensors_mark(std::string_view format) {
  const std::string value = format.empty() ? "\"moproc-" : "\"" + std::string(format) + "\"";
  return {.begin = "{\"__metadata__\": {", .head = "\"format\": " + value, .at = 8};
}
Mark torch_mark() { return {.begin = "PK\3\4", .tail = std::string(kTorchEntry)}; }
Mark pickle_mark() { return {.begin = "\x80", .tail = std::string(kPickleKey)}; }
Mark log_mark() { return {.begin = "{\"event\": \""}; }
Mark onnx_mark() { return {.begin = "\x12\x06moproc", .at = 2}; }  // after the field ir_version
Mark onnx_data_mark() { return {.tail = "moproc-onnx-data-1"}; }
Mark checked_mark() { return {}; }

bool is_own_file(const std::string& path, const Mark& mark) {
  std::error_code error;
  if (!fs::is_regular_file(fs::symlink_status(path, error))) return false;
  std::ifstream file(path, std::ios::binary);
  const auto size = static_cast<size_t>(fs::file_size(path, error));
  if (!file || error) return false;
  std::string head = part(file, 0, std::min(size, kHead));
  if (head.size() < mark.at) return false;
  head = without_blanks(head.substr(mark.at));
  const std::string tail = without_blanks(part(file, size - std::min(size, kTail), kTail));
  return head.starts_with(without_blanks(mark.begin)) && head.find(without_blanks(mark.head)) != std::string::npos &&
         tail.find(without_blanks(mark.tail)) != std::string::npos;
}

void refuse_target(const std::string& path, const std::string& why) {
  throw InputError(path + ": " + why + "; choose another path, or remove it yourself");
}

void require_file(const std::string& path, const Mark& mark) {
  const fs::file_status status = status_of(path);
  if (!fs::exists(status)) return;
  if (fs::is_directory(status))
    throw InputError(path + ": is a folder, and moproc needs a file there; choose another path");
  if (fs::is_symlink(status)) refuse_target(path, "is a symbolic link, which is not replaced");
  if (!fs::is_regular_file(status)) refuse_target(path, "is not a regular file, and moproc replaces only those");
  std::error_code error;
  if (fs::file_size(path, error) > 0 && !is_own_file(path, mark))
    refuse_target(path, "exists, and moproc did not write it");
}

void require_place(const std::string& path) {
  const fs::path folder = fs::absolute(path).parent_path();
  std::error_code error;
  if (!fs::is_directory(folder, error)) throw InputError(path + ": there is no folder " + folder.string());
  if (!fs::exists(path, error) && access(folder.c_str(), W_OK) != 0)
    throw InputError(path + ": its folder cannot be written: " + std::strerror(errno));
}

void require_place_of_folder(const std::string& path) {
  std::error_code error;
  fs::path there = fs::absolute(path);
  while (!fs::exists(there, error) && there.has_relative_path()) there = there.parent_path();
  if (!fs::is_directory(there, error)) throw InputError(path + ": " + there.string() + " is not a folder");
  if (access(there.c_str(), W_OK) != 0)
    throw InputError(path + ": " + there.string() + " cannot be written: " + std::strerror(errno));
}

void require_safetensors(const std::string& path, std::string_view format, const char* kind) {
  require_file(path, safetensors_mark());
  std::error_code error;
  if (fs::exists(path, error) && fs::file_size(path, error) > 0 && !is_own_file(path, safetensors_mark(format)))
    refuse_target(path, std::string("exists, and is not ") + kind);
}

void require_log(const std::string& path, const Mark& mark) {
  std::error_code error;
  if (fs::is_regular_file(path, error) && fs::file_size(path, error) > 0 && !is_own_file(path, mark))
    refuse_target(path, "exists, and is not a log of moproc that could be continued");
}

void require_folder(const std::string& path, std::string_view kind) {
  std::error_code error;
  const fs::file_status there = status_of(path);
  if (!fs::exists(there)) return;
  if (!fs::is_directory(fs::status(path, error))) refuse_target(path, "is not a folder, and moproc needs one there");
  if (fs::is_empty(path, error) && !error) return;
  if (error) throw InputError(path + ": cannot be examined: " + std::strerror(error.value()));
  std::string begin = folder_mark(kind);
  begin.pop_back();
  if (kind.empty() || !is_own_file((fs::path(path) / kFolderMark).string(), {.begin = begin}))
    refuse_target(path, kind.empty() ? "is not an empty folder" : "is a folder with files, and moproc did not make it");
}

void mark_folder(const std::string& path, std::string_view kind) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) throw InputError(path + ": cannot make the folder: " + std::strerror(error.value()));
  write_atomically((fs::path(path) / kFolderMark).string(), json_mark("moproc-folder-1"),
                   [&](OutputFile& out) { out.write(folder_mark(kind) + "\n"); });
}

}  // namespace moproc::formats
