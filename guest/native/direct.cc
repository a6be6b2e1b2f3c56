// The direct plane: in trusted mode a guest thread uses the sentry's own open files, without asking
// it. Both hold descriptors of one open file description, so that neither sees a difference.
// What does not simply succeed goes to the sentry, which knows how to wait, to signal and to fail;
// where the host's status flags are the guest's, the host waits and fails for the guest.
#include "guest/native/direct.h"

#include "guest/native/syscalls.h"
#include "guest/native/waiting.h"

namespace dd::native {
namespace {

// The leased descriptor of guest descriptor n has this number plus n. So a thread that still uses a
// number another thread has just closed and opened again gets what it would get from Linux.
constexpr long kLeaseBase = 256;

// struct msghdr, as far as it matters here: a name or control data are the sentry's to translate.
struct MessageHeader {
  uint64_t name;
  uint64_t name_length;
  uint64_t vectors;
  uint64_t vector_count;
  uint64_t control;
  uint64_t control_length;
};

// What a call needs of its arguments to be made directly.
enum class Shape : uint8_t {
  kNone = 0,  // not a call of the direct plane
  kPlain,     // nothing
  kAddress,   // no address in the fifth
  kMessage,   // no name and no control data in the msghdr of the second
};

constexpr long kNumbers = 512;
struct Shapes {
  Shape of[kNumbers] = {};
  constexpr Shapes() {
    for (const long nr : {kRead, kWrite, kReadv, kWritev, kPread64, kPwrite64, kLseek}) {
      of[nr] = Shape::kPlain;
    }
    for (const long nr : {kSendto, kRecvfrom}) of[nr] = Shape::kAddress;
    for (const long nr : {kSendmsg, kRecvmsg}) of[nr] = Shape::kMessage;
  }
};
constexpr Shapes kShapes;

// Only the process that owns the address space: a vfork child shares the memory, not the
// descriptors.
bool Owns(const Thread* thread) {
  const Environment& environment = thread->space->environment;
  return environment.sentry_pid != 0 && thread->pid == thread->space->pid;
}

void Drop(AddressSpace* space, uint64_t fd) {
  if (space->leases[fd] >= Lease::kHeld) Host(kClose, kLeaseBase + static_cast<long>(fd));
  space->leases[fd] = Lease::kUnused;
  space->watched[fd] = 0;
}

// Whether an option is one that the sentry carries out at each transfer.
bool ChangesTransfers(const uint64_t args[6]) {
  constexpr uint64_t kSolSocket = 1;
  constexpr uint64_t kPasscred = 16;
  constexpr uint64_t kTimeouts[] = {20, 21, 66, 67};  // SO_RCVTIMEO, SO_SNDTIMEO, old and new
  if (args[1] != kSolSocket) return false;
  for (const uint64_t name : kTimeouts) {
    if (args[2] == name) return true;
  }
  return args[2] == kPasscred;
}

// Asks the sentry for the descriptor behind `fd`.
Lease Request(Thread* thread, uint64_t fd) {
  AddressSpace* space = thread->space;
  const uint64_t args[6] = {fd};
  const Reply reply = RuntimeRequest(thread, ring::RuntimeCall::kLease, args);
  if (reply.result < 0) return Lease::kRefused;
  const long got = TakeFromSentry(space->environment, static_cast<uint64_t>(reply.result));
  if (got < 0) return Lease::kRefused;
  const long placed = Host(kDup3, got, kLeaseBase + static_cast<long>(fd), kCloexec);
  Host(kClose, got);
  if (placed < 0) return Lease::kRefused;
  space->bell = reply.operands[1];
  return reply.operands[0] != 0 ? Lease::kWaits : Lease::kLent;
}

bool FitsMessage(uint64_t address) {
  MessageHeader header;
  if (CopyIn(&header, address, sizeof header) != 0) return false;
  return header.name == 0 && (header.control == 0 || header.control_length == 0);
}

bool Fits(Shape shape, const uint64_t args[6]) {
  switch (shape) {
    case Shape::kNone:
      return false;
    case Shape::kPlain:
      return true;
    case Shape::kAddress:
      return args[4] == 0;
    case Shape::kMessage:
      return FitsMessage(args[1]);
  }
  return false;
}

}  // namespace

Reply RuntimeRequest(Thread* thread, ring::RuntimeCall call, const uint64_t args[6]) {
  const Reply reply = RingCall(thread, static_cast<uint32_t>(call), args);
  if (reply.verb == ring::Verb::kExitThread) ExitThread(thread);
  return reply;
}

long Forwarded(Thread* thread, long nr, const uint64_t args[6]) {
  const Reply reply = ForwardCall(thread, nr, args);
  if (reply.verb == ring::Verb::kExitThread) ExitThread(thread);
  return reply.result;
}

Lease LeaseOf(Thread* thread, uint64_t fd) {
  if (fd >= kLeaseLimit) return Lease::kRefused;
  Lease* lease = &thread->space->leases[fd];
  if (*lease == Lease::kUnused) {
    *lease = Lease::kUsed;
  } else if (*lease == Lease::kUsed) {
    *lease = Lease::kRefused;
    *lease = Request(thread, fd);
  }
  return *lease;
}

long Leased(uint64_t fd) { return kLeaseBase + static_cast<long>(fd); }

long DirectCall(Thread* thread, long nr, const uint64_t args[6]) {
  if (!Owns(thread) || static_cast<uint64_t>(nr) >= kNumbers) return kNotHere;
  if (nr == kEpollWait || nr == kEpollPwait) return DirectEpollWait(thread, nr, args);
  if (nr == kEpollCtl) return DirectEpollControl(thread, args);
  if (nr == kPoll) return DirectPoll(thread, args);
  if (!Fits(kShapes.of[nr], args)) return kNotHere;
  const Lease lease = LeaseOf(thread, args[0]);
  if (lease < Lease::kLent) return kNotHere;
  const HostCall call = {nr,
                         {Leased(args[0]), Register(args[1]), Register(args[2]), Register(args[3]),
                          Register(args[4]), Register(args[5])}};
  if (lease == Lease::kLent) {
    const long result = Host(nr, call.args[0], args[1], args[2], args[3], args[4], args[5]);
    return result < 0 ? kNotHere : result;
  }
  const long result = WaitFor(thread, call);
  if (result == -kEintr) return -kErestartsys;
  // A connection tells an error once, so that it is told here. But the signal of a broken pipe is
  // the sentry's to send, and a descriptor may have been closed meanwhile.
  return result == -kEpipe || result == -kEbadf ? kNotHere : result;
}

void DescriptorsChange(Thread* thread, long nr, const uint64_t args[6]) {
  if (!Owns(thread)) return;
  if (nr == kSetsockopt) {
    if (args[0] >= kLeaseLimit || !ChangesTransfers(args)) return;
    Lease* lease = &thread->space->leases[args[0]];
    if (*lease > Lease::kHeld) *lease = Lease::kHeld;
    return;
  }
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
