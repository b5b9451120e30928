// The two data sets of low-shot transfer, PASCAL VOC 2007 and Places205, in their unpacked form.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "dataset.h"

namespace moproc::data {

inline constexpr std::array<std::string_view, 20> kVocClasses = {
    "aeroplane",   "bicycle", "bird",  "boat",      "bottle", "bus",         "car",   "cat",  "chair", "cow",
    "diningtable", "dog",     "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"};

struct VocSet {
  Dataset images;                     // VOCdevkit/VOC2007/JPEGImages/NAME.jpg; their labels are 0
  std::vector<std::int8_t> presence;  // (images, 20): 1 present, -1 absent, 0 present but "difficult"
  std::int8_t at(std::size_t image, std::size_t c) const { return presence[image * kVocClasses.size() + c]; }
};

// The images of `set` ("trainval", "test"), in the order of the first class's list. The list of a class is
// FOLDER/VOCdevkit/VOC2007/ImageSets/Main/CLASS_SET.txt, with lines `NAME PRESENCE`. Throws DatasetError if the folder
// does not exist, the lists do not name the same images, or a presence is not 1, -1 or 0.
VocSet read_voc2007(const std::string& folder, const std::string& set);

// The images of `set` ("train", "val") from FOLDER/trainvalsplit_places205/SET_places205.csv, with lines `PATH LABEL`
// and labels from first_label to first_label + 204, which become 0 to 204. The images are below
// data/vision/torralba/deeplearning/images256. Throws DatasetError. A list without its first label has a note.
Dataset read_places205(const std::string& folder, const std::string& set, int first_label = 0);

inline constexpr int kPlacesClasses = 205;

}  // namespace moproc::data
