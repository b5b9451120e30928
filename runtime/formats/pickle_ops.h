// The opcodes of pickle protocols 2 to 5 that torch, numpy and Python's own pickler emit for plain data. All others are
// refused; the message has the opcode's name if there is one.
#pragma once

#include <cstdint>

namespace moproc::formats {

enum class Op : uint8_t {
  mark = '(',
  stop = '.',
  pop = '0',
  pop_mark = '1',
  int4 = 'J',
  int1 = 'K',
  int2 = 'M',
  none = 'N',
  persistent = 'Q',
  reduce = 'R',
  string4 = 'T',
  string1 = 'U',
  text4 = 'X',
  append = 'a',
  build = 'b',
  global = 'c',
  appends = 'e',
  get1 = 'h',
  get4 = 'j',
  put1 = 'q',
  put4 = 'r',
  set_item = 's',
  tuple = 't',
  set_items = 'u',
  empty_tuple = ')',
  empty_list = ']',
  empty_dict = '}',
  real = 'G',
  bytes4 = 'B',
  bytes1 = 'C',
  proto = 0x80,
  tuple1 = 0x85,
  tuple2 = 0x86,
  tuple3 = 0x87,
  yes = 0x88,
  no = 0x89,
  long1 = 0x8a,
  text1 = 0x8c,
  text8 = 0x8d,
  bytes8 = 0x8e,
  stack_global = 0x93,
  memoize = 0x94,
  frame = 0x95,
  bytearray8 = 0x96,
};

/// The opcode's name in Python's pickletools, such as "BINUNICODE"; "" if the byte is not an opcode.
const char* op_name(uint8_t code);

}  // namespace moproc::formats
