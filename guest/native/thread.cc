#include "guest/native/thread.h"

namespace dd::native {
namespace {

constexpr uint64_t kFutexWait = 0;
constexpr uint64_t kFutexWake = 1;

// How long to spin for a reply while the sentry polls on another CPU, in rounds of one pause: about
// 20 us, the price of sleeping and being woken across CPUs.
constexpr uint32_t kSpinRounds = 400;

void Pause() { asm volatile("pause"); }

uint32_t CurrentCpu() {
  uint32_t cpu;
  asm volatile("rdtscp" : "=c"(cpu) : : "eax", "edx");
  return cpu & 0xfff;
}

}  // namespace

Thread* ThreadForSlot(AddressSpace* space, uint32_t slot) {
  Thread* thread = space->threads[slot];
  if (thread == nullptr) {
    const long base = Host(kMmap, 0, kThreadStackBytes, kProtRead | kProtWrite,
                           kMapPrivate | kMapAnonymous, -1, 0);
    if (base < 0) return nullptr;
    thread = reinterpret_cast<Thread*>(base);
    space->threads[slot] = thread;
  } else {
    // The host clears the word as the very last act of the previous user's stack.
    while (uint32_t tid = std::atomic_ref(thread->host_tid).load()) {
      Host(kFutex, &thread->host_tid, kFutexWait, tid, nullptr, 0, 0);
    }
    Context* context = thread->context;
    Zero(thread, sizeof *thread);
    thread->context = context;
  }
  thread->self = thread;
  thread->space = space;
  thread->slot_index = slot;
  const ring::Ring ring(space->ring_base);
  thread->slot = ring.slot(slot);
  thread->staging = ring.staging(slot);
  thread->altstack.flags = kSsDisable;
  // Aligned as at a call, with room for the frame of fast.S above.
  thread->fast_stack = (StackBottom(thread) & ~uint64_t{63}) - 128;
  return thread;
}

Reply RingCall(Thread* thread, uint32_t nr, const uint64_t args[6], uint32_t staged_mask,
               uint32_t staged_length) {
  ring::Slot* slot = thread->slot;
  ring::Doorbell* doorbell = thread->space->doorbell;
  slot->nr = nr;
  slot->staged_mask = staged_mask;
  slot->staged_length = staged_length;
  for (int i = 0; i < 6; i++) slot->args[i] = args[i];
  std::atomic_ref(slot->done).store(0, std::memory_order_relaxed);
  ring::Push(ring::Ring(thread->space->ring_base), thread->slot_index);
  if (ring::Announce(doorbell, thread->space->ring_index)) {
    Host(kFutex, &doorbell->sequence, kFutexWake, 1, nullptr, 0, 0);
  } else if (std::atomic_ref(doorbell->cpu).load(std::memory_order_relaxed) != CurrentCpu()) {
    for (uint32_t i = 0; i < kSpinRounds && std::atomic_ref(slot->done).load() == 0; i++) Pause();
  }
  if (std::atomic_ref(slot->done).load() == 0) {
    std::atomic_ref(slot->waiting).store(1);
    while (std::atomic_ref(slot->done).load() == 0) {
      Host(kFutex, &slot->done, kFutexWait, 0, nullptr, 0, 0);
    }
    std::atomic_ref(slot->waiting).store(0, std::memory_order_relaxed);
  }
  Reply reply;
  reply.verb = static_cast<ring::Verb>(slot->verb);
  reply.result = slot->result;
  for (int i = 0; i < 6; i++) reply.operands[i] = slot->operands[i];
  return reply;
}

long EndWithSentry(const Environment& environment) {
  constexpr long kAtFdcwd = -100;
  constexpr long kNonblock = 04000;
  constexpr long kAsync = 020000;
  constexpr long kSetfl = 4;
  constexpr long kSetown = 8;
  constexpr long kSetsig = 10;
  if (environment.life_fd < 0) return 0;
  // Owner and signal belong to an open file description: this process needs one of its own.
  const char path[] = {'/', 'p', 'r', 'o', 'c',
                       '/', 's', 'e', 'l', 'f',
                       '/', 'f', 'd', '/', static_cast<char>('0' + environment.life_fd),
                       0};
  const long own = Host(kOpenat, kAtFdcwd, path, kCloexec | kNonblock);
  if (own < 0) return own;
  long error = Host(kFcntl, own, kSetsig, static_cast<long>(kSigkill));
  if (error == 0) error = Host(kFcntl, own, kSetown, Host(kGetpid));
  if (error == 0) error = Host(kFcntl, own, kSetfl, kAsync);
  if (error == 0 && own != kOwnLifeFd) {
    error = Host(kDup3, own, kOwnLifeFd, kCloexec);
    Host(kClose, own);
  }
  // An end before the signal was asked for has raised none.
  PollFd writer = {kOwnLifeFd, 0, 0};
  if (error >= 0 && Host(kPoll, &writer, 1, 0) != 0) Die(kDeadBySignal + kSigkill);
  return error < 0 ? error : 0;
}

long TakeFromSentry(const Environment& environment, uint64_t fd) {
  const long pidfd = Host(kPidfdOpen, environment.sentry_pid, 0);
  if (pidfd < 0) return pidfd;
  const long result = Host(kPidfdGetfd, pidfd, fd, 0);
  Host(kClose, pidfd);
  return result;
}

long Attach(Thread* thread, ring::Attach what, uint64_t token) {
  return Host(thread->space->environment.attach_call, static_cast<uint32_t>(what), token, 0, 0, 0,
              0);
}

long TakeDonated(Thread* thread, ring::Attach what, uint64_t token) {
  long fd;
  do {
    fd = Attach(thread, what, token);
  } while (fd == 0);
  return fd;
}

long MapRing(Thread* thread, int fd, uint32_t slot) {
  AddressSpace* space = thread->space;
  const long base = Host(kMmap, space->ring_base, ring::kRingBytes, kProtRead | kProtWrite,
                         space->ring_base == nullptr ? kMapShared : kMapShared | kMapFixed, fd, 0);
  Host(kClose, fd);
  if (base < 0) return base;
  Host(kMadvise, base, ring::kRingBytes, kMadvDontfork);
  space->ring_base = reinterpret_cast<uint8_t*>(base);
  const ring::Ring ring(space->ring_base);
  space->ring_index = ring.header()->ring_index;
  thread->slot_index = slot;
  thread->slot = ring.slot(slot);
  thread->staging = ring.staging(slot);
  return 0;
}

void Die(int status) {
  for (;;) Host(kExitGroup, status);
}

}  // namespace dd::native
