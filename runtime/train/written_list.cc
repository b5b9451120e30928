#include "train/written_list.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <span>

#include "core/error.h"
#include "formats/output_file.h"
#include "formats/own_file.h"
#include "formats/sha256.h"
#include "train/targets.h"

namespace moproc::train {

void require_list(const std::string& folder, const std::string& name) {
  const std::string path = folder + "/" + name + ".txt", digest = folder + "/" + name + ".sha256";
  std::ifstream in(digest, std::ios::binary);
  const std::string line{std::istreambuf_iterator<char>(in), {}};
  const std::string end = "  " + name + ".txt\n";
  const bool ours = line.size() == 64 + end.size() && line.ends_with(end);
  if (!line.empty() && !ours) formats::refuse_target(digest, "exists, and is not a digest that moproc wrote");
  formats::require_file(digest, formats::checked_mark());
  require_named(path, ours ? line.substr(0, 64) : "", digest);
}

// The old list is removed first, and the digest is written before the new list, so that every file that exists is
// recognised as ours if the process is stopped in between.
void write_list(const std::string& folder, const std::string& name, const data::Dataset& images) {
  std::string text;
  for (size_t i = 0; i < images.size(); ++i) text += std::string(images.name(i)) + "\n";
  require_list(folder, name);
  const std::string path = folder + "/" + name + ".txt";
  formats::Sha256 sha;
  sha.add(std::as_bytes(std::span(text)));
  std::filesystem::remove(path);
  formats::write_atomically(folder + "/" + name + ".sha256", formats::checked_mark(),
                            [&](formats::OutputFile& out) { out.write(sha.hex() + "  " + name + ".txt\n"); });
  formats::write_atomically(path, formats::checked_mark(), [&](formats::OutputFile& out) { out.write(text); });
}

std::vector<std::string> written_names(const std::string& folder, const std::string& name) {
  const std::string path = folder + "/" + name + ".txt";
  std::vector<std::string> names;
  if (!std::filesystem::exists(folder + "/" + name + ".sha256")) return names;
  try {
    require_list(folder, name);
  } catch (const InputError&) {
    return names;  // it was changed since
  }
  std::ifstream in(path, std::ios::binary);
  for (std::string line; std::getline(in, line);)
    if (!line.empty()) names.push_back(line);
  return names;
}

}  // namespace moproc::train
