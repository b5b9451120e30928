#include "look.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <string_view>
#include <thread>

namespace moproc::data {
namespace {

/// Why an image cannot be read, as far as its ends show it, and whether decoding has to tell.
struct FirstLook {
  std::optional<Broken> broken;
  std::uint64_t bytes = 0;
  bool odd = false;
};

template <class F>
std::optional<Broken> reason_of(const Dataset& list, std::uint32_t sample, F&& read) {
  try {
    patiently(read);
  } catch (const ImageError& e) {
    return Broken{sample, std::string(list.name(sample)), e.what(), e.unread_kind()};
  }
  return std::nullopt;
}

FirstLook look_at_ends(const Dataset& list, std::uint32_t sample) {
  FirstLook found;
  found.broken = reason_of(list, sample, [&] {
    const FileEnds ends = list.files().ends(list.name(sample));
    found.bytes = ends.bytes;
    const PictureKind* const kind = sniff(ends.head);
    Image none;
    if (!kind || !is_decoded(kind->name)) decode(ends.head, none);  // throws; says why
    found.odd = !ends_whole(ends);
  });
  return found;
}

std::optional<Broken> look_at_pixels(const Dataset& list, std::uint32_t sample, Workspace& w) {
  return reason_of(list, sample, [&] {
    list.read(sample, w.bytes);
    decode(w.bytes, w.decoded);
  });
}

/// Calls `work` with 0 .. count-1 and the thread's own workspace. This thread takes part and calls `show` after each.
template <class Work, class Show>
void in_parallel(std::size_t count, int threads, const Work& work, const Show& show) {
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  std::exception_ptr failure;
  const auto run = [&](bool shows) {
    try {
      Workspace w;
      for (std::size_t i; (i = next++) < count;) {
        work(i, w);
        if (shows) show(std::min<std::size_t>(next, count));
      }
    } catch (...) {
      const std::lock_guard lock(mutex);
      if (!failure) failure = std::current_exception();
      next = count;
    }
  };
  {
    std::vector<std::jthread> pool;
    for (int i = 1; i < threads; ++i) pool.emplace_back(run, false);
    run(true);
  }
  if (failure) std::rethrow_exception(failure);
}

}  // namespace

bool ends_whole(const FileEnds& ends) {
  const PictureKind* const kind = sniff(ends.head);
  const std::string_view name = kind ? kind->name : "";
  const std::string_view tail(reinterpret_cast<const char*>(ends.tail.data()), ends.tail.size());
  if (name == "JPEG") return tail.ends_with("\xff\xd9");                               // T.81, B.1.1.3: end of image
  if (name == "PNG") return tail.ends_with(std::string_view("IEND\xae\x42\x60\x82"));  // the last chunk, with its CRC
  if (name == "GIF") return tail.ends_with(std::string_view("\0;", 2));                // end of the data, trailer
  if (name == "WebP" && ends.head.size() >= 12) {  // RFC 9649: the size of everything behind the first 8 bytes
    const std::uint64_t size =
        ends.head[4] | ends.head[5] << 8 | ends.head[6] << 16 | static_cast<std::uint64_t>(ends.head[7]) << 24;
    return size + 8 <= ends.bytes;
  }
  return false;
}

std::vector<Broken> look(const Dataset& list, std::span<const std::uint32_t> samples, const LookOptions& options) {
  const auto show = [&](double from, std::size_t done, std::size_t of) {
    if (options.progress) options.progress(from + 0.5 * static_cast<double>(done) / static_cast<double>(of));
  };
  std::vector<FirstLook> looks(samples.size());
  in_parallel(
      samples.size(), options.threads, [&](std::size_t i, Workspace&) { looks[i] = look_at_ends(list, samples[i]); },
      [&](std::size_t done) { show(0, done, samples.size()); });
  std::vector<std::size_t> decoded;
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < looks.size(); ++i) {
    if (looks[i].broken) continue;
    if (looks[i].odd || bytes < options.decode_bytes) decoded.push_back(i);
    bytes += looks[i].bytes;
  }
  in_parallel(
      decoded.size(), options.threads,
      [&](std::size_t i, Workspace& w) { looks[decoded[i]].broken = look_at_pixels(list, samples[decoded[i]], w); },
      [&](std::size_t done) { show(0.5, done, decoded.size()); });
  std::vector<Broken> broken;
  for (FirstLook& l : looks)
    if (l.broken) broken.push_back(std::move(*l.broken));
  std::sort(broken.begin(), broken.end(), [](const Broken& a, const Broken& b) { return a.sample < b.sample; });
  return broken;
}

bool any_readable(const Dataset& list, std::span<const std::uint32_t> samples, std::vector<Broken>& broken) {
  Workspace w;
  for (const std::uint32_t sample : samples) {
    FirstLook first = look_at_ends(list, sample);
    if (!first.broken) first.broken = look_at_pixels(list, sample, w);
    if (!first.broken) return true;
    broken.push_back(std::move(*first.broken));
  }
  return false;
}

}  // namespace moproc::data
