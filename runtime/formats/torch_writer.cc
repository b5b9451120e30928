// Writes the entries of torch.save's archive, in its order.
#include "formats/torch_writer.h"

#include "formats/output_file.h"
#include "formats/pickle_writer.h"
#include "formats/zip_writer.h"

namespace moproc::formats {

void write_torch(const std::string& path, const Value& root) {
  std::vector<const Tensor*> storages;
  const std::string pickle = PickleWriter::torch(root, storages);
  write_atomically(path, torch_mark(), [&](OutputFile& file) {
    ZipWriter zip(file);
    zip.add("archive/data.pkl", as_bytes(pickle));
    std::vector<std::byte> buffer;
    for (size_t i = 0; i < storages.size(); ++i)
      zip.add("archive/data/" + std::to_string(i), row_major_bytes(*storages[i], buffer));
    zip.add("archive/byteorder", as_bytes("little"));
    zip.add("archive/version", as_bytes("3\n"));
    zip.add(kTorchEntry, as_bytes("1\n"));  // marks the file as ours
    zip.finish();
  });
}

void write_numpy_pickle(const std::string& path, const Value& root) {
  write_atomically(path, pickle_mark(),
                   [&](OutputFile& file) { PickleWriter::numpy(root, [&](ByteSpan bytes) { file.write(bytes); }); });
}

}  // namespace moproc::formats
