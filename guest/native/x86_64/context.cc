// The guest's registers are the host's: the signal frame of the interrupted thread.
#include "guest/native/context.h"

#include "guest/native/fast.h"

extern "C" [[noreturn, gnu::visibility("hidden")]] void dd_resume(void* ucontext);

namespace dd::native {
namespace {

// EFLAGS bits a handler's frame may restore: the arithmetic flags, TF, DF, OF, NT, RF, AC.
constexpr uint64_t kEflagsUser = 0x254dd5;
constexpr uint64_t kEflagsTf = 0x100;
constexpr uint64_t kEflagsDf = 0x400;
constexpr uint64_t kEflagsRf = 0x10000;
constexpr uint64_t kEflagsInitial = 0x202;
constexpr uint16_t kUserCs = 0x33;
constexpr uint16_t kUserSs = 0x2b;
constexpr uint64_t kSyscallBytes = 2;  // of the instruction

Mcontext& Registers(Context* context) { return reinterpret_cast<Ucontext*>(context)->mcontext; }
const Mcontext& Registers(const Context* context) {
  return reinterpret_cast<const Ucontext*>(context)->mcontext;
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

}  // namespace

const uint64_t kRedZone = 128;
const EpollEventLayout kEpollEvent = {12, 4};
const uint64_t kMinimumSignalStack = 2048;

uint64_t StackPointer(const Context* context) { return Registers(context).rsp; }
void SetStackPointer(Context* context, uint64_t sp) { Registers(context).rsp = sp; }
uint64_t ProgramCounter(const Context* context) { return Registers(context).rip; }

uint64_t ThreadPointer(const Context*) {
  uint64_t base;
  asm volatile("rdfsbase %0" : "=r"(base));
  return base;
}

void SetThreadPointer(Context*, uint64_t tls) { asm volatile("wrfsbase %0" : : "r"(tls)); }

uint64_t HostThreadPointer(Context*, uint64_t tls) { return tls; }

void SetResult(Context* context, long result) {
  Registers(context).rax = static_cast<uint64_t>(result);
}

void RestartCall(Context* context, long nr) {
  Registers(context).rax = static_cast<uint64_t>(nr);
  Registers(context).rip -= kSyscallBytes;
}

bool StoreFrame(Thread*, Context* context, const ring::SignalFrame& signal, uint64_t sp,
                const Stack& stack, uint64_t mask) {
  Mcontext& m = Registers(context);
  const uint32_t extended = ExtendedSize(m.fpstate);
  const uint64_t fpstate = (sp - extended) & ~uint64_t{63};
  const uint64_t frame = ((fpstate - sizeof(SignalFrame)) & ~uint64_t{15}) - 8;
  Ucontext saved;
  dd_copy(&saved, context, sizeof saved);
  saved.link = nullptr;
  saved.stack = stack;
  saved.mcontext.fpstate = reinterpret_cast<uint8_t*>(fpstate);
  saved.mcontext.oldmask = mask;
  saved.sigmask = mask;
  if (CopyOut(fpstate, m.fpstate, extended) != 0 ||
      CopyOut(frame + offsetof(SignalFrame, uc), &saved, sizeof saved) != 0 ||
      CopyOut(frame + offsetof(SignalFrame, info), signal.info, sizeof(Siginfo)) != 0 ||
      CopyOut(frame, &signal.restorer, sizeof signal.restorer) != 0) {
    return false;
  }
  ResetExtendedState(m.fpstate);
  m.rsp = frame;
  m.rip = signal.handler;
  m.rdi = signal.signo;
  m.rsi = frame + offsetof(SignalFrame, info);
  m.rdx = frame + offsetof(SignalFrame, uc);
  m.rax = 0;
  m.eflags &= ~(kEflagsTf | kEflagsDf | kEflagsRf);
  return true;
}

bool LoadFrame(Context* context, Stack* stack, uint64_t* mask) {
  Mcontext& m = Registers(context);
  // The handler's return popped `pretcode`: the stack pointer is at the saved ucontext.
  Ucontext saved;
  if (CopyIn(&saved, m.rsp, sizeof saved) != 0) return false;
  uint8_t* host_state = m.fpstate;
  if (saved.mcontext.fpstate == nullptr) {
    ResetExtendedState(host_state);
  } else {
    // The host's own software header and trailing magic stay: they describe this very frame.
    const uint32_t extended = ExtendedSize(host_state);
    const auto from = reinterpret_cast<uint64_t>(saved.mcontext.fpstate);
    const uint32_t tail = extended > kFxsaveSize ? extended - 4 : extended;
    if (CopyIn(host_state, from, kXsaveSoftware) != 0 ||
        (tail > kXsaveSoftwareEnd &&
         CopyIn(host_state + kXsaveSoftwareEnd, from + kXsaveSoftwareEnd,
                tail - kXsaveSoftwareEnd) != 0)) {
      return false;
    }
  }
  const Mcontext host = m;
  m = saved.mcontext;
  m.eflags = (host.eflags & ~kEflagsUser) | (saved.mcontext.eflags & kEflagsUser);
  m.cs = host.cs;
  m.gs = host.gs;
  m.fs = host.fs;
  m.ss = host.ss;
  m.fpstate = host.fpstate;
  *stack = saved.stack;
  *mask = saved.sigmask;
  return true;
}

// The caller's signal frame goes onto the child's runtime stack, so that the child resumes from it
// with every register, the extended state included.
Context* CopyForChild(Thread* child, const Context* context) {
  const auto begin = reinterpret_cast<uint64_t>(context);
  const auto state = reinterpret_cast<uint64_t>(Registers(context).fpstate);
  const uint64_t end = state + child->space->environment.xsave_bytes;
  const uint64_t size = end - begin;
  // The extended state must stay aligned to 64 bytes: move by a multiple of it.
  const uint64_t target = StackTop(child) - ((size + 127) & ~uint64_t{63});
  const uint64_t aligned = target + ((begin - target) & 63);
  dd_copy(reinterpret_cast<void*>(aligned), context, size);
  auto* copy = reinterpret_cast<Ucontext*>(aligned);
  copy->mcontext.fpstate = reinterpret_cast<uint8_t*>(aligned + (state - begin));
  copy->mcontext.rax = 0;
  const uint64_t bottom = StackBottom(child);
  copy->stack = Stack{bottom, 0, 0, StackTop(child) - bottom};
  return reinterpret_cast<Context*>(copy);
}

// Below the frame it resumes.
uint64_t RuntimeStack(const Thread* child) {
  return reinterpret_cast<uint64_t>(child->resume) & ~uint64_t{15};
}

void Resume(Thread*, Context* context) { dd_resume(context); }

// Entered as a return from a signal handler: registers, stack, mask and (for want of a saved one)
// the initial extended state change in one step that no kick can split.
void EnterProgram(Thread* thread, uint64_t pc, uint64_t sp) {
  Ucontext uc;
  Zero(&uc, sizeof uc);
  uc.mcontext.rip = pc;
  uc.mcontext.rsp = sp;
  uc.mcontext.eflags = kEflagsInitial;
  uc.mcontext.cs = kUserCs;
  uc.mcontext.ss = kUserSs;
  uc.sigmask = thread->space->environment.foreign_signals;
  uc.stack = Stack{StackBottom(thread), 0, 0, StackTop(thread) - StackBottom(thread)};
  SetThreadPointer(nullptr, 0);
  dd_resume(&uc);
}

long PrepareSpace(AddressSpace*) { return 0; }
// The child is not to get a copy of a call site that is half rewritten.
void BeforeFork(AddressSpace* space) { LockPatching(space); }
void AfterFork(AddressSpace* space, bool) { UnlockPatching(space); }

long GuestNumber(Thread*, long nr) { return nr; }

// Guest code is interrupted at any instruction, the runtime only where it waits: the handler of the
// trap that led here has blocked kicks, a patched call site has not.
void LetKicksIn(const Thread* thread, bool in) {
  if (!thread->trapped) return;
  const uint64_t set = SignalBit(kSigkick);
  Host(kRtSigprocmask, in ? 1 : 0, &set, nullptr, 8);
}

// The host executes what it finds there; its call sites will be patched.
void MemoryChanged(AddressSpace* space, uint64_t begin, uint64_t, uint64_t prot) {
  if ((prot & kProtExec) != 0) ReserveTrampolines(space, begin);
}
void MemoryMoved(AddressSpace*, uint64_t, uint64_t, uint64_t, uint64_t) {}
void TranslationsLent(AddressSpace*, uint64_t, uint64_t, uint64_t, long) {}
uint64_t HostProtection(uint64_t prot) { return prot; }

}  // namespace dd::native
