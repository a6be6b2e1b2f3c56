// What the runtime knows of a guest thread and of its address space. Freestanding: no libc, no TLS,
// no allocator; the current thread is found through the GS base.
#pragma once

#include "guest/native/abi.h"
#include "guest/native/host.h"
#include "guest/native/owned.h"
#include "ring/ring.h"

namespace dd::native {

struct Thread;
struct Context;     // the guest's registers: context.h
struct Translated;  // ../translated/context.h

// Threads an address space may have, as many as its ring has slots.
constexpr uint32_t kThreadLimit = ring::kSlotCount;

// Room for the frames of SIGSYS and, nested, SIGSEGV or a kick, with the largest extended state
// (AMX).
constexpr uint64_t kThreadStackBytes = 64 * 1024;

// How the address space came by its interception and its descriptors.
struct Environment {
  uint64_t text_begin;  // addresses of runtime code: an interruption here is not one of guest code
  uint64_t text_end;
  long (*clock_gettime)(int clock, Timespec* out);  // the vDSO's, or null
  // How a new process makes itself known: by the designated host call of this number or, if it is
  // 0, by saying so through its ring, whose descriptor it takes from process `sentry_pid`.
  uint32_t attach_call;
  uint32_t sentry_pid;
  // Trusted mode: a pipe whose other end only the sentry has; -1: the sentry's end ends us anyway.
  int life_fd;
  // clone(2) flags for a process of its own, and for one that borrows the memory.
  uint64_t fork_flags;
  uint64_t vfork_flags;
  uint64_t foreign_signals;  // host signals that are blocked on guest threads for good
  uint32_t xsave_bytes;      // size of the extended state the host saves
  uint8_t build[20];         // tells this program from others: see host/build.h
};

// What the direct plane knows of a guest descriptor.
enum class Lease : uint8_t {
  kUnused = 0,
  kUsed,     // one call has gone to the sentry; the next asks for the descriptor
  kRefused,  // the sentry keeps it to itself
  kHeld,     // its transfers are the sentry's by now, but epoll instances of the host know it
  kLent,     // usable, but the sentry waits
  kWaits,    // usable, also to wait: its status flags are the guest's
};

// Guest descriptors that the direct plane may serve: higher numbers go to the sentry.
constexpr uint64_t kLeaseLimit = 768;

// A place for trampolines: see patch.cc.
struct TrampolineRegion {
  uint64_t addr;
  uint64_t used;
};
constexpr uint32_t kTrampolineRegions = 64;
// Call sites that are never to be patched, as many as there is room for; a power of two.
constexpr uint32_t kRefusedSites = 512;

// One guest address space: what its threads share.
struct AddressSpace {
  Environment environment;
  uint8_t* ring_base;
  ring::Doorbell* doorbell;
  uint32_t ring_index;
  Owned* owned;  // its lock guards the break, too
  uint64_t brk_start;
  uint64_t brk;
  uint32_t pid;               // of the guest process it belongs to
  Lease leases[kLeaseLimit];  // by guest descriptor: see direct.cc
  // Registrations of a descriptor that the sentry has made in epoll instances.
  uint8_t watched[kLeaseLimit];
  uint64_t bell;  // the data of an epoll report that only the sentry can explain
  TrampolineRegion trampolines[kTrampolineRegions];
  uint32_t trampoline_count;
  uint64_t crowded;  // where room for them was last looked for in vain; 0: nowhere
  uint32_t patch_lock;
  uint64_t patched_now;  // where a breakpoint of ours stands while its site is rewritten
  uint64_t refused_sites[kRefusedSites];
  uint32_t refused_count;
  Translated* translated;         // of guests whose code is
  Thread* threads[kThreadLimit];  // by slot; blocks are made once and used again
};

struct Thread {
  Thread* self;
  uint64_t guest_sp;  // these three are known to fast.S
  uint64_t fast_stack;
  ring::Slot* slot;
  AddressSpace* space;
  uint8_t* staging;
  uint32_t slot_index;
  // The host writes the thread's id here and clears it when the thread is gone: then the block is
  // free.
  uint32_t host_tid;
  uint32_t kicked;  // a kick arrived while the runtime waited on its own account
  uint32_t tid;     // the guest's ids
  uint32_t pid;
  uint64_t attach_token;    // of a child that has not attached yet; 0: none
  uint64_t child_tid_addr;  // where a starting child stores its id; 0: nowhere
  uint64_t clear_tid_addr;
  uint64_t robust_list;
  Stack altstack;  // the guest's
  // The mask to restore after a call with a temporary one (sigsuspend, ppoll, ...).
  uint64_t saved_mask;
  bool has_saved_mask;
  // The mask became smaller since the sentry was last asked for a signal.
  bool unblocked;
  // The runtime was entered by a signal, in whose handler kicks are blocked.
  bool trapped;
  // A call by a patched site that goes on by trap.
  long finish_result;
  long finish_nr;
  uint64_t finish_address;
  // The frame a starting child resumes, or what it runs instead.
  Context* resume;
  // The guest's registers, where they are not the host's. Its memory stays with the block.
  Context* context;
  void (*entry)(Thread* thread);
  const void* entry_argument;
};

// The calling thread's block; null on a thread that is not a guest's.
inline Thread* Current() {
  Thread* thread;
  asm volatile("rdgsbase %0" : "=r"(thread));
  return thread;
}

// The block for `slot`, made if there is none; null when the host has no memory. Its previous user,
// if any, must have left it (host_tid == 0).
Thread* ThreadForSlot(AddressSpace* space, uint32_t slot);

static_assert(offsetof(Thread, guest_sp) == 8 && offsetof(Thread, fast_stack) == 16 &&
              offsetof(Thread, slot) == 24 && offsetof(ring::Slot, attention) == 200);

// Stack of patched sites, between the block and the signal stack.
constexpr uint64_t kFastStackBytes = 16 * 1024;

// The top of the thread's runtime stack.
inline uint64_t StackTop(const Thread* thread) {
  return (reinterpret_cast<uint64_t>(thread) + kThreadStackBytes) & ~uint64_t{63};
}
inline uint64_t StackBottom(const Thread* thread) {
  return (reinterpret_cast<uint64_t>(thread) + sizeof(Thread) + kFastStackBytes + 63) &
         ~uint64_t{63};
}

// A call to the sentry; returns when the reply is complete. See ring/protocol.h for the verbs.
struct Reply {
  ring::Verb verb;
  int64_t result;
  uint64_t operands[6];
};
Reply RingCall(Thread* thread, uint32_t nr, const uint64_t args[6], uint32_t staged_mask = 0,
               uint32_t staged_length = 0);

// Where Environment::life_fd's own description is kept.
constexpr int kLifeFd = 4;
constexpr int kOwnLifeFd = 5;

// Has the host kill this process when the sentry ends, which would otherwise go unnoticed by a fork
// whose parent is not the sentry. 0 or -errno.
long EndWithSentry(const Environment& environment);

// A duplicate of descriptor `fd` of the sentry, or -errno. Trusted mode.
long TakeFromSentry(const Environment& environment, uint64_t fd);

// The designated call: tells the sentry who we are and returns the descriptor it donates, or
// -errno.
long Attach(Thread* thread, ring::Attach what, uint64_t token);

// As Attach, for who is to have a descriptor. A signal that interrupts the sentry while it gives
// one makes the host drop it and return 0 here: it is asked for again.
long TakeDonated(Thread* thread, ring::Attach what, uint64_t token);

// Maps the ring donated in `fd` and points the thread's block at its slot. 0 or -errno.
long MapRing(Thread* thread, int fd, uint32_t slot);

// One mapping, as the host is asked for it.
struct Mapping {
  uint64_t addr;
  uint64_t length;
  uint64_t prot;
  uint64_t flags;
  int64_t fd;
  uint64_t offset;
};

// Maps memory that is the guest's from then on. MAP_FIXED replaces only what is the guest's
// already: -ENOMEM where anything else is in the way.
long Map(AddressSpace* space, const Mapping& mapping, uint32_t tag);

// The runtime's own exit statuses: above this they name a signal, as a shell's do.
constexpr int kDeadBySignal = 128;

// Ends the process at once: the runtime cannot go on.
[[noreturn]] void Die(int status);

inline void Zero(void* data, size_t bytes) {
  auto* p = static_cast<volatile uint8_t*>(data);
  for (size_t i = 0; i < bytes; i++) p[i] = 0;
}

}  // namespace dd::native
