// Builds each header as text and writes it with one call.
#include "formats/zip_writer.h"

#include <algorithm>
#include <stdexcept>

#include "formats/crc32.h"
#include "formats/zip_format.h"

namespace moproc::formats {

using namespace zip;

namespace {

constexpr uint64_t kAlignment = 64;
constexpr uint16_t kVersion = 45;  // version of the format that has zip64

/// The zip64 extra field with these values; empty if there are none.
std::string zip64_extra(const std::vector<uint64_t>& values) {
  std::string text;
  if (values.empty()) return text;
  append(text, kZip64Extra);
  append(text, static_cast<uint16_t>(8 * values.size()));
  for (const uint64_t v : values) append(text, v);
  return text;
}

}  // namespace

/// An empty entry needs no record after its data.
uint16_t ZipWriter::Entry::flags() const { return size > 0 ? kUtf8 | kDescriptor : kUtf8; }

void ZipWriter::emit(std::string_view text) {
  file_.write(text);
  at_ += text.size();
}

void ZipWriter::begin(std::string_view name, uint64_t size) {
  close_entry();
  Entry entry{std::string(name), at_, size};
  std::string extra = size >= limit_ ? zip64_extra({0, 0}) : "";  // the sizes follow the data
  const uint64_t header = at_ + kLocalSize + name.size() + extra.size() + 4;
  const uint64_t padding = (kAlignment - header % kAlignment) % kAlignment;
  append(extra, kPaddingExtra);
  append(extra, static_cast<uint16_t>(padding));
  extra.append(padding, 'Z');
  std::string text;
  append(text, kLocalHeader);
  append(text, kVersion);
  append(text, entry.flags());
  text.resize(18);  // method, time, date, CRC
  append(text, size >= limit_ ? 0xffffffffu : 0u);
  append(text, size >= limit_ ? 0xffffffffu : 0u);
  append(text, static_cast<uint16_t>(name.size()));
  append(text, static_cast<uint16_t>(extra.size()));
  emit(text.append(name) + extra);
  entries_.push_back(std::move(entry));
  open_ = true;
}

void ZipWriter::write(ByteSpan bytes) {
  Entry& entry = entries_.back();
  entry.crc = crc32(entry.crc, bytes);
  entry.written += bytes.size();
  file_.write(bytes);
  at_ += bytes.size();
}

void ZipWriter::close_entry() {
  if (!open_) return;
  open_ = false;
  const Entry& entry = entries_.back();
  if (entry.written != entry.size)
    throw std::logic_error("zip entry " + entry.name + " got another size than announced");
  if (entry.size == 0) return;
  std::string text;
  append(text, kDescriptorMark);
  append(text, entry.crc);
  for (int i = 0; i < 2; ++i) {
    if (entry.size >= limit_) append(text, entry.size);
    else append(text, static_cast<uint32_t>(entry.size));
  }
  emit(text);
}

std::string ZipWriter::central_header(const Entry& entry) const {
  std::vector<uint64_t> wide;
  if (entry.size >= limit_) wide = {entry.size, entry.size};
  if (entry.at >= limit_) wide.push_back(entry.at);
  const std::string extra = zip64_extra(wide);
  std::string text;
  append(text, kCentralHeader);
  append(text, kVersion);
  append(text, kVersion);
  append(text, entry.flags());
  text.resize(16);  // method, time, date
  append(text, entry.crc);
  append(text, narrow(entry.size));
  append(text, narrow(entry.size));
  append(text, static_cast<uint16_t>(entry.name.size()));
  append(text, static_cast<uint16_t>(extra.size()));
  text.resize(42);  // comment, part, attributes
  append(text, narrow(entry.at));
  return text + entry.name + extra;
}

std::string ZipWriter::end_records(uint64_t begin) const {
  const uint64_t count = entries_.size(), size = at_ - begin;
  std::string text;
  append(text, kEnd64);
  append(text, uint64_t{kEnd64Size - 12});
  append(text, kVersion);
  append(text, kVersion);
  append(text, uint64_t{0});  // parts
  for (const uint64_t v : {count, count, size, begin}) append(text, v);
  append(text, kLocator64);
  append(text, uint32_t{0});
  append(text, at_);
  append(text, uint32_t{1});
  append(text, kEnd);
  append(text, uint32_t{0});
  const uint16_t few = static_cast<uint16_t>(std::min<uint64_t>(count, 0xffff));
  append(text, few);
  append(text, few);
  append(text, narrow(size));
  append(text, narrow(begin));
  append(text, uint16_t{0});  // comment
  return text;
}

void ZipWriter::finish() {
  close_entry();
  const uint64_t begin = at_;
  std::string directory;
  for (const Entry& e : entries_) directory += central_header(e);
  emit(directory);
  emit(end_records(begin));
}

}  // namespace moproc::formats
