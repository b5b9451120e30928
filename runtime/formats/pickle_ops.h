// The opcodes of pickle protocols 0 to 5 that torch, numpy and Python's own pickler emit. All others are refused; the
// message has the opcode's name if there is one.
#pragma once

#include <cstdint>

namespace moproc::formats {

enum class Op : uint8_t {
  mark = '(',
  stop = '.',
  pop = '0',
  pop_mark = '1',
  duplicate = '2',
  real_text = 'F',
  int_text = 'I',
  long_text = 'L',
  int4 = 'J',
  int1 = 'K',
  int2 = 'M',
  none = 'N',
  persistent = 'Q',
  reduce = 'R',
  string_text = 'S',
  string4 = 'T',
  string1 = 'U',
  text_line = 'V',
  text4 = 'X',
  append = 'a',
  build = 'b',
  dict = 'd',
  global = 'c',
  instance = 'i',
  appends = 'e',
  get_text = 'g',
  get1 = 'h',
  get4 = 'j',
  list = 'l',
  object = 'o',
  put_text = 'p',
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
  new_object = 0x81,
  tuple1 = 0x85,
  tuple2 = 0x86,
  tuple3 = 0x87,
  yes = 0x88,
  no = 0x89,
  long1 = 0x8a,
  long4 = 0x8b,
  text1 = 0x8c,
  text8 = 0x8d,
  bytes8 = 0x8e,
  empty_set = 0x8f,
  add_items = 0x90,
  frozen_set = 0x91,
  new_object_ex = 0x92,
  stack_global = 0x93,
  memoize = 0x94,
  frame = 0x95,
  bytearray8 = 0x96,
};

/// The opcode's name in Python's pickletools, such as "BINUNICODE"; "" if the byte is not an opcode.
const char* op_name(uint8_t code);

}  // namespace moproc::formats
