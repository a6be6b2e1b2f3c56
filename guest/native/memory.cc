// Memory calls that touch only the guest's own address space: see mmap(2), brk(2), mremap(2).
#include "guest/native/context.h"
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

// Holds the lock of the guest's ranges.
class Held {
 public:
  explicit Held(Owned* owned) : owned_(owned) { Lock(owned_); }
  ~Held() { Unlock(owned_); }
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;

 private:
  Owned* owned_;
};

// Gives back what Claim took.
void Release(Owned* owned, uint64_t begin, uint64_t end) {
  for (uint64_t at = begin; at < end;) {
    const ring::OwnedRange* next = FindFrom(owned, at);
    if (next == nullptr || next->begin >= end) {
      Host(kMunmap, at, end - at);
      return;
    }
    if (next->begin > at) Host(kMunmap, at, next->begin - at);
    at = next->end;
  }
}

// Takes what is free in [begin, end), so that all of it is the guest's to map over. -ENOMEM, with
// nothing taken, when something of another's is there.
long Claim(Owned* owned, uint64_t begin, uint64_t end) {
  for (uint64_t at = begin; at < end;) {
    const ring::OwnedRange* next = FindFrom(owned, at);
    const uint64_t gap_end = next == nullptr || next->begin > end ? end : next->begin;
    if (gap_end > at) {
      const long got =
          Host(kMmap, at, gap_end - at, 0,
               kMapPrivate | kMapAnonymous | kMapNoreserve | kMapFixedNoreplace, -1, 0);
      if (got < 0) {
        Release(owned, begin, at);
        return -kEnomem;
      }
    }
    at = next == nullptr || next->begin > end ? end : next->end;
  }
  return 0;
}

long MapAnonymous(Thread* thread, const uint64_t args[6]) {
  const uint64_t type = args[3] & 0xf;
  if (args[1] == 0 || (type != kMapShared && type != kMapPrivate && type != kMapSharedValidate)) {
    return -kEinval;
  }
  if ((args[3] & kMapHugetlb) != 0) return -kEnomem;
  const uint64_t length = PageUp(args[1]);
  if (length == 0 || length > kUserEnd) return -kEnomem;
  uint64_t flags = args[3] & kMapFlagsToHost;
  if (type == kMapSharedValidate) flags = (flags & ~uint64_t{0xf}) | kMapShared;
  return Map(thread->space, {args[0], length, args[2] & kProtAll, flags, -1, 0},
             ring::kTagAnonymous);
}

// To the guest, what is not its own is not there.
bool IsGuests(Thread* thread, uint64_t addr, uint64_t length) {
  if (addr > kUserEnd || length > kUserEnd - addr) return false;
  const Held held(thread->space->owned);
  return OwnsAll(thread->space->owned, addr, addr + PageUp(length));
}

long Unmap(Thread* thread, uint64_t addr, uint64_t length) {
  if ((addr & (kPage - 1)) != 0 || length == 0 || addr > kUserEnd || length > kUserEnd - addr) {
    return -kEinval;
  }
  Owned* owned = thread->space->owned;
  const uint64_t end = addr + PageUp(length);
  const Held held(owned);
  if (!HasRoom(owned)) return -kEnomem;
  // The host does best what it can do at once.
  if (OwnsAll(owned, addr, end)) {
    const long error = Host(kMunmap, addr, end - addr);
    if (error != 0) return error;
    Disown(owned, addr, end);
    MemoryChanged(thread->space, addr, end, 0);
    return 0;
  }
  for (uint64_t at = addr; at < end;) {
    const ring::OwnedRange* next = FindFrom(owned, at);
    if (next == nullptr || next->begin >= end) break;
    const uint64_t begin = next->begin > at ? next->begin : at;
    const uint64_t stop = next->end < end ? next->end : end;
    const long error = Host(kMunmap, begin, stop - begin);
    if (error != 0) return error;
    Disown(owned, begin, stop);
    MemoryChanged(thread->space, begin, stop, 0);
    at = stop;
  }
  return 0;
}

// Only what the executor's filter lets pass reaches the host. Nothing here is MAP_GROWSDOWN, so
// that PROT_GROWSDOWN is never right.
long Protect(Thread* thread, const uint64_t args[6]) {
  if ((args[0] & (kPage - 1)) != 0) return -kEinval;
  if ((args[2] & ~uint64_t{kProtAll | kProtSem}) != 0) return -kEinval;
  if (!IsGuests(thread, args[0], args[1])) return -kEnomem;
  const uint64_t prot = args[2] & kProtAll;
  const long error = Host(kMprotect, args[0], args[1], HostProtection(prot));
  if (error == 0) MemoryChanged(thread->space, args[0], args[0] + PageUp(args[1]), prot);
  return error;
}

// MREMAP_DONTUNMAP is refused as the host refuses it for memory that is not private.
long Remap(Thread* thread, const uint64_t args[6]) {
  const uint64_t addr = args[0];
  if ((args[3] & ~kMremapFlags) != 0 || (addr & (kPage - 1)) != 0) return -kEinval;
  if (args[2] == 0 || addr > kUserEnd || args[1] > kUserEnd - addr || args[2] > kUserEnd) {
    return -kEinval;
  }
  const uint64_t old_length = PageUp(args[1]);
  const uint64_t length = PageUp(args[2]);
  const bool fixed = (args[3] & kMremapFixed) != 0;
  if (fixed && ((args[4] & (kPage - 1)) != 0 || args[4] > kUserEnd - length)) return -kEinval;
  Owned* owned = thread->space->owned;
  const Held held(owned);
  // Of shared memory, an old length of 0 makes another mapping.
  if (!OwnsAll(owned, addr, addr + (old_length == 0 ? kPage : old_length))) return -kEfault;
  if (!HasRoom(owned)) return -kEnomem;
  const ring::OwnedRange* range = FindFrom(owned, addr);
  const uint32_t tag = range->tag;
  const bool is_file = tag != ring::kTagAnonymous && tag != ring::kTagHeap;
  const uint64_t offset = is_file ? range->offset + (addr - range->begin) : 0;
  if (fixed && Claim(owned, args[4], args[4] + length) != 0) return -kEnomem;
  const long result = Host(kMremap, addr, args[1], args[2], args[3], args[4]);
  if (result < 0) {
    if (fixed) Release(owned, args[4], args[4] + length);
    return result;
  }
  const auto now = static_cast<uint64_t>(result);
  if (old_length != 0) Disown(owned, addr, addr + old_length);
  Own(owned, now, now + length, tag, offset);
  MemoryMoved(thread->space, addr, old_length, now, length);
  return result;
}

long Brk(AddressSpace* space, uint64_t wanted) {
  Owned* owned = space->owned;
  const Held held(owned);
  const uint64_t old_end = PageUp(space->brk);
  if (wanted >= space->brk_start && wanted < kUserEnd && HasRoom(owned)) {
    const uint64_t new_end = PageUp(wanted);
    long error = 0;
    if (new_end > old_end) {
      error = Host(kMmap, old_end, new_end - old_end, kProtRead | kProtWrite,
                   kMapPrivate | kMapAnonymous | kMapFixedNoreplace, -1, 0);
      if (error > 0) {
        Own(owned, old_end, new_end, ring::kTagHeap, 0);
        error = 0;
      }
    } else if (new_end < old_end) {
      error = Host(kMunmap, new_end, old_end - new_end);
      if (error == 0) Disown(owned, new_end, old_end);
    }
    if (error == 0) space->brk = wanted;
  }
  return static_cast<long>(space->brk);
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
  if (!IsGuests(thread, args[0], length)) return -kEnomem;
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

long Map(AddressSpace* space, const Mapping& mapping, uint32_t tag) {
  Owned* owned = space->owned;
  uint64_t flags = mapping.flags;
  const uint64_t begin = mapping.addr;
  const uint64_t end = begin + PageUp(mapping.length);
  const bool fixed = (flags & kMapFixed) != 0 && (flags & kMapFixedNoreplace) == 0;
  if (fixed && ((begin & (kPage - 1)) != 0 || end <= begin)) return -kEinval;
  const Held held(owned);
  if (!HasRoom(owned)) return -kEnomem;
  bool claimed = false;
  if (fixed && !OwnsAny(owned, begin, end)) {
    // Nothing of the guest's is replaced, and nothing of another's must be.
    flags = (flags & ~uint64_t{kMapFixed}) | kMapFixedNoreplace;
  } else if (fixed && !OwnsAll(owned, begin, end)) {
    if (Claim(owned, begin, end) != 0) return -kEnomem;
    claimed = true;
  }
  const long result = Host(kMmap, begin, mapping.length, HostProtection(mapping.prot), flags,
                           mapping.fd, mapping.offset);
  if (result < 0) {
    if (claimed) Release(owned, begin, end);
    return fixed && result == -kEexist ? -kEnomem : result;
  }
  const auto at = static_cast<uint64_t>(result);
  Own(owned, at, at + PageUp(mapping.length), tag, 0);
  MemoryChanged(space, at, at + PageUp(mapping.length), mapping.prot);
  return result;
}

long MemoryCall(Thread* thread, long nr, const uint64_t args[6]) {
  switch (nr) {
    case kMmap:
      // A file's mapping is the sentry's to allow.
      return (args[3] & kMapAnonymous) != 0 ? MapAnonymous(thread, args) : kNotHere;
    case kMunmap:
      return Unmap(thread, args[0], args[1]);
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
