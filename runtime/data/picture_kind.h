// Kinds of picture files: by a file's first bytes, which decide how it is decoded, and by its name, which decides
// whether it is an image of a folder at all.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace moproc::data {

// What the first bytes of a file say about it.
struct PictureKind {
  const char* name;  // as it is written in messages: "JPEG", "TIFF", "HTML"
  bool picture;      // false: something that is no picture, such as the HTML page of an error
};

// The kind of a file, or null if the bytes are of no known kind. 1,024 bytes are enough.
const PictureKind* sniff(std::span<const std::uint8_t> bytes);

// The kinds that this program decodes: JPEG and PNG, and WebP and GIF if their libraries were there when it was built.
const std::vector<std::string>& decoded_kinds();
bool is_decoded(std::string_view kind);
// "JPEG, PNG, WebP or GIF"
std::string decoded_kinds_text(const char* conjunction);

// The usual ending of files of a kind, without a dot; "jpg" for null.
std::string ending_of(const PictureKind* kind);

// Whether a file of this name is an image of a folder: torchvision's IMG_EXTENSIONS and the endings of the other
// formats of the web and of cameras, in any case.
bool is_image_name(std::string_view name);

// Numbers of files by kind.
using KindCounts = std::map<std::string, std::size_t>;
// "12 TIFF files and 3 HEIC files are not read: convert them to JPEG or PNG"; "" if there are none. The largest first.
std::string unread_text(const KindCounts& counts);

}  // namespace moproc::data
