// Which vector code this machine can run. Everything is compiled for the x86-64 baseline; faster versions of
// single functions carry target attributes and are chosen at run time. All versions give the same bits.
#pragma once

#if defined(__x86_64__) && defined(__GNUC__)
#define MOPROC_X86 1
#else
#define MOPROC_X86 0
#endif

// Plain loops that the compiler shall vectorise twice. "avx2" without "fma": contraction would change rounding.
// Not under the thread sanitizer, which is not ready yet when the loader asks which version to take.
#if MOPROC_X86 && !defined(__SANITIZE_THREAD__)
#define MOPROC_CLONES __attribute__((target_clones("default", "avx2")))
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

}  // namespace moproc::data
