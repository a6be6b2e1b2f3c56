// Taking over translations that were made ahead.
#include "guest/exec/cache.h"

namespace dd::exec {
namespace {

// Regions that are taken over at once: those that came next when they were made, and will again.
constexpr uint32_t kInstallBatch = 64;

const Lent* LentAt(const Translator* t, uint64_t pc) {
  for (const Lent& lent : t->lent) {
    if (pc >= lent.begin && pc < lent.end) return &lent;
  }
  return nullptr;
}

const StoredRegion* RegionAt(const StoredHeader* stored, uint64_t at) {
  if (at + sizeof(StoredRegion) > stored->bytes) return nullptr;
  return reinterpret_cast<const StoredRegion*>(reinterpret_cast<const uint8_t*>(stored) + at);
}

const StoredRegion* FindRegion(const StoredHeader* stored, uint64_t pc, uint64_t* at) {
  const auto* places = reinterpret_cast<const StoredPlace*>(
      reinterpret_cast<const uint8_t*>(stored) + stored->index);
  uint32_t low = 0;
  uint32_t high = stored->region_count;
  while (low < high) {
    const uint32_t middle = low + (high - low) / 2;
    if (places[middle].pc == pc) {
      *at = places[middle].at;
      return *at == 0 ? nullptr : RegionAt(stored, *at);
    }
    if (places[middle].pc < pc) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return nullptr;
}

bool Same(const uint8_t* a, const uint8_t* b, size_t bytes) {
  for (; bytes >= 8; a += 8, b += 8, bytes -= 8) {
    if (__builtin_memcmp(a, b, 8) != 0) return false;
  }
  for (size_t i = 0; i < bytes; i++) {
    if (a[i] != b[i]) return false;
  }
  return true;
}

class Installer {
 public:
  Installer(Translator* t, const Lent* lent) : t_(t), lent_(lent) {}

  Outcome Take(const StoredRegion* region) {
    const StoredParts parts = PartsOf(region);
    Draft draft;
    draft.pc = lent_->base + region->pc;
    draft.entry = EntryOf(t_, draft.pc);
    if (draft.entry == nullptr) return Outcome::kNoRoom;
    if (draft.entry->host != t_->environment.translate) return Outcome::kNothing;
    if (!IsOf(region, parts)) return Outcome::kNothing;
    draft.base = (reinterpret_cast<uint64_t>(t_->code_at) + 15) & ~uint64_t{15};
    draft.low = lent_->base + region->low;
    draft.high = lent_->base + region->high;
    draft.code.code = parts.code;
    draft.code.code_bytes = region->code_bytes;
    draft.code.points = parts.points;
    draft.code.point_count = region->point_count;
    draft.code.homes = region->homes;
    if (t_->entry_limit - t_->entry_count < region->reference_count) return Outcome::kNoRoom;
    if (!Append(t_, draft)) return Outcome::kNoRoom;
    Refer(region, parts, draft);
    return Outcome::kDone;
  }

 private:
  // Whether the guest has, executable, what the region was made of. What lies outside of it has
  // been looked at only.
  bool IsOf(const StoredRegion* region, const StoredParts& parts) {
    const uint8_t* source = parts.source;
    t_->peeked_count = 0;
    for (uint32_t i = 0; i < region->extent_count; i++) {
      const StoredExtent& extent = parts.extents[i];
      uint64_t at = lent_->base + extent.pc;
      const uint64_t end = at + extent.bytes;
      while (at < end) {
        const uint64_t page = at & ~(kPageBytes - 1);
        const uint64_t stop = page + kPageBytes < end ? page + kPageBytes : end;
        const size_t bytes = stop - at;
        if (!Fetch(page) || !Same(t_->window + (at - page), source, bytes)) return false;
        const uint64_t number = (page - lent_->base) >> kPageBits;
        if (number < region->low >> kPageBits || number > (region->high - 1) >> kPageBits) {
          if (t_->peeked_count == kPeekedPages) return false;
          t_->peeked_pages[t_->peeked_count++] = page >> kPageBits;
        }
        source += bytes;
        at = stop;
      }
    }
    return true;
  }

  // The guest's page, if all of it may be executed.
  bool Fetch(uint64_t page) {
    if (page == page_) return true;
    page_ = kNoPage;
    if (t_->host.fetch(t_->window, page, kPageBytes) != kPageBytes) return false;
    page_ = page;
    return true;
  }

  // Makes the code fit where it is now. There is room for the entries it needs.
  void Refer(const StoredRegion* region, const StoredParts& parts, const Draft& draft) {
    const uint64_t cache = reinterpret_cast<uint64_t>(t_->code_begin) - draft.base;
    for (uint32_t i = 0; i < region->reference_count; i++) {
      const StoredReference& reference = parts.references[i];
      auto* at = reinterpret_cast<uint8_t*>(draft.base + reference.offset);
      if (reference.kind == StoredReference::kAddress) {
        Add<uint64_t>(at, draft.pc);
        continue;
      }
      uint64_t target = cache + reference.target;
      if (reference.kind == StoredReference::kEntry) {
        const Entry* entry = EntryOf(
            t_, draft.pc + static_cast<uint64_t>(int64_t{static_cast<int32_t>(reference.target)}));
        target = reinterpret_cast<uint64_t>(entry) - draft.base;
      }
      Add<uint32_t>(at, static_cast<uint32_t>(target));
    }
  }

  template <typename T>
  static void Add(uint8_t* at, T value) {
    T old;
    __builtin_memcpy(&old, at, sizeof old);
    old += value;
    __builtin_memcpy(at, &old, sizeof old);
  }

  static constexpr uint64_t kNoPage = 1;

  Translator* t_;
  const Lent* lent_;
  uint64_t page_ = kNoPage;
};

}  // namespace

Outcome Install(Translator* t, uint64_t pc) {
  const Lent* lent = LentAt(t, pc);
  // What is stored takes no tags off addresses.
  if (lent == nullptr || t->environment.tagged) return Outcome::kNothing;
  uint64_t at = 0;
  const StoredRegion* region = FindRegion(lent->stored, pc - lent->base, &at);
  if (region == nullptr) return Outcome::kNothing;
  Installer installer(t, lent);
  const Outcome outcome = installer.Take(region);
  if (outcome != Outcome::kDone) return outcome;
  for (uint32_t i = 1; i < kInstallBatch; i++) {
    at += region->bytes;
    region = RegionAt(lent->stored, at);
    if (region == nullptr) break;
    const uint64_t next = lent->base + region->pc;
    if (next < lent->begin || next >= lent->end) continue;
    if (installer.Take(region) == Outcome::kNoRoom) break;
  }
  return Outcome::kDone;
}

void Lend(Translator* t, uint64_t begin, uint64_t end, uint64_t offset,
          const StoredHeader* stored) {
  Lock(t);
  uint32_t place = t->lent_next;
  for (uint32_t i = 0; i < kLentLimit; i++) {
    Lent& lent = t->lent[i];
    if (lent.begin < end && begin < lent.end) lent = {};
    if (t->lent[place].end != 0 && lent.end == 0) place = i;
  }
  t->lent[place] = {begin, end, begin - offset, stored};
  t->lent_next = (place + 1) % kLentLimit;
  Unlock(t);
}

const Fresh* FreshOf(const Translator* t) { return t->fresh; }

}  // namespace dd::exec
