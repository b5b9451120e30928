// AMX, Intel's matrix unit: whether this CPU has it for bf16, and Linux's leave to use it.
#pragma once

#include <sys/syscall.h>
#include <unistd.h>

#include <cpuid.h>

namespace moproc {

/// Whether the CPU has AMX with bf16 and the kernel lets this process use it: a thread's tiles are 8 KiB that a process
/// must ask for (Linux 5.16, arch_prctl(2)). May be asked again.
inline bool has_amx() {
  constexpr unsigned kAmxBf16 = 1u << 22, kAmxTile = 1u << 24;  // CPUID 7, EDX
  constexpr long kRequestPermission = 0x1023, kTileData = 18;
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || (d & kAmxBf16) == 0 || (d & kAmxTile) == 0) return false;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

}  // namespace moproc
