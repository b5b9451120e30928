// Files made to do harm: each with what the refusal must say. Written in code, so that what is wrong with a
// file can be read where it is made.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace moproc::test {

struct Hostile {
  std::string name;  // of the file, which every message must begin with
  std::string bytes;
  std::string says;  // what the message must contain
};

std::vector<Hostile> hostile_pickles();      // that call, nest, loop, overflow
std::vector<Hostile> hostile_storages();     // torch files whose tensors leave their storages, or contradict themselves
std::vector<Hostile> unusable_optimizers();  // of checkpoints whose weights can be read
std::vector<Hostile> hostile_zips();         // archives whose headers lie
std::vector<Hostile> hostile_safetensors();  // headers that overlap, overflow or are no headers

/// The pieces that pickles are put together from.
namespace pickle {
inline const std::string proto2("\x80\x02", 2), proto4("\x80\x04", 2);
template <class T>
std::string little(T v) {
  return std::string(reinterpret_cast<const char*>(&v), sizeof v);
}
std::string text(const std::string& s);   // BINUNICODE
std::string bytes(const std::string& s);  // BINBYTES
std::string number(int64_t v);            // BININT or LONG1
std::string global(const std::string& module, const std::string& name);
std::string tuple(const std::vector<std::string>& items);
std::string repeat(const std::string& s, size_t n);
/// The persistent id of a storage; `last` is what the old format appends.
std::string storage(const std::string& type, const std::string& key, int64_t numel, const std::string& last = "");
/// _rebuild_tensor_v2(storage, offset, shape, strides, False, OrderedDict())
std::string tensor(const std::string& storage, int64_t offset, const std::vector<int64_t>& shape,
                   const std::vector<int64_t>& strides);
/// numpy's _reconstruct with this dtype code, byte order, shape and data.
std::string array(const std::string& code, const std::string& order, const std::vector<int64_t>& shape,
                  const std::string& data);
}  // namespace pickle

/// An archive of stored entries as torch.save lays it out, made by our own writer.
std::string zip_of(const std::vector<std::pair<std::string, std::string>>& entries);

}  // namespace moproc::test
