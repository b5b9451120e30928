// Reads pickles and storages from the two formats of torch.save. The older one is a stream: magic number, protocol,
// facts about the machine, the object, a list of storage keys, and the storages in that order.
#include "formats/pickled_file.h"

#include "core/error.h"
#include "core/layout.h"
#include "formats/pickle_machine.h"
#include "formats/pickle_ops.h"
#include "formats/zip_reader.h"

namespace moproc::formats {
namespace {

/// 0x1950a86a20f9469cfc6c as LONG1 and STOP.
constexpr std::string_view kMagic("\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.", 13);
/// The same in protocols 0 and 1.
constexpr std::string_view kMagicLine = "L119547037146038801333356L\n.";
constexpr int64_t kStreamVersion = 1001;

/// The length of the first pickle of a stream, the magic number; 0 if the bytes begin with another pickle.
size_t magic_size(ByteSpan bytes) {
  if (as_text(bytes).starts_with(kMagicLine)) return kMagicLine.size();
  if (bytes.size() < 2 || load<uint8_t>(bytes, 0) != static_cast<uint8_t>(Op::proto)) return 0;
  const bool framed = bytes.size() > 2 && load<uint8_t>(bytes, 2) == static_cast<uint8_t>(Op::frame);
  const size_t begin = framed ? 11 : 2;
  if (bytes.size() < begin + kMagic.size() || as_text(bytes.subspan(begin, kMagic.size())) != kMagic) return 0;
  return begin + kMagic.size();
}

class ZipForm {
 public:
  ZipForm(ByteSpan bytes, const std::string& where) : file_bytes_(bytes.size()), where_(where), zip_(bytes, where) {}

  PickledData read() {
    find_archive();
    if (const ZipEntry* const order = zip_.find(archive_ + "byteorder");
        order && as_text(zip_.checked(*order)) != "little")
      throw InputError(where_ + ": its numbers are " + in_quotes(as_text(order->data)) +
                       "-endian; only little-endian ones are read");
    const std::string name = archive_ + "data.pkl";
    const ByteSpan pickle = zip_.checked(*zip_.find(name));
    PickleMachine machine(pickle, 0, where_ + ": entry " + in_quotes(name), file_bytes_, true);
    machine.run();
    if (machine.end() != pickle.size()) machine.fail_at(machine.end(), "something follows the pickle");
    std::vector<ByteSpan> storages;
    for (const StorageUse& s : machine.storages()) storages.push_back(storage(machine, s));
    Value root = machine.tree(storages);
    return {PickleForm::torch_zip, std::move(root), machine.take_buffers(), machine.unread(), zip_.has_checksums()};
  }

 private:
  /// Finds the folder that contains all entries.
  void find_archive() {
    constexpr std::string_view suffix = "/data.pkl";
    for (const ZipEntry& e : zip_.entries())
      if (e.name.ends_with(suffix) && e.name.find('/') == e.name.size() - suffix.size()) {
        if (!archive_.empty()) throw InputError(where_ + ": two entries are named data.pkl");
        archive_ = e.name.substr(0, e.name.size() - suffix.size() + 1);
      }
    if (archive_.empty())
      throw InputError(where_ + ": a zip archive without ARCHIVE/data.pkl: not written by torch.save");
    if (zip_.find(archive_ + "constants.pkl"))
      throw InputError(where_ + ": a TorchScript program; torch.save its state_dict instead");
  }

  ByteSpan storage(const PickleMachine& machine, const StorageUse& s) const {
    const std::string name = archive_ + "data/" + std::string(s.key);
    const ZipEntry* const entry = zip_.find(name);
    if (!entry)
      machine.fail_at(s.at, "names storage " + in_quotes(s.key) + ", but there is no entry " + in_quotes(name));
    if (entry->data.size() != s.bytes())
      machine.fail_at(s.at, "storage " + in_quotes(s.key) + " has " + std::to_string(s.bytes()) + " bytes, entry " +
                                in_quotes(name) + " " + std::to_string(entry->data.size()));
    return zip_.checked(*entry);
  }

  uint64_t file_bytes_;
  const std::string& where_;
  ZipReader zip_;
  std::string archive_;  // "NAME/"
};

class StreamForm {
 public:
  StreamForm(ByteSpan bytes, const std::string& where) : bytes_(bytes), where_(where), at_(magic_size(bytes)) {}

  PickledData read() {
    const Value version = small("the protocol number");
    if (!version.integer() || *version.integer() != kStreamVersion)
      throw InputError(where_ + ": torch.save's stream has another protocol than " + std::to_string(kStreamVersion));
    check_machine(small("the facts about the machine"));
    PickleMachine object(bytes_, at_, where_, bytes_.size(), true);
    object.run();
    at_ = object.end();
    const std::vector<ByteSpan> storages = read_storages(object, small("the list of storages"));
    Value root = object.tree(storages);
    return {PickleForm::torch_stream, std::move(root), object.take_buffers(), object.unread()};
  }

 private:
  /// Reads a pickle without tensors.
  Value small(const char* what) {
    PickleMachine machine(bytes_, at_, where_ + ": " + what, bytes_.size(), false);
    machine.run();
    at_ = machine.end();
    return machine.tree({});
  }

  void check_machine(const Value& facts) const {
    const Value* const little = facts.dict() ? facts.dict()->find("little_endian") : nullptr;
    if (!little || !little->boolean()) throw InputError(where_ + ": does not say its byte order");
    if (!*little->boolean())
      throw InputError(where_ + ": its numbers are big-endian; only little-endian ones are read");
  }

  /// The bytes of each storage that the object uses.
  std::vector<ByteSpan> read_storages(const PickleMachine& object, const Value& keys) {
    if (!keys.sequence()) throw InputError(where_ + ": its list of storages is " + keys.kind());
    std::unordered_map<std::string_view, size_t> missing;
    for (size_t i = 0; i < object.storages().size(); ++i) missing.emplace(object.storages()[i].key, i);
    std::vector<ByteSpan> found(object.storages().size());
    for (const Value& key : keys.sequence()->items) {
      const auto use = key.text() ? missing.find(*key.text()) : missing.end();
      if (use == missing.end())
        throw InputError(where_ + ": its list of storages has " + (key.text() ? in_quotes(*key.text()) : key.kind()) +
                         " twice, or no tensor uses it");
      found[use->second] = next_storage(object.storages()[use->second]);
      missing.erase(use);
    }
    for (const auto& [key, i] : missing)
      object.fail_at(object.storages()[i].at,
                     "names storage " + in_quotes(key) + ", which the file's list of storages lacks");
    if (at_ != bytes_.size())
      throw InputError(where_ + ": byte " + std::to_string(at_) + ": something follows the last storage");
    return found;
  }

  ByteSpan next_storage(const StorageUse& s) {
    const uint64_t size = s.bytes(), left = bytes_.size() - at_;
    const std::string place = where_ + ": byte " + std::to_string(at_) + ": storage " + in_quotes(s.key);
    if (left < 8 || left - 8 < size) throw InputError(place + ": the file is truncated");
    const int64_t count = load<int64_t>(bytes_, at_);
    if (count != s.numel)
      throw InputError(place + " has " + std::to_string(count) + " elements here, " + std::to_string(s.numel) +
                       " in the pickle");
    at_ += 8 + size;
    return bytes_.subspan(at_ - size, size);
  }

  ByteSpan bytes_;
  const std::string& where_;
  size_t at_;
};

PickledData read_plain(ByteSpan bytes, const std::string& where) {
  PickleMachine machine(bytes, 0, where, bytes.size(), false);
  machine.run();
  if (machine.end() != bytes.size()) machine.fail_at(machine.end(), "something follows the pickle");
  Value root = machine.tree({});
  return {PickleForm::plain, std::move(root), machine.take_buffers(), machine.unread()};
}

}  // namespace

bool looks_pickled(ByteSpan bytes) {
  return ZipReader::looks_like_zip(bytes) || magic_size(bytes) > 0 ||
         (!bytes.empty() && load<uint8_t>(bytes, 0) == static_cast<uint8_t>(Op::proto));
}

PickledData parse_pickled(ByteSpan bytes, const std::string& where) {
  if (ZipReader::looks_like_zip(bytes)) return ZipForm(bytes, where).read();
  if (magic_size(bytes) > 0) return StreamForm(bytes, where).read();
  return read_plain(bytes, where);
}

}  // namespace moproc::formats
