// Encodes with libjpeg. Errors leave libjpeg by longjmp, so compress() owns nothing with a destructor.
#include <csetjmp>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>

#include <jpeglib.h>

#include "encode_jpeg.h"

namespace moproc::tools {
namespace {

struct ErrorManager {
  jpeg_error_mgr base;  // must be first: libjpeg passes a pointer to it
  std::jmp_buf jump;
  char message[JMSG_LENGTH_MAX];
};

[[noreturn]] void leave(j_common_ptr cinfo) {
  auto* error = reinterpret_cast<ErrorManager*>(cinfo->err);
  cinfo->err->format_message(cinfo, error->message);
  std::longjmp(error->jump, 1);
}

// Writes the file to *memory, which the caller must free.
bool compress(const std::uint8_t* rgb, int width, int height, int quality, ErrorManager& error, unsigned char** memory,
              unsigned long* size) {
  jpeg_compress_struct cinfo{};
  cinfo.err = jpeg_std_error(&error.base);
  error.base.error_exit = leave;
  if (setjmp(error.jump)) {
    jpeg_destroy_compress(&cinfo);
    return false;
  }
  jpeg_create_compress(&cinfo);
  jpeg_mem_dest(&cinfo, memory, size);
  cinfo.image_width = static_cast<JDIMENSION>(width);
  cinfo.image_height = static_cast<JDIMENSION>(height);
  cinfo.input_components = 3;
  cinfo.in_color_space = JCS_RGB;
  jpeg_set_defaults(&cinfo);
  jpeg_set_quality(&cinfo, quality, TRUE);
  jpeg_start_compress(&cinfo, TRUE);
  while (cinfo.next_scanline < cinfo.image_height) {
    JSAMPROW row = const_cast<JSAMPROW>(rgb + static_cast<std::size_t>(cinfo.next_scanline) * width * 3);
    jpeg_write_scanlines(&cinfo, &row, 1);
  }
  jpeg_finish_compress(&cinfo);
  jpeg_destroy_compress(&cinfo);
  return true;
}

}  // namespace

std::vector<std::uint8_t> encode_jpeg(const std::uint8_t* rgb, int width, int height, int quality) {
  ErrorManager error{};
  unsigned char* memory = nullptr;
  unsigned long size = 0;
  const bool done = compress(rgb, width, height, quality, error, &memory, &size);
  std::vector<std::uint8_t> out;
  if (done) out.assign(memory, memory + size);
  std::free(memory);
  if (!done) throw std::runtime_error(std::string("cannot encode a JPEG: ") + error.message);
  return out;
}

}  // namespace moproc::tools
