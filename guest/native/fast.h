// Patched call sites: system calls without a trap.
#pragma once

#include "guest/native/thread.h"

namespace dd::native {

// What dd_fast_entry saves on a thread's fast stack.
struct FastFrame {
  uint64_t args[6];
  uint64_t return_address;
  uint64_t nr;
};
static_assert(sizeof(FastFrame) == 64);

// What dd_fast_entry does with the result.
enum class FastAction : uint64_t {
  kReturn = 0,
  kTrap = 1,    // the call needs the guest's whole state: it is made again by trap
  kFinish = 2,  // it is done, but a signal or a restart follows: remembered in the thread
};

struct FastResult {
  long result;
  FastAction action;
};

// Rewrites the call site whose syscall instruction ends at `rip` so that it jumps to a trampoline,
// if that is provably safe; else leaves it alone and its calls go on to trap. `nr` is the number it
// called. Returns where the call that is under way comes back to: `rip`, or its like in the
// trampoline where the patch has covered that.
uint64_t PatchSite(Thread* thread, uint64_t rip, long nr);

// Makes sure of room for trampolines within reach of code at `near`, before the guest takes it for
// something else.
void ReserveTrampolines(AddressSpace* space, uint64_t near);

// Whether a breakpoint before `rip` is or was one of ours: the thread then goes on before it.
bool IsPatchBreakpoint(const AddressSpace* space, uint64_t rip);

// While it is held, nothing is half rewritten.
void LockPatching(AddressSpace* space);
void UnlockPatching(AddressSpace* space);

}  // namespace dd::native

extern "C" {
[[gnu::visibility("hidden")]] dd::native::FastResult dd_fast_dispatch(
    const dd::native::FastFrame* frame);
[[gnu::visibility("hidden")]] void dd_fast_remember(const dd::native::FastFrame* frame,
                                                    long result);
[[gnu::visibility("hidden")]] void dd_fast_entry();
[[gnu::visibility("hidden")]] extern const char dd_fast_exit_begin[];
[[gnu::visibility("hidden")]] extern const char dd_fast_exit_end[];
[[gnu::visibility("hidden")]] extern const char dd_finish_trap[];
}
