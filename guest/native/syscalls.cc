#include "guest/native/syscalls.h"

#include "guest/native/context.h"
#include "guest/native/signals.h"
#include "guest/native/staging.h"

namespace dd::native {
namespace {

constexpr uint64_t kSigsetBytes = 8;

// Where a call keeps the signal mask it wants while it waits.
struct TemporaryMask {
  long nr;
  int pointer_arg;
  bool indirect;  // the argument points at {pointer, size}, as pselect6's does
};

constexpr TemporaryMask kTemporaryMasks[] = {
    {kRtSigsuspend, 0, false}, {kPpoll, 3, false},       {kPselect6, 5, true},
    {kEpollPwait, 4, false},   {kEpollPwait2, 4, false},
};

// Sets the mask a call brings along; FinishCall restores the old one. 0 or -EFAULT.
long ApplyTemporaryMask(Thread* thread, long nr, const uint64_t args[6]) {
  for (const TemporaryMask& row : kTemporaryMasks) {
    if (row.nr != nr) continue;
    uint64_t pointer = args[row.pointer_arg];
    if (pointer != 0 && row.indirect && CopyIn(&pointer, pointer, sizeof pointer) != 0) {
      return -kEfault;
    }
    if (pointer == 0) return 0;
    uint64_t mask = 0;
    if (CopyIn(&mask, pointer, kSigsetBytes) != 0) return -kEfault;
    thread->saved_mask = Mask(thread);
    thread->has_saved_mask = true;
    SetMask(thread, mask);
    return 0;
  }
  return 0;
}

// A descriptor that was promised in a reply to `thread`: `fd` in the sentry.
long Collect(Thread* thread, uint64_t fd) {
  const Environment& environment = thread->space->environment;
  return environment.attach_call != 0 ? TakeDonated(thread, ring::Attach::kFile, thread->slot_index)
                                      : TakeFromSentry(environment, fd);
}

// kMapFile: receives the promised descriptor and maps it where the guest asked.
long MapFile(Thread* thread, long nr, const uint64_t args[6], const Reply& reply) {
  if (reply.result != 0) {
    return Map(
        thread->space,
        {args[0], args[1], reply.operands[0] & kProtAll, reply.operands[1] | kMapAnonymous, -1, 0},
        ring::kTagAnonymous);
  }
  const long fd = Collect(thread, reply.operands[3]);
  if (fd < 0) return fd;
  // shmat(2) says where, rounded down by SHM_RND, and the sentry how much.
  const bool segment = nr == kShmat;
  const uint64_t addr = segment ? args[1] & ~(kPage - 1) : args[0];
  const uint64_t length = segment ? reply.operands[5] : args[1];
  const long result =
      Map(thread->space,
          {addr, length, reply.operands[0] & kProtAll, reply.operands[1], fd, reply.operands[2]},
          static_cast<uint32_t>(reply.operands[4]));
  Host(kClose, fd);
  const bool lent = !segment && reply.operands[5] != 0;
  const long translations = lent ? Collect(thread, reply.operands[5]) : -1;
  if (translations >= 0) {
    if (result >= 0) {
      TranslationsLent(thread->space, static_cast<uint64_t>(result), length, args[5], translations);
    }
    Host(kClose, translations);
  }
  return segment && result == -kEexist ? -kEinval : result;
}

// shmdt(2): the sentry has looked the segment up, and says how long it is.
long Detach(Thread* thread, uint64_t addr, long length) {
  const uint64_t args[6] = {addr, static_cast<uint64_t>(length)};
  return length > 0 ? MemoryCall(thread, kMunmap, args) : length;
}

long Forward(Thread* thread, Context* context, long nr, const uint64_t args[6]) {
  const long error = ApplyTemporaryMask(thread, nr, args);
  if (error != 0) return error;
  const Reply reply = ForwardCall(thread, nr, args);
  switch (reply.verb) {
    case ring::Verb::kReturn:
      return nr == kShmdt ? Detach(thread, args[0], reply.result) : reply.result;
    case ring::Verb::kThread:
    case ring::Verb::kFork:
    case ring::Verb::kVfork:
      return Clone(thread, context, reply);
    case ring::Verb::kExitThread:
      ExitThread(thread);
    case ring::Verb::kExitGroup:
      Die(static_cast<int>(reply.operands[0]));
    case ring::Verb::kMapFile:
      return MapFile(thread, nr, args, reply);
    case ring::Verb::kEnter:
    case ring::Verb::kSignal:
      break;
  }
  Die(72);
}

}  // namespace

bool BringsMask(long nr, const uint64_t args[6]) {
  for (const TemporaryMask& row : kTemporaryMasks) {
    if (row.nr == nr) return args[row.pointer_arg] != 0;
  }
  return false;
}

Reply ForwardCall(Thread* thread, long nr, const uint64_t args[6]) {
  DescriptorsChange(thread, nr, args);
  const long guest_nr = GuestNumber(thread, nr);
  const Staged staged = StageIn(thread, guest_nr, args);
  Reply reply = RingCall(thread, static_cast<uint32_t>(guest_nr), args, staged.mask, staged.length);
  if (reply.verb == ring::Verb::kReturn) {
    reply.result = StageOut(thread, guest_nr, args, staged, reply);
  }
  return reply;
}

long Dispatch(Thread* thread, Context* context, long nr, const uint64_t args[6]) {
  long result = SignalCall(thread, context, nr, args);
  if (result == kNotHere) result = MemoryCall(thread, nr, args);
  if (result == kNotHere) result = ThreadCall(thread, nr, args);
  if (result == kNotHere) result = DirectCall(thread, nr, args);
  if (result == kNotHere) result = Forward(thread, context, nr, args);
  return result;
}

long SignalCall(Thread* thread, Context* context, long nr, const uint64_t args[6]) {
  switch (nr) {
    case kRtSigreturn:
      ReturnFromHandler(thread, context);
      return kNoResult;
    case kRtSigprocmask: {
      if (args[3] != kSigsetBytes) return -kEinval;
      const uint64_t old = Mask(thread);
      if (args[1] != 0) {
        uint64_t set = 0;
        if (CopyIn(&set, args[1], kSigsetBytes) != 0) return -kEfault;
        switch (args[0]) {
          case 0:  // SIG_BLOCK
            SetMask(thread, old | set);
            break;
          case 1:  // SIG_UNBLOCK
            SetMask(thread, old & ~set);
            break;
          case 2:  // SIG_SETMASK
            SetMask(thread, set);
            break;
          default:
            return -kEinval;
        }
      }
      if (args[2] != 0 && CopyOut(args[2], &old, kSigsetBytes) != 0) return -kEfault;
      return 0;
    }
    case kSigaltstack: {
      Stack next = {};
      const Stack old = thread->altstack;
      const uint64_t sp = StackPointer(context);
      const bool active =
          (old.flags & static_cast<int>(kSsDisable)) == 0 && sp > old.sp && sp - old.sp <= old.size;
      if (args[0] != 0) {
        if (CopyIn(&next, args[0], sizeof next) != 0) return -kEfault;
        const uint32_t mode = static_cast<uint32_t>(next.flags) & ~kSsAutodisarm;
        if (active) return -kEperm;
        if (mode != 0 && mode != kSsDisable && mode != kSsOnstack) return -kEinval;
        if (mode == kSsDisable) {
          next.sp = 0;
          next.size = 0;
        } else if (next.size < kMinimumSignalStack) {
          return -kEnomem;
        }
        if (mode == kSsOnstack) next.flags &= ~static_cast<int>(kSsOnstack);
      }
      if (args[1] != 0) {
        Stack out = old;
        if (active) out.flags |= static_cast<int>(kSsOnstack);
        if (CopyOut(args[1], &out, sizeof out) != 0) return -kEfault;
      }
      if (args[0] != 0) thread->altstack = next;
      return 0;
    }
    default:
      return kNotHere;
  }
}

}  // namespace dd::native
