// Taking over translations that were made ahead.
#include "guest/exec/cache.h"

namespace dd::exec {
namespace {

// Regions that are taken over at once: those that came next when they were made, and will again.
// The more of a file's there are already, the more.
constexpr uint32_t kFirstBatch = 64;
constexpr uint32_t kLargestBatch = 512;

template <typename T>
const T* At(const StoredHeader* stored, uint64_t at) {
  return reinterpret_cast<const T*>(reinterpret_cast<const uint8_t*>(stored) + at);
}

const StoredRegion* RegionAt(const StoredHeader* stored, uint64_t at) {
  return at + sizeof(StoredRegion) > stored->targets ? nullptr : At<StoredRegion>(stored, at);
}

const StoredRegion* FindRegion(const StoredHeader* stored, uint64_t pc, uint64_t* at) {
  const auto* places = At<StoredPlace>(stored, stored->index);
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
  Installer(Translator* t, Loan* loan) : t_(t), loan_(loan) {}

  Outcome Take(const StoredRegion* region) {
    Draft draft;
    draft.pc = loan_->base + region->pc;
    draft.entry = EntryOfTarget(region->target);
    if (draft.entry == nullptr) return Outcome::kNoRoom;
    if (draft.entry->host != t_->environment.translate) return Outcome::kNothing;
    // What is stored watches nothing.
    const bool watched = t_->environment.reads_status || t_->environment.flushes;
    if (watched && region->floats != 0) return Outcome::kNothing;
    if (region->needs_sha != 0 && !t_->environment.has_sha) return Outcome::kNothing;
    const StoredParts parts = PartsOf(region);
    if (!IsOf(region, parts)) return Outcome::kNothing;
    draft.base = (reinterpret_cast<uint64_t>(t_->code_at) + 15) & ~uint64_t{15};
    draft.low = loan_->base + region->low;
    draft.high = loan_->base + region->high;
    draft.code = parts.code;
    draft.code_bytes = region->code_bytes;
    draft.points = parts.points;
    draft.point_count = region->point_count;
    draft.homes = &region->homes;
    if (t_->entry_limit - t_->entry_count < region->reference_count) return Outcome::kNoRoom;
    if (!Append(t_, draft)) return Outcome::kNoRoom;
    Refer(region, parts, draft);
    return Outcome::kDone;
  }

 private:
  // Whether the guest has, executable, the pages that the region was made of. Pages beside its own
  // have been looked at only.
  bool IsOf(const StoredRegion* region, const StoredParts& parts) {
    t_->peeked_count = 0;
    const auto* pages = At<StoredPage>(loan_->stored, loan_->stored->pages);
    for (uint32_t i = 0; i < region->page_count; i++) {
      const uint32_t index = parts.pages[i];
      if (loan_->pages[index] != PageKnown::kSame && !IsSame(pages[index])) return false;
      loan_->pages[index] = PageKnown::kSame;
      const uint32_t number = pages[index].number;
      if (number >= region->low >> kPageBits && number <= (region->high - 1) >> kPageBits) continue;
      if (t_->peeked_count == kPeekedPages) return false;
      t_->peeked_pages[t_->peeked_count++] = (loan_->base >> kPageBits) + number;
    }
    return true;
  }

  // The file may end in its last page.
  bool IsSame(const StoredPage& page) {
    const StoredHeader* stored = loan_->stored;
    const uint64_t offset = uint64_t{page.number} << kPageBits;
    const uint64_t rest = stored->source_bytes - offset;
    const size_t bytes = rest < kPageBytes ? rest : kPageBytes;
    return t_->host.fetch(t_->window, loan_->base + offset, bytes) == bytes &&
           Same(t_->window, At<uint8_t>(stored, page.at), bytes);
  }

  // Null: no room.
  Entry* EntryOfTarget(uint32_t number) {
    uint32_t& known = loan_->entries[number];
    if (known != 0) return &t_->entries[known - 1];
    const StoredHeader* stored = loan_->stored;
    Entry* entry = EntryOf(t_, loan_->base + At<uint32_t>(stored, stored->targets)[number]);
    if (entry != nullptr) known = static_cast<uint32_t>(entry - t_->entries) + 1;
    return entry;
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
        target = reinterpret_cast<uint64_t>(EntryOfTarget(reference.target)) - draft.base;
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

  Translator* t_;
  Loan* loan_;
};

template <typename T>
void Clear(T* at, size_t count) {
  for (size_t i = 0; i < count; i++) at[i] = T{};
}

// What is known of the targets and the pages of `stored`: nothing. False: no memory.
bool Prepare(Translator* t, Loan* loan, const StoredHeader* stored) {
  const size_t entries = Aligned8(stored->target_count * sizeof(uint32_t));
  const size_t bytes = entries + stored->page_count * sizeof(PageKnown);
  auto* room = reinterpret_cast<uint8_t*>(loan->entries);
  if (bytes > loan->room) {
    room = static_cast<uint8_t*>(t->host.map(bytes));
    if (room == nullptr) return false;
    loan->room = bytes;
  } else {
    Clear(room, bytes);
  }
  loan->entries = reinterpret_cast<uint32_t*>(room);
  loan->pages = reinterpret_cast<PageKnown*>(room + entries);
  loan->stored = stored;
  loan->batch = kFirstBatch;
  return true;
}

}  // namespace

Loan* LoanAt(Translator* t, uint64_t pc) {
  for (uint32_t i = 0; i < t->loan_count; i++) {
    Loan& loan = t->loans[i];
    if (pc >= loan.begin && pc < loan.end) return &loan;
  }
  return nullptr;
}

Outcome Install(Translator* t, uint64_t pc) {
  Loan* loan = LoanAt(t, pc);
  // What is stored takes no tags off addresses.
  if (loan == nullptr || t->environment.tagged) return Outcome::kNothing;
  uint64_t at = 0;
  const StoredRegion* region = FindRegion(loan->stored, pc - loan->base, &at);
  if (region == nullptr) return Outcome::kNothing;
  Installer installer(t, loan);
  const Outcome outcome = installer.Take(region);
  if (outcome != Outcome::kDone) return outcome;
  const uint32_t batch = loan->batch;
  if (batch < kLargestBatch) loan->batch = 2 * batch;
  for (uint32_t i = 1; i < batch; i++) {
    at += region->bytes;
    region = RegionAt(loan->stored, at);
    if (region == nullptr) break;
    const uint64_t next = loan->base + region->pc;
    if (next < loan->begin || next >= loan->end) continue;
    if (installer.Take(region) == Outcome::kNoRoom) break;
  }
  return Outcome::kDone;
}

void ForgetEntries(Translator* t) {
  for (uint32_t i = 0; i < t->loan_count; i++) {
    const Loan& loan = t->loans[i];
    if (loan.end != 0) Clear(loan.entries, loan.stored->target_count);
  }
}

void ForgetPages(Translator* t, uint64_t begin, uint64_t end) {
  for (uint32_t i = 0; i < t->loan_count; i++) {
    const Loan& loan = t->loans[i];
    if (begin < loan.end && loan.begin < end) Clear(loan.pages, loan.stored->page_count);
  }
}

const StoredHeader* Keep(Translator* t, const StoredHeader* stored) {
  Lock(t);
  const StoredHeader* kept = nullptr;
  for (uint32_t i = 0; i < kStoredLimit && kept == nullptr; i++) {
    if (t->stored[i] == nullptr) t->stored[i] = stored;
    const auto* known = reinterpret_cast<const uint8_t*>(t->stored[i]);
    if (Same(known, reinterpret_cast<const uint8_t*>(stored), sizeof *stored)) kept = t->stored[i];
  }
  Unlock(t);
  return kept;
}

void Lend(Translator* t, uint64_t begin, uint64_t end, uint64_t offset,
          const StoredHeader* stored) {
  Lock(t);
  Loan* loan = nullptr;
  for (uint32_t i = 0; i < t->loan_count; i++) {
    Loan& each = t->loans[i];
    if (each.begin < end && begin < each.end) each.begin = each.end = 0;
    if (each.end == 0) loan = &each;
  }
  if (loan == nullptr && t->loan_count < kLoanLimit) loan = &t->loans[t->loan_count++];
  if (loan == nullptr) loan = &t->loans[t->loan_next++ % kLoanLimit];
  loan->begin = loan->end = 0;
  if (Prepare(t, loan, stored)) {
    loan->base = begin - offset;
    loan->begin = begin;
    loan->end = end;
  }
  Unlock(t);
}

const Fresh* FreshOf(const Translator* t) { return t->fresh; }

}  // namespace dd::exec
