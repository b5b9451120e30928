// The convolution templates on the path for sm_90a (wgmma, a loading warp group), tested like the other path in
// conv_test.cc.
#include "native/cuda/conv_kernels.h"

namespace {
using namespace moproc;
using namespace moproc::test;

using Narrow = HopperTiles<128, 64, 3, 128>;  // one warp group of workers, two parts each
using Wide = HopperTiles<128, 128, 2, 256>;
using Small = HopperTiles<64, 64, 4, 128>;

TEST("fprop 1x1: groups, runs of tiles, moments") {
  for (const int64_t groups : {1, 2, 4})
    for (const int64_t run : {1, 3})
      check_fprop<Shape<16, 9, 7, 24, 1, 1, 0>, Small, Bf16, Pre::Plain, Post::Moments>(8, groups, run);
}
TEST("fprop 1x1: prologue, all tails") {
  check_fprop<Shape<104, 5, 5, 136, 1, 1, 0>, Wide, Bf16, Pre::AffineRelu, Post::Moments>(12, 2, 2);
}
TEST("fprop 1x1, stride 2: prologue with a value of the row") {
  check_fprop<Shape<24, 7, 9, 40, 1, 2, 0>, Narrow, Bf16, Pre::Row, Post::MaskSums>(16, 2, 1);
}
TEST("fprop 3x3, more stages than slots") {
  check_fprop<Shape<64, 6, 5, 64, 3, 1, 1>, Narrow, Bf16, Pre::Plain, Post::Plain>(9, 1, 2);
}
TEST("fprop 3x3, stride 2, odd sizes: border taps stay zero after the prologue") {
  check_fprop<Shape<8, 9, 7, 72, 3, 2, 1>, Small, Bf16, Pre::AffineRelu, Post::Moments>(4, 4, 2);
}
TEST("fprop 7x7 of an image of 4 channels, in pairs of pixels") {
  check_fprop<Shape<4, 11, 14, 16, 7, 2, 3, 3>, Small, Bf16, Pre::Plain, Post::Moments>(2, 2, 1);
}

TEST("dgrad 1x1: groups, sums") {
  for (const int64_t groups : {1, 2, 4})
    check_dgrad<Shape<24, 7, 5, 40, 1, 1, 0>, Small, Bf16, Pre::Plain, Post::MaskSums>(8, groups, 2);
}
TEST("dgrad 1x1, stride 2: pixels without taps get the epilogue of 0") {
  check_dgrad<Shape<72, 7, 9, 24, 1, 2, 0>, Narrow, Bf16, Pre::Row, Post::MaskSums>(6, 1, 1);
}
TEST("dgrad 3x3: prologue; two blocks of columns in a tile") {
  check_dgrad<Shape<136, 6, 5, 16, 3, 1, 1>, Wide, Bf16, Pre::AffineRelu, Post::MaskSums>(8, 1, 2);
}
TEST("dgrad 3x3, stride 2, odd and even sizes") {
  check_dgrad<Shape<64, 9, 8, 64, 3, 2, 1>, Narrow, Bf16, Pre::Plain, Post::MaskSums>(4, 2, 2);
  check_dgrad<Shape<16, 8, 7, 8, 3, 2, 1>, Small, Bf16, Pre::AffineRelu, Post::MaskSums>(4, 4, 3);
}

TEST("wgrad 1x1: groups and splits") {
  for (const int64_t groups : {1, 2, 4})
    for (const int64_t splits : {1, 3})
      check_wgrad<Shape<24, 9, 7, 40, 1, 1, 0>, Small, Bf16, Pre::Plain, Pre::Plain>(8, groups, splits);
}
TEST("wgrad 1x1: prologues of both, all tails") {
  check_wgrad<Shape<136, 5, 5, 72, 1, 1, 0>, Wide, Bf16, Pre::AffineRelu, Pre::Row>(8, 2, 2);
}
TEST("wgrad 3x3: prologue of x, border taps stay zero") {
  check_wgrad<Shape<24, 6, 5, 64, 3, 1, 1>, Narrow, Bf16, Pre::Plain, Pre::AffineRelu>(6, 3, 2);
}
TEST("wgrad 3x3, stride 2, odd sizes, splits without pixels") {
  check_wgrad<Shape<40, 9, 7, 8, 3, 2, 1>, Small, Bf16, Pre::Plain, Pre::Plain>(4, 1, 5);
}
TEST("wgrad 7x7 of images of 4 channels: 3 are the weights'") {
  check_wgrad<Shape<4, 11, 14, 16, 7, 2, 3, 3>, Small, Bf16, Pre::Plain, Pre::Plain>(2, 2, 1);
}

}  // namespace

int main(int argc, char** argv) { return moproc::test::run(argc, argv); }
