// futex(2). Waiting and waking are the host's own futexes on the guest's memory, which also work
// between processes that share it. What the executor's filter does not allow is built from those
// two.
#include "guest/native/context.h"
#include "guest/native/syscalls.h"
#include "guest/native/waiting.h"

namespace dd::native {
namespace {

enum FutexOp : uint64_t {
  kWait = 0,
  kWake = 1,
  kRequeue = 3,
  kCmpRequeue = 4,
  kWakeOp = 5,
  kWaitBitset = 9,
  kWakeBitset = 10,
  kCommandMask = 0x7f,
  kPrivate = 128,
  kClockRealtime = 256,
};
constexpr uint64_t kMatchAny = 0xffffffff;
constexpr int kClockMonotonicId = 1;
constexpr int64_t kNsPerSecond = 1000000000;
constexpr uint64_t kMaxWake = 0x7fffffff;

bool BadWord(uint64_t addr) { return (addr & 3) != 0; }

long Wait(Thread* thread, const uint64_t args[6], bool bitset) {
  const uint64_t flags = args[1] & (kPrivate | kClockRealtime);
  Timespec deadline = {};
  const bool timed = args[3] != 0;
  if (timed) {
    if (CopyIn(&deadline, args[3], sizeof deadline) != 0) return -kEfault;
    if (deadline.sec < 0 || deadline.nsec < 0 || deadline.nsec >= kNsPerSecond) return -kEinval;
    if (!bitset) {
      // Relative: as a deadline, so that a wait that goes on after a signal does not start anew.
      Timespec now = {};
      auto* clock = thread->space->environment.clock_gettime;
      if (clock == nullptr || clock(kClockMonotonicId, &now) != 0) return -kEnosys;
      deadline.sec += now.sec;
      deadline.nsec += now.nsec;
      if (deadline.nsec >= kNsPerSecond) {
        deadline.sec++;
        deadline.nsec -= kNsPerSecond;
      }
    }
  }
  const uint64_t mask = bitset ? args[5] : kMatchAny;
  if (static_cast<uint32_t>(mask) == 0) return -kEinval;
  const long op = static_cast<long>(kWaitBitset | (bitset ? flags : flags & kPrivate));
  const long result = WaitFor(thread, {kFutex,
                                       {Register(args[0]), op, Register(args[2]),
                                        timed ? Register(&deadline) : 0, 0, Register(mask)}});
  if (result != -kEintr) return result;
  return timed && !bitset ? -kErestartnohand : -kErestartsys;
}

long Wake(uint64_t addr, uint64_t op_flags, uint64_t count, uint64_t mask) {
  return Host(kFutex, addr, kWakeBitset | (op_flags & kPrivate), count, nullptr, nullptr, mask);
}

// Moving waiters is an optimisation of waking them: whoever waits on a futex looks again when
// woken.
long WakeInstead(const uint64_t args[6], bool compare) {
  if (BadWord(args[4])) return -kEinval;
  const long value = dd_load32(reinterpret_cast<const uint32_t*>(args[0]));
  if (value == -kEfault) return -kEfault;
  if (compare && static_cast<uint32_t>(value) != static_cast<uint32_t>(args[5])) return -kEagain;
  const uint64_t count = (args[2] & kMaxWake) + (args[3] & kMaxWake);
  return Wake(args[0], args[1], count < kMaxWake ? count : kMaxWake, kMatchAny);
}

// FUTEX_WAKE_OP: changes the second word atomically, wakes the first, and the second if its old
// value compares true.
long WakeOp(const uint64_t args[6]) {
  if (BadWord(args[4])) return -kEinval;
  const auto encoded = static_cast<uint32_t>(args[5]);
  const uint32_t op = (encoded >> 28) & 7;
  const bool shift = (encoded >> 31) != 0;
  const uint32_t compare = (encoded >> 24) & 15;
  auto operand = static_cast<int32_t>(encoded << 8) >> 20;
  const auto against = static_cast<int32_t>(encoded << 20) >> 20;
  if (shift) operand = static_cast<int32_t>(1U << (static_cast<uint32_t>(operand) & 31));
  auto* word = reinterpret_cast<int32_t*>(args[4]);
  // Probes the address; the exchange below then only faults if the guest unmaps it in between.
  const long probe = dd_load32(reinterpret_cast<const uint32_t*>(word));
  if (probe == -kEfault) return -kEfault;
  int32_t old = std::atomic_ref(*word).load();
  for (;;) {
    int32_t next = operand;
    switch (op) {
      case 0:
        break;
      case 1:
        next = static_cast<int32_t>(static_cast<uint32_t>(old) + static_cast<uint32_t>(operand));
        break;
      case 2:
        next = old | operand;
        break;
      case 3:
        next = old & ~operand;
        break;
      case 4:
        next = old ^ operand;
        break;
      default:
        return -kEnosys;
    }
    if (std::atomic_ref(*word).compare_exchange_strong(old, next)) break;
  }
  const long woken = Wake(args[0], args[1], args[2], kMatchAny);
  if (woken < 0) return woken;
  const bool holds = compare == 0   ? old == against
                     : compare == 1 ? old != against
                     : compare == 2 ? old < against
                     : compare == 3 ? old <= against
                     : compare == 4 ? old > against
                                    : old >= against;
  if (!holds) return woken;
  const long second = Wake(args[4], args[1], args[3], kMatchAny);
  return second < 0 ? second : woken + second;
}

}  // namespace

long FutexCall(Thread* thread, const uint64_t args[6]) {
  if (BadWord(args[0])) return -kEinval;
  switch (args[1] & kCommandMask) {
    case kWait:
      return Wait(thread, args, false);
    case kWaitBitset:
      return Wait(thread, args, true);
    case kWake:
      return Wake(args[0], args[1], args[2], kMatchAny);
    case kWakeBitset:
      return static_cast<uint32_t>(args[5]) == 0 ? -kEinval
                                                 : Wake(args[0], args[1], args[2], args[5]);
    case kRequeue:
      return WakeInstead(args, false);
    case kCmpRequeue:
      return WakeInstead(args, true);
    case kWakeOp:
      return WakeOp(args);
    default:
      return -kEnosys;
  }
}

}  // namespace dd::native
