// At a path that a user names, moproc may replace or remove only empty files and folders, and those with its own mark.
// It refuses everything else, with the remedy, and leaves it as it is. compiler/util/own.mjs has the same rule for the
// command line.
#pragma once

#include <string>
#include <string_view>

namespace moproc::formats {

/// The mark by which a file of one kind is recognised as written by moproc, in its first 64 KiB and its last KiB.
/// Spaces and line feeds are ignored.
struct Mark {
  std::string begin = {};  // the file begins with it, after `at` bytes
  std::string head = {};   // the first 64 KiB contain it
  std::string tail = {};   // the last KiB contains it
  size_t at = 0;
};

/// A JSON file, or lines of JSON, whose first member is "format" with this value.
Mark json_mark(std::string_view format);
/// A safetensors file with this __metadata__.format; "": any that begins with "moproc-".
Mark safetensors_mark(std::string_view format = "");
/// An archive of torch.save with the entry that write_torch() adds.
Mark torch_mark();
/// A pickle of a dict whose last key is kPickleKey, written by convert.
Mark pickle_mark();
/// A log of ours: lines of JSON that begin with "event".
Mark log_mark();
/// An ONNX model that names moproc as its producer, and the file of a large one's tensors.
Mark onnx_mark();
Mark onnx_data_mark();
/// No mark: for a file whose contents the caller has checked.
Mark checked_mark();

/// The entry that marks an archive as ours. PyTorch ignores it.
inline constexpr std::string_view kTorchEntry = "archive/.data/moproc";
/// The key that marks a pickle as ours, its last one.
inline constexpr std::string_view kPickleKey = "__written_by_moproc__";

/// Whether `path` is a regular file with the mark.
bool is_own_file(const std::string& path, const Mark& mark);

/// Throws InputError, naming path and remedy, unless `path` is absent, an empty file, or a regular file with the mark.
void require_file(const std::string& path, const Mark& mark);
/// The same for a safetensors file; a file of moproc with another __metadata__.format is refused, too. `kind` says in
/// the message what the format is: "a file of outputs".
void require_safetensors(const std::string& path, std::string_view format, const char* kind);
/// Throws InputError if a file cannot be made at `path`, because its folder is not there or cannot be written.
void require_place(const std::string& path);
/// The same for a folder that is made with those above it.
void require_place_of_folder(const std::string& path);

/// The same as require_file() for a file to append to, which may be a device or a pipe, too.
void require_log(const std::string& path, const Mark& mark);
/// Throws the InputError of require_file() for a file that must not be replaced. `why` is a clause: "is a folder".
[[noreturn]] void refuse_target(const std::string& path, const std::string& why);

/// Throws InputError unless `path` is absent, an empty folder or, if `kind` is not empty, a folder that mark_folder()
/// has marked with this kind.
void require_folder(const std::string& path, std::string_view kind = "");
/// Makes the folder and its parents if they are missing, and marks it as an unfinished folder of this kind.
void mark_folder(const std::string& path, std::string_view kind);

}  // namespace moproc::formats
