// The safetensors reader, and every byte its tensors claim.
#include "formats/safetensors.h"

#include "fuzz.h"
#include "walk.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace moproc;
  fuzz::parse([&](const char* name) {
    const formats::SafetensorsFile file(fuzz::input(data, size), name);
    for (const formats::TensorEntry& t : file.tensors()) fuzz::touch(file.tensor(t));
  });
  return 0;
}
