// Tables of magic numbers and endings. SVG and HTML are texts without one, so their first words are looked for.
#include "picture_kind.h"

#include <algorithm>
#include <cctype>
#include <cstring>

namespace moproc::data {
namespace {

constexpr PictureKind jpeg{"JPEG", true}, png{"PNG", true}, gif{"GIF", true}, webp{"WebP", true}, bmp{"BMP", true},
    tiff{"TIFF", true}, netpbm{"PPM", true}, avif{"AVIF", true}, heic{"HEIC", true}, jxl{"JPEG XL", true},
    jp2{"JPEG 2000", true}, svg{"SVG", true}, ico{"ICO", true}, psd{"PSD", true}, exr{"OpenEXR", true},
    qoi{"QOI", true}, html{"HTML", false}, xml{"XML", false}, pdf{"PDF", false}, video{"MP4 or QuickTime", false},
    zip{"ZIP", false}, gzip{"gzip", false};

struct Magic {
  std::size_t offset;
  std::string_view bytes;
  const PictureKind* kind;
};

constexpr Magic magics[] = {
    {0, {"\xff\xd8\xff", 3}, &jpeg},
    {0, {"\x89PNG\r\n\x1a\n", 8}, &png},
    {0, {"GIF87a", 6}, &gif},
    {0, {"GIF89a", 6}, &gif},
    {0, {"BM", 2}, &bmp},
    {0, {"II*\0", 4}, &tiff},
    {0, {"MM\0*", 4}, &tiff},
    {0, {"II+\0", 4}, &tiff},
    {0, {"MM\0+", 4}, &tiff},
    {0, {"\xff\x0a", 2}, &jxl},
    {4, {"JXL \r\n\x87\n", 8}, &jxl},
    {4, {"jP  \r\n\x87\n", 8}, &jp2},
    {0, {"\xff\x4f\xff\x51", 4}, &jp2},
    {0, {"\0\0\1\0", 4}, &ico},
    {0, {"8BPS", 4}, &psd},
    {0, {"\x76\x2f\x31\x01", 4}, &exr},
    {0, {"qoif", 4}, &qoi},
    {0, {"%PDF", 4}, &pdf},
    {0, {"PK\3\4", 4}, &zip},
    {0, {"\x1f\x8b", 2}, &gzip},
};

/// The kind of a file of ISO's base media format (ISO/IEC 14496-12), whose "ftyp" box lists its brands.
const PictureKind* of_brands(std::string_view text) {
  const std::size_t size =
      static_cast<std::size_t>(static_cast<unsigned char>(text[2])) << 8 | static_cast<unsigned char>(text[3]);
  const std::string_view brands = text.substr(0, std::max<std::size_t>(size, 12)).substr(8);
  const PictureKind* kind = nullptr;
  for (std::size_t at = 0; at + 4 <= brands.size(); at += 4) {
    const std::string_view brand = brands.substr(at, 4);
    if (brand == "avif" || brand == "avis") return &avif;
    if (brand == "mif1" || brand == "msf1" || brand.starts_with("hei") || brand.starts_with("hev")) kind = &heic;
  }
  return kind ? kind : &video;
}

/// SVG, HTML or other XML, with or without a byte order mark and white space before it.
const PictureKind* of_markup(std::string_view text) {
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  const std::size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos || text[begin] != '<') return nullptr;
  std::string lower(text.substr(begin, 1024));
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (lower.starts_with("<!doctype html") || lower.find("<html") != std::string::npos) return &html;
  if (lower.find("<svg") != std::string::npos) return &svg;
  return lower.starts_with("<?xml") ? &xml : nullptr;
}

}  // namespace

const PictureKind* sniff(std::span<const std::uint8_t> bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  for (const Magic& m : magics)
    if (text.size() > m.offset && text.substr(m.offset).starts_with(m.bytes)) return m.kind;
  if (text.size() >= 12 && text.starts_with("RIFF") && text.substr(8, 4) == "WEBP") return &webp;
  if (text.size() >= 12 && text.substr(4, 4) == "ftyp") return of_brands(text);
  if (text.size() >= 3 && text[0] == 'P' && text[1] >= '1' && text[1] <= '7' && std::isspace(text[2])) return &netpbm;
  return of_markup(text);
}

const std::vector<std::string>& decoded_kinds() {
  static const std::vector<std::string> kinds = {
      "JPEG",
      "PNG",
#if MOPROC_WEBP
      "WebP",
#endif
#if MOPROC_GIF
      "GIF",
#endif
  };
  return kinds;
}

bool is_decoded(std::string_view kind) {
  return std::find(decoded_kinds().begin(), decoded_kinds().end(), kind) != decoded_kinds().end();
}

std::string decoded_kinds_text(const char* conjunction) {
  const std::vector<std::string>& kinds = decoded_kinds();
  std::string text = kinds.front();
  for (std::size_t i = 1; i < kinds.size(); ++i)
    text += (i + 1 < kinds.size() ? ", " : std::string(" ") + conjunction + " ") + kinds[i];
  return text;
}

std::string ending_of(const PictureKind* kind) {
  const std::string_view name = kind ? kind->name : "JPEG";
  if (name == "JPEG") return "jpg";
  if (name == "JPEG XL") return "jxl";
  if (name == "JPEG 2000") return "jp2";
  std::string ending;
  for (const char c : name.substr(0, name.find(' '))) ending += static_cast<char>(std::tolower(c));
  return ending;
}

bool is_image_name(std::string_view name) {
  static constexpr std::string_view endings[] = {
      "jpg", "jpeg", "png", "ppm",  "bmp",  "pgm",  "tif",  "tiff", "webp",  // torchvision's
      "gif", "jfif", "jpe", "apng", "avif", "heic", "heif", "jxl",  "jp2",  "j2k", "svg",
      "ico", "psd",  "pbm", "pnm",  "dib",  "exr",  "qoi",  "dng",  "cr2",  "nef", "arw"};
  const std::size_t dot = name.rfind('.');
  if (dot == std::string_view::npos || dot == 0 || name[dot - 1] == '/') return false;
  std::string ending(name.substr(dot + 1));
  for (char& c : ending) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return std::find(std::begin(endings), std::end(endings), ending) != std::end(endings);
}

std::string unread_text(const KindCounts& counts) {
  if (counts.empty()) return "";
  std::vector<std::pair<std::string, std::size_t>> kinds(counts.begin(), counts.end());
  std::stable_sort(kinds.begin(), kinds.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
  std::string text, libraries;
  std::size_t files = 0;
  for (std::size_t i = 0; i < kinds.size(); ++i) {
    const auto& [kind, count] = kinds[i];
    text += (i == 0                 ? ""
             : i + 1 < kinds.size() ? ", "
                                    : " and ") +
            std::to_string(count) + " " + kind + (count == 1 ? " file" : " files");
    files += count;
    if (kind == "WebP" || kind == "GIF") libraries += kind == "WebP" ? " libwebp-dev" : " libgif-dev";
  }
  text += files == 1 ? " is not read: convert it to JPEG or PNG" : " are not read: convert them to JPEG or PNG";
  if (!libraries.empty()) text += ", or install" + libraries + " and build moproc's native part again";
  return text;
}

}  // namespace moproc::data
