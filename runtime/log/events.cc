// Encodes by hand the few protocol buffer fields that a scalar needs (tensorflow/core/util/event.proto, summary.proto).
#include "log/events.h"

#include <unistd.h>

#include <array>
#include <bit>
#include <chrono>
#include <cstdio>
#include <cstring>

namespace moproc::train {
namespace {

constexpr std::array<uint32_t, 256> crc_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t c = i;
    for (int k = 0; k < 8; ++k) c = c & 1 ? c >> 1 ^ 0x82f63b78u : c >> 1;
    table[i] = c;
  }
  return table;
}
constexpr std::array<uint32_t, 256> kCrcTable = crc_table();

enum Wire { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };

void put_varint(std::string& out, uint64_t v) {
  for (; v >= 128; v >>= 7) out += static_cast<char>(v | 128);
  out += static_cast<char>(v);
}

template <class T>
void put_fixed(std::string& out, T v) {
  char raw[sizeof v];
  std::memcpy(raw, &v, sizeof v);  // this machine and the format are little endian
  out.append(raw, sizeof v);
}

void put_key(std::string& out, int field, Wire wire) { put_varint(out, static_cast<uint64_t>(field) << 3 | wire); }

void put_double(std::string& out, int field, double v) { put_key(out, field, fixed64), put_fixed(out, v); }
void put_float(std::string& out, int field, float v) { put_key(out, field, fixed32), put_fixed(out, v); }
void put_int(std::string& out, int field, int64_t v) {
  put_key(out, field, varint), put_varint(out, static_cast<uint64_t>(v));
}
void put_bytes(std::string& out, int field, std::string_view v) {
  put_key(out, field, bytes), put_varint(out, v.size()), out += v;
}

std::span<const std::byte> as_bytes(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

double wall_time() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::string file_name(const std::string& folder) {
  char host[256] = "";
  if (gethostname(host, sizeof host - 1) != 0 || host[0] == '\0') std::strcpy(host, "localhost");
  char name[400];
  std::snprintf(name, sizeof name, "/events.out.tfevents.%010lld.%s.%d.0", static_cast<long long>(wall_time()), host,
                static_cast<int>(getpid()));
  return folder + name;
}

}  // namespace

uint32_t crc32c(std::span<const std::byte> data) {
  uint32_t c = ~0u;
  for (const std::byte b : data) c = kCrcTable[(c ^ static_cast<uint32_t>(b)) & 255] ^ c >> 8;
  return ~c;
}

uint32_t masked_crc32c(std::span<const std::byte> data) { return std::rotr(crc32c(data), 15) + 0xa282ead8u; }

std::string tf_record(std::string_view payload) {
  std::string out;
  put_fixed(out, static_cast<uint64_t>(payload.size()));
  put_fixed(out, masked_crc32c(as_bytes(out)));
  out += payload;
  put_fixed(out, masked_crc32c(as_bytes(payload)));
  return out;
}

std::string version_event(double time) {
  std::string event;
  put_double(event, 1, time);
  put_bytes(event, 3, "brain.Event:2");
  return event;
}

std::string scalar_event(double time, int64_t step, std::string_view tag, float value) {
  std::string scalar, summary, event;
  put_bytes(scalar, 1, tag);
  put_float(scalar, 2, value);
  put_bytes(summary, 1, scalar);
  put_double(event, 1, time);
  put_int(event, 2, step);
  put_bytes(event, 5, summary);
  return event;
}

EventFile::EventFile(const std::string& folder) : file_(file_name(folder), formats::OutputFile::Open::append) {
  file_.write(tf_record(version_event(wall_time())));
}

void EventFile::scalar(std::string_view tag, double value, int64_t step) {
  file_.write(tf_record(scalar_event(wall_time(), step, tag, static_cast<float>(value))));
}

}  // namespace moproc::train
