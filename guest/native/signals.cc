#include "guest/native/signals.h"

#include "guest/native/fast.h"
#include "guest/native/syscalls.h"

extern "C" {
[[gnu::visibility("hidden")]] extern const char dd_wait_begin[];
[[gnu::visibility("hidden")]] extern const char dd_wait_end[];
[[gnu::visibility("hidden")]] extern const char dd_wait_aborted[];
[[gnu::visibility("hidden")]] extern const char dd_access_begin[];
[[gnu::visibility("hidden")]] extern const char dd_access_end[];
[[gnu::visibility("hidden")]] extern const char dd_access_failed[];
[[gnu::visibility("hidden")]] void dd_sigreturn();
}

namespace dd::native {
namespace {

constexpr uint64_t kRedZone = 128;
// EFLAGS bits a handler's frame may restore: the arithmetic flags, TF, DF, OF, NT, RF, AC.
constexpr uint64_t kEflagsUser = 0x254dd5;
constexpr uint64_t kEflagsTf = 0x100;
constexpr uint64_t kEflagsDf = 0x400;
constexpr uint64_t kEflagsRf = 0x10000;

uint64_t Address(const void* p) { return reinterpret_cast<uint64_t>(p); }

bool InRange(uint64_t rip, const char* begin, const char* end) {
  return rip >= Address(begin) && rip < Address(end);
}

bool InRuntime(const Thread* thread, uint64_t rip) {
  const Environment& environment = thread->space->environment;
  return rip >= environment.text_begin && rip < environment.text_end;
}

uint32_t Load32(const uint8_t* at) {
  return static_cast<uint32_t>(at[0]) | static_cast<uint32_t>(at[1]) << 8 |
         static_cast<uint32_t>(at[2]) << 16 | static_cast<uint32_t>(at[3]) << 24;
}

void Store32(uint8_t* at, uint32_t value) {
  for (int i = 0; i < 4; i++) at[i] = static_cast<uint8_t>(value >> (8 * i));
}

// The size of the extended state in a host frame, its trailing magic included.
uint32_t ExtendedSize(const uint8_t* fpstate) {
  if (Load32(fpstate + kXsaveSoftware) != kXsaveMagic1) return kFxsaveSize;
  return Load32(fpstate + kXsaveSoftware + 4);
}

// As the kernel does before a handler: all components back to their initial state.
void ResetExtendedState(uint8_t* fpstate) {
  if (Load32(fpstate + kXsaveSoftware) == kXsaveMagic1) Zero(fpstate + kXsaveHeader, 8);
  Store32(fpstate + kXsaveMxcsr, kMxcsrInitial);
}

bool OnAltstack(const Thread* thread, uint64_t sp) {
  return (thread->altstack.flags & static_cast<int>(kSsDisable)) == 0 && sp > thread->altstack.sp &&
         sp - thread->altstack.sp <= thread->altstack.size;
}

// Builds the guest's frame and points `uc` at the handler. False when the guest's stack is bad.
bool PushFrame(Thread* thread, Ucontext* uc, const ring::SignalFrame& signal) {
  uint64_t sp = uc->mcontext.rsp - kRedZone;
  const bool has_altstack = (thread->altstack.flags & static_cast<int>(kSsDisable)) == 0;
  if ((signal.flags & kSaOnstack) != 0 && has_altstack && !OnAltstack(thread, uc->mcontext.rsp)) {
    sp = thread->altstack.sp + thread->altstack.size;
  }
  const uint32_t extended = ExtendedSize(uc->mcontext.fpstate);
  sp = (sp - extended) & ~uint64_t{63};
  const uint64_t fpstate = sp;
  sp = ((sp - sizeof(SignalFrame)) & ~uint64_t{15}) - 8;

  const uint64_t old_mask = thread->has_saved_mask ? thread->saved_mask : Mask(thread);
  Ucontext saved;
  dd_copy(&saved, uc, sizeof saved);
  saved.link = nullptr;
  saved.stack = thread->altstack;
  if (has_altstack && OnAltstack(thread, uc->mcontext.rsp)) {
    saved.stack.flags |= static_cast<int>(kSsOnstack);
  }
  saved.mcontext.fpstate = reinterpret_cast<uint8_t*>(fpstate);
  saved.mcontext.oldmask = old_mask;
  saved.sigmask = old_mask;

  const uint64_t frame = sp;
  if (CopyOut(fpstate, uc->mcontext.fpstate, extended) != 0 ||
      CopyOut(frame + offsetof(SignalFrame, uc), &saved, sizeof saved) != 0 ||
      CopyOut(frame + offsetof(SignalFrame, info), signal.info, sizeof(Siginfo)) != 0 ||
      CopyOut(frame, &signal.restorer, sizeof signal.restorer) != 0) {
    return false;
  }

  thread->has_saved_mask = false;
  uint64_t mask = old_mask | signal.mask;
  if ((signal.flags & kSaNodefer) == 0) mask |= SignalBit(static_cast<int>(signal.signo));
  SetMask(thread, mask);
  if ((static_cast<uint32_t>(thread->altstack.flags) & kSsAutodisarm) != 0) {
    thread->altstack = Stack{0, static_cast<int>(kSsDisable), 0, 0};
  }
  ResetExtendedState(uc->mcontext.fpstate);
  uc->mcontext.rsp = frame;
  uc->mcontext.rip = signal.handler;
  uc->mcontext.rdi = signal.signo;
  uc->mcontext.rsi = frame + offsetof(SignalFrame, info);
  uc->mcontext.rdx = frame + offsetof(SignalFrame, uc);
  uc->mcontext.rax = 0;
  uc->mcontext.eflags &= ~(kEflagsTf | kEflagsDf | kEflagsRf);
  return true;
}

// Takes the sentry's answer to a signal request. True when a handler is to run: its frame is in
// place.
bool TakeSignal(Thread* thread, Ucontext* uc, const Reply& reply) {
  if (reply.verb == ring::Verb::kExitGroup) Die(static_cast<int>(reply.operands[0]));
  if (reply.verb == ring::Verb::kExitThread) ExitThread(thread);
  if (reply.verb != ring::Verb::kSignal || reply.result == 0) return false;
  ring::SignalFrame signal;
  dd_copy(&signal, thread->staging, sizeof signal);
  if (!PushFrame(thread, uc, signal)) {
    // No room for the frame: the kernel forces SIGSEGV, and kills if that has no room either.
    RaiseFault(thread, uc, kSigsegv, 0x80, 0, signal.signo == kSigsegv);
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
void ResolveForHandler(Ucontext* uc, long nr, long result, bool restart_flag) {
  const bool restart = result == -kErestartnointr || (result == -kErestartsys && restart_flag);
  if (restart) {
    uc->mcontext.rax = static_cast<uint64_t>(nr);
    uc->mcontext.rip -= 2;  // the syscall instruction
  } else {
    const bool interrupted = result <= -kErestartsys && result >= -kErestartRestartblock;
    uc->mcontext.rax = static_cast<uint64_t>(interrupted ? -kEintr : result);
  }
}

void ResolveWithoutHandler(Ucontext* uc, long nr, long result) {
  if (result == -kErestartRestartblock) {
    uc->mcontext.rax = kRestartSyscall;
    uc->mcontext.rip -= 2;
  } else if (result <= -kErestartsys && result >= -kErestartnohand) {
    uc->mcontext.rax = static_cast<uint64_t>(nr);
    uc->mcontext.rip -= 2;
  } else {
    uc->mcontext.rax = static_cast<uint64_t>(result);
  }
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
  Mcontext& m = uc->mcontext;
  if (m.rip == Address(dd_finish_trap)) {
    // A patched site's call is done; only now is the guest's whole state at hand.
    m.rip = thread->finish_address;
    m.rcx = thread->finish_address;
    FinishCall(thread, uc, thread->finish_nr, thread->finish_result);
    return;
  }
  const auto nr = static_cast<long>(m.rax);
  m.rip = PatchSite(thread, m.rip, nr);
  const uint64_t args[6] = {m.rdi, m.rsi, m.rdx, m.r10, m.r8, m.r9};
  const long result = Dispatch(thread, uc, nr, args);
  if (result == kNoResult) {
    FinishCall(thread, uc, -1, 0);
  } else {
    FinishCall(thread, uc, nr, result);
  }
}

void OnFault(int signo, Siginfo* info, void* context) {
  auto* uc = static_cast<Ucontext*>(context);
  const uint64_t rip = uc->mcontext.rip;
  Thread* thread = Current();
  if (thread == nullptr) return Chain(signo, info, context);
  if (InRange(rip, dd_access_begin, dd_access_end)) {
    uc->mcontext.rip = Address(dd_access_failed);
    return;
  }
  if (InRuntime(thread, rip)) Die(71);
  RaiseFault(thread, uc, signo, info->code, info->addr);
}

void OnKick(int, Siginfo*, void* context) {
  auto* uc = static_cast<Ucontext*>(context);
  const uint64_t rip = uc->mcontext.rip;
  Thread* thread = Current();
  if (thread == nullptr) return;
  if (InRange(rip, dd_wait_begin, dd_wait_end)) {
    uc->mcontext.rip = Address(dd_wait_aborted);
    return;
  }
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
  FinishCall(thread, uc, -1, 0);
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

void SetMask(Thread* thread, uint64_t mask) {
  const uint64_t old = Mask(thread);
  std::atomic_ref(thread->slot->signal_mask).store(mask & ~kUnblockable);
  if ((old & ~mask) != 0) thread->unblocked = true;
}

uint64_t Mask(const Thread* thread) {
  return std::atomic_ref(thread->slot->signal_mask).load(std::memory_order_relaxed);
}

long InstallHandlers() {
  // Everything waits while the runtime works, but for what its own accesses to guest memory raise.
  const uint64_t all = ~(SignalBit(kSigsegv) | SignalBit(kSigbus));
  long error = Install(kSigsys, OnSyscall, all);
  for (const int signo : {kSigsegv, kSigbus, kSigfpe, kSigill, kSigtrap}) {
    if (error == 0) error = Install(signo, OnFault, all);
  }
  return error == 0 ? Install(kSigkick, OnKick, all) : error;
}

void FinishCall(Thread* thread, Ucontext* uc, long nr, long result) {
  bool resolved = nr < 0;
  while (MustAsk(thread)) {
    const Reply reply = RequestSignal(thread);
    if (!resolved && reply.verb == ring::Verb::kSignal && reply.result != 0) {
      ring::SignalFrame signal;
      dd_copy(&signal, thread->staging, sizeof signal);
      ResolveForHandler(uc, nr, result, (signal.flags & kSaRestart) != 0);
      resolved = true;
    }
    if (!TakeSignal(thread, uc, reply)) break;
  }
  if (!resolved) ResolveWithoutHandler(uc, nr, result);
  if (thread->has_saved_mask) {
    thread->has_saved_mask = false;
    SetMask(thread, thread->saved_mask);
    FinishCall(thread, uc, -1, 0);
  }
}

void RaiseFault(Thread* thread, Ucontext* uc, int signo, int code, uint64_t addr, bool fatal) {
  const uint64_t args[6] = {static_cast<uint64_t>(signo), static_cast<uint64_t>(code), addr,
                            uc->mcontext.rip, fatal ? 1U : 0U};
  const Reply reply = RingCall(thread, static_cast<uint32_t>(ring::RuntimeCall::kFault), args);
  TakeSignal(thread, uc, reply);
  FinishCall(thread, uc, -1, 0);
}

void ReturnFromHandler(Thread* thread, Ucontext* uc) {
  // The handler's return popped `pretcode`: the stack pointer is at the saved ucontext.
  Ucontext saved;
  if (CopyIn(&saved, uc->mcontext.rsp, sizeof saved) != 0) {
    RaiseFault(thread, uc, kSigsegv, 0x80, 0);
    return;
  }
  uint8_t* host_state = uc->mcontext.fpstate;
  if (saved.mcontext.fpstate == nullptr) {
    ResetExtendedState(host_state);
  } else {
    // The host's own software header and trailing magic stay: they describe this very frame.
    const uint32_t extended = ExtendedSize(host_state);
    const uint64_t from = Address(saved.mcontext.fpstate);
    const uint32_t tail = extended > kFxsaveSize ? extended - 4 : extended;
    if (CopyIn(host_state, from, kXsaveSoftware) != 0 ||
        (tail > kXsaveSoftwareEnd &&
         CopyIn(host_state + kXsaveSoftwareEnd, from + kXsaveSoftwareEnd,
                tail - kXsaveSoftwareEnd) != 0)) {
      RaiseFault(thread, uc, kSigsegv, 0x80, 0);
      return;
    }
  }
  Mcontext& m = uc->mcontext;
  const Mcontext host = m;
  m = saved.mcontext;
  m.eflags = (host.eflags & ~kEflagsUser) | (saved.mcontext.eflags & kEflagsUser);
  m.cs = host.cs;
  m.gs = host.gs;
  m.fs = host.fs;
  m.ss = host.ss;
  m.fpstate = host.fpstate;
  SetMask(thread, saved.sigmask);
  if ((static_cast<uint32_t>(saved.stack.flags) & ~kSsAutodisarm & ~kSsOnstack & ~kSsDisable) ==
      0) {
    thread->altstack = saved.stack;
    thread->altstack.flags &= ~static_cast<int>(kSsOnstack);
  }
}

}  // namespace dd::native
