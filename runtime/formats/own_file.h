// What moproc may replace or remove: nothing, what is empty, and what carries its own mark. Anything else at a path
// that a user names is refused with the remedy and stays untouched. The same rule for the command line is
// compiler/util/own.mjs.
#pragma once

#include <string>
#include <string_view>

namespace moproc::formats {

/// How a file of one kind is recognised as written by moproc, by its first 64 KiB and last KiB. Blanks and ends of
/// lines do not count.
struct Mark {
  std::string begin = {};  // what the file begins with, behind `at` bytes
  std::string head = {};   // what its beginning holds
  std::string tail = {};   // what its end holds
  size_t at = 0;
};

/// JSON, or lines of it, whose first member is "format" with this value.
Mark json_mark(std::string_view format);
/// safetensors with __metadata__.format "moproc-...".
Mark safetensors_mark();
/// torch.save's archive with the entry that write_torch() adds.
Mark torch_mark();
/// A pickle of a dict whose last key is kPickleKey, as convert writes it.
Mark pickle_mark();
/// A log of ours: lines of JSON that begin with "event".
Mark log_mark();
/// For a file whose contents the caller has looked at.
Mark checked_mark();

/// The entry of an archive of ours, which PyTorch does not look at.
inline constexpr std::string_view kTorchEntry = "archive/.data/moproc";
/// The last key of a pickle of ours.
inline constexpr std::string_view kPickleKey = "__written_by_moproc__";

/// Whether `path` is a regular file with the mark.
bool is_own_file(const std::string& path, const Mark& mark);

/// Throws InputError, naming path and remedy, unless `path` is absent, an empty file, or a regular file with the mark.
void require_file(const std::string& path, const Mark& mark);
/// The same for a file that is added to, which may be a device or a pipe as well.
void require_log(const std::string& path, const Mark& mark);
/// Throws InputError like that: for a file that must not be replaced. `why` is a clause: "is a folder".
[[noreturn]] void refuse_target(const std::string& path, const std::string& why);

/// Throws InputError unless `path` is absent or an empty folder, or, where `kind` names one, a folder that
/// mark_folder() has marked.
void require_folder(const std::string& path, std::string_view kind = "");
/// Makes the folder (and its parents) if it is missing and marks it as one of this kind that is being made.
void mark_folder(const std::string& path, std::string_view kind);

}  // namespace moproc::formats
