// The direct plane: in trusted mode a guest thread transfers on the sentry's own open files,
// without asking it. Both hold descriptors of one open file description, so that neither sees a
// difference. Whatever does not simply succeed goes to the sentry, which knows how to wait, to
// signal and to fail.
#include "guest/native/syscalls.h"

namespace dd::native {
namespace {

constexpr long kPread64 = 17;
constexpr long kPwrite64 = 18;
constexpr long kWrite = 1;
constexpr long kLseek = 8;
constexpr long kDup2 = 33;

enum LeaseState : uint8_t {
  kUnused = 0,
  kUsed = 1,     // one transfer has gone to the sentry; the next asks for the descriptor
  kRefused = 2,  // the sentry keeps it to itself
  kLeased = 3,
};

// The leased descriptor of guest descriptor n has this number plus n. So a thread that still uses a
// number another thread has just closed and opened again gets what it would get from Linux.
constexpr long kLeaseBase = 256;

// Only the process that owns the address space: a vfork child shares the memory, not the
// descriptors.
bool Owns(const Thread* thread) {
  const Environment& environment = thread->space->environment;
  return environment.sentry_pid != 0 && thread->pid == thread->space->pid;
}

void Drop(AddressSpace* space, uint64_t fd) {
  if (space->leases[fd] == kLeased) Host(kClose, kLeaseBase + static_cast<long>(fd));
  space->leases[fd] = kUnused;
}

// Asks the sentry for the descriptor behind `fd`. Whether there is a lease now.
bool Ask(Thread* thread, uint64_t fd) {
  AddressSpace* space = thread->space;
  space->leases[fd] = kRefused;
  const uint64_t args[6] = {fd};
  const Reply reply = RingCall(thread, static_cast<uint32_t>(ring::RuntimeCall::kLease), args);
  if (reply.result < 0) return false;
  const long got = TakeFromSentry(space->environment, static_cast<uint64_t>(reply.result));
  if (got < 0) return false;
  const long placed = Host(kDup3, got, kLeaseBase + static_cast<long>(fd), kCloexec);
  Host(kClose, got);
  if (placed < 0) return false;
  space->leases[fd] = kLeased;
  return true;
}

bool IsTransfer(long nr) {
  return nr == kRead || nr == kWrite || nr == kPread64 || nr == kPwrite64 || nr == kLseek;
}

}  // namespace

long DirectCall(Thread* thread, long nr, const uint64_t args[6]) {
  if (!IsTransfer(nr) || args[0] >= kLeaseLimit || !Owns(thread)) return kNotHere;
  uint8_t* state = &thread->space->leases[args[0]];
  if (*state == kUnused) {
    *state = kUsed;
    return kNotHere;
  }
  if (*state == kRefused || (*state == kUsed && !Ask(thread, args[0]))) return kNotHere;
  const long result = Host(nr, kLeaseBase + static_cast<long>(args[0]), args[1], args[2], args[3]);
  return result < 0 ? kNotHere : result;
}

void DescriptorsChange(Thread* thread, long nr, const uint64_t args[6]) {
  if (!Owns(thread)) return;
  uint64_t first = args[0];
  uint64_t last = args[0];
  if (nr == kDup2 || nr == kDup3) {
    first = last = args[1];
  } else if (nr == kCloseRange) {
    last = args[1];
  } else if (nr != kClose) {
    return;
  }
  for (uint64_t fd = first; fd <= last && fd < kLeaseLimit; fd++) Drop(thread->space, fd);
}

}  // namespace dd::native
