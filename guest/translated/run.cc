// The loop of a guest thread whose code is translated, and the parts of native/context.h that every
// translated instruction set answers alike.
#include "guest/exec/stored.h"
#include "guest/ir/interpret.h"
#include "guest/native/signals.h"
#include "guest/native/syscalls.h"
#include "guest/translated/context.h"

namespace dd::translated {
namespace {

void* MapMemory(size_t bytes) {
  const long base =
      native::Host(native::kMmap, 0, bytes, native::kProtRead | native::kProtWrite,
                   native::kMapPrivate | native::kMapAnonymous | native::kMapNoreserve, -1, 0);
  return base < 0 ? nullptr : reinterpret_cast<void*>(base);
}

bool ProtectMemory(void* at, size_t bytes, bool executable) {
  const uint64_t prot = native::kProtRead | (executable ? native::kProtExec : native::kProtWrite);
  return native::Host(native::kMprotect, at, bytes, prot) == 0;
}

size_t Fetch(void* to, uint64_t pc, size_t limit) {
  const native::AddressSpace* space = native::Current()->space;
  const size_t bytes = ExecutableAt(&space->translated->executable, pc, limit);
  return bytes != 0 && native::CopyIn(to, pc, bytes) == 0 ? bytes : 0;
}

void Yield() { native::Host(native::kSchedYield); }

constexpr uint32_t kClockMonotonicId = 1;

uint64_t ReadClock(uint32_t number) {
  constexpr uint64_t kNsPerSecond = 1000000000;
  auto* clock = native::Current()->space->environment.clock_gettime;
  native::Timespec now = {};
  if (clock == nullptr || clock(static_cast<int>(number), &now) != 0) return ir::kNoClock;
  return static_cast<uint64_t>(now.sec) * kNsPerSecond + static_cast<uint64_t>(now.nsec);
}

// Hosts before Linux 5.14 refuse; pages come anyway. Untrusted mode's confinement has no room for
// such advice.
void PopulateMemory(void* at, size_t bytes) {
  const bool trusted = native::Current()->space->environment.life_fd >= 0;
  if (!trusted) return;
  native::Host(native::kMadvise, at, bytes, native::kMadvPopulateWrite);
}

constexpr exec::HostServices kHost = {MapMemory, ProtectMemory, Fetch, Yield, PopulateMemory};

}  // namespace
}  // namespace dd::translated

namespace dd::native {

uint64_t ProgramCounter(const Context* context) { return context->state.pc; }
uint64_t ThreadPointer(const Context* context) { return context->state.tls; }
void SetThreadPointer(Context* context, uint64_t tls) { context->state.tls = tls; }

// The host's own is the runtime's.
uint64_t HostThreadPointer(Context* child, uint64_t tls) {
  child->state.tls = tls;
  uint64_t base;
  asm volatile("rdfsbase %0" : "=r"(base));
  return base;
}

long GuestNumber(Thread* thread, long) { return static_cast<long>(thread->context->call_number); }

Context* CopyForChild(Thread* child, const Context* context) {
  Context* copy = translated::ContextOf(child);
  if (copy == nullptr) return nullptr;
  dd_copy(&copy->state, &context->state, sizeof copy->state);
  copy->call_number = context->call_number;
  copy->fault = {};
  copy->state.interrupt = 0;
  copy->state.exclusive_addr = ir::kNoExclusive;
  SetResult(copy, 0);
  return copy;
}

uint64_t RuntimeStack(const Thread* child) { return StackTop(child); }

void Resume(Thread* thread, Context*) { translated::RunGuest(thread); }

void EnterProgram(Thread* thread, uint64_t pc, uint64_t sp) {
  Context* context = translated::ContextOf(thread);
  if (context == nullptr) Die(84);
  translated::Reset(&context->state, pc, sp);
  translated::RunGuest(thread);
}

void MemoryChanged(AddressSpace* space, uint64_t begin, uint64_t end, uint64_t prot) {
  Translated* translated = space->translated;
  translated::SetExecutable(&translated->executable, begin, end, (prot & kProtExec) != 0);
  exec::Invalidate(translated->translator, begin, end);
}

void MemoryMoved(AddressSpace* space, uint64_t from, uint64_t from_length, uint64_t to,
                 uint64_t to_length) {
  const bool executable = translated::ExecutableAt(&space->translated->executable, from, 1) != 0;
  MemoryChanged(space, from, from + from_length, 0);
  MemoryChanged(space, to, to + to_length, executable ? uint64_t{kProtExec} : 0);
}

void TranslationsLent(AddressSpace* space, uint64_t begin, uint64_t length, uint64_t offset,
                      long fd) {
  const long base =
      Host(kMmap, 0, exec::kStoredBytesMax, kProtRead, kMapPrivate | kMapNoreserve, fd, 0);
  if (base < 0) return;
  const auto* stored = reinterpret_cast<const exec::StoredHeader*>(base);
  // The sentry has looked at all of it; but the program on disk may not be this one any more.
  bool same = stored->magic == exec::kStoredMagic && stored->version == exec::kStoredVersion;
  for (size_t i = 0; i < exec::kBuildBytes; i++) {
    same = same && stored->build[i] == space->environment.build[i];
  }
  exec::Translator* translator = space->translated->translator;
  const exec::StoredHeader* kept = same ? exec::Keep(translator, stored) : nullptr;
  const uint64_t used = kept == stored ? (stored->bytes + kPage - 1) & ~(kPage - 1) : 0;
  if (used < exec::kStoredBytesMax) Host(kMunmap, base + used, exec::kStoredBytesMax - used);
  if (kept != nullptr) exec::Lend(translator, begin, begin + length, offset, kept);
}

uint64_t HostProtection(uint64_t prot) {
  // Execute-only memory is still read, to be translated.
  return (prot & kProtExec) != 0 ? (prot & ~uint64_t{kProtExec}) | kProtRead : prot;
}

long PrepareSpace(AddressSpace* space) {
  const auto bytes = (sizeof(Translated) + kPage - 1) & ~(kPage - 1);
  const long base =
      Host(kMmap, 0, bytes, kProtRead | kProtWrite, kMapPrivate | kMapAnonymous, -1, 0);
  if (base < 0) return base;
  auto* translated = reinterpret_cast<Translated*>(base);
  ir::read_clock = translated::ReadClock;
  ir::count_clock = translated::kClockMonotonicId;
  translated->translator = exec::Make(translated::kHost, exec::kCacheBytes, translated::kLower);
  if (translated->translator == nullptr) return -kEnomem;
  const GuestCode code = translated::CodeForGuests();
  translated->sigreturn = code.sigreturn;
  translated::SetExecutable(&translated->executable, code.begin, code.end, true);
  translated->executable.header.made =
      reinterpret_cast<uint64_t>(exec::FreshOf(translated->translator));
  space->owned->header.code = reinterpret_cast<uint64_t>(&translated->executable.header);
  space->translated = translated;
  return 0;
}

void BeforeFork(AddressSpace* space) { exec::BeforeFork(space->translated->translator); }
void AfterFork(AddressSpace* space, bool child) {
  exec::AfterFork(space->translated->translator, child);
}

// The kick's handler only sets flags, so that it may come at any time.
void LetKicksIn(const Thread*, bool) {}

}  // namespace dd::native

namespace dd::translated {
namespace {

using native::Context;
using native::Thread;

// Room for the frames of SIGSEGV and, nested, a kick, with the largest extended state.
constexpr uint64_t kSignalStackBytes = 48 * 1024;
constexpr uint64_t kContextBytes = (sizeof(Context) + native::kPage - 1) & ~(native::kPage - 1);

constexpr int kSiKernel = 128;
constexpr int kIllOpcode = 1;       // ILL_ILLOPC
constexpr int kTrapBreakpoint = 1;  // TRAP_BRKPT
constexpr int kSegvMapping = 1;     // SEGV_MAPERR
constexpr int kSegvAccess = 2;      // SEGV_ACCERR
constexpr int kBusAlignment = 1;    // BUS_ADRALN

void Call(Thread* thread, Context* context) {
  context->call_number = CallNumber(context->state);
  uint64_t args[6];
  const uint64_t* from = CallArguments(context->state);
  for (int i = 0; i < 6; i++) args[i] = from[i];
  const long nr = HostNumber(context->call_number);
  const long result = nr < 0 ? -native::kEnosys : native::Dispatch(thread, context, nr, args);
  if (result == native::kNoResult) {
    native::FinishCall(thread, context, -1, 0);
  } else {
    native::FinishCall(thread, context, nr < 0 ? 0 : nr, result);
  }
}

void Trap(Thread* thread, Context* context, ir::TrapKind kind) {
  const uint64_t pc = context->state.pc;
  switch (kind) {
    case ir::TrapKind::kBreakpoint:
      return native::RaiseFault(thread, context, native::kSigtrap, kTrapBreakpoint, pc);
    case ir::TrapKind::kIllegalMemory:
      return native::RaiseFault(thread, context, native::kSigbus, 1, pc);
    case ir::TrapKind::kUndefined:
      break;
  }
  native::RaiseFault(thread, context, native::kSigill, kIllOpcode, pc);
}

void FetchFault(Thread* thread, Context* context) {
  const uint64_t pc = context->state.pc;
  uint8_t byte;
  const bool mapped = native::CopyIn(&byte, pc, 1) == 0;
  native::RaiseFault(thread, context, native::kSigsegv, mapped ? kSegvAccess : kSegvMapping, pc);
}

// What no page is to blame for, which the host tells without an address.
void GeneralProtection(Thread* thread, Context* context) {
  const exec::RefusedAccess refused =
      exec::Refused(thread->space->translated->translator, &context->state);
  switch (refused.kind) {
    case exec::RefusedAccess::kTagged:
      return;
    case exec::RefusedAccess::kUnaligned:
      return native::RaiseFault(thread, context, native::kSigbus, kBusAlignment, refused.address);
    case exec::RefusedAccess::kUnmapped:
      break;
  }
  native::RaiseFault(thread, context, native::kSigsegv, kSegvMapping, refused.address);
}

void Interrupted(Thread* thread, Context* context) {
  const native::PendingFault fault = context->fault;
  context->fault = {};
  if (fault.code == kSiKernel) return GeneralProtection(thread, context);
  if (fault.signo != 0) {
    native::RaiseFault(thread, context, fault.signo, fault.code, fault.addr);
  } else {
    native::FinishCall(thread, context, -1, 0);
  }
}

}  // namespace

Context* ContextOf(Thread* thread) {
  if (thread->context == nullptr) {
    const long base = native::Host(native::kMmap, 0, kContextBytes + kSignalStackBytes,
                                   native::kProtRead | native::kProtWrite,
                                   native::kMapPrivate | native::kMapAnonymous, -1, 0);
    if (base < 0) return nullptr;
    thread->context = reinterpret_cast<Context*>(base);
  }
  return thread->context;
}

void RunGuest(Thread* thread) {
  Context* context = thread->context;
  const native::Stack stack{reinterpret_cast<uint64_t>(context) + kContextBytes, 0, 0,
                            kSignalStackBytes};
  native::Host(native::kSigaltstack, &stack, nullptr);
  const uint64_t mask = thread->space->environment.foreign_signals;
  native::Host(native::kRtSigprocmask, 2, &mask, nullptr, 8);
  for (;;) {
    const exec::Exit exit = exec::Run(thread->space->translated->translator, &context->state);
    context->state.interrupt = 0;
    switch (exit.kind) {
      case exec::ExitKind::kSyscall:
        Call(thread, context);
        break;
      case exec::ExitKind::kTrap:
        Trap(thread, context, exit.trap);
        break;
      case exec::ExitKind::kFetchFault:
        FetchFault(thread, context);
        break;
      case exec::ExitKind::kInterrupt:
        Interrupted(thread, context);
        break;
    }
  }
}

}  // namespace dd::translated
