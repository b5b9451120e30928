// `moproc-data pack`: writes a data folder as tar shards. Surprising: a shard depends only on its place in the list.
// One thread writes it, and it is renamed when it is complete, so threads and interruptions do not change the result.
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstring>
#include <exception>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <set>
#include <stdexcept>
#include <thread>

#include "commands.h"
#include "core/json.h"
#include "data/data_folder.h"
#include "data/decode.h"
#include "data/files.h"
#include "data/image_folder.h"
#include "data/list_file.h"
#include "data/resize.h"
#include "encode_jpeg.h"
#include "flags.h"
#include "formats/output_file.h"
#include "layouts.h"
#include "progress.h"

namespace fs = std::filesystem;

namespace moproc::tools {
namespace {

using formats::OutputFile;

constexpr const char* pack_usage =
    "Usage: moproc data pack DIR --out DIR [flags]\n"
    "\n"
    "Writes a data folder (WebVision's, csv or jsonl lists, a folder per class, VOC's, Places') as tar files for\n"
    "fast reading: OUT/shards/SET-NNNNN.tar with an index, and the lists as they were. Every verb takes OUT\n"
    "like the folder itself: same samples, same order. Any tar reads the shards; as WebDataset, a sample is\n"
    "NUMBER.jpg (or .png), NUMBER.cls and NUMBER.json with its path. A run that was stopped goes on when it is started "
    "again.\n"
    "\n"
    "Example:\n"
    "  moproc data pack sample --out packed --short-side 48\n"
    "\n";

constexpr const char* folder_kind = "pack";
constexpr std::int64_t kJpegSide = 65'500;  // the longest side that libjpeg writes

struct PackOptions {
  std::string out;
  int short_side = 256, quality = 90, per_shard = 10000, threads = 0;
};

struct Shard {
  const NamedSet* set;
  int number;
  std::size_t first, end;  // images [first, end) of the set
  std::string name() const {
    char text[32];
    std::snprintf(text, sizeof text, "-%05d.tar", number);
    return set->name + text;
  }
};

// Counts of what was done with images.
struct Counts {
  std::atomic<int> resized{0}, kept{0}, damaged{0}, missing{0};
};

// Appends a member of a tar file in POSIX's ustar format: header, bytes, padding to 512.
void append_member(std::string& tar, const std::string& name, std::string_view bytes) {
  char head[512] = {};
  std::snprintf(head, 100, "%s", name.c_str());
  std::snprintf(head + 100, 8, "%07o", 0644);
  std::snprintf(head + 108, 8, "%07o", 0);
  std::snprintf(head + 116, 8, "%07o", 0);
  std::snprintf(head + 124, 12, "%011llo", static_cast<unsigned long long>(bytes.size()));
  std::snprintf(head + 136, 12, "%011o", 0);  // time 0, so that equal images give equal files
  std::memset(head + 148, ' ', 8);
  head[156] = '0';
  std::memcpy(head + 257, "ustar\00000", 8);
  unsigned sum = 0;
  for (const char c : head) sum += static_cast<unsigned char>(c);
  std::snprintf(head + 148, 8, "%06o", sum);
  tar.append(head, sizeof head).append(bytes);
  tar.append((512 - bytes.size() % 512) % 512, '\0');
}

// Reads images and makes the bytes to pack; one per thread.
class Packer {
 public:
  Packer(const PackOptions& options, Counts& counts) : options_(options), counts_(counts) {}

  // Writes the shard and, when it is complete, its lines of the index.
  void write(const Shard& shard, const fs::path& folder, const std::function<void()>& packed) {
    const std::string name = shard.name();
    std::string index;
    formats::write_atomically((folder / name).string(), formats::checked_mark(), [&](OutputFile& out) {
      std::uint64_t at = 0;
      for (std::size_t i = shard.first; i < shard.end; ++i) {
        if (Interruptible::interrupted()) throw std::runtime_error("interrupted; the same command goes on from there");
        std::string members;
        if (append_sample(shard, i, members))
          index += name + " " + std::to_string(at + 512) + " " + std::to_string(bytes_.size()) + " " +
                   std::string(shard.set->images.name(i)) + "\n";
        out.write(members);
        at += members.size();
        packed();
      }
      out.write(std::string(1024, '\0'));
    });
    formats::write_atomically((folder / (name + ".index")).string(), formats::checked_mark(),
                              [&](OutputFile& out) { out.write(index); });
  }

 private:
  // Appends the image first, so that its bytes begin 512 bytes after the sample. False if there is no file.
  bool append_sample(const Shard& shard, std::size_t i, std::string& out) {
    const data::Dataset& list = shard.set->images;
    try {
      list.read(i, bytes_);
    } catch (const data::ImageError& e) {
      ++counts_.missing;
      std::fprintf(stderr, "%s: %s: is not packed\n", std::string(list.name(i)).c_str(), e.what());
      return false;
    }
    const std::string extension = made();
    char key[24];
    std::snprintf(key, sizeof key, "%09zu", i);
    append_member(out, key + extension, {reinterpret_cast<const char*>(bytes_.data()), bytes_.size()});
    JsonLine json;
    json.add("path", list.name(i));
    if (shard.set->labelled) {
      append_member(out, std::string(key) + ".cls", std::to_string(list.label(i)));
      json.add("label", list.label(i));
    }
    append_member(out, std::string(key) + ".json", json.text());
    return true;
  }

  // Shrinks the image in bytes_ if it is larger than wanted. Returns the ending of its name. A damaged file is packed
  // as it is, so its reader finds the same damage.
  std::string made() {
    const std::string as_is = "." + data::ending_of(data::sniff(bytes_));
    try {
      data::decode(bytes_, image_);
    } catch (const data::ImageError&) {
      ++counts_.damaged;
      return as_is;
    }
    if (options_.short_side == 0 || std::min(image_.width(), image_.height()) <= options_.short_side) {
      ++counts_.kept;
      return as_is;
    }
    const data::Size size = data::shorter_side(image_.width(), image_.height(), options_.short_side);
    if (std::max(size.width, size.height) > kJpegSide) {
      ++counts_.kept;
      return as_is;
    }
    data::resize_box(image_, {0, 0, image_.height(), image_.width()}, static_cast<int>(size.width),
                     static_cast<int>(size.height), small_, scratch_);
    rgb_.resize(small_.count() * 3);
    data::store_rgb(small_, rgb_.data());
    bytes_ = encode_jpeg(rgb_.data(), small_.width(), small_.height(), options_.quality);
    ++counts_.resized;
    return ".jpg";
  }

  const PackOptions& options_;
  Counts& counts_;
  std::vector<std::uint8_t> bytes_, rgb_;
  data::Image image_, small_;
  data::ResizeScratch scratch_;
};

std::vector<Shard> plan(const DataFolder& folder, std::size_t per_shard) {
  std::vector<Shard> shards;
  for (const NamedSet& set : folder.sets)
    for (std::size_t first = 0, n = 0; first < set.images.size(); first += per_shard, ++n)
      shards.push_back({&set, static_cast<int>(n), first, std::min(first + per_shard, set.images.size())});
  return shards;
}

// Keeps shards of an earlier run only if they were made from the same lists with the same settings.
void keep_settings(const DataFolder& folder, const PackOptions& o, const fs::path& shards) {
  JsonLine line;
  line.add("short_side", std::int64_t{o.short_side})
      .add("quality", std::int64_t{o.quality})
      .add("per_shard", std::int64_t{o.per_shard});
  for (const NamedSet& s : folder.sets) line.add(s.name, std::to_string(s.images.digest()));
  const std::string settings = line.text() + "\n", file = (shards / "settings.json").string();
  std::ifstream in(file, std::ios::binary);
  const std::string before{std::istreambuf_iterator<char>(in), {}};
  if (!before.empty() && before != settings)
    throw std::runtime_error(file + ": was packed of other lists or in another way; remove " + shards.string() +
                             " to begin anew");
  formats::write_atomically(file, formats::checked_mark(), [&](OutputFile& out) { out.write(settings); });
}

// Throws if a name does not fit into a line of the index, or if the pack would be read as a class of its source.
void require_packable(const DataFolder& folder, const std::string& source, const std::string& out) {
  for (const NamedSet& set : folder.sets)
    for (std::size_t i = 0; i < set.images.size(); ++i)
      if (set.images.name(i).find('\n') != std::string_view::npos)
        throw std::runtime_error(source + ": the name of image " + data::quoted(set.images.name(i)) +
                                 " has a line feed, which an index of packed images cannot hold; rename it");
  const std::string inside = fs::weakly_canonical(fs::absolute(out)).lexically_relative(fs::canonical(source)).string();
  const data::Layout layout = data::layout_of(source);
  if (!inside.starts_with("..") && (layout == data::Layout::class_folders || layout == data::Layout::split_folders))
    throw std::runtime_error(out +
                             ": lies in the folder that is packed, where it would be a class; choose another --out");
}

// A run that was killed leaves the file that it was writing under a temporary name. Only such names of files that this
// command writes are removed.
void remove_unfinished(const std::vector<Shard>& shards, const fs::path& folder) {
  std::set<std::string, std::less<>> written = {"settings.json", "index.txt", "classes.txt"};
  for (const Shard& s : shards) written.insert({s.name(), s.name() + ".index"});
  std::vector<fs::path> unfinished;
  for (const auto& entry : fs::directory_iterator(folder))
    if (written.contains(formats::without_temporary_end(entry.path().filename().string())))
      unfinished.push_back(entry.path());
  for (const fs::path& f : unfinished) fs::remove(f);
}

void write_all(const std::vector<Shard>& shards, const PackOptions& o, const fs::path& folder, Counts& counts,
               int images) {
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  std::exception_ptr failure;
  int done = 0;
  Progress progress("packing");
  const auto advance = [&](int n) {
    const std::lock_guard lock(mutex);
    progress.show(done += n, images);
  };
  const auto work = [&] {
    Packer packer(o, counts);
    for (std::size_t i; (i = next++) < shards.size();) {
      try {
        if (fs::exists(folder / (shards[i].name() + ".index")))
          advance(static_cast<int>(shards[i].end - shards[i].first));
        else packer.write(shards[i], folder, [&] { advance(1); });
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (!failure) failure = std::current_exception();
        next = shards.size();
      }
    }
  };
  {
    std::vector<std::jthread> pool;
    const unsigned threads = o.threads > 0 ? static_cast<unsigned>(o.threads) : std::thread::hardware_concurrency();
    for (unsigned i = 1; i < threads; ++i) pool.emplace_back(work);
    work();
  }
  if (failure) std::rethrow_exception(failure);
}

// Joins the lines of all shards into the index, and removes their files.
void write_index(const std::vector<Shard>& shards, const fs::path& folder) {
  formats::write_atomically((folder / "index.txt").string(), formats::checked_mark(), [&](OutputFile& out) {
    out.write(std::string(data::kShardFormat) + "\n");
    for (const Shard& s : shards) {
      std::ifstream in(folder / (s.name() + ".index"), std::ios::binary);
      const std::string lines{std::istreambuf_iterator<char>(in), {}};
      if (in.bad()) throw std::runtime_error(s.name() + ".index: cannot be read");
      out.write(lines);
    }
  });
  for (const Shard& s : shards) fs::remove(folder / (s.name() + ".index"));
}

// For a layout with one folder per class: their names, because a class without images leaves no trace in the shards.
void write_classes(const DataFolder& folder, const fs::path& out) {
  if (folder.layout != "imagenet" && folder.layout != "folders") return;
  const data::ClassTable& classes = folder.sets.front().images.classes();
  std::string text;
  for (std::size_t i = 0; i < classes.size(); ++i) {
    if (data::trimmed(classes.name(i)) != classes.name(i) || classes.name(i).find('\n') != std::string::npos)
      throw std::runtime_error("the class " + data::quoted(classes.name(i)) +
                               " has white space at an end or a line break in its name; rename its folder");
    text += classes.name(i) + "\n";
  }
  formats::write_atomically((out / data::kPackedClasses).string(), formats::checked_mark(),
                            [&](OutputFile& file) { file.write(text); });
}

}  // namespace

int run_pack(const Args& args) {
  PackOptions o;
  const std::vector<Flag> flags = {
      {"out", "DIR", "Where the packed folder is written: absent, empty, or of a stopped run.", &o.out},
      {"short-side", "PIXELS", "Images whose shorter side is longer are shrunk to it; 0 shrinks none.", &o.short_side,
       0, 65535},
      {"quality", "N", "Quality of the JPEG files of shrunk images.", &o.quality, 1, 100},
      {"per-shard", "N", "Images per tar file.", &o.per_shard, 1, 10'000'000},
      {"threads", "N", "Shards that are written at a time; 0: one per core.", &o.threads, 0, 1024},
  };
  const std::string flag_help = describe_flags(flags);
  const Arguments given = parse_flags(args, flags);
  if (given.help) {
    std::fputs(help_page(pack_usage, flag_help).c_str(), stdout);
    return 0;
  }
  if (given.positional.size() != 1) throw UsageError("one data folder is wanted");
  if (o.out.empty()) throw UsageError("--out DIR is missing");
  const std::string& source = given.positional[0];
  std::error_code error;
  if (fs::equivalent(source, o.out, error)) throw UsageError("--out is the folder itself");
  const fs::path out(o.out), shard_folder = out / std::string(data::kShardFolder);
  formats::require_folder(o.out, folder_kind);
  const DataFolder folder = read_data_folder(source);
  if (fs::exists(shard_folder / "index.txt")) {
    keep_settings(folder, o, shard_folder);
    std::printf("%s: is packed already, so nothing is left to do; remove it to pack again\n", o.out.c_str());
    return 0;
  }
  require_packable(folder, source, o.out);
  int images = 0;
  for (const NamedSet& s : folder.sets) images += static_cast<int>(s.images.size());
  formats::mark_folder(o.out, folder_kind);  // everything in it from now on belongs to this command
  fs::create_directories(shard_folder);
  keep_settings(folder, o, shard_folder);
  const std::vector<Shard> shards = plan(folder, static_cast<std::size_t>(o.per_shard));
  remove_unfinished(shards, shard_folder);
  Counts counts;
  {
    const Interruptible guard;
    write_all(shards, o, shard_folder, counts, images);
  }
  for (const std::string& list : folder.lists) {
    fs::create_directories((out / list).parent_path());
    fs::copy(fs::path(source) / list, out / list, fs::copy_options::recursive | fs::copy_options::overwrite_existing);
  }
  write_classes(folder, out);
  write_index(shards, shard_folder);
  std::printf(
      "%s: %d images (%s) in %zu shards; in this run %d shrunk, %d as they were, %d damaged (as they were), %d "
      "missing\n",
      o.out.c_str(), images, folder.layout.c_str(), shards.size(), counts.resized.load(), counts.kept.load(),
      counts.damaged.load(), counts.missing.load());
  return 0;
}

}  // namespace moproc::tools
