// Decodes JPEG with libjpeg(-turbo), with Pillow's settings: accurate integer DCT and smooth chroma upsampling.
// Surprising: if data ends early, libjpeg only warns and paints the rest grey; here those warnings are errors. Errors
// leave libjpeg by longjmp, so decode_into() owns nothing that needs a destructor.
#include <csetjmp>
#include <cstdio>
#include <cstring>

#include <jpeglib.h>

#include <jerror.h>

#include "decode.h"

namespace moproc::data {
namespace {

struct ErrorManager {
  jpeg_error_mgr base;  // must be first: libjpeg passes a pointer to it
  std::jmp_buf jump;
  bool header_read;
  char message[JMSG_LENGTH_MAX];
};

struct Progress {
  jpeg_progress_mgr base;  // must be first, as above
  int max_scans;
  bool seen[MAX_COMPONENTS];
};

[[noreturn]] void leave(j_common_ptr cinfo) {
  auto* error = reinterpret_cast<ErrorManager*>(cinfo->err);
  cinfo->err->format_message(cinfo, error->message);
  std::longjmp(error->jump, 1);
}

[[noreturn]] void leave_with(j_common_ptr cinfo, const char* message) {
  auto* error = reinterpret_cast<ErrorManager*>(cinfo->err);
  std::snprintf(error->message, sizeof error->message, "%s", message);
  std::longjmp(error->jump, 1);
}

// Whether libjpeg makes up some pixels after this warning. It does not for stray bytes between segments or odd headers.
bool loses_pixels(j_common_ptr cinfo) {
  switch (cinfo->err->msg_code) {
    case JWRN_HIT_MARKER:  // data of a scan ends early
    case JWRN_HUFF_BAD_CODE:
    case JWRN_ARITH_BAD_CODE:
    case JWRN_MUST_RESYNC:  // a restart interval is missing
      return true;
    case JWRN_JPEG_EOF:  // In a single scan the entropy decoder reads ahead, so the file may be complete; if it is
                         // not, JWRN_HIT_MARKER follows. Between scans no other warning follows.
      return jpeg_has_multiple_scans(reinterpret_cast<j_decompress_ptr>(cinfo));
    default: return false;
  }
}

void on_message(j_common_ptr cinfo, int level) {
  if (level >= 0) return;
  if (cinfo->err->msg_code == JWRN_JPEG_EOF && !reinterpret_cast<ErrorManager*>(cinfo->err)->header_read) {
    leave_with(cinfo, "the file ends before its picture begins (truncated file)");
  }
  if (!loses_pixels(cinfo)) return;
  const bool cut = cinfo->err->msg_code == JWRN_HIT_MARKER || cinfo->err->msg_code == JWRN_JPEG_EOF;
  if (cut) leave_with(cinfo, "the picture's data end early (truncated file)");
  leave(cinfo);
}

// Called while a multi-scan file is read: notes which components were read, and stops files with too many scans.
void on_progress(j_common_ptr common) {
  auto* cinfo = reinterpret_cast<j_decompress_ptr>(common);
  auto* progress = reinterpret_cast<Progress*>(common->progress);
  if (cinfo->input_scan_number > progress->max_scans) leave_with(common, "too many scans");
  for (int i = 0; i < cinfo->comps_in_scan; ++i) {
    progress->seen[cinfo->cur_comp_info[i]->component_index] = true;
  }
}

// Converts CMYK to RGB like Pillow, which takes every 4-component file as inverted, with or without Adobe's marker.
void cmyk_to_rgb(std::uint32_t* row, int width) {
  const auto shade = [](int ink, int light) {
    const int t = ink * light + 128;
    return light - ((t + (t >> 8)) >> 8);
  };
  for (int x = 0; x < width; ++x) {
    std::uint8_t c[4];
    std::memcpy(c, row + x, 4);
    const int light = c[3];
    row[x] = pixel(shade(255 - c[0], light), shade(255 - c[1], light), shade(255 - c[2], light));
  }
}

void choose_output(jpeg_decompress_struct& cinfo) {
  auto* common = reinterpret_cast<j_common_ptr>(&cinfo);
  switch (cinfo.num_components) {
    case 1:
    case 3: cinfo.out_color_space = JCS_EXT_RGBX; break;
    case 4: cinfo.out_color_space = JCS_CMYK; break;
    default: leave_with(common, "a JPEG with neither 1, 3 nor 4 components");
  }
}

// Nothing in here may need a destructor: see the top. On an error, returns false with error.message set.
bool decode_into(std::span<const std::uint8_t> bytes, Image& out, const DecodeLimits& limits, ErrorManager& error) {
  jpeg_decompress_struct cinfo{};
  Progress progress{};
  cinfo.err = jpeg_std_error(&error.base);
  error.base.error_exit = leave;
  error.base.emit_message = on_message;
  if (setjmp(error.jump)) {
    jpeg_destroy_decompress(&cinfo);
    return false;
  }
  jpeg_create_decompress(&cinfo);
  progress.base.progress_monitor = on_progress;
  progress.max_scans = limits.max_scans;
  cinfo.progress = &progress.base;
  jpeg_mem_src(&cinfo, const_cast<unsigned char*>(bytes.data()), bytes.size());
  jpeg_read_header(&cinfo, TRUE);
  error.header_read = true;
  if (cinfo.image_width == 0 || cinfo.image_height == 0 || cinfo.image_width > limits.max_pixels / cinfo.image_height) {
    std::snprintf(error.message, sizeof error.message, "%u x %u pixels, the limit is %llu in all", cinfo.image_width,
                  cinfo.image_height, static_cast<unsigned long long>(limits.max_pixels));
    std::longjmp(error.jump, 1);
  }
  choose_output(cinfo);
  jpeg_start_decompress(&cinfo);
  for (int i = 0; jpeg_has_multiple_scans(&cinfo) && i < cinfo.num_components; ++i) {
    if (!progress.seen[i]) leave_with(reinterpret_cast<j_common_ptr>(&cinfo), "a colour component is missing");
  }
  const int width = static_cast<int>(cinfo.output_width);
  out.reset(width, static_cast<int>(cinfo.output_height));
  while (cinfo.output_scanline < cinfo.output_height) {
    JSAMPROW rows[8];
    const int first = static_cast<int>(cinfo.output_scanline);
    const int wanted = out.height() - first < 8 ? out.height() - first : 8;
    for (int i = 0; i < wanted; ++i) rows[i] = reinterpret_cast<JSAMPROW>(out.row(first + i));
    jpeg_read_scanlines(&cinfo, rows, static_cast<JDIMENSION>(wanted));
  }
  if (cinfo.out_color_space == JCS_CMYK) {
    for (int y = 0; y < out.height(); ++y) cmyk_to_rgb(out.row(y), width);
  }
  jpeg_destroy_decompress(&cinfo);  // jpeg_finish would require an end marker, even if the picture is complete
  return true;
}

}  // namespace

void decode_jpeg(std::span<const std::uint8_t> bytes, Image& out, const DecodeLimits& limits) {
  ErrorManager error{};
  if (!decode_into(bytes, out, limits, error)) throw ImageError(error.message);
}

}  // namespace moproc::data
