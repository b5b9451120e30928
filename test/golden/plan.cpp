// step: step, refresh; see plan.json for a readable form.
#include "core/plan.h"

extern "C" void pointwise_constant_ee6158ea(const moproc::Params&, const moproc::Task&);
extern "C" void matmul_add_04a33134(const moproc::Params&, const moproc::Task&);
extern "C" void softmax_cross_entropy_a68a4f71(const moproc::Params&, const moproc::Task&);
extern "C" void softmax_cross_entropy_grad_10602d93(const moproc::Params&, const moproc::Task&);
extern "C" void pointwise_3d05f658(const moproc::Params&, const moproc::Task&);
extern "C" void matmul_ae7e145a(const moproc::Params&, const moproc::Task&);
extern "C" void all_finite_59a254ee(const moproc::Params&, const moproc::Task&);
extern "C" void pointwise_sgd_3de388d2(const moproc::Params&, const moproc::Task&);

namespace {
using namespace moproc;
const MetaInfo* const meta_ = nullptr;
const TensorInfo tensors_[] = {
  {"fc.weight", DType::f32, Arena::state, 2, {10, 20, 0, 0, 0, 0}, 0, 800},
  {"fc.bias", DType::f32, Arena::state, 1, {10, 0, 0, 0, 0, 0}, 896, 40},
  {"optimizer.momentum.fc.weight", DType::f32, Arena::state, 2, {10, 20, 0, 0, 0, 0}, 1024, 800},
  {"optimizer.momentum.fc.bias", DType::f32, Arena::state, 1, {10, 0, 0, 0, 0, 0}, 1920, 40},
  {"step/constant", DType::f32, Arena::work, 1, {32, 0, 0, 0, 0, 0}, 2560, 128},
  {"step/constant_1", DType::f32, Arena::work, 1, {1, 0, 0, 0, 0, 0}, 2688, 4},
  {"x", DType::f32, Arena::io, 2, {32, 20, 0, 0, 0, 0}, 256, 2560},
  {"step/fc.add", DType::f32, Arena::work, 2, {32, 10, 0, 0, 0, 0}, 0, 1280},
  {"target", DType::i64, Arena::io, 1, {32, 0, 0, 0, 0, 0}, 0, 256},
  {"step/loss", DType::f32, Arena::io, 1, {1, 0, 0, 0, 0, 0}, 3008, 4},
  {"step/'.softmax_cross_entropy_grad", DType::f32, Arena::work, 2, {32, 10, 0, 0, 0, 0}, 1280, 1280},
  {"step/fc'.channel_sum", DType::f32, Arena::grad, 2, {1, 10, 0, 0, 0, 0}, 896, 40},
  {"step/fc'.matmul_1", DType::f32, Arena::grad, 2, {10, 20, 0, 0, 0, 0}, 0, 800},
  {"step/fc'.reshape_1", DType::f32, Arena::grad, 1, {10, 0, 0, 0, 0, 0}, 896, 40},
  {"step/all_finite", DType::f32, Arena::work, 0, {0, 0, 0, 0, 0, 0}, 0, 4},
  {"fc.weight .. fc.bias", DType::f32, Arena::state, 1, {234, 0, 0, 0, 0, 0}, 0, 936},
  {"optimizer.momentum.fc.weight .. optimizer.momentum.fc.bias", DType::f32, Arena::state, 1, {234, 0, 0, 0, 0, 0}, 1024, 936},
  {"step/fc'.matmul_1 .. fc'.reshape_1", DType::f32, Arena::grad, 1, {234, 0, 0, 0, 0, 0}, 0, 936},
  {"lr", DType::f32, Arena::io, 0, {0, 0, 0, 0, 0, 0}, 2816, 4},
  {"momentum", DType::f32, Arena::io, 0, {0, 0, 0, 0, 0, 0}, 2880, 4},
  {"weight_decay", DType::f32, Arena::io, 0, {0, 0, 0, 0, 0, 0}, 2944, 4},
  {"optimizer.fc.weight.sgd_v_new .. optimizer.fc.bias.sgd_v_new", DType::f32, Arena::state, 1, {234, 0, 0, 0, 0, 0}, 1024, 936},
  {"optimizer.fc.weight.sgd_p_new .. optimizer.fc.bias.sgd_p_new", DType::f32, Arena::state, 1, {234, 0, 0, 0, 0, 0}, 0, 936}};
const StateInfo states_[] = {
  {0, Role::param, InitKind::uniform, 0.22360679774997896, -1, false},
  {1, Role::param, InitKind::uniform, 0.22360679774997896, -1, false},
  {2, Role::momentum, InitKind::constant, 0, -1, false},
  {3, Role::momentum, InitKind::constant, 0, -1, false}};
const KernelInfo kernels_[] = {
  {"pointwise_constant_ee6158ea", "pointwise", pointwise_constant_ee6158ea, 0, 0, 0, 0},
  {"matmul_add_04a33134", "matmul", matmul_add_04a33134, 0, 0, 0, 0},
  {"softmax_cross_entropy_a68a4f71", "softmax_cross_entropy", softmax_cross_entropy_a68a4f71, 0, 0, 0, 0},
  {"softmax_cross_entropy_grad_10602d93", "softmax_cross_entropy_grad", softmax_cross_entropy_grad_10602d93, 0, 0, 0, 0},
  {"pointwise_3d05f658", "pointwise", pointwise_3d05f658, 0, 0, 0, 0},
  {"matmul_ae7e145a", "matmul", matmul_ae7e145a, 0, 0, 0, 0},
  {"all_finite_59a254ee", "all_finite", all_finite_59a254ee, 0, 0, 0, 0},
  {"pointwise_sgd_3de388d2", "pointwise", pointwise_sgd_3de388d2, 0, 0, 0, 0}};
const int32_t n0_[] = {8, 6, 18, 19, 20};
const int32_t n1_[] = {9};
const int64_t n2_[] = {1};
const int32_t n3_[] = {4};
const float n4_[] = {1};
const int32_t n5_[] = {5};
const int32_t n6_[] = {6, 0, 1, 7};
const int64_t n7_[] = {1, 1};
const int32_t n8_[] = {7, 8, 4, 9};
const int32_t n9_[] = {7, 8, 4, 5, 10};
const int64_t n10_[] = {4, 2};
const int32_t n11_[] = {10, 11};
const int32_t n12_[] = {10, 6, 12};
const int64_t n13_[] = {3, 1};
const int32_t n14_[] = {9, 12, 13, 14};
const int32_t n15_[] = {15, 16, 17, 18, 19, 20, 14, 21, 22};
const StepInfo steps_0_[] = {
  {StepKind::launch, "", 0, {n3_, 1}, 32, 1, {0, 0, 0, 0}, {n2_, 1}, 0, 32., 128., {n4_, 1}, {nullptr, 0}},
  {StepKind::launch, "", 0, {n5_, 1}, 1, 1, {0, 0, 0, 0}, {n2_, 1}, 0, 1., 4., {n4_, 1}, {nullptr, 0}},
  {StepKind::launch, "fc", 1, {n6_, 4}, 32, 1, {32, 10, 20, 0}, {n2_, 1}, 0, 13120., 4680., {nullptr, 0}, {nullptr, 0}},
  {StepKind::launch, "", 2, {n8_, 4}, 32, 1, {0, 0, 0, 0}, {n7_, 2}, 1280, 6400., 1924., {nullptr, 0}, {nullptr, 0}},
  {StepKind::launch, "'", 3, {n9_, 5}, 32, 1, {0, 0, 0, 0}, {n7_, 2}, 2752, 7040., 2956., {nullptr, 0}, {nullptr, 0}},
  {StepKind::launch, "", 4, {n11_, 2}, 32, 1, {0, 0, 0, 0}, {n10_, 2}, 0, 0., 1832., {nullptr, 0}, {nullptr, 0}},
  {StepKind::launch, "fc'", 5, {n12_, 3}, 10, 1, {10, 20, 32, 0}, {n2_, 1}, 0, 12800., 4640., {nullptr, 0}, {nullptr, 0}},
  {StepKind::launch, "", 6, {n14_, 4}, 1, 1, {0, 0, 0, 0}, {n13_, 2}, 64, 211., 872., {nullptr, 0}, {nullptr, 0}},
  {StepKind::launch, "optimizer.fc.weight .. optimizer.fc.bias", 7, {n15_, 9}, 234, 1, {0, 0, 0, 0}, {n2_, 1}, 0, 210., 4232., {nullptr, 0}, {nullptr, 0}}};
const StepInfo* const steps_1_ = nullptr;
const ProgramInfo programs_[] = {
  {"step", {n0_, 5}, {n1_, 1}, {steps_0_, 9}, 2816, 2816, 1},
  {"refresh", {nullptr, 0}, {nullptr, 0}, {nullptr, 0}, 0, 0, 0}};
const Plan plan_ = {2, "step", "277b77a922e5f8a271b102b03b55c0cc", "cpu", "x86-64-v3",
  {nullptr, 0}, {2048, 1024, 2816, 3072}, 253952,
  {tensors_, 23}, {states_, 4},
  {kernels_, 8}, {programs_, 2}, {nullptr, 0}, {nullptr, 0}};
}  // namespace

extern "C" const moproc::Plan* moproc_plan() { return &plan_; }
