// Rewriting call sites. Two shapes cover nearly all of libc; everything else stays a trap, which is
// slower and just as correct.
//
//   mov $nr, %eax; syscall     The five bytes of the mov become a jump. The syscall stays where it
//                              was, so whoever jumps to it, or was about to execute it, traps.
//   syscall; cmp $imm32, %rax  The eight bytes become a jump and padding, when no jump nearby leads
//                              to the cmp. Nobody may come back to the cmp either: so the very
//                              first thread that traps here has the site rewritten, or nobody ever
//                              has, and those that trap here meanwhile go on in the trampoline.
//
// A trampoline carries a syscall instruction of its own and what the jump has overwritten after it:
// the slow way for calls that need the guest's whole state, and the place a restarted call begins
// again.
//
// Other threads may be about to execute what is rewritten. They meet a breakpoint, whose handler
// sends them back until the new instruction stands (IsPatchBreakpoint); see "cross-modifying code",
// Intel's manual 3A, 9.1.3.
#include "guest/native/fast.h"

namespace dd::native {
namespace {

constexpr uint64_t kTrampolineBytes = 64;
constexpr uint64_t kRegionBytes = 16 * kPage;
constexpr uint64_t kSitesPerRegion = kRegionBytes / kTrampolineBytes;
// A jump reaches 2 GiB; libraries are smaller than the rest.
constexpr int64_t kReach = 0x70000000;
// Where to look for room near a library: below it, in steps.
constexpr uint64_t kSearchStep = 1 << 20;
constexpr uint64_t kSearchLimit = 32;

// Where a trampoline goes on after its own syscall instruction.
constexpr uint64_t kResume = 30;

constexpr uint8_t kMovEax = 0xb8;
constexpr uint8_t kJump = 0xe9;
constexpr uint8_t kNop = 0x90;
constexpr uint8_t kBreakpoint = 0xcc;

// membarrier(2): private, expedited, with the other cores' instruction streams made anew.
constexpr long kSyncCore = 1 << 5;
constexpr long kRegisterSyncCore = 1 << 6;

struct Site {
  uint64_t start;    // where the jump goes
  uint32_t patched;  // bytes rewritten
  uint64_t back;     // where guest code goes on
  uint8_t tail[6];   // instructions after the syscall that the patch has covered
  uint32_t tail_length;
  bool loads_number;  // the patch has covered the instruction that loads the call's number
};

bool IsRex(uint8_t byte) { return (byte & 0xf0) == 0x40; }

bool Equal(const uint8_t* a, const uint8_t* b, uint32_t length) {
  for (uint32_t i = 0; i < length; i++) {
    if (a[i] != b[i]) return false;
  }
  return true;
}

bool SamePage(uint64_t a, uint64_t b) { return (a & ~(kPage - 1)) == (b & ~(kPage - 1)); }

uint32_t CountThreads(const AddressSpace* space) {
  uint32_t count = 0;
  for (const Thread* thread : space->threads) {
    if (thread != nullptr && (thread->host_tid != 0 || thread->slot_index == 0)) count++;
  }
  return count;
}

bool FindMovSite(uint64_t rip, long nr, Site* site) {
  uint8_t code[8];  // the byte before, mov, syscall
  const uint64_t start = rip - 7;
  if (!SamePage(start - 1, rip - 1) || CopyIn(code, start - 1, sizeof code) != 0) return false;
  const auto number = static_cast<uint32_t>(nr);
  const uint8_t expected[7] = {kMovEax,
                               static_cast<uint8_t>(number),
                               static_cast<uint8_t>(number >> 8),
                               static_cast<uint8_t>(number >> 16),
                               static_cast<uint8_t>(number >> 24),
                               0x0f,
                               0x05};
  // With a REX prefix the mov would be a longer one, whose last bytes only look like this.
  if (IsRex(code[0]) || !Equal(code + 1, expected, 7)) return false;
  *site = {start, 5, rip, {}, 0, true};
  return true;
}

// Whether some byte around could be the beginning of a jump to `addr`. Every offset is taken for an
// instruction, so that none is overlooked; a few sites are refused without need.
bool IsJumpTarget(uint64_t addr) {
  constexpr uint64_t kWindow = 2048;
  constexpr uint64_t kChunk = 128;
  constexpr uint64_t kLongest = 6;
  uint8_t code[kChunk + kLongest];
  for (uint64_t at = addr - kWindow; at < addr + kWindow; at += kChunk) {
    if (CopyIn(code, at, sizeof code) != 0) continue;  // past the end of the mapping
    for (uint64_t i = 0; i < kChunk; i++) {
      const uint8_t first = code[i];
      const uint8_t second = code[i + 1];
      uint64_t target = 0;
      if ((first & 0xf0) == 0x70 || first == 0xeb) {
        target = at + i + 2 + static_cast<uint64_t>(static_cast<int8_t>(second));
      } else if (first == 0xe9 || (first == 0x0f && (second & 0xf0) == 0x80)) {
        const uint64_t opcode = first == 0xe9 ? 1 : 2;
        uint32_t distance = 0;
        for (uint64_t j = 4; j-- > 0;) distance = distance << 8 | code[i + opcode + j];
        target = at + i + opcode + 4 + static_cast<uint64_t>(static_cast<int32_t>(distance));
      }
      if (target == addr) return true;
    }
  }
  return false;
}

bool FindCompareSite(uint64_t rip, Site* site) {
  constexpr uint8_t kCmpRax[2] = {0x48, 0x3d};
  uint8_t code[8];
  const uint64_t start = rip - 2;
  if (!SamePage(start, start + 7) || CopyIn(code, start, sizeof code) != 0) return false;
  if (!Equal(code + 2, kCmpRax, sizeof kCmpRax)) return false;
  *site = {start, 8, start + 8, {}, 6, false};
  for (int i = 0; i < 6; i++) site->tail[i] = code[2 + i];
  return true;
}

// Where `start` is among the sites that are never to be patched, or where it could be put. The set
// is never full.
uint64_t* RefusedSite(AddressSpace* space, uint64_t start) {
  for (uint64_t i = start >> 3;; i++) {
    uint64_t* entry = &space->refused_sites[i % kRefusedSites];
    if (*entry == 0 || *entry == start) return entry;
  }
}

bool Reaches(uint64_t from, uint64_t to) {
  const auto distance = static_cast<int64_t>(to - from);
  return distance < kReach && distance > -kReach;
}

// Room for trampolines within reach of `near`, or null.
TrampolineRegion* RegionFor(AddressSpace* space, uint64_t near) {
  for (uint32_t i = 0; i < space->trampoline_count; i++) {
    TrampolineRegion& region = space->trampolines[i];
    if (region.used < kSitesPerRegion && Reaches(near, region.addr)) return &region;
  }
  return nullptr;
}

// Appends instructions to a buffer.
class Code {
 public:
  void Byte(uint8_t byte) { bytes_[length_++] = byte; }
  void Bytes(const uint8_t* bytes, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) Byte(bytes[i]);
  }
  void Word(uint64_t value, int bytes) {
    for (int i = 0; i < bytes; i++) Byte(static_cast<uint8_t>(value >> (8 * i)));
  }
  void Jump(uint64_t here, uint64_t to) {
    Byte(kJump);
    Word(to - (here + length_ + 4), 4);
  }
  const uint8_t* data() const { return bytes_; }
  uint32_t length() const { return length_; }

 private:
  uint8_t bytes_[kTrampolineBytes] = {};
  uint32_t length_ = 0;
};

Code Trampoline(uint64_t at, const Site& site, long nr) {
  // mov $nr,%eax or padding (5); movabs $resume,%rcx (10); movabs $entry,%r11 (10); jmp *%r11 (3);
  // syscall (2)
  Code code;
  if (site.loads_number) {
    code.Byte(kMovEax);
    code.Word(static_cast<uint64_t>(nr), 4);
  } else {
    for (int i = 0; i < 5; i++) code.Byte(kNop);
  }
  code.Byte(0x48);
  code.Byte(0xb9);
  // Where nothing after the syscall is covered, the call returns to the site itself, whose own
  // syscall instruction still stands: unwinders know that address.
  code.Word(site.tail_length == 0 ? site.back : at + kResume, 8);
  code.Byte(0x49);
  code.Byte(0xbb);
  code.Word(__builtin_bit_cast(uint64_t, &dd_fast_entry), 8);
  code.Byte(0x41);
  code.Byte(0xff);
  code.Byte(0xe3);
  code.Byte(0x0f);
  code.Byte(0x05);
  code.Bytes(site.tail, site.tail_length);
  code.Jump(at, site.back);
  return code;
}

// Stores code at a place that is readable and executable.
bool StoreCode(uint64_t at, const uint8_t* bytes, uint32_t length) {
  const uint64_t page = at & ~(kPage - 1);
  if (Host(kMprotect, page, kPage, kProtRead | kProtWrite | kProtExec) != 0) return false;
  bool stored = true;
  if (length == 8 && (at & 7) == 0) {
    uint64_t word;
    dd_copy(&word, bytes, sizeof word);
    std::atomic_ref(*reinterpret_cast<uint64_t*>(at)).store(word);
  } else {
    stored = CopyOut(at, bytes, length) == 0;
  }
  Host(kMprotect, page, kPage, kProtRead | kProtExec);
  return stored;
}

// Rewrites `length` bytes in one page. Other threads execute the old instructions or the new ones.
bool Rewrite(AddressSpace* space, uint64_t at, const uint8_t* bytes, uint32_t length, bool alone) {
  if (alone) return StoreCode(at, bytes, length);
  const uint64_t word = at & ~uint64_t{7};
  // The executor's filter has no membarrier(2): there, what lies in one word is stored at once.
  if (space->environment.sentry_pid == 0) {
    uint8_t whole[8];
    if (at + length > word + 8 || CopyIn(whole, word, sizeof whole) != 0) return false;
    for (uint32_t i = 0; i < length; i++) whole[at - word + i] = bytes[i];
    return StoreCode(word, whole, sizeof whole);
  }
  if (Host(kMembarrier, kRegisterSyncCore, 0, 0) != 0) return false;
  const uint64_t page = at & ~(kPage - 1);
  if (Host(kMprotect, page, kPage, kProtRead | kProtWrite | kProtExec) != 0) return false;
  std::atomic_ref(space->patched_now).store(at + 1);
  CopyOut(at, &kBreakpoint, 1);
  Host(kMembarrier, kSyncCore, 0, 0);
  CopyOut(at + 1, bytes + 1, length - 1);
  Host(kMembarrier, kSyncCore, 0, 0);
  CopyOut(at, bytes, 1);
  Host(kMembarrier, kSyncCore, 0, 0);
  Host(kMprotect, page, kPage, kProtRead | kProtExec);
  std::atomic_ref(space->patched_now).store(0);
  return true;
}

// Whether `addr` is in a trampoline: its own syscall instruction must stay what it is.
bool IsTrampoline(const AddressSpace* space, uint64_t addr) {
  for (uint32_t i = 0; i < space->trampoline_count; i++) {
    if (addr - space->trampolines[i].addr < kRegionBytes) return true;
  }
  return false;
}

// Where a jump at `start` leads if it is one of ours; 0 if it is not.
uint64_t TrampolineOf(const AddressSpace* space, uint64_t start) {
  uint8_t code[5];
  if (CopyIn(code, start, sizeof code) != 0 || code[0] != kJump) return 0;
  uint32_t distance = 0;
  for (int i = 4; i > 0; i--) distance = distance << 8 | code[i];
  const uint64_t to = start + sizeof code + static_cast<uint64_t>(static_cast<int32_t>(distance));
  return IsTrampoline(space, to) ? to : 0;
}

bool IsWritable(uint64_t addr) {
  uint8_t byte = 0;
  // A store of what is there already: changes nothing, but faults on ordinary code.
  return CopyIn(&byte, addr, 1) != 0 || CopyOut(addr, &byte, 1) == 0;
}

// The address of the site's trampoline, or 0 when it has none.
uint64_t Patch(AddressSpace* space, const Site& site, long nr, bool alone) {
  TrampolineRegion* region = RegionFor(space, site.start);
  // Code that can be written is somebody's JIT: it moves and rewrites what it made.
  if (region == nullptr || IsWritable(site.start)) return 0;
  const uint64_t at = region->addr + region->used * kTrampolineBytes;
  const Code trampoline = Trampoline(at, site, nr);
  if (!StoreCode(at, trampoline.data(), trampoline.length())) return 0;
  region->used++;
  Code jump;
  jump.Jump(site.start, at);
  while (jump.length() < site.patched) jump.Byte(kNop);
  return Rewrite(space, site.start, jump.data(), site.patched, alone) ? at : 0;
}

class Patching {
 public:
  explicit Patching(AddressSpace* space) : space_(space) { LockPatching(space); }
  ~Patching() { UnlockPatching(space_); }
  Patching(const Patching&) = delete;
  Patching& operator=(const Patching&) = delete;

 private:
  AddressSpace* space_;
};

}  // namespace

void LockPatching(AddressSpace* space) {
  while (std::atomic_ref(space->patch_lock).exchange(1, std::memory_order_acquire) != 0) {
    Host(kSchedYield);
  }
}

void UnlockPatching(AddressSpace* space) {
  std::atomic_ref(space->patch_lock).store(0, std::memory_order_release);
}

void ReserveTrampolines(AddressSpace* space, uint64_t near) {
  const Patching held(space);
  if (RegionFor(space, near) != nullptr) return;
  if (space->trampoline_count == kTrampolineRegions) return;
  if (space->crowded != 0 && Reaches(near, space->crowded)) return;
  for (uint64_t i = 1; i <= kSearchLimit; i++) {
    const uint64_t at = (near & ~(kPage - 1)) - i * kSearchStep;
    const long got = Host(kMmap, at, kRegionBytes, kProtRead | kProtExec,
                          kMapPrivate | kMapAnonymous | kMapFixedNoreplace, -1, 0);
    if (got < 0) continue;
    space->trampolines[space->trampoline_count++] = {static_cast<uint64_t>(got), 0};
    return;
  }
  // A JIT compiler protects its code again and again.
  space->crowded = near;
}

bool IsPatchBreakpoint(const AddressSpace* space, uint64_t rip) {
  return std::atomic_ref(space->patched_now).load() == rip || TrampolineOf(space, rip - 1) != 0;
}

uint64_t PatchSite(Thread* thread, uint64_t rip, long nr) {
  AddressSpace* space = thread->space;
  const Patching held(space);
  if (IsTrampoline(space, rip) || TrampolineOf(space, rip - 7) != 0) return rip;
  // Another thread has been quicker: its trampoline goes on where this call was to.
  const uint64_t made = TrampolineOf(space, rip - 2);
  if (made != 0) return made + kResume;
  const bool alone = CountThreads(space) == 1;
  Site site;
  if (FindMovSite(rip, nr, &site)) {
    Patch(space, site, nr, alone);
    return rip;
  }
  const bool trusted = space->environment.sentry_pid != 0;
  if (!(alone || trusted) || !FindCompareSite(rip, &site)) return rip;
  uint64_t* refused = RefusedSite(space, site.start);
  if (*refused != 0 || space->refused_count >= kRefusedSites / 2) return rip;
  // Of what is covered, only the cmp is an instruction to jump to.
  const bool entered = IsJumpTarget(rip);
  const uint64_t trampoline = entered ? 0 : Patch(space, site, nr, alone);
  if (trampoline != 0) return trampoline + kResume;
  *refused = site.start;
  space->refused_count++;
  return rip;
}

}  // namespace dd::native
