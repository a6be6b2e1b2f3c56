// The runtime's system-call table: what is answered here, and how the rest is forwarded.
#pragma once

#include "guest/native/thread.h"

namespace dd::native {

// Result of a call that has already put `context` into its final state (rt_sigreturn): nothing to
// store.
constexpr long kNoResult = -1000000;

// Answers call `nr` of the guest state `context`. The result, a negative errno, a restart code, or
// kNoResult.
long Dispatch(Thread* thread, Context* context, long nr, const uint64_t args[6]);

// Families answered here (each in its own file); kNotHere: forward it.
constexpr long kNotHere = -1000001;
long MemoryCall(Thread* thread, long nr, const uint64_t args[6]);
long ThreadCall(Thread* thread, long nr, const uint64_t args[6]);
long SignalCall(Thread* thread, Context* context, long nr, const uint64_t args[6]);
long FutexCall(Thread* thread, const uint64_t args[6]);
// What only this instruction set has.
long ArchCall(Thread* thread, long nr, const uint64_t args[6]);

// Trusted mode: a transfer or a wait on what the sentry has lent; kNotHere if it is not one.
long DirectCall(Thread* thread, long nr, const uint64_t args[6]);
// Gives back what the sentry has lent of descriptors that a call is about to close or replace.
void DescriptorsChange(Thread* thread, long nr, const uint64_t args[6]);

// Whether a call brings a signal mask along, for as long as it waits.
bool BringsMask(long nr, const uint64_t args[6]);

// Forwards a call to the sentry, staging what it points at.
Reply ForwardCall(Thread* thread, long nr, const uint64_t args[6]);

// Carries out the replies that make tasks: kThread, kFork, kVfork.
long Clone(Thread* thread, Context* context, const Reply& reply);

// Ends the calling thread of a process that goes on.
[[noreturn]] void ExitThread(Thread* thread);

}  // namespace dd::native
