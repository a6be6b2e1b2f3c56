// Numbers both sides of the ring agree on that are not offsets: sizes, verbs and the runtime's own
// calls.
#pragma once

#include <cstdint>

namespace dd::ring {

constexpr uint32_t kMagic = 0x64647269;  // "ddri"
constexpr uint32_t kVersion = 1;

// Threads one address space may have. More is EAGAIN, as RLIMIT_NPROC would say.
constexpr uint32_t kSlotCount = 1024;
// A power of two, and at least kSlotCount: each slot has at most one entry in the queue, so it
// cannot overflow.
constexpr uint32_t kQueueCapacity = 1024;
// Counters begin just before they wrap, so that every run exercises the wrap.
constexpr uint32_t kFirstTicket = 0U - 4U * kQueueCapacity;

constexpr uint32_t kPageSize = 4096;
constexpr uint32_t kQueueOffset = kPageSize;
constexpr uint32_t kSlotsOffset = kQueueOffset + kQueueCapacity * 8;
constexpr uint32_t kSlotSize = 256;
constexpr uint32_t kStagingOffset = kSlotsOffset + kSlotCount * kSlotSize;
constexpr uint32_t kStagingSize = 64 * 1024;
constexpr uint64_t kRingBytes = kStagingOffset + static_cast<uint64_t>(kSlotCount) * kStagingSize;

// Rings (address spaces) one container may have.
constexpr uint32_t kRingLimit = 4096;

// Ranges one address space may consist of: the host's own limit, vm.max_map_count.
constexpr uint32_t kOwnedLimit = 65530;
// Tags of ranges. Step i of the plan has tag i + 1; a file mapped later has the tag that kMapFile
// names.
constexpr uint32_t kTagAnonymous = 0;
constexpr uint32_t kTagHeap = 0xffffffff;
// PlanStep::flags of a step that is no mapping: see there.
constexpr uint32_t kPlanTranslations = 0x80000000;

// What a reply asks of the executor. The meaning of `operands` is beside each.
enum class Verb : uint32_t {
  kReturn = 0,      // the call's result is `result`; operands[0]: mask of staged results stored
  kEnter = 1,       // start guest code: entry, stack pointer, break, pid, tid
  kThread = 2,      // make a task: slot, tid, stack, child-tid address, clear-tid address, token
  kFork = 3,        // as kThread, with the ring's descriptor in the sentry for a slot
  kVfork = 4,       // as kThread
  kExitThread = 5,  // end this thread
  kExitGroup = 6,   // end this process: status
  // receive a descriptor and map it: prot, flags, file offset, descriptor, tag; and, if it is not
  // 0, receive another one of translations of that file: descriptor. Answering shmat(2), which does
  // not say how long the mapping is, the last is its length.
  kMapFile = 7,
  kSignal = 8,  // run a handler: see SignalFrame in staging; result 0 means there is none
};

// Calls of the runtime itself, beside Linux's numbers.
enum class RuntimeCall : uint32_t {
  kStart = 0x10000,          // the plan has been carried out: OwnedHeader; answered by kEnter
  kSignalRequest = 0x10001,  // give me my next signal; answered by kSignal
  kFault = 0x10002,        // guest code faulted: signo, code, addr, ip, fatal; answered by kSignal
  kCloneFailed = 0x10003,  // the host refused: tid, errno
  // Trusted mode: the sentry's descriptor behind a guest's, to use directly. Answered by kReturn
  // with its number; operands: whether calls may wait on it, the data of an epoll instance's bell.
  kLease = 0x10006,
  // Trusted mode: the reports of an epoll instance that the host knows nothing of: descriptor,
  // address, room. Answered by kReturn with how many there are.
  kSoftEvents = 0x10007,
  kAttached = 0x10005,    // trusted mode: a new process says who it is: token, host pid
  kPlanFailed = 0x10004,  // the plan could not be carried out: step, errno
};

// What a thread that ends stores as its slot's `tid`, last of all: it has read kExitThread, and the
// slot may be given to another thread.
constexpr uint32_t kThreadGone = 0xffffffff;

// The designated host call (see profiles): what args[0] of it says. The sentry answers it with a
// descriptor.
enum class Attach : uint32_t {
  kExecutor = 1,  // a fresh executor shows its token
  kFork = 2,      // a forked child shows its token and gets its ring
  kVfork = 3,     // a vfork child shows its token (its ring is its parent's)
  kFile = 4,      // a thread collects the descriptor kMapFile promised: ring slot
};

// How a handler's frame is described in staging (kSignal).
struct SignalFrame {
  uint64_t handler;
  uint64_t flags;
  uint64_t restorer;
  uint64_t mask;
  uint32_t signo;
  uint32_t reserved;
  uint8_t info[128];
};
static_assert(sizeof(SignalFrame) == 168);

}  // namespace dd::ring
