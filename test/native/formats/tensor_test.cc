// Bounds of views, and the copy to row-major order, against a plain loop over indices.
#include <algorithm>
#include <numeric>

#include "core/layout.h"
#include "formats/bytes.h"
#include "formats/crc32.h"
#include "formats/tensor.h"
#include "tap.h"

using namespace moproc;
using namespace moproc::formats;

namespace {

constexpr int64_t kLarge = INT64_MAX;

template <class T>
void check_copy(DType dtype) {
  std::vector<T> storage(500);
  std::iota(storage.begin(), storage.end(), T{0});
  const ByteSpan bytes = std::as_bytes(std::span(storage));
  const struct {
    std::vector<int64_t> shape, strides;
    int64_t offset;
  } cases[] = {{{}, {}, 7},
               {{5}, {1}, 0},
               {{5}, {3}, 2},
               {{4, 5}, {5, 1}, 0},
               {{4, 5}, {1, 4}, 3},
               {{2, 3, 4}, {0, 7, 2}, 1},
               {{3, 0, 2}, {9, 9, 9}, 500},
               {{1, 4}, {kLarge, 1}, 9},
               {{2, 3, 1, 4}, {12, 1, kLarge, 3}, 5}};
  for (const auto& c : cases) {
    CHECK_EQ(view_fault(dtype, c.shape, c.strides, c.offset, 500), "");
    const Tensor t{dtype, c.shape, c.strides, c.offset, bytes};
    std::vector<T> want;
    for (int64_t i = 0; i < t.elements(); ++i) {
      int64_t rest = i, at = c.offset;
      for (size_t d = c.shape.size(); d-- > 0; rest /= c.shape[d])
        if (c.shape[d] > 1) at += rest % c.shape[d] * c.strides[d];
      want.push_back(storage[static_cast<size_t>(at)]);
    }
    std::vector<T> got(want.size());
    copy_row_major(t, std::as_writable_bytes(std::span(got)));
    CHECK(got == want);
    std::vector<std::byte> buffer;
    const ByteSpan view = row_major_bytes(t, buffer);
    CHECK(std::ranges::equal(view, std::as_bytes(std::span(want))));
    CHECK(!t.row_major() || view.empty() || view.data() != buffer.data());
  }
}

}  // namespace

TEST("tensor: any strides are copied in row-major order") {
  check_copy<uint8_t>(DType::u8);
  check_copy<uint16_t>(DType::bf16);
  check_copy<uint32_t>(DType::f32);
  check_copy<uint64_t>(DType::i64);
}

TEST("tensor: views that leave their storage have a fault, and no arithmetic overflows on the way") {
  const struct {
    std::vector<int64_t> shape, strides;
    int64_t offset;
    const char* says;
  } bad[] = {{{4}, {1, 1}, 0, "differ in number"},
             {{-1}, {1}, 0, "negative or too large"},
             {{kLarge, 2}, {0, 0}, 0, "negative or too large"},
             {{kLarge, kLarge, 0}, {0, 0, 0}, 0, "negative or too large"},
             {{4}, {-1}, 3, "are negative"},
             {{4}, {1}, -1, "its offset -1"},
             {{4}, {1}, 11, "its offset 11"},
             {{4}, {1}, 7, "reach element 10 of a storage of 10"},
             {{4}, {3}, 1, "reach element 10"},
             {{2, 2}, {9, 1}, 0, "reach element 10"},
             {{3}, {kLarge}, 0, "too large"},
             {{2, 2}, {kLarge, kLarge}, 0, "too large"},
             {{2}, {kLarge}, 1, "too large"}};
  for (const auto& c : bad) {
    const std::string fault = view_fault(DType::f32, c.shape, c.strides, c.offset, 10);
    if (fault.find(c.says) == std::string::npos)
      moproc::test::note(false, __FILE__, __LINE__, "'" + fault + "' lacks " + c.says);
  }
  CHECK_EQ(view_fault(DType::f32, {4}, {3}, 0, 10), "");
  CHECK_EQ(view_fault(DType::f32, {0}, {kLarge}, 10, 10), "");
}

TEST("crc32: the check value of the polynomial, in any pieces") {
  const std::string digits = "123456789";
  CHECK_EQ(crc32(0, as_bytes(digits)), 0xcbf43926u);
  std::string text;
  for (int i = 0; i < 1000; ++i) text += static_cast<char>(i * 7 + i / 256);
  uint32_t plain = ~0u;
  for (const char c : text) {
    plain ^= static_cast<uint8_t>(c);
    for (int bit = 0; bit < 8; ++bit) plain = (plain >> 1) ^ (plain & 1 ? 0xedb88320u : 0);
  }
  for (const size_t cut : {0, 1, 15, 16, 17, 500, 1000})
    CHECK_EQ(crc32(crc32(0, as_bytes(text).subspan(0, cut)), as_bytes(text).subspan(cut)), ~plain);
}

TEST("utf-8: RFC 3629's borders") {
  for (const char* good : {"", "a", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80",
                           "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"})
    CHECK(is_utf8(good));
  for (const char* bad : {"\x80", "\xc0\x80", "\xc1\xbf", "\xc2", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xe1\x80",
                          "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "\xe1\x80\x41"})
    CHECK(!is_utf8(bad));
  CHECK_EQ(in_quotes("a\nb\x1b[0m\xc3\xa9"),
           "'a?b?[0m?"
           "?'");
  CHECK_EQ(shown(std::string(500, 'x')).size(), size_t{123});
}
