// The programs of the CUDA toy plan, and its images, which are read from files that the build made.
#include "cuda_toy.h"

#include <algorithm>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace moproc::test {
namespace {

constexpr int32_t kShared = 60000;  // more than a kernel gets without asking

std::string bytes_of(const char* path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error(std::string("cannot read ") + path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace

CudaToyPlan::CudaToyPlan(ToySizes sizes) : ToyPlan(sizes) {
  mix_program();
  kernel("toy_wild", nullptr);
  const int losses = tensor("losses", DType::f32, Arena::work, {});
  StepInfo far = launch("far", 7, {losses}, {1});
  far.extent[0] = (arena_bytes(Arena::work) - offset_of(losses)) / 4;
  add_program("wild", {}, {}, {far});
  for (KernelInfo& k : kernels_) k = {k.symbol, k.tmpl, nullptr, 32, 0};
  kernels_[6].shared_bytes = kShared;
  finish("cuda", "emulator");
  for (int i = 0; i < 2; ++i) {
    bytes_[i] = bytes_of(i == 0 ? EMPTY_IMAGE : TOY_IMAGE);
    images_[i] = {reinterpret_cast<const unsigned char*>(bytes_[i].data()), static_cast<int64_t>(bytes_[i].size())};
  }
  plan_.images = {images_, 2};
}

void CudaToyPlan::mix_program() {
  static constexpr float half[] = {0.5f};
  kernel("toy_scale", nullptr), kernel("toy_total", nullptr);
  const int x = tensor("mix.x", DType::f32, Arena::io, {kMix}), scale = tensor("mix.scale", DType::f32, Arena::io, {});
  const int y = tensor("mix/y", DType::f32, Arena::io, {kMix}), total = tensor("mix/total", DType::f32, Arena::io, {});
  const int made = tensor("mix/made", DType::f32, Arena::work, {kMix});
  const int moved = tensor("mix/moved", DType::f32, Arena::work, {kMix});
  const int partials = tensor("mix/partials", DType::f32, Arena::work, {kBlocks});
  const int sums = tensor("encoder_q.bn1.running_var", DType::f32, Arena::state, {7});
  const auto copy = [&](int from, int to) {
    const auto& args = more_indices_.emplace_back(std::vector<int32_t>{from, to});
    return StepInfo{StepKind::copy, "copy", -1, {args.data(), 2}, 0, 0, {}, {nullptr, 0}, 0, 0, 0, {nullptr, 0}};
  };
  StepInfo first = launch("scale", 5, {x, scale, made}, {kBlocks});
  first.extent[0] = kBlock;
  first.scalars = {half, 1};
  StepInfo last = launch("total", 6, {moved, total, sums}, {kBlocks, 0, 1});
  const int64_t extent[] = {kBlock, kBlocks, kShared / 4, 7};
  std::copy_n(extent, 4, last.extent);
  last.workspace = offset_of(partials);
  add_program("mix", {x, scale}, {y, total}, {first, copy(made, moved), last, copy(moved, y)});
}

float CudaToyPlan::mix_total(const std::vector<float>& x, float scale) {
  float total = 0;
  for (int64_t b = 0; b < kBlocks; ++b) {
    float part[32] = {}, sum = 0;
    for (int64_t i = 0; i < kBlock; ++i) part[i % 32] += x[static_cast<size_t>(b * kBlock + i)] * scale * 0.5f;
    for (const float v : part) sum += v;
    total += sum;
  }
  return total;
}

}  // namespace moproc::test
