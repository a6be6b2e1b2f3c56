// Memory calls that touch only the guest's own address space: see mmap(2), brk(2), mremap(2).
#include "guest/native/syscalls.h"

namespace dd::native {
namespace {

constexpr uint64_t kUserEnd = 0x7ffffffff000;
constexpr uint64_t kMapFlagsToHost = kMapShared | kMapPrivate | kMapFixed | kMapAnonymous |
                                     kMapNoreserve | kMapStack | kMapFixedNoreplace;
constexpr uint64_t kMapSharedValidate = 3;
constexpr uint64_t kMremapFixed = 2;
constexpr uint64_t kMremapFlags = 3;  // MREMAP_MAYMOVE | MREMAP_FIXED

uint64_t PageUp(uint64_t value) { return (value + kPage - 1) & ~(kPage - 1); }

void Lock(AddressSpace* space) {
  while (std::atomic_ref(space->lock).exchange(1, std::memory_order_acquire) != 0) {
    Host(kSchedYield);
  }
}

void Unlock(AddressSpace* space) {
  std::atomic_ref(space->lock).store(0, std::memory_order_release);
}

long MapAnonymous(Thread* thread, const uint64_t args[6]) {
  const uint64_t type = args[3] & 0xf;
  if (args[1] == 0 || (type != kMapShared && type != kMapPrivate && type != kMapSharedValidate)) {
    return -kEinval;
  }
  if ((args[3] & kMapHugetlb) != 0) return -kEnomem;
  const uint64_t length = PageUp(args[1]);
  if (length == 0 || length > kUserEnd) return -kEnomem;
  if ((args[3] & kMapFixed) != 0 && OverlapsReserved(thread->space, args[0], length)) {
    return -kEnomem;
  }
  uint64_t flags = args[3] & kMapFlagsToHost;
  if (type == kMapSharedValidate) flags = (flags & ~uint64_t{0xf}) | kMapShared;
  return Host(kMmap, args[0], length, args[2] & kProtAll, flags, -1, 0);
}

// Unmapping or changing what belongs to the runtime would take the guest down: to the guest these
// addresses are not there.
bool Forbidden(Thread* thread, uint64_t addr, uint64_t length) {
  return length > kUserEnd || OverlapsReserved(thread->space, addr, length);
}

// Only what the executor's filter lets pass reaches the host. Nothing here is MAP_GROWSDOWN, so
// that PROT_GROWSDOWN is never right.
long Protect(Thread* thread, const uint64_t args[6]) {
  if (Forbidden(thread, args[0], args[1])) return -kEnomem;
  if ((args[2] & ~uint64_t{kProtAll | kProtSem}) != 0) return -kEinval;
  return Host(kMprotect, args[0], args[1], args[2] & kProtAll);
}

// MREMAP_DONTUNMAP is refused as the host refuses it for memory that is not private.
long Remap(Thread* thread, const uint64_t args[6]) {
  if ((args[3] & ~kMremapFlags) != 0) return -kEinval;
  if (Forbidden(thread, args[0], args[1])) return -kEfault;
  if ((args[3] & kMremapFixed) != 0 && Forbidden(thread, args[4], args[2])) return -kEinval;
  return Host(kMremap, args[0], args[1], args[2], args[3], args[4]);
}

long Brk(AddressSpace* space, uint64_t wanted) {
  Lock(space);
  const uint64_t old_end = PageUp(space->brk);
  if (wanted >= space->brk_start && wanted < kUserEnd) {
    const uint64_t new_end = PageUp(wanted);
    long error = 0;
    if (new_end > old_end) {
      error = Host(kMmap, old_end, new_end - old_end, kProtRead | kProtWrite,
                   kMapPrivate | kMapAnonymous | kMapFixedNoreplace, -1, 0);
      if (error > 0) error = 0;
    } else if (new_end < old_end) {
      error = Host(kMunmap, new_end, old_end - new_end);
    }
    if (error == 0) space->brk = wanted;
  }
  const auto result = static_cast<long>(space->brk);
  Unlock(space);
  return result;
}

// madvise(2): what is advice only is accepted and forgotten unless the host may be told.
long Advise(Thread* thread, const uint64_t args[6]) {
  constexpr uint64_t kDontneed = 4;
  constexpr uint64_t kFree = 8;
  constexpr uint64_t kDontfork = 10;
  constexpr uint64_t kDofork = 11;
  constexpr uint64_t kHugepage = 14;
  constexpr uint64_t kNohugepage = 15;
  constexpr uint64_t kWipeonfork = 18;
  constexpr uint64_t kKeeponfork = 19;
  const uint64_t advice = args[2];
  if ((args[0] & (kPage - 1)) != 0) return -kEinval;
  const uint64_t length = PageUp(args[1]);
  if (length < args[1]) return -kEinval;
  if (length == 0) return 0;
  if (Forbidden(thread, args[0], length)) return -kEnomem;
  switch (advice) {
    case kDontneed:
    case kFree:
    case kDontfork:
    case kHugepage:
    case kNohugepage:
      return Host(kMadvise, args[0], length, advice);
    case kDofork:
    case kWipeonfork:
    case kKeeponfork:
      return -kEinval;
    default:
      // NORMAL, RANDOM, SEQUENTIAL, WILLNEED, MERGEABLE, DONTDUMP, COLD, PAGEOUT, ...: hints.
      return advice <= 25 ? 0 : -kEinval;
  }
}

}  // namespace

long MemoryCall(Thread* thread, long nr, const uint64_t args[6]) {
  switch (nr) {
    case kMmap:
      // A file's mapping is the sentry's to allow.
      return (args[3] & kMapAnonymous) != 0 ? MapAnonymous(thread, args) : kNotHere;
    case kMunmap:
      if ((args[0] & (kPage - 1)) != 0 || args[1] == 0) return -kEinval;
      if (Forbidden(thread, args[0], PageUp(args[1]))) return -kEinval;
      return Host(kMunmap, args[0], args[1]);
    case kMprotect:
      return Protect(thread, args);
    case kMremap:
      return Remap(thread, args);
    case kMadvise:
      return Advise(thread, args);
    case kBrk:
      return Brk(thread->space, args[0]);
    default:
      return kNotHere;
  }
}

}  // namespace dd::native
