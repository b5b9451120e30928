// Every malicious file is refused with a message that names the file and the place.
#include "hostile.h"
#include "core/error.h"
#include "formats/checkpoint_file.h"
#include "support.h"
#include "tap.h"

using namespace moproc;
using namespace moproc::formats;
using namespace moproc::test;

namespace {

size_t refuse_all(const std::vector<Hostile>& files) {
  for (const Hostile& h : files) {
    std::string message = "it was read";
    try {
      parse_checkpoint(as_bytes(h.bytes), h.name);
    } catch (const InputError& e) {
      message = e.what();
    }
    const bool ok =
        message.starts_with(h.name + ":") && message.find(h.says) != std::string::npos && message.size() < 600;
    if (!ok) note(false, __FILE__, __LINE__, h.name + ": '" + message + "' lacks '" + h.says + "'");
  }
  return files.size();
}

}  // namespace

TEST("hostile pickles: nothing is called, every refusal names opcode and byte") {
  for (const Hostile& h : hostile_pickles())
    if (!h.name.ends_with("pkl") && h.bytes.find('.') != std::string::npos)
      CHECK_THROWS(parse_checkpoint(as_bytes(h.bytes), h.name), ": pickle, byte ");
  CHECK(refuse_all(hostile_pickles()) >= 130);
}
TEST("hostile torch files: tensors stay inside their storages") { CHECK(refuse_all(hostile_storages()) >= 45); }
TEST("optimizers that cannot be continued: the weights are read, and the fault is named") {
  for (const Hostile& h : unusable_optimizers()) {
    const Checkpoint c = parse_checkpoint(as_bytes(h.bytes), h.name);
    CHECK_EQ(c.tensors.empty(), false);
    CHECK(c.momentum.empty());
    if (!has(c.optimizer_fault, h.says)) note(false, __FILE__, __LINE__, h.name + ": " + c.optimizer_fault);
  }
}
TEST("hostile zip archives: both directories must agree") { CHECK(refuse_all(hostile_zips()) >= 40); }
TEST("hostile safetensors files: headers that overlap, overflow or are none") {
  CHECK(refuse_all(hostile_safetensors()) >= 25);
}
