// The handler of SIGSEGV and SIGBUS. It continues the faulting fiber in report() at the top of its stack; the contents
// of the stack are lost with the block.
#include "faults.h"

#include <signal.h>
#include <ucontext.h>

#include <cstdio>

#include "block.h"
#include "device_memory.h"

namespace emulator {

namespace {

thread_local const unsigned char* fault_address;
thread_local bool fault_writes, fault_misaligned;

[[noreturn]] void report() {
  Block& b = *running_block();
  const unsigned char* const at = fault_address;
  std::string what = fault_misaligned ? "an access at an address that is not a multiple of its size" : "";
  if (b.is_stack_guard(at)) what = "stack overflow";
  if (what.empty()) {
    what = b.shared().describe(at);
    if (what.empty()) what = describe_device_address(at);
    if (what.empty()) {
      char text[40];
      std::snprintf(text, sizeof text, "%p, which is no memory", static_cast<const void*>(at));
      what = text;
    }
    what = (fault_writes ? "writes at " : "reads at ") + what;
  }
  b.fail(what);
}

void on_fault(int signal, siginfo_t* info, void* context) {
  if (running_block() == nullptr) {  // not in a kernel: repeats the fault without a handler
    ::signal(signal, SIG_DFL);
    return;
  }
  auto& registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
  fault_address = static_cast<const unsigned char*>(info->si_addr);
  fault_writes = (registers[REG_ERR] & 2) != 0;
  fault_misaligned = info->si_code == SI_KERNEL;  // by 16-byte accesses, for which x86 reports no address
  const Stopped& stack = running_block()->running_stack();
  forget_frames(stack.bottom, stack.bytes);
  const uintptr_t top = reinterpret_cast<uintptr_t>(stack.bottom) + stack.bytes;
  registers[REG_RSP] = static_cast<greg_t>((top & ~uintptr_t{15}) - 8);
  registers[REG_RIP] = static_cast<greg_t>(reinterpret_cast<uintptr_t>(&report));
}

constexpr size_t stack_bytes = 64 << 10;

}  // namespace

FaultStack::FaultStack() : memory_(new unsigned char[stack_bytes]) {
  stack_t stack{};
  stack.ss_sp = memory_.get();
  stack.ss_size = stack_bytes;
  sigaltstack(&stack, nullptr);
  static const bool installed = [] {
    struct sigaction action{};
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigemptyset(&action.sa_mask);
    return sigaction(SIGSEGV, &action, nullptr) == 0 && sigaction(SIGBUS, &action, nullptr) == 0;
  }();
  if (!installed) throw Error("emulator: cannot handle SIGSEGV");
}
FaultStack::~FaultStack() {
  stack_t off{};
  off.ss_flags = SS_DISABLE;
  sigaltstack(&off, nullptr);
}

}  // namespace emulator
