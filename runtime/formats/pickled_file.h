// Files that are a Python pickle or contain one: both forms of torch.save, and plain pickles of numpy arrays as
// detectron2 reads them. The first bytes tell which form it is.
#pragma once

#include <deque>
#include <string>

#include "formats/pickle_machine.h"
#include "formats/value.h"

namespace moproc::formats {

enum class PickleForm { torch_zip, torch_stream, plain };

struct PickledData {
  PickleForm form;
  Value root;  // its tensors refer to the file or to `buffers`
  std::deque<std::string> buffers;
  UnreadClasses unread;   // objects that are no data, of which only the class is known
  bool checksums = true;  // false: an archive that was written without them
};

/// True if the bytes begin like one of the three forms.
bool looks_pickled(ByteSpan bytes);

/// Reads a whole file. `bytes` must outlive the result; `where` begins every message. Objects that are not plain data
/// are opaque values. Throws InputError with the place (entry, byte, opcode) for a name that can only do harm, and for
/// anything that is truncated, contradicts itself, is big-endian, or reaches outside its storage.
PickledData parse_pickled(ByteSpan bytes, const std::string& where);

}  // namespace moproc::formats
