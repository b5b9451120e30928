// Decodes the first frame of a GIF file with giflib, on the canvas that Pillow gives it: outside of the frame is the
// transparent colour if there is one, otherwise colour 0 of the frame's palette; a frame that is larger than the screen
// enlarges it. Surprising: giflib reads line by line here, because DGifSlurp would keep all frames in memory.
#include "decode.h"

#if MOPROC_GIF

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>

#include <gif_lib.h>

namespace moproc::data {
namespace {

struct GifBytes {
  const std::uint8_t* at;
  std::size_t left;
  bool ended;
};

/// giflib's input. At the end of a file without the block that ends a picture it supplies that block once, because a
/// picture that is complete then needs nothing else. Anything longer cannot be made up.
int read_gif(GifFileType* gif, GifByteType* to, int size) {
  auto* source = static_cast<GifBytes*>(gif->UserData);
  const auto wanted = static_cast<std::size_t>(size);
  if (source->left == 0 && wanted == 1 && !source->ended) {
    source->ended = true;
    *to = 0;
    return 1;
  }
  const std::size_t got = std::min(wanted, source->left);
  std::memcpy(to, source->at, got);
  source->at += got;
  source->left -= got;
  return static_cast<int>(got);
}

[[noreturn]] void gif_error(int error) {
  switch (error) {
    case D_GIF_ERR_READ_FAILED:
    case D_GIF_ERR_EOF_TOO_SOON: throw ImageError("GIF: the picture's data end early (truncated file)");
    case D_GIF_ERR_NOT_ENOUGH_MEM: throw ImageError("GIF: not enough memory");
    default: throw ImageError("GIF: the picture's data are damaged");
  }
}

/// The colours of all 256 indices. Indices beyond the palette are black. A palette that is the start of the grey ramp
/// stands for the whole ramp, and so does no palette.
std::array<std::uint32_t, 256> colours(const ColorMapObject* map) {
  std::array<std::uint32_t, 256> table{};
  bool ramp = true;
  for (int i = 0; map && i < std::min(map->ColorCount, 256); ++i) {
    const GifColorType& c = map->Colors[i];
    table[static_cast<std::size_t>(i)] = pixel(c.Red, c.Green, c.Blue);
    ramp = ramp && table[static_cast<std::size_t>(i)] == pixel(i, i, i);
  }
  for (int i = 0; ramp && i < 256; ++i) table[static_cast<std::size_t>(i)] = pixel(i, i, i);
  return table;
}

/// Goes to the first picture. Returns the index of the transparent colour, or -1.
int find_picture(GifFileType* gif, const GifBytes& source) {
  int transparent = -1;
  for (;;) {
    GifRecordType type;
    if (DGifGetRecordType(gif, &type) != GIF_OK) {
      if (source.ended) throw ImageError("GIF: the file ends before its picture begins (truncated file)");
      gif_error(gif->Error);
    }
    if (type == TERMINATE_RECORD_TYPE) throw ImageError("GIF: the file has no picture");
    if (type == IMAGE_DESC_RECORD_TYPE) {
      if (DGifGetImageDesc(gif) != GIF_OK) gif_error(gif->Error);
      return transparent;
    }
    if (type != EXTENSION_RECORD_TYPE) continue;
    int code = 0;
    GifByteType* block = nullptr;
    if (DGifGetExtension(gif, &code, &block) != GIF_OK) gif_error(gif->Error);
    if (code == GRAPHICS_EXT_FUNC_CODE && block && block[0] >= 4 && (block[1] & 1)) transparent = block[4];
    while (block)
      if (DGifGetExtensionNext(gif, &block) != GIF_OK) gif_error(gif->Error);
  }
}

}  // namespace

void decode_gif(std::span<const std::uint8_t> bytes, Image& out, const DecodeLimits& limits) {
  GifBytes source{bytes.data(), bytes.size(), false};
  int error = 0;
  const auto close = [](GifFileType* gif) { DGifCloseFile(gif, nullptr); };
  const std::unique_ptr<GifFileType, decltype(close)> file(DGifOpen(&source, read_gif, &error), close);
  GifFileType* const gif = file.get();
  if (!gif) gif_error(error == D_GIF_ERR_NO_SCRN_DSCR ? D_GIF_ERR_READ_FAILED : error);
  const int transparent = find_picture(gif, source);
  const GifImageDesc& frame = gif->Image;
  if (frame.Width <= 0 || frame.Height <= 0) throw ImageError("GIF: an empty picture");
  const int width = std::max<int>(gif->SWidth, frame.Left + frame.Width);
  const int height = std::max<int>(gif->SHeight, frame.Top + frame.Height);
  check_size(static_cast<std::uint64_t>(width), static_cast<std::uint64_t>(height), limits);
  const auto table = colours(frame.ColorMap ? frame.ColorMap : gif->SColorMap);
  out.reset(width, height);
  std::fill_n(out.data(), out.count(), table[static_cast<std::size_t>(std::max(transparent, 0))]);
  std::vector<GifPixelType> line(static_cast<std::size_t>(frame.Width));
  struct Pass {
    int first, step;
  };
  static constexpr Pass interlaced[] = {{0, 8}, {4, 8}, {2, 4}, {1, 2}}, plain[] = {{0, 1}};
  for (const Pass& pass : frame.Interlace ? std::span<const Pass>(interlaced) : std::span<const Pass>(plain))
    for (int y = pass.first; y < frame.Height; y += pass.step) {
      if (DGifGetLine(gif, line.data(), frame.Width) != GIF_OK) gif_error(gif->Error);
      std::uint32_t* const to = out.row(frame.Top + y) + frame.Left;
      for (int x = 0; x < frame.Width; ++x) to[x] = table[line[static_cast<std::size_t>(x)]];
    }
}

}  // namespace moproc::data

#endif
