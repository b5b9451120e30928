#include "train/features.h"

#include <chrono>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>
#include <string_view>

#include "core/error.h"
#include "core/json.h"
#include "formats/checkpoint_file.h"
#include "formats/mapped_file.h"
#include "formats/output_file.h"
#include "formats/resnet_names.h"
#include "formats/sha256.h"
#include "train/embed.h"
#include "train/pretrained.h"

namespace moproc::train {
namespace {

using formats::MappedFile;
using formats::OutputFile;

constexpr double kSpeakEvery = 20;  // seconds between two lines if stdout is not a terminal

/// Truncates the `file` of an earlier run to whole batches and reads its rows. Returns their number; 0 if there is no
/// file.
int64_t take_up(const std::string& file, const std::string& settings, int64_t images, int64_t batch, Features& f) {
  formats::require_file(file, formats::json_mark(kFeaturesFormat));
  if (!std::filesystem::exists(file)) return 0;
  const size_t row = static_cast<size_t>(f.width) * sizeof(float);
  int64_t whole = 0;
  {
    const MappedFile there(file);
    const std::string_view text(reinterpret_cast<const char*>(there.bytes().data()), there.bytes().size());
    const size_t head = text.find('\n');
    if (head == std::string_view::npos) return 0;
    if (text.substr(0, head) != settings)
      throw InputError(file + ": holds features of another network or list; remove it to begin anew\n  then: " +
                       std::string(text.substr(0, head).substr(0, 500)) + "\n  now:  " + settings);
    const int64_t rows = std::min(static_cast<int64_t>((text.size() - head - 1) / row), images);
    whole = rows == images ? rows : rows / batch * batch;
    std::memcpy(f.rows.data(), text.data() + head + 1, static_cast<size_t>(whole) * row);
  }
  std::filesystem::resize_file(file, settings.size() + 1 + static_cast<size_t>(whole) * row);
  return whole;
}

/// The progress of one pass over the images.
class Meter {
 public:
  Meter(Console& console, int64_t first, int64_t total) : console_(console), first_(first), total_(total) {}
  void show(int64_t done) {
    const double now = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
    const double speed = static_cast<double>(done - first_) / now;
    const std::string text =
        format("%lld/%lld  %.1f images/s  %s left", static_cast<long long>(done), static_cast<long long>(total_), speed,
               show_time(static_cast<double>(total_ - done) / speed).c_str());
    console_.status("features", static_cast<double>(done) / static_cast<double>(total_), text);
    if (console_.terminal() || now - spoken_ < kSpeakEvery) return;
    spoken_ = now;
    console_.line("features: " + text);
  }

 private:
  Console& console_;
  int64_t first_, total_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  double spoken_ = 0;
};

}  // namespace

std::optional<Features> compute_features(Session& session, const data::Dataset& list, const std::string& network,
                                         const std::string& file, int workers, Console& console,
                                         const Interrupt& interrupt) {
  Features f;
  f.width = embed_features(session);
  if (f.width == 0) throw InputError("this artefact's program embed has no features; compile one with --task embed");
  const int64_t images = static_cast<int64_t>(list.size()), batch = embed_batch(session);
  f.rows.assign(static_cast<size_t>(images * f.width), std::numeric_limits<float>::quiet_NaN());
  const std::string settings = JsonLine()
                                   .add("format", kFeaturesFormat)
                                   .add("network", network)
                                   .add("plan", session.plan().digest)
                                   .add("images", images)
                                   .add("list", hex(list.digest()))
                                   .add("features", f.width)
                                   .text();
  int64_t done = take_up(file, settings, images, batch, f);
  if (done > 0)
    console.line(format("%s: features of %lld of %lld images are there", file.c_str(), static_cast<long long>(done),
                        static_cast<long long>(images)));
  if (done < images) {
    OutputFile out(file, done == 0 ? OutputFile::Open::begin : OutputFile::Open::append);
    if (done == 0) out.write(settings + "\n");
    Meter meter(console, done, images);
    EmbedOptions o;
    o.workers = workers;
    o.first = done;
    embed(session, list, o, [&](const Embedded& e) {
      for (int64_t i = 0; i < e.count; ++i)
        std::memcpy(f.rows.data() + e.sample[i] * f.width, e.feature + i * f.width,
                    static_cast<size_t>(f.width) * sizeof(float));
      const std::span<const float> rows(f.row(e.first), static_cast<size_t>((e.end - e.first) * f.width));
      out.write(std::as_bytes(rows));
      meter.show(done = e.end);
      return interrupt.signal() == 0;
    });
    out.sync_and_close();
    if (done < images) {
      console.line(format("stopped by signal %d after %lld of %lld images; the same command goes on from there",
                          interrupt.signal(), static_cast<long long>(done), static_cast<long long>(images)));
      return std::nullopt;
    }
  }
  for (int64_t i = 0; i < images; ++i)
    if (std::isnan(*f.row(i))) f.broken.push_back(i);
  return f;
}

std::string trunk_digest(const Session& session) {
  formats::Sha256 sha;
  std::vector<std::byte> room;
  const std::string_view layer = classifier_layer(session);
  for (const StateInfo& s : session.plan().state) {
    const std::string_view name(session.info(s.tensor).name);
    if (s.role == Role::derived || formats::is_classifier(name, layer) || formats::is_training_state(name)) continue;
    sha.add(std::as_bytes(std::span(name.data(), name.size())));
    sha.add(session.stored(s.tensor, room));
  }
  return sha.hex();
}

void normalise_rows(Features& f) {
  const int64_t images = static_cast<int64_t>(f.rows.size()) / f.width;
  for (int64_t i = 0; i < images; ++i) {
    float* const row = f.rows.data() + i * f.width;
    float sum = 0;
    for (int64_t k = 0; k < f.width; ++k) sum += row[k] * row[k];
    const float length = std::sqrt(sum) + 1e-5f;
    for (int64_t k = 0; k < f.width; ++k) row[k] /= length;
  }
}

}  // namespace moproc::train
