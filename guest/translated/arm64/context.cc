// arm64: frames of signal handlers and the calling convention of its system calls. Layouts:
// <asm/sigcontext.h>, <asm/ucontext.h> and arch/arm64/kernel/signal.c.
#include "guest/translated/context.h"

#include "guest/lower/a64/lower.h"
#include "guest/native/syscalls.h"
#include "guest/translated/arm64/vdso.h"

namespace dd::native {
namespace {

constexpr uint64_t kInstructionBytes = 4;
constexpr uint64_t kRestartSyscallNumber = 128;
constexpr uint32_t kFramePointer = 29;
constexpr uint32_t kLink = 30;
constexpr uint32_t kSp = 31;
constexpr uint32_t kNumber = 8;
constexpr uint32_t kGeneral = 31;
constexpr uint32_t kVectors = 32;

struct Record {
  uint32_t magic;
  uint32_t size;
};
constexpr uint32_t kFpsimdMagic = 0x46508001;

struct FpsimdRecord {
  Record head;
  uint32_t fpsr;
  uint32_t fpcr;
  ir::V128 v[kVectors];
};
static_assert(sizeof(FpsimdRecord) == 528);

constexpr size_t kReservedBytes = 4096;

struct GuestMcontext {
  uint64_t fault_address;
  uint64_t x[kGeneral];
  uint64_t sp;
  uint64_t pc;
  uint64_t pstate;
  alignas(16) uint8_t reserved[kReservedBytes];
};
static_assert(offsetof(GuestMcontext, reserved) == 288);

struct GuestUcontext {
  uint64_t flags;
  uint64_t link;
  Stack stack;
  uint64_t sigmask;
  uint8_t unused[120];
  GuestMcontext mcontext;
};
static_assert(offsetof(GuestUcontext, mcontext) == 176);

struct GuestFrame {
  Siginfo info;
  GuestUcontext uc;
  // Where a walk along frame pointers finds the interrupted function.
  uint64_t frame_pointer;
  uint64_t link;
};

constexpr uint32_t kPstateShiftN = 31;
constexpr uint32_t kPstateShiftZ = 30;
constexpr uint32_t kPstateShiftC = 29;
constexpr uint32_t kPstateShiftV = 28;

uint64_t Pstate(uint32_t flags) {
  uint64_t pstate = 0;
  if ((flags & ir::kFlagN) != 0) pstate |= uint64_t{1} << kPstateShiftN;
  if ((flags & ir::kFlagZ) != 0) pstate |= uint64_t{1} << kPstateShiftZ;
  if ((flags & ir::kFlagC) != 0) pstate |= uint64_t{1} << kPstateShiftC;
  if ((flags & ir::kFlagV) != 0) pstate |= uint64_t{1} << kPstateShiftV;
  return pstate;
}

uint32_t Flags(uint64_t pstate) {
  uint32_t flags = 0;
  if ((pstate >> kPstateShiftN & 1) != 0) flags |= ir::kFlagN;
  if ((pstate >> kPstateShiftZ & 1) != 0) flags |= ir::kFlagZ;
  if ((pstate >> kPstateShiftC & 1) != 0) flags |= ir::kFlagC;
  if ((pstate >> kPstateShiftV & 1) != 0) flags |= ir::kFlagV;
  return flags;
}

// The frame is built in guest memory piece by piece: it is too large for the runtime's stack to
// hold twice.
template <typename T>
bool Put(uint64_t frame, size_t offset, const T& value) {
  return CopyOut(frame + offset, &value, sizeof value) == 0;
}

constexpr size_t kUc = offsetof(GuestFrame, uc);
constexpr size_t kMcontext = kUc + offsetof(GuestUcontext, mcontext);
constexpr size_t kReserved = kMcontext + offsetof(GuestMcontext, reserved);

}  // namespace

const uint64_t kRedZone = 0;
const EpollEventLayout kEpollEvent = {16, 8};
const uint64_t kMinimumSignalStack = 5120;  // MINSIGSTKSZ

uint64_t StackPointer(const Context* context) { return context->state.g[kSp]; }
void SetStackPointer(Context* context, uint64_t sp) { context->state.g[kSp] = sp; }

void SetResult(Context* context, long result) {
  context->state.g[0] = static_cast<uint64_t>(result);
}

void RestartCall(Context* context, long nr) {
  context->state.g[kNumber] = nr == kRestartSyscall ? kRestartSyscallNumber : context->call_number;
  context->state.pc -= kInstructionBytes;
}

bool StoreFrame(Thread* thread, Context* context, const ring::SignalFrame& signal, uint64_t sp,
                const Stack& stack, uint64_t mask) {
  ir::State& state = context->state;
  const uint64_t record = (sp & ~uint64_t{15}) - 16;
  const uint64_t frame = (record - offsetof(GuestFrame, frame_pointer)) & ~uint64_t{15};

  struct {
    uint64_t flags;
    uint64_t link;
    Stack stack;
    uint64_t sigmask;
    uint8_t unused[120];
  } head = {0, 0, stack, mask, {}};
  struct {
    uint64_t fault_address;
    uint64_t x[kGeneral];
    uint64_t sp, pc, pstate;
  } registers;
  registers.fault_address = 0;
  if (signal.signo == kSigsegv || signal.signo == kSigbus) {
    Siginfo info;
    dd_copy(&info, signal.info, sizeof info);
    registers.fault_address = info.addr;
  }
  for (uint32_t i = 0; i < kGeneral; i++) registers.x[i] = state.g[i];
  registers.sp = state.g[kSp];
  registers.pc = state.pc;
  registers.pstate = Pstate(state.flags);
  FpsimdRecord fpsimd;
  fpsimd.head = {kFpsimdMagic, sizeof fpsimd};
  fpsimd.fpsr = state.fpsr;
  fpsimd.fpcr = state.fpcr;
  for (uint32_t i = 0; i < kVectors; i++) fpsimd.v[i] = state.v[i];
  const Record end = {0, 0};
  const uint64_t link[2] = {state.g[kFramePointer], state.g[kLink]};
  if (CopyOut(frame, signal.info, sizeof(Siginfo)) != 0 || !Put(frame, kUc, head) ||
      !Put(frame, kMcontext, registers) || !Put(frame, kReserved, fpsimd) ||
      !Put(frame, kReserved + sizeof fpsimd, end) || CopyOut(record, link, sizeof link) != 0) {
    return false;
  }
  state.g[0] = signal.signo;
  state.g[1] = frame + offsetof(GuestFrame, info);
  state.g[2] = frame + kUc;
  state.g[kFramePointer] = record;
  state.g[kLink] =
      (signal.flags & kSaRestorer) != 0 ? signal.restorer : thread->space->translated->sigreturn;
  state.g[kSp] = frame;
  state.pc = signal.handler;
  return true;
}

bool LoadFrame(Context* context, Stack* stack, uint64_t* mask) {
  ir::State& state = context->state;
  const uint64_t frame = state.g[kSp];
  struct {
    uint64_t fault_address;
    uint64_t x[kGeneral];
    uint64_t sp, pc, pstate;
  } registers;
  FpsimdRecord fpsimd;
  Stack saved_stack;
  uint64_t saved_mask = 0;
  // The vector record is the first one in every frame that Linux or we make.
  if ((frame & 15) != 0 || CopyIn(&registers, frame + kMcontext, sizeof registers) != 0 ||
      CopyIn(&fpsimd, frame + kReserved, sizeof fpsimd) != 0 || fpsimd.head.magic != kFpsimdMagic ||
      fpsimd.head.size != sizeof fpsimd ||
      CopyIn(&saved_stack, frame + kUc + offsetof(GuestUcontext, stack), sizeof saved_stack) != 0 ||
      CopyIn(&saved_mask, frame + kUc + offsetof(GuestUcontext, sigmask), sizeof saved_mask) != 0) {
    return false;
  }
  for (uint32_t i = 0; i < kGeneral; i++) state.g[i] = registers.x[i];
  state.g[kSp] = registers.sp;
  state.pc = registers.pc;
  state.flags = Flags(registers.pstate);
  state.fpcr = fpsimd.fpcr;
  state.fpsr = fpsimd.fpsr;
  for (uint32_t i = 0; i < kVectors; i++) state.v[i] = fpsimd.v[i];
  state.exclusive_addr = ir::kNoExclusive;
  *stack = saved_stack;
  *mask = saved_mask;
  return true;
}

long ArchCall(Thread* thread, long nr, const uint64_t args[6]) {
  // What the vDSO answers, for clocks that it leaves to us and programs that do not use it.
  constexpr uint64_t kCpuClockFirst = 2;
  constexpr uint64_t kCpuClockLast = 3;
  constexpr uint64_t kClockLast = 7;
  if (nr != kClockGettime || args[0] > kClockLast ||
      (args[0] >= kCpuClockFirst && args[0] <= kCpuClockLast)) {
    return kNotHere;
  }
  auto* clock = thread->space->environment.clock_gettime;
  Timespec now;
  if (clock == nullptr || clock(static_cast<int>(args[0]), &now) != 0) return kNotHere;
  return CopyOut(args[1], &now, sizeof now);
}

}  // namespace dd::native

namespace dd::translated {

uint64_t CallNumber(const ir::State& state) { return state.g[native::kNumber] & 0xffffffff; }
const uint64_t* CallArguments(const ir::State& state) { return state.g; }

void Reset(ir::State* state, uint64_t pc, uint64_t sp) {
  native::Zero(state, sizeof *state);
  state->pc = pc;
  state->g[native::kSp] = sp;
  state->exclusive_addr = ir::kNoExclusive;
}

long HostNumber(uint64_t number) {
  static constexpr int16_t kNumbers[] = {
#include "guest/translated/arm64/numbers.inc"
  };
  return number < sizeof kNumbers / sizeof *kNumbers ? kNumbers[number] : -1;
}

const exec::LowerBlock kLower = lower::a64::LowerBlock;

native::GuestCode CodeForGuests() {
  const arm64::Vdso vdso = arm64::VdsoOf();
  return {vdso.begin, vdso.end, vdso.sigreturn};
}

}  // namespace dd::translated
