// Decodes WebP with libwebp: lossy, lossless, with alpha, and of an animation the first frame, on a black canvas.
// Surprising: pixels without opacity keep the colours that the file gives them, because Pillow's conversion to RGB
// only drops alpha.
#include "decode.h"

#if MOPROC_WEBP

#include <algorithm>
#include <memory>

#include <webp/decode.h>
#include <webp/demux.h>

namespace moproc::data {
namespace {

const char* webp_error(VP8StatusCode status) {
  switch (status) {
    case VP8_STATUS_OUT_OF_MEMORY: return "WebP: not enough memory";
    case VP8_STATUS_UNSUPPORTED_FEATURE: return "WebP: a feature that libwebp does not support";
    case VP8_STATUS_SUSPENDED:
    case VP8_STATUS_NOT_ENOUGH_DATA: return "WebP: the picture's data end early (truncated file)";
    default: return "WebP: the picture's data are damaged";
  }
}

/// Whether the file is shorter than its RIFF header says.
bool is_shorter_than_riff(std::span<const std::uint8_t> b) {
  const std::uint64_t riff = b[4] | b[5] << 8 | b[6] << 16 | static_cast<std::uint64_t>(b[7]) << 24;
  return riff + 8 > b.size();
}

}  // namespace

void decode_webp(std::span<const std::uint8_t> bytes, Image& out, const DecodeLimits& limits) {
  if (bytes.size() < 12 || is_shorter_than_riff(bytes))
    throw ImageError("WebP: the picture's data end early (truncated file)");
  const WebPData file{bytes.data(), bytes.size()};
  const std::unique_ptr<WebPDemuxer, decltype(&WebPDemuxDelete)> parts(WebPDemux(&file), WebPDemuxDelete);
  if (!parts) throw ImageError("WebP: the file's structure is damaged");
  const std::uint32_t width = WebPDemuxGetI(parts.get(), WEBP_FF_CANVAS_WIDTH);
  const std::uint32_t height = WebPDemuxGetI(parts.get(), WEBP_FF_CANVAS_HEIGHT);
  check_size(width, height, limits);
  WebPIterator frame;
  if (!WebPDemuxGetFrame(parts.get(), 1, &frame)) throw ImageError("WebP: the file has no picture");
  const std::unique_ptr<WebPIterator, decltype(&WebPDemuxReleaseIterator)> release(&frame, WebPDemuxReleaseIterator);
  WebPDecoderConfig config;
  if (!WebPInitDecoderConfig(&config)) throw ImageError("WebP: libwebp has another version than its headers");
  if (const VP8StatusCode status = WebPGetFeatures(frame.fragment.bytes, frame.fragment.size, &config.input);
      status != VP8_STATUS_OK)
    throw ImageError(webp_error(status));
  const auto inside = [](int offset, int extent, std::uint32_t whole) {
    return offset >= 0 && extent > 0 && static_cast<std::uint64_t>(offset) + extent <= whole;
  };
  if (config.input.width != frame.width || config.input.height != frame.height ||
      !inside(frame.x_offset, frame.width, width) || !inside(frame.y_offset, frame.height, height))
    throw ImageError("WebP: the first frame does not fit the picture");
  out.reset(static_cast<int>(width), static_cast<int>(height));
  std::fill_n(out.data(), out.count(), 0u);
  config.output.colorspace = MODE_RGBA;
  config.output.is_external_memory = 1;
  config.output.u.RGBA.rgba = reinterpret_cast<std::uint8_t*>(out.row(frame.y_offset) + frame.x_offset);
  config.output.u.RGBA.stride = out.width() * 4;
  config.output.u.RGBA.size = static_cast<std::size_t>(out.width()) * 4 * (frame.height - 1) + frame.width * 4u;
  const VP8StatusCode status = WebPDecode(frame.fragment.bytes, frame.fragment.size, &config);
  WebPFreeDecBuffer(&config.output);
  if (status != VP8_STATUS_OK) throw ImageError(webp_error(status));
}

}  // namespace moproc::data

#endif
