// moproc-cpu prints the GFLOP/s of one core in convolutions, in f32 and in bf16, each measured for 10 ms with the best
// instructions that this CPU has: {"f32": 277.1, "bf16": 516.0}. Without AVX2 and FMA the exit status is 1.
// moproc-cpu --amx: the exit status is 0 if AMX can be used, 1 if not. moproc-cpu --nodes prints the number of memory
// nodes.
#include <cstdio>
#include <cstring>

#include "cpu/amx.h"
#include "cpu/numa.h"

extern "C" {
double moproc_rates_v3(int bf16);
double moproc_rates_v4(int bf16);
double moproc_rates_v4_bf16(int bf16);
double moproc_rates_v4_amx(int bf16);
}

int main(int argc, char** argv) {
  if (argc > 1 && std::strcmp(argv[1], "--amx") == 0) return moproc::has_amx() ? 0 : 1;
  if (argc > 1 && std::strcmp(argv[1], "--nodes") == 0) {
    std::printf("%zu\n", moproc::numa_nodes().size());
    return 0;
  }
  const bool v4 = __builtin_cpu_supports("x86-64-v4");
  if (!v4 && !__builtin_cpu_supports("x86-64-v3")) {
    std::fputs("this CPU has no AVX2 and FMA\n", stderr);
    return 1;
  }
  const auto in_f32 = v4 ? moproc_rates_v4 : moproc_rates_v3;
  const bool v4_bf16 = v4 && __builtin_cpu_supports("avx512bf16");
  const auto in_bf16 = !v4_bf16 ? in_f32 : moproc::has_amx() ? moproc_rates_v4_amx : moproc_rates_v4_bf16;
  const double f32 = in_f32(0), bf16 = in_bf16(1);
  std::printf("{\"f32\": %.1f, \"bf16\": %.1f}\n", f32, bf16);
  return 0;
}
