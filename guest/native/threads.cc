// Threads, forks and their ends: the host's side of clone(2), exit(2) and the identity of a thread.
#include "guest/confine/confinement_layout.h"
#include "guest/native/context.h"
#include "guest/native/signals.h"
#include "guest/native/syscalls.h"

extern "C" {
[[gnu::visibility("hidden")]] long dd_clone_thread(long flags, uint64_t stack, uint32_t* parent_tid,
                                                   uint32_t* child_tid, uint64_t tls,
                                                   dd::native::Thread* child);
[[noreturn, gnu::visibility("hidden")]] void dd_child_started(dd::native::Thread* thread);
}

namespace dd::native {
namespace {

constexpr uint64_t kCloneParent = 0x8000;
constexpr uint64_t kRobustListHeadBytes = 24;
// The kernel, too, gives up on longer lists: ROBUST_LIST_LIMIT.
constexpr int kRobustListLimit = 2048;
constexpr uint32_t kFutexWaiters = 0x80000000;
constexpr uint32_t kFutexOwnerDied = 0x40000000;
constexpr uint32_t kFutexTidMask = 0x3fffffff;
constexpr uint64_t kFutexWakeOp = 1;

long CloneFailed(Thread* thread, uint64_t tid, long error) {
  const uint64_t args[6] = {tid, static_cast<uint64_t>(-error)};
  RingCall(thread, static_cast<uint32_t>(ring::RuntimeCall::kCloneFailed), args);
  return error;
}

void Identify(Thread* thread, uint64_t tid, uint64_t pid) {
  thread->tid = static_cast<uint32_t>(tid);
  thread->pid = static_cast<uint32_t>(pid);
}

// Trusted mode's Attach: through the ring.
void Announce(Thread* thread, uint64_t token) {
  const uint64_t args[6] = {token, static_cast<uint64_t>(Host(kGetpid))};
  RingCall(thread, static_cast<uint32_t>(ring::RuntimeCall::kAttached), args);
}

// operands: slot (a fork: the ring's descriptor in the sentry), tid, stack, child-tid address,
// clear-tid address, token; TLS and the parent-tid address follow in staging.
struct CloneExtra {
  uint64_t tls;
  uint64_t has_tls;
  uint64_t parent_tid;
  uint64_t pid;
};

long CloneSharing(Thread* thread, Context* context, const Reply& reply, bool vfork) {
  CloneExtra extra;
  dd_copy(&extra, thread->staging, sizeof extra);
  const uint64_t tid = reply.operands[1];
  if (reply.operands[0] >= kThreadLimit) Die(73);
  Thread* child = ThreadForSlot(thread->space, static_cast<uint32_t>(reply.operands[0]));
  if (child == nullptr) return CloneFailed(thread, tid, -kEnomem);
  Identify(child, tid, extra.pid);
  child->child_tid_addr = reply.operands[3];
  child->clear_tid_addr = reply.operands[4];
  child->attach_token = vfork ? reply.operands[5] : 0;
  child->resume = CopyForChild(child, context);
  if (child->resume == nullptr) return CloneFailed(thread, tid, -kEnomem);
  if (reply.operands[2] != 0) SetStackPointer(child->resume, reply.operands[2]);
  if (vfork) child->altstack = thread->altstack;
  if (extra.parent_tid != 0) {
    dd_store32(reinterpret_cast<uint32_t*>(extra.parent_tid), static_cast<uint32_t>(tid));
  }
  const uint64_t stack = RuntimeStack(child);
  const uint64_t tls =
      HostThreadPointer(child->resume, extra.has_tls != 0 ? extra.tls : ThreadPointer(context));
  const long host = dd_clone_thread(static_cast<long>(vfork ? thread->space->environment.vfork_flags
                                                            : confine::kCloneFlagsThread),
                                    stack, &child->host_tid, &child->host_tid, tls, child);
  if (host < 0) return CloneFailed(thread, tid, host);
  return static_cast<long>(tid);
}

long Fork(Thread* thread, Context* context, const Reply& reply) {
  CloneExtra extra;
  dd_copy(&extra, thread->staging, sizeof extra);
  const uint64_t tid = reply.operands[1];
  Environment& environment = thread->space->environment;
  // No other thread is in the middle of changing what the child gets a copy of.
  Lock(thread->space->owned);
  BeforeFork(thread->space);
  const long host = Host(kClone, environment.fork_flags, 0, 0, 0, 0);
  AfterFork(thread->space, host == 0);
  Unlock(thread->space->owned);
  if (host < 0) return CloneFailed(thread, tid, host);
  if (host > 0) {
    if (extra.parent_tid != 0) {
      dd_store32(reinterpret_cast<uint32_t*>(extra.parent_tid), static_cast<uint32_t>(tid));
    }
    return static_cast<long>(tid);
  }
  // The child: the only thread of its process, without a ring until it has attached.
  AddressSpace* space = thread->space;
  for (Thread*& other : space->threads) {
    if (other != nullptr && other != thread) {
      Host(kMunmap, other, kThreadStackBytes);
      other = nullptr;
    }
  }
  space->threads[thread->slot_index] = nullptr;
  space->threads[0] = thread;
  const long fd = environment.attach_call != 0
                      ? TakeDonated(thread, ring::Attach::kFork, reply.operands[5])
                      : TakeFromSentry(environment, reply.operands[0]);
  // Anything but a donated file would be a call that the filter refuses with a signal.
  const bool donated = fd >= confine::kWindowFirst && fd <= confine::kWindowLast;
  if (fd < 0 || (environment.attach_call != 0 && !donated)) Die(74);
  if (MapRing(thread, static_cast<int>(fd), 0) != 0) Die(74);
  if (EndWithSentry(environment) != 0) Die(78);
  Identify(thread, tid, extra.pid);
  space->pid = thread->pid;
  // Its own forks are the sentry's children, too, not its.
  environment.fork_flags |= kCloneParent;
  environment.vfork_flags |= kCloneParent;
  if (environment.attach_call == 0) Announce(thread, reply.operands[5]);
  thread->host_tid = 0;
  thread->robust_list = 0;
  thread->clear_tid_addr = reply.operands[4];
  if (reply.operands[3] != 0) {
    dd_store32(reinterpret_cast<uint32_t*>(reply.operands[3]), static_cast<uint32_t>(tid));
  }
  if (extra.has_tls != 0) SetThreadPointer(context, extra.tls);
  if (reply.operands[2] != 0) SetStackPointer(context, reply.operands[2]);
  return 0;
}

void ReleaseRobust(Thread* thread, uint64_t entry, int64_t offset) {
  auto* word = reinterpret_cast<uint32_t*>(entry + static_cast<uint64_t>(offset));
  const long value = dd_load32(word);
  if (value == -kEfault || (static_cast<uint32_t>(value) & kFutexTidMask) != thread->tid) return;
  dd_store32(word, (static_cast<uint32_t>(value) & kFutexWaiters) | kFutexOwnerDied);
  if ((static_cast<uint32_t>(value) & kFutexWaiters) != 0) {
    Host(kFutex, word, kFutexWakeOp, 1, nullptr, 0, 0);
  }
}

// See get_robust_list(2): marks the futexes a dying thread holds.
void WalkRobustList(Thread* thread) {
  uint64_t head[3];  // next, offset, pending
  if (thread->robust_list == 0 || CopyIn(head, thread->robust_list, sizeof head) != 0) return;
  const auto offset = static_cast<int64_t>(head[1]);
  uint64_t entry = head[0] & ~uint64_t{1};
  for (int i = 0; i < kRobustListLimit && entry != thread->robust_list; i++) {
    uint64_t next = 0;
    if (CopyIn(&next, entry, sizeof next) != 0) break;
    if (entry != (head[2] & ~uint64_t{1})) ReleaseRobust(thread, entry, offset);
    entry = next & ~uint64_t{1};
  }
  if (head[2] != 0) ReleaseRobust(thread, head[2] & ~uint64_t{1}, offset);
}

// What glibc's pthread_join and musl wait for.
void ClearTid(Thread* thread) {
  if (thread->clear_tid_addr == 0) return;
  auto* word = reinterpret_cast<uint32_t*>(thread->clear_tid_addr);
  if (dd_store32(word, 0) == 0) Host(kFutex, word, kFutexWakeOp, 1, nullptr, 0, 0);
}

}  // namespace

long Clone(Thread* thread, Context* context, const Reply& reply) {
  if (reply.verb == ring::Verb::kFork) return Fork(thread, context, reply);
  return CloneSharing(thread, context, reply, reply.verb == ring::Verb::kVfork);
}

void ExitThread(Thread* thread) {
  WalkRobustList(thread);
  std::atomic_ref(thread->slot->tid).store(ring::kThreadGone);
  ClearTid(thread);
  for (;;) Host(kExit, 0);
}

long ThreadCall(Thread* thread, long nr, const uint64_t args[6]) {
  switch (nr) {
    case kGetpid:
      return static_cast<long>(thread->pid);
    case kGettid:
      return static_cast<long>(thread->tid);
    case kSchedYield:
      return Host(kSchedYield);
    case kFutex:
      return FutexCall(thread, args);
    case kSetTidAddress:
      thread->clear_tid_addr = args[0];
      return static_cast<long>(thread->tid);
    case kSetRobustList:
      if (args[1] != kRobustListHeadBytes) return -kEinval;
      thread->robust_list = args[0];
      return 0;
    case kRseq:
      return -kEnosys;
    default:
      return ArchCall(thread, nr, args);
  }
}

}  // namespace dd::native

void dd_child_started(dd::native::Thread* thread) {
  using namespace dd::native;
  if (thread->entry != nullptr) thread->entry(thread);
  if (thread->attach_token != 0) {
    const uint64_t token = thread->attach_token;
    thread->attach_token = 0;
    if (thread->space->environment.attach_call == 0) {
      Announce(thread, token);
    } else if (Attach(thread, dd::ring::Attach::kVfork, token) < 0) {
      Die(75);
    }
  }
  if (thread->child_tid_addr != 0) {
    dd_store32(reinterpret_cast<uint32_t*>(thread->child_tid_addr), thread->tid);
  }
  thread->slot->tid = thread->host_tid;
  FinishCall(thread, thread->resume, -1, 0);
  Resume(thread, thread->resume);
}
