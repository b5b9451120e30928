// Files that Python's pickle is the outer or inner form of: both kinds that torch.save writes, and plain
// pickles of numpy arrays as detectron2 reads them. Which one it is, the first bytes say.
#pragma once

#include <deque>
#include <string>

#include "formats/value.h"

namespace moproc::formats {

enum class PickleForm { torch_zip, torch_stream, plain };

struct PickledData {
  PickleForm form;
  Value root;  // its tensors lie in the file or in `buffers`
  std::deque<std::string> buffers;
};

/// True when the bytes begin as one of the three forms does.
bool looks_pickled(ByteSpan bytes);

/// Reads a whole file. `bytes` must outlive the result; `where` begins every message. Throws InputError
/// naming the place (entry, byte, opcode): whatever is not plain data, truncated, contradicts itself, is
/// big-endian, or reaches outside its storage.
PickledData parse_pickled(ByteSpan bytes, const std::string& where);

}  // namespace moproc::formats
