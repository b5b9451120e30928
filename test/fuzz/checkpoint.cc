// A whole checkpoint file of any format, read, walked, and laid out again as a published checkpoint.
#include "formats/checkpoint_file.h"
#include "formats/published.h"
#include "fuzz.h"
#include "walk.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace moproc;
  fuzz::parse([&](const char* name) {
    formats::Checkpoint c = formats::parse_checkpoint(fuzz::input(data, size), name);
    for (const formats::NamedTensor& t : c.tensors) fuzz::touch(t.tensor);
    for (const formats::NamedTensor& t : c.momentum) fuzz::touch(t.tensor);
    c.metadata.emplace("arch", "x");
    c.metadata.emplace("epoch", "0");
    int left = 100000;
    fuzz::touch(formats::to_published(c), left);
  });
  return 0;
}
