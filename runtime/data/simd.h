// Which vector code this machine can run. All code is compiled for the x86-64 baseline; faster versions of single
// functions have target attributes and are chosen at run time. All versions give the same bits.
#pragma once

#if defined(__x86_64__) && defined(__GNUC__)
#define MOPROC_X86 1
#else
#define MOPROC_X86 0
#endif

// Marks functions with plain loops that the compiler vectorises three times. No product is contracted with a sum
// (-ffp-contract=off), because that would change rounding. It is off under the thread sanitizer, which is not
// initialised yet when the dynamic loader asks which version to use.
#if MOPROC_X86 && !defined(__SANITIZE_THREAD__)
#define MOPROC_CLONES __attribute__((target_clones("default", "avx2", "avx512f")))
#else
#define MOPROC_CLONES
#endif

namespace moproc::data {

inline bool has_avx2() {
#if MOPROC_X86
  return __builtin_cpu_supports("avx2");
#else
  return false;
#endif
}

// AVX-512 F, BW and VNNI.
inline bool has_vnni() {
#if MOPROC_X86
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vnni");
#else
  return false;
#endif
}

// AVX-512 F and DQ.
inline bool has_avx512() {
#if MOPROC_X86
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq");
#else
  return false;
#endif
}

}  // namespace moproc::data
