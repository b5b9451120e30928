// The convolution templates in the emulator against naive convolutions in f64: shapes that no tile divides, strides,
// groups, prologues, epilogues with sums and moments, all three ways to multiply.
#include "native/cuda/conv_kernels.h"

namespace {
using namespace moproc;
using namespace moproc::test;

using Small = Tiles<64, 32, 32, 3, 128>;
using Deep = Tiles<64, 64, 64, 4, 128>;
using Wide = Tiles<128, 128, 64, 2, 256>;

TEST("fprop 1x1: groups, runs of tiles, moments") {
  for (const int64_t groups : {1, 2, 4})
    for (const int64_t run : {1, 3})
      check_fprop<Shape<16, 9, 7, 24, 1, 1, 0>, Small, Bf16, Pre::Plain, Post::Moments>(8, groups, run);
}
TEST("fprop 1x1: prologue, all tails") {
  check_fprop<Shape<40, 5, 5, 72, 1, 1, 0>, Deep, Bf16, Pre::AffineRelu, Post::Moments>(4, 2, 2);
}
TEST("fprop 1x1, stride 2: prologue with a value of the row") {
  check_fprop<Shape<24, 7, 9, 40, 1, 2, 0>, Small, Bf16, Pre::Row, Post::MaskSums>(4, 2, 1);
}
TEST("fprop 3x3: plain") { check_fprop<Shape<64, 6, 5, 64, 3, 1, 1>, Deep, Bf16, Pre::Plain, Post::Plain>(3, 1, 1); }
TEST("fprop 3x3, stride 2, odd sizes: border taps stay zero after the prologue") {
  check_fprop<Shape<8, 9, 7, 72, 3, 2, 1>, Small, Bf16, Pre::AffineRelu, Post::Moments>(4, 4, 2);
}
TEST("fprop 3x3: tiles of 128 x 128 in two stages") {
  check_fprop<Shape<32, 8, 8, 136, 3, 1, 1>, Wide, Bf16, Pre::AffineRelu, Post::MaskSums>(3, 1, 2);
}
TEST("fprop 7x7 of an image of 4 channels, in pairs of pixels") {
  check_fprop<Shape<4, 11, 14, 16, 7, 2, 3, 3>, Small, Bf16, Pre::Plain, Post::Moments>(2, 2, 1);
}
TEST("fprop 7x7 of an image of 8 channels, odd width") {
  check_fprop<Shape<8, 12, 9, 8, 7, 2, 3, 3>, Small, Bf16, Pre::Plain, Post::Plain>(2, 1, 1);
}
TEST("fprop in tf32 and in three tf32 products") {
  check_fprop<Shape<24, 5, 6, 40, 3, 1, 1>, Small, Tf32, Pre::AffineRelu, Post::Moments>(2, 1, 2);
  check_fprop<Shape<24, 5, 6, 40, 3, 1, 1>, Small, Tf32x3, Pre::Plain, Post::Moments>(2, 2, 2);
  check_fprop<Shape<4, 9, 12, 16, 7, 2, 3, 3>, Small, Tf32x3, Pre::Plain, Post::Plain>(1, 1, 1);
}

TEST("dgrad 1x1: groups, sums") {
  for (const int64_t groups : {1, 2, 4})
    check_dgrad<Shape<24, 7, 5, 40, 1, 1, 0>, Small, Bf16, Pre::Plain, Post::MaskSums>(8, groups, 2);
}
TEST("dgrad 1x1, stride 2: pixels without taps get the epilogue of 0") {
  check_dgrad<Shape<72, 7, 9, 24, 1, 2, 0>, Deep, Bf16, Pre::Row, Post::MaskSums>(2, 1, 1);
}
TEST("dgrad 3x3: prologue") {
  check_dgrad<Shape<40, 6, 5, 16, 3, 1, 1>, Small, Bf16, Pre::AffineRelu, Post::Plain>(3, 1, 1);
}
TEST("dgrad 3x3, stride 2, odd and even sizes") {
  check_dgrad<Shape<64, 9, 8, 64, 3, 2, 1>, Deep, Bf16, Pre::Plain, Post::MaskSums>(4, 2, 2);
  check_dgrad<Shape<16, 8, 7, 8, 3, 2, 1>, Small, Bf16, Pre::AffineRelu, Post::MaskSums>(4, 4, 3);
}
TEST("dgrad 7x7, stride 2") {
  check_dgrad<Shape<8, 11, 12, 24, 7, 2, 3>, Small, Bf16, Pre::Plain, Post::Plain>(2, 1, 1);
}
TEST("dgrad with tiles of 128 x 128 in two stages") {
  check_dgrad<Shape<136, 8, 8, 64, 3, 1, 1>, Wide, Bf16, Pre::Plain, Post::MaskSums>(3, 1, 2);
}
TEST("dgrad in tf32 and in three tf32 products") {
  check_dgrad<Shape<24, 5, 6, 40, 3, 2, 1>, Small, Tf32, Pre::AffineRelu, Post::MaskSums>(2, 1, 1);
  check_dgrad<Shape<24, 5, 6, 40, 3, 1, 1>, Small, Tf32x3, Pre::Plain, Post::MaskSums>(2, 2, 2);
}

TEST("wgrad 1x1: groups and splits") {
  for (const int64_t groups : {1, 2, 4})
    for (const int64_t splits : {1, 3})
      check_wgrad<Shape<24, 9, 7, 40, 1, 1, 0>, Small, Bf16, Pre::Plain, Pre::Plain>(8, groups, splits);
}
TEST("wgrad 1x1: prologues of both, all tails") {
  check_wgrad<Shape<72, 5, 5, 72, 1, 1, 0>, Deep, Bf16, Pre::AffineRelu, Pre::Row>(4, 2, 2);
}
TEST("wgrad 1x1, stride 2: prologue of x") {
  check_wgrad<Shape<16, 7, 9, 24, 1, 2, 0>, Small, Bf16, Pre::Plain, Pre::AffineRelu>(4, 1, 2);
}
TEST("wgrad 3x3: prologue of dy, border taps stay zero") {
  check_wgrad<Shape<24, 6, 5, 64, 3, 1, 1>, Small, Bf16, Pre::Row, Pre::AffineRelu>(3, 3, 2);
}
TEST("wgrad 3x3, stride 2, odd sizes") {
  check_wgrad<Shape<40, 9, 7, 8, 3, 2, 1>, Deep, Bf16, Pre::Plain, Pre::Plain>(4, 1, 5);
}
TEST("wgrad 3x3: tiles of 64 x 192 and of 128 x 128") {
  check_wgrad<Shape<64, 7, 7, 64, 3, 1, 1>, Tiles<64, 192, 32, 3, 192>, Bf16, Pre::Plain, Pre::Plain>(4, 1, 1);
  check_wgrad<Shape<32, 7, 7, 136, 3, 1, 1>, Wide, Bf16, Pre::AffineRelu, Pre::Plain>(4, 2, 1);
}
TEST("wgrad 7x7 of images of 4 and 8 channels: 3 are the weights'") {
  check_wgrad<Shape<4, 11, 14, 16, 7, 2, 3, 3>, Small, Bf16, Pre::Plain, Pre::Plain>(2, 2, 1);
  check_wgrad<Shape<4, 11, 14, 16, 7, 2, 3, 3>, Small, Bf16, Pre::Plain, Pre::Plain>(2, 1, 1);
  check_wgrad<Shape<8, 12, 9, 8, 7, 2, 3, 3>, Small, Bf16, Pre::AffineRelu, Pre::Plain>(2, 1, 2);
}
TEST("wgrad in tf32 and in three tf32 products") {
  check_wgrad<Shape<24, 5, 6, 40, 3, 2, 1>, Small, Tf32, Pre::AffineRelu, Pre::AffineRelu>(2, 1, 2);
  check_wgrad<Shape<24, 5, 6, 40, 3, 1, 1>, Small, Tf32x3, Pre::Plain, Pre::Plain>(2, 2, 1);
}

}  // namespace

int main(int argc, char** argv) { return moproc::test::run(argc, argv); }
