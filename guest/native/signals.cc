#include "guest/native/signals.h"

#include "guest/native/context.h"
#include "guest/native/syscalls.h"

namespace dd::native {
namespace {

bool OnAltstack(const Thread* thread, uint64_t sp) {
  return (thread->altstack.flags & static_cast<int>(kSsDisable)) == 0 && sp > thread->altstack.sp &&
         sp - thread->altstack.sp <= thread->altstack.size;
}

// Builds the guest's frame and points `context` at the handler. False when the guest's stack is
// bad.
bool PushFrame(Thread* thread, Context* context, const ring::SignalFrame& signal) {
  uint64_t sp = StackPointer(context) - kRedZone;
  const bool has_altstack = (thread->altstack.flags & static_cast<int>(kSsDisable)) == 0;
  const bool on_altstack = OnAltstack(thread, StackPointer(context));
  if ((signal.flags & kSaOnstack) != 0 && has_altstack && !on_altstack) {
    sp = thread->altstack.sp + thread->altstack.size;
  }
  Stack stack = thread->altstack;
  if (on_altstack) stack.flags |= static_cast<int>(kSsOnstack);
  const uint64_t old_mask = thread->has_saved_mask ? thread->saved_mask : Mask(thread);
  if (!StoreFrame(thread, context, signal, sp, stack, old_mask)) return false;

  thread->has_saved_mask = false;
  uint64_t mask = old_mask | signal.mask;
  if ((signal.flags & kSaNodefer) == 0) mask |= SignalBit(static_cast<int>(signal.signo));
  SetMask(thread, mask);
  if ((static_cast<uint32_t>(thread->altstack.flags) & kSsAutodisarm) != 0) {
    thread->altstack = Stack{0, static_cast<int>(kSsDisable), 0, 0};
  }
  return true;
}

// Takes the sentry's answer to a signal request. True when a handler is to run: its frame is in
// place.
bool TakeSignal(Thread* thread, Context* context, const Reply& reply) {
  if (reply.verb == ring::Verb::kExitGroup) Die(static_cast<int>(reply.operands[0]));
  if (reply.verb == ring::Verb::kExitThread) ExitThread(thread);
  if (reply.verb != ring::Verb::kSignal || reply.result == 0) return false;
  ring::SignalFrame signal;
  dd_copy(&signal, thread->staging, sizeof signal);
  if (!PushFrame(thread, context, signal)) {
    // No room for the frame: the kernel forces SIGSEGV, and kills if that has no room either.
    RaiseFault(thread, context, kSigsegv, 0x80, 0, signal.signo == kSigsegv);
  }
  return true;
}

Reply RequestSignal(Thread* thread) {
  const uint64_t none[6] = {};
  return RingCall(thread, static_cast<uint32_t>(ring::RuntimeCall::kSignalRequest), none);
}

// Whether the sentry may have a signal for the thread: it said so, or the mask has become smaller
// and one that it held back is pending.
bool MustAsk(Thread* thread) {
  const bool ask =
      std::atomic_ref(thread->slot->attention).load() != 0 ||
      (thread->unblocked && (std::atomic_ref(thread->slot->pending).load() & ~Mask(thread)) != 0);
  thread->unblocked = false;
  return ask;
}

// Puts the outcome of a call into the registers, as it is seen when a handler runs before it
// returns.
void ResolveForHandler(Context* context, long nr, long result, bool restart_flag) {
  const bool restart = result == -kErestartnointr || (result == -kErestartsys && restart_flag);
  if (restart) {
    RestartCall(context, nr);
  } else {
    const bool interrupted = result <= -kErestartsys && result >= -kErestartRestartblock;
    SetResult(context, interrupted ? -kEintr : result);
  }
}

void ResolveWithoutHandler(Context* context, long nr, long result) {
  if (result == -kErestartRestartblock) {
    RestartCall(context, kRestartSyscall);
  } else if (result <= -kErestartsys && result >= -kErestartnohand) {
    RestartCall(context, nr);
  } else {
    SetResult(context, result);
  }
}

}  // namespace

void SetMask(Thread* thread, uint64_t mask) {
  const uint64_t old = Mask(thread);
  std::atomic_ref(thread->slot->signal_mask).store(mask & ~kUnblockable);
  if ((old & ~mask) != 0) thread->unblocked = true;
}

uint64_t Mask(const Thread* thread) {
  return std::atomic_ref(thread->slot->signal_mask).load(std::memory_order_relaxed);
}

void FinishCall(Thread* thread, Context* context, long nr, long result) {
  bool resolved = nr < 0;
  while (MustAsk(thread)) {
    const Reply reply = RequestSignal(thread);
    if (!resolved && reply.verb == ring::Verb::kSignal && reply.result != 0) {
      ring::SignalFrame signal;
      dd_copy(&signal, thread->staging, sizeof signal);
      ResolveForHandler(context, nr, result, (signal.flags & kSaRestart) != 0);
      resolved = true;
    }
    if (!TakeSignal(thread, context, reply)) break;
  }
  if (!resolved) ResolveWithoutHandler(context, nr, result);
  if (thread->has_saved_mask) {
    thread->has_saved_mask = false;
    SetMask(thread, thread->saved_mask);
    FinishCall(thread, context, -1, 0);
  }
}

void RaiseFault(Thread* thread, Context* context, int signo, int code, uint64_t addr, bool fatal) {
  const uint64_t args[6] = {static_cast<uint64_t>(signo), static_cast<uint64_t>(code), addr,
                            ProgramCounter(context), fatal ? 1U : 0U};
  const Reply reply = RingCall(thread, static_cast<uint32_t>(ring::RuntimeCall::kFault), args);
  TakeSignal(thread, context, reply);
  FinishCall(thread, context, -1, 0);
}

void ReturnFromHandler(Thread* thread, Context* context) {
  Stack stack;
  uint64_t mask;
  if (!LoadFrame(context, &stack, &mask)) {
    RaiseFault(thread, context, kSigsegv, 0x80, 0);
    return;
  }
  SetMask(thread, mask);
  if ((static_cast<uint32_t>(stack.flags) & ~kSsAutodisarm & ~kSsOnstack & ~kSsDisable) == 0) {
    thread->altstack = stack;
    thread->altstack.flags &= ~static_cast<int>(kSsOnstack);
  }
}

}  // namespace dd::native
