// The verbs of moproc-data. Each takes the arguments after the verb and returns the exit status. Bad use and bad input
// throw exceptions, which main() prints (status 2).
#pragma once

#include <string>
#include <vector>

namespace moproc::tools {

using Args = std::vector<std::string>;

int run_sample(const Args& args);         // writes a WebVision folder of drawn scenes
int run_verify_pixels(const Args& args);  // compares pixel operations with a folder of reference pictures
int run_check(const Args& args);          // decodes every file of a data folder and reports what is wrong
int run_pack(const Args& args);           // writes a data folder as tar shards
int run_pixels(const Args& args);         // writes images as raw bytes after the test transform
int run_thumbnails(const Args& args);     // writes small JPEG files of named images
int run_images(const Args& args);         // prints the paths of the images of a folder
int run_formats(const Args& args);        // prints the formats of image files that are read
int run_bench(const Args& args);          // measures decoding and augmentation

}  // namespace moproc::tools
