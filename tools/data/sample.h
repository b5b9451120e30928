// Writes folders of drawn scenes, as JPEG files, in the layouts of the data sets that the commands read.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace moproc::tools {

struct SampleOptions {
  std::string out;
  std::string layout = "webvision";  // or "imagenet", "voc", "places"
  int classes = 10;
  int images = 4000;  // training images, out-of-class ones included
  int val = 1000;
  int size = 64;           // shorter side, pixels
  double noise = 0.4;      // share of in-class training images with a wrong label
  double ood = 0.1;        // share of training images that show none of the classes
  double variation = 0.5;  // how much position, scale, tilt and clutter vary, 0..1
  std::uint64_t seed = 1;
  int threads = 0;  // 0: as many as the machine has cores; the files do not depend on it
};

// The numbers of what was written.
struct SampleSummary {
  int images = 0;
  int wrong = 0;
  int out_of_class = 0;
  int val = 0;
  int classes = 0;
};

// Writes the folder. WebVision's layout has wrong labels, out-of-class images, a clean validation set and the truth:
// info/{train_filelist_google,train_filelist_flickr,val_filelist,synsets,queries_synsets_map}.txt,
// google/qNNNN/, flickr/qNNNN/, val_images_256/ and truth.json:
//   {"format": "moproc-sample-1", "classes": [names], "options": {...},
//    "train": {"google/q0001/000000.jpg": true class, or null if no class is shown, ...}}
// The other layouts have only right labels, `images` training images and `val` test images:
// imagenet: train/n00000001/, val/n00000001/, ..., one folder per class;
// voc: VOCdevkit/VOC2007/{JPEGImages,ImageSets/Main}: one or two objects of 20 classes per image, some of them
// difficult; places: 205 classes, each a pair of objects, listed in trainvalsplit_places205/. Everything is written to
// OUT.partial, which is renamed to OUT at the end, and removed if an error occurs. progress(done, all) is called from
// one thread at a time and may throw to stop. Throws std::runtime_error naming the path, also if OUT exists and is not
// empty.
SampleSummary write_sample(const SampleOptions& options, const std::function<void(int, int)>& progress);

}  // namespace moproc::tools
