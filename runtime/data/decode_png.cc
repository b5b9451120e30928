// Decodes PNG with libpng: drops transparency, and turns palettes and greys into RGB. Pillow has two rules for 16 bits,
// and so has this: values of grey are clipped at 255, and of all other colours the upper 8 bits are taken.
// Surprising: like libjpeg, libpng leaves by longjmp on an error, so decode_into() owns nothing with a destructor.
#include <csetjmp>
#include <cstdio>
#include <cstring>

#include <png.h>

#include "decode.h"

namespace moproc::data {
namespace {

struct Source {
  const std::uint8_t* at;
  std::size_t left;
  char message[256];
};

[[noreturn]] void on_error(png_structp png, png_const_charp message) {
  auto* source = static_cast<Source*>(png_get_error_ptr(png));
  std::snprintf(source->message, sizeof source->message, "PNG: %s", message);
  png_longjmp(png, 1);
}

void on_warning(png_structp, png_const_charp) {}

void on_read(png_structp png, png_bytep to, std::size_t size) {
  auto* source = static_cast<Source*>(png_get_io_ptr(png));
  if (size > source->left) png_error(png, "the picture's data end early (truncated file)");
  std::memcpy(to, source->at, size);
  source->at += size;
  source->left -= size;
}

/// Whether the file holds 16-bit grey without alpha.
bool is_deep_grey(png_structp png, png_infop info) {
  return png_get_bit_depth(png, info) == 16 && png_get_color_type(png, info) == PNG_COLOR_TYPE_GRAY;
}

/// Turns a row of 16-bit big-endian greys, which begins in the row's own memory, into pixels. It works from the end,
/// because a pixel has twice the bytes of a grey.
void clip_row(std::uint32_t* row, int width) {
  const auto* greys = reinterpret_cast<const std::uint8_t*>(row);
  for (int x = width - 1; x >= 0; --x) {
    const int grey = greys[2 * x] ? 255 : greys[2 * x + 1];
    row[x] = pixel(grey, grey, grey);
  }
}

// Converts everything to 8-bit RGB and a filler byte, without gamma or colour management, which Pillow lacks, too.
// 16-bit greys stay as they are.
void choose_transforms(png_structp png, png_infop info) {
  if (is_deep_grey(png, info)) return;
  if (png_get_bit_depth(png, info) == 16) png_set_strip_16(png);
  png_set_expand(png);  // palettes to RGB, greys to 8 bits, tRNS to alpha
  if (png_get_color_type(png, info) == PNG_COLOR_TYPE_GRAY ||
      png_get_color_type(png, info) == PNG_COLOR_TYPE_GRAY_ALPHA) {
    png_set_gray_to_rgb(png);
  }
  if ((png_get_color_type(png, info) & PNG_COLOR_MASK_ALPHA) == 0 && png_get_valid(png, info, PNG_INFO_tRNS) == 0) {
    png_set_filler(png, 255, PNG_FILLER_AFTER);
  }
}

bool decode_into(Source& source, Image& out, const DecodeLimits& limits) {
  png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &source, on_error, on_warning);
  if (png == nullptr) return false;
  png_infop info = png_create_info_struct(png);
  if (info == nullptr || setjmp(png_jmpbuf(png))) {
    png_destroy_read_struct(&png, &info, nullptr);
    return false;
  }
  png_set_read_fn(png, &source, on_read);
  png_read_info(png, info);
  const std::uint64_t width = png_get_image_width(png, info);
  const std::uint64_t height = png_get_image_height(png, info);
  if (width > limits.max_pixels / height) png_error(png, "more pixels than the limit allows");
  choose_transforms(png, info);
  const int passes = png_set_interlace_handling(png);
  const bool deep_grey = is_deep_grey(png, info);
  png_read_update_info(png, info);
  if (png_get_rowbytes(png, info) != width * (deep_grey ? 2 : 4)) png_error(png, "an unexpected row format");
  out.reset(static_cast<int>(width), static_cast<int>(height));
  for (int pass = 0; pass < passes; ++pass) {
    for (int y = 0; y < out.height(); ++y) png_read_row(png, reinterpret_cast<png_bytep>(out.row(y)), nullptr);
  }
  for (int y = 0; deep_grey && y < out.height(); ++y) clip_row(out.row(y), out.width());
  png_destroy_read_struct(&png, &info, nullptr);
  return true;
}

}  // namespace

void decode_png(std::span<const std::uint8_t> bytes, Image& out, const DecodeLimits& limits) {
  Source source{bytes.data(), bytes.size(), "PNG: out of memory"};
  if (!decode_into(source, out, limits)) throw ImageError(source.message);
}

}  // namespace moproc::data
