// The pickle machine alone, with storages as a file of torch.save would bring them: no CRC stands before it.
#include "formats/pickle_machine.h"

#include "fuzz.h"
#include "walk.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace moproc;
  fuzz::parse([&](const char* name) {
    formats::PickleMachine machine(fuzz::input(data, size), 0, name, size, true);
    machine.run();
    std::vector<std::vector<std::byte>> bytes;
    std::vector<formats::ByteSpan> storages;
    for (const formats::StorageUse& s : machine.storages()) {
      if (s.numel > 4096) return;  // a file would have to have as many bytes
      bytes.emplace_back(static_cast<size_t>(s.bytes()));
    }
    for (const auto& b : bytes) storages.push_back(b);
    const formats::Value tree = machine.tree(storages);
    int left = 100000;
    fuzz::touch(tree, left);
  });
  return 0;
}
