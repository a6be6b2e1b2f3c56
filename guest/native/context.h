// A guest thread's registers, as the runtime needs them whatever instruction set they belong to.
// x86_64/context.cc: the host's signal frame of a thread whose guest code runs in place.
// ../translated/arm64/context.cc: the State of a thread whose guest code is translated.
#pragma once

#include "guest/native/thread.h"

namespace dd::native {

struct Context;  // each of the two defines its own

uint64_t StackPointer(const Context* context);
void SetStackPointer(Context* context, uint64_t sp);
uint64_t ProgramCounter(const Context* context);
uint64_t ThreadPointer(const Context* context);
void SetThreadPointer(Context* context, uint64_t tls);
// The new thread `child` is to begin with `tls`: what the host's clone(2) is to set.
uint64_t HostThreadPointer(Context* child, uint64_t tls);

// The system call under way returns `result`.
void SetResult(Context* context, long result);
// It will be made again, as call `nr` with the same arguments.
void RestartCall(Context* context, long nr);

// Stores the frame of a handler below `sp` and points `context` at the handler. `stack` and `mask`
// are what rt_sigreturn(2) restores. False, with nothing changed, when the guest's stack is bad.
bool StoreFrame(Thread* thread, Context* context, const ring::SignalFrame& signal, uint64_t sp,
                const Stack& stack, uint64_t mask);
// Memory below the stack pointer that a handler's frame must spare.
[[gnu::visibility("hidden")]] extern const uint64_t kRedZone;
// MINSIGSTKSZ: the least that sigaltstack(2) takes.
[[gnu::visibility("hidden")]] extern const uint64_t kMinimumSignalStack;

// rt_sigreturn(2): takes the frame at the stack pointer back. False, with nothing changed, when it
// cannot be read.
bool LoadFrame(Context* context, Stack* stack, uint64_t* mask);

// A copy of `context` for `child`, in memory that is the child's; its system call returns 0. Null
// when the host has no memory.
Context* CopyForChild(Thread* child, const Context* context);

// The stack on which the runtime of `child`, which has its copy, begins.
uint64_t RuntimeStack(const Thread* child);

// Goes on with guest code, on the calling thread's own stack.
[[noreturn]] void Resume(Thread* thread, Context* context);

// Makes what the guest's threads will share. While host calls of every kind are still allowed; 0 or
// -errno.
long PrepareSpace(AddressSpace* space);

// Around a fork of the process, on the thread that forks.
void BeforeFork(AddressSpace* space);
void AfterFork(AddressSpace* space, bool child);

// Enters a fresh program.
[[noreturn]] void EnterProgram(Thread* thread, uint64_t pc, uint64_t sp);

// The number by which the guest calls what x86-64 calls `nr`; the sentry is told that one.
long GuestNumber(Thread* thread, long nr);

// Whether kicks may interrupt the thread from now on: for the time of a wait.
void LetKicksIn(const Thread* thread, bool in);

// struct epoll_event as the guest has it: packed on x86-64 only.
struct EpollEventLayout {
  uint32_t bytes;
  uint32_t data_at;
};
[[gnu::visibility("hidden")]] extern const EpollEventLayout kEpollEvent;

// The guest has mapped, unmapped (`prot` is 0) or protected [begin, end).
void MemoryChanged(AddressSpace* space, uint64_t begin, uint64_t end, uint64_t prot);
// It has moved what was there: [from, from + from_length) is now [to, to + to_length).
void MemoryMoved(AddressSpace* space, uint64_t from, uint64_t from_length, uint64_t to,
                 uint64_t to_length);
// Of the file that the guest has mapped at `begin`, from byte `offset` on, the sentry has
// translations: descriptor `fd`, the caller's.
void TranslationsLent(AddressSpace* space, uint64_t begin, uint64_t length, uint64_t offset,
                      long fd);
// What the host is asked for where the guest asks for `prot`.
uint64_t HostProtection(uint64_t prot);

}  // namespace dd::native
