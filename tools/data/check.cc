// `moproc-data check DIR`: reads every listed file once, so that faults of a data folder are known before a long run.
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <filesystem>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <unordered_map>

#include "check_report.h"
#include "commands.h"
#include "data/decode.h"
#include "flags.h"
#include "formats/output_file.h"
#include "layouts.h"
#include "progress.h"

namespace moproc::tools {
namespace {

constexpr const char* check_usage =
    "Usage: moproc data check DIR [flags]\n"
    "\n"
    "Reads the lists of a data folder (WebVision's, csv or jsonl lists, a folder per class, VOC's, Places'; plain\n"
    "or packed) and decodes every file: missing, unreadable, truncated and CMYK files, pictures of formats that are\n"
    "not read, classes without a readable image, images listed twice or in two lists, classes, sizes, and what each\n"
    "finding means. The exit code is 1 when a listed file cannot be used.\n"
    "\n"
    "Example:\n"
    "  moproc data check sample --json check.json\n"
    "\n";

std::uint64_t hash_of(const std::vector<std::uint8_t>& bytes) {
  std::uint64_t h = 0xcbf29ce484222325ull ^ bytes.size();
  for (const std::uint8_t b : bytes) h = (h ^ b) * 0x100000001b3ull;
  return h;
}

// The number of components in a JPEG file's frame header (ITU-T T.81, B.2.2); 0 if there is none.
int jpeg_components(const std::vector<std::uint8_t>& b) {
  for (std::size_t at = 2; at + 9 < b.size() && b[at] == 0xff;) {
    const std::uint8_t marker = b[at + 1];
    const bool frame = marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
    if (frame) return b[at + 9];
    if (marker == 0xff) ++at;
    else at += 2 + (static_cast<std::size_t>(b[at + 2]) << 8 | b[at + 3]);
  }
  return 0;
}

FileCheck look(const data::Dataset& set, std::size_t i, std::vector<std::uint8_t>& bytes, data::Image& image) {
  FileCheck found;
  if (!set.files().exists(set.name(i))) {
    found.state = State::missing;
    found.reason = "there is no such file";
    return found;
  }
  try {
    set.read(i, bytes);
    found.content = hash_of(bytes);
    data::decode(bytes, image);
    found.width = image.width();
    found.height = image.height();
    const data::PictureKind* const kind = data::sniff(bytes);
    if (kind && std::string_view(kind->name) == "JPEG" && jpeg_components(bytes) == 4) found.state = State::cmyk;
  } catch (const data::ImageError& e) {
    found.reason = e.what();
    found.kind = e.unread_kind();
    found.state = !found.kind.empty()                                   ? State::other_format
                  : found.reason.find("truncated") != std::string::npos ? State::truncated
                                                                        : State::unreadable;
  }
  return found;
}

std::vector<FileCheck> look_at_all(const NamedSet& set, int threads) {
  std::vector<FileCheck> images(set.images.size());
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  int done = 0;
  const Interruptible guard;
  Progress progress(set.name);
  const auto work = [&] {
    std::vector<std::uint8_t> bytes;
    data::Image image;
    for (std::size_t i; !Interruptible::interrupted() && (i = next++) < images.size();) {
      images[i] = look(set.images, i, bytes, image);
      const std::lock_guard lock(mutex);
      progress.show(++done, static_cast<int>(images.size()));
    }
  };
  {
    std::vector<std::jthread> pool;
    const unsigned count = threads > 0 ? static_cast<unsigned>(threads) : std::thread::hardware_concurrency();
    for (unsigned i = 1; i < count; ++i) pool.emplace_back(work);
    work();
  }
  if (Interruptible::interrupted()) throw std::runtime_error("interrupted");
  return images;
}

}  // namespace

int run_check(const Args& args) {
  int threads = 0, first_label = 0;
  std::string json;
  const std::vector<Flag> flags = {
      {"json", "FILE", "Writes the report as JSON, with a count for every class and every finding by name.", &json},
      {"first-label", "N", "Number of the first class in csv and jsonl lists whose labels are numbers.", &first_label,
       0, 1'000'000},
      {"threads", "N", "Threads that decode; 0: one per core.", &threads, 0, 1024},
  };
  const std::string flag_help = describe_flags(flags);
  const Arguments given = parse_flags(args, flags);
  if (given.help) {
    std::fputs(help_page(check_usage, flag_help).c_str(), stdout);
    return 0;
  }
  if (given.positional.size() != 1) throw UsageError("one data folder is wanted");
  const formats::Mark mark = formats::json_mark(CheckReport::format);
  if (!json.empty()) formats::require_file(json, mark);
  const DataFolder folder = read_data_folder(given.positional[0], first_label);
  std::vector<std::vector<FileCheck>> images;
  for (const NamedSet& set : folder.sets) images.push_back(look_at_all(set, threads));
  const CheckReport report(given.positional[0], folder, images);
  std::fputs(report.table().c_str(), stdout);
  if (!json.empty()) formats::write_atomically(json, mark, [&](formats::OutputFile& out) { out.write(report.json()); });
  return report.unusable() > 0 ? 1 : 0;
}

}  // namespace moproc::tools
