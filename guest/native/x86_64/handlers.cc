// Host signals of threads whose guest code runs in place: calls, faults and kicks.
#include "guest/native/context.h"
#include "guest/native/fast.h"
#include "guest/native/places.h"
#include "guest/native/signals.h"
#include "guest/native/syscalls.h"

namespace dd::native {
namespace {

bool InRuntime(const Thread* thread, uint64_t rip) {
  const Environment& environment = thread->space->environment;
  return rip >= environment.text_begin && rip < environment.text_end;
}

// What the process did with a signal before the runtime came: for threads that are not a guest's.
Sigaction g_previous[65];

void Chain(int signo, Siginfo* info, void* context) {
  constexpr uint64_t kDefault = 0;
  constexpr uint64_t kIgnore = 1;
  const Sigaction& previous = g_previous[signo];
  const uint64_t handler = Address(previous.handler);
  if (handler == kIgnore) return;
  if (handler == kDefault) {
    // Back to the default: the fault comes again, and ends the process as it always would have.
    Host(kRtSigaction, signo, &previous, nullptr, 8);
    return;
  }
  reinterpret_cast<void (*)(int, Siginfo*, void*)>(handler)(signo, info, context);
}

void OnSyscall(int signo, Siginfo* info, void* context) {
  auto* uc = static_cast<Ucontext*>(context);
  Thread* thread = Current();
  if (thread == nullptr) return Chain(signo, info, context);
  auto* guest = reinterpret_cast<Context*>(uc);
  thread->trapped = true;
  Mcontext& m = uc->mcontext;
  if (m.rip == Address(dd_finish_trap)) {
    // A patched site's call is done; only now is the guest's whole state at hand.
    m.rip = thread->finish_address;
    m.rcx = thread->finish_address;
    FinishCall(thread, guest, thread->finish_nr, thread->finish_result);
    return;
  }
  const auto nr = static_cast<long>(m.rax);
  m.rip = PatchSite(thread, m.rip, nr);
  const uint64_t args[6] = {m.rdi, m.rsi, m.rdx, m.r10, m.r8, m.r9};
  const long result = Dispatch(thread, guest, nr, args);
  if (result == kNoResult) {
    FinishCall(thread, guest, -1, 0);
  } else {
    FinishCall(thread, guest, nr, result);
  }
}

void OnFault(int signo, Siginfo* info, void* context) {
  auto* uc = static_cast<Ucontext*>(context);
  const uint64_t rip = uc->mcontext.rip;
  Thread* thread = Current();
  if (thread == nullptr) return Chain(signo, info, context);
  if (FailAccess(&uc->mcontext)) return;
  if (signo == kSigtrap && IsPatchBreakpoint(thread->space, rip)) {
    uc->mcontext.rip = rip - 1;
    return;
  }
  // Sent by somebody, or a mistake of ours.
  if (InRuntime(thread, rip)) Die(info->code <= 0 ? kDeadBySignal + signo : 71);
  RaiseFault(thread, reinterpret_cast<Context*>(uc), signo, info->code, info->addr);
}

void OnKick(int, Siginfo*, void* context) {
  auto* uc = static_cast<Ucontext*>(context);
  const uint64_t rip = uc->mcontext.rip;
  Thread* thread = Current();
  if (thread == nullptr) return;
  if (AbortWait(&uc->mcontext)) return;
  if (InRange(rip, dd_fast_exit_begin, dd_fast_exit_end)) {
    // On its way back to guest code, perhaps already on the guest's stack: it looks for signals
    // again.
    uc->mcontext.rip = Address(dd_fast_exit_begin);
    uc->mcontext.rsp = thread->fast_stack;
    return;
  }
  if (InRuntime(thread, rip)) {
    thread->kicked = 1;
    return;
  }
  FinishCall(thread, reinterpret_cast<Context*>(uc), -1, 0);
}

long Install(int signo, void (*handler)(int, Siginfo*, void*), uint64_t mask) {
  Sigaction action;
  action.handler = __builtin_bit_cast(void*, handler);
  // The mask alone says what waits: without this, a fault would block itself in its own handler.
  action.flags = kSaSiginfo | kSaOnstack | kSaRestorer | kSaNodefer;
  action.restorer = __builtin_bit_cast(void*, &dd_sigreturn);
  action.mask = mask;
  return Host(kRtSigaction, signo, &action, &g_previous[signo], 8);
}

}  // namespace

long InstallHandlers(uint64_t foreign) {
  // All that has a handler waits while the runtime works, but for what its own accesses to guest
  // memory raise.
  const uint64_t all = foreign | SignalBit(kSigsys) | SignalBit(kSigfpe) | SignalBit(kSigill) |
                       SignalBit(kSigtrap) | SignalBit(kSigkick);
  long error = Install(kSigsys, OnSyscall, all);
  for (const int signo : {kSigsegv, kSigbus, kSigfpe, kSigill, kSigtrap}) {
    if (error == 0) error = Install(signo, OnFault, all);
  }
  return error == 0 ? Install(kSigkick, OnKick, all) : error;
}

}  // namespace dd::native
