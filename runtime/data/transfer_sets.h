// The two data sets of low-shot transfer as they are unpacked: PASCAL VOC 2007 and Places205.
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
  std::vector<std::int8_t> presence;  // (images, 20): 1 there, -1 not there, 0 there but hard to see ("difficult")
  std::int8_t at(std::size_t image, std::size_t c) const { return presence[image * kVocClasses.size() + c]; }
};

// Images of `set` ("trainval", "test"), in the order of the first class's list,
// FOLDER/VOCdevkit/VOC2007/ImageSets/Main/CLASS_SET.txt with lines `NAME PRESENCE`. Throws DatasetError: no such
// folder, lists that do not name the same images, another presence.
VocSet read_voc2007(const std::string& folder, const std::string& set);

// Images of `set` ("train", "val") from FOLDER/trainvalsplit_places205/SET_places205.csv, lines `PATH LABEL` with a
// label in 0..204; they lie below data/vision/torralba/deeplearning/images256. Throws DatasetError.
Dataset read_places205(const std::string& folder, const std::string& set);

inline constexpr int kPlacesClasses = 205;

}  // namespace moproc::data
