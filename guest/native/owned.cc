#include "guest/native/owned.h"

#include <atomic>

#include "guest/native/host.h"

namespace dd::native {
namespace {

constexpr uint64_t kFutexWait = 0;
constexpr uint64_t kFutexWake = 1;
constexpr uint32_t kFree = 0;
constexpr uint32_t kHeld = 1;
constexpr uint32_t kAwaited = 2;
// What one call adds at most: the ends of two ranges it cuts, and its own.
constexpr uint32_t kRoom = 4;

// The index of the first range that ends above `addr`.
uint32_t IndexFrom(const Owned* owned, uint64_t addr) {
  uint32_t low = 0;
  uint32_t high = owned->header.count;
  while (low < high) {
    const uint32_t middle = low + (high - low) / 2;
    if (owned->ranges[middle].end <= addr) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

bool IsNothing(uint32_t tag) { return tag == ring::kTagAnonymous || tag == ring::kTagHeap; }

// The part of a range from `begin` on.
ring::OwnedRange From(const ring::OwnedRange& range, uint64_t begin) {
  ring::OwnedRange part = range;
  if (!IsNothing(range.tag)) part.offset += begin - range.begin;
  part.begin = begin;
  return part;
}

// Puts `count` ranges in the place of those from index `from` up to `to`.
void Replace(Owned* owned, uint32_t from, uint32_t to, const ring::OwnedRange* ranges,
             uint32_t count) {
  ring::OwnedRange* all = owned->ranges;
  const uint32_t old_count = owned->header.count;
  const uint32_t moved = from + count;
  std::atomic_ref(owned->header.sequence).fetch_add(1);
  if (moved > to) {
    for (uint32_t i = old_count; i-- > to;) all[i + (moved - to)] = all[i];
  } else if (moved < to) {
    for (uint32_t i = to; i < old_count; i++) all[i - (to - moved)] = all[i];
  }
  for (uint32_t i = 0; i < count; i++) all[from + i] = ranges[i];
  owned->header.count = old_count - (to - from) + count;
  std::atomic_ref(owned->header.sequence).fetch_add(1);
}

bool Continues(const ring::OwnedRange& a, const ring::OwnedRange& b) {
  return a.end == b.begin && a.tag == b.tag &&
         (IsNothing(a.tag) || a.offset + (a.end - a.begin) == b.offset);
}

}  // namespace

Owned* MakeOwned() {
  const long base = Host(kMmap, 0, sizeof(Owned), kProtRead | kProtWrite,
                         kMapPrivate | kMapAnonymous | kMapNoreserve, -1, 0);
  return base < 0 ? nullptr : reinterpret_cast<Owned*>(base);
}

void Lock(Owned* owned) {
  std::atomic_ref word(owned->header.lock);
  uint32_t expected = kFree;
  if (word.compare_exchange_strong(expected, kHeld, std::memory_order_acquire)) return;
  while (word.exchange(kAwaited, std::memory_order_acquire) != kFree) {
    Host(kFutex, &owned->header.lock, kFutexWait, kAwaited, nullptr, 0, 0);
  }
}

void Unlock(Owned* owned) {
  std::atomic_ref word(owned->header.lock);
  if (word.exchange(kFree, std::memory_order_release) == kAwaited) {
    Host(kFutex, &owned->header.lock, kFutexWake, 1, nullptr, 0, 0);
  }
}

bool HasRoom(const Owned* owned) { return owned->header.count + kRoom <= ring::kOwnedLimit; }

const ring::OwnedRange* FindFrom(const Owned* owned, uint64_t addr) {
  const uint32_t index = IndexFrom(owned, addr);
  return index < owned->header.count ? &owned->ranges[index] : nullptr;
}

bool OwnsAll(const Owned* owned, uint64_t begin, uint64_t end) {
  uint64_t at = begin;
  for (uint32_t i = IndexFrom(owned, begin); at < end; i++) {
    if (i == owned->header.count || owned->ranges[i].begin > at) return false;
    at = owned->ranges[i].end;
  }
  return true;
}

bool OwnsAny(const Owned* owned, uint64_t begin, uint64_t end) {
  const ring::OwnedRange* range = FindFrom(owned, begin);
  return range != nullptr && range->begin < end;
}

void Disown(Owned* owned, uint64_t begin, uint64_t end) {
  const uint32_t from = IndexFrom(owned, begin);
  uint32_t to = from;
  while (to < owned->header.count && owned->ranges[to].begin < end) to++;
  if (from == to) return;
  ring::OwnedRange kept[2];
  uint32_t count = 0;
  const ring::OwnedRange& first = owned->ranges[from];
  const ring::OwnedRange& last = owned->ranges[to - 1];
  if (first.begin < begin) {
    kept[count] = first;
    kept[count++].end = begin;
  }
  if (last.end > end) kept[count++] = From(last, end);
  Replace(owned, from, to, kept, count);
}

void Own(Owned* owned, uint64_t begin, uint64_t end, uint32_t tag, uint64_t offset) {
  Disown(owned, begin, end);
  ring::OwnedRange range{begin, end, offset, tag, 0};
  uint32_t from = IndexFrom(owned, begin);
  uint32_t to = from;
  if (from > 0 && Continues(owned->ranges[from - 1], range)) {
    from--;
    range.begin = owned->ranges[from].begin;
    range.offset = owned->ranges[from].offset;
  }
  if (to < owned->header.count && Continues(range, owned->ranges[to])) {
    range.end = owned->ranges[to].end;
    to++;
  }
  Replace(owned, from, to, &range, 1);
}

}  // namespace dd::native
