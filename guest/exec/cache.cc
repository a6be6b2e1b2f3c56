#include "guest/exec/cache.h"

#include "guest/exec/region.h"

namespace dd::exec {
namespace {

constexpr uint32_t kReleasedBlocks[] = {ir::kBlocksPerRegion, 16, 4, 1};

uint64_t Hash(uint64_t value) { return value * 0x9e3779b97f4a7c15; }

void Copy(uint8_t* to, const uint8_t* from, size_t bytes) {
  asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes) : : "memory");
}

const Entry* EntryForCode(void* context, uint64_t pc) {
  return EntryOf(static_cast<Translator*>(context), pc);
}

bool AlwaysWanted(void*, uint64_t) { return true; }

void AddPageUse(Translator* t, uint32_t translation, uint64_t page) {
  const auto bucket = static_cast<uint32_t>(Hash(page) >> 50);
  const uint32_t number = t->page_use_count++;
  t->page_uses[number] = {page, translation, t->page_buckets[bucket]};
  __atomic_store_n(&t->page_buckets[bucket], number, __ATOMIC_RELEASE);
}

void AddPageUses(Translator* t, uint32_t translation, uint64_t low, uint64_t high) {
  const uint64_t first = low >> kPageBits;
  const uint64_t last = (high - 1) >> kPageBits;
  for (uint64_t page = first; page <= last; page++) AddPageUse(t, translation, page);
  for (uint32_t i = 0; i < t->peeked_count; i++) {
    const uint64_t page = t->peeked_pages[i];
    if (page < first || page > last) AddPageUse(t, translation, page);
  }
}

}  // namespace

void Lock(Translator* t) {
  while (__atomic_exchange_n(&t->lock, 1, __ATOMIC_ACQUIRE) != 0) t->host.yield();
}
void Unlock(Translator* t) { __atomic_store_n(&t->lock, 0, __ATOMIC_RELEASE); }

namespace {

// Of the index: addresses that are near share cache lines, and those of a page a page.
uint64_t Slot(uint64_t pc) { return Hash(pc >> 12) >> 32 << 10 | (pc >> 2 & 1023); }

}  // namespace

Entry* FindEntry(const Translator* t, uint64_t pc) {
  for (uint64_t i = Slot(pc);; i++) {
    const uint32_t number = t->entry_index[i & t->entry_index_mask];
    if (number == 0) return nullptr;
    if (t->entries[number - 1].pc == pc) return &t->entries[number - 1];
  }
}

Entry* EntryOf(Translator* t, uint64_t pc) {
  Entry* entry = FindEntry(t, pc);
  if (entry != nullptr) return entry;
  if (t->entry_count == t->entry_limit) return nullptr;
  entry = &t->entries[t->entry_count++];
  *entry = {pc, t->environment.translate};
  uint64_t i = Slot(pc);
  while (t->entry_index[i & t->entry_index_mask] != 0) i++;
  t->entry_index[i & t->entry_index_mask] = t->entry_count;
  return entry;
}

bool IsTranslated(const Translator* t, uint64_t pc) {
  for (uint32_t i = 0; i < t->made_count; i++) {
    if (t->translations[t->made_first + i].pc == pc) return true;
  }
  const Entry* entry = FindEntry(t, pc);
  return entry != nullptr && entry->host != t->environment.translate;
}

namespace {

// Translations that become executable together, in pages of their own: of what a region calls and
// comes back to, which is about to be executed as well.
constexpr uint32_t kBatchWanted = 16;

struct Batch {
  uint64_t pcs[kBatchWanted];  // wanted
  uint32_t count = 0;

  void Want(uint64_t pc) {
    if (count < kBatchWanted) pcs[count++] = pc;
  }
};

void WantCalls(const ir::Region& region, Batch* batch) {
  for (uint32_t i = 0; i < region.block_count; i++) {
    const ir::Block& block = region.blocks[i];
    const ir::Op& last = block.ops[block.op_count - 1];
    if (last.code == ir::OpCode::kCall) batch->Want(static_cast<uint64_t>(last.imm));
    if (last.code == ir::OpCode::kCall || last.code == ir::OpCode::kCallIndirect ||
        last.code == ir::OpCode::kSyscall) {
      batch->Want(block.next_pc);
    }
  }
}

// A page with less room than this is left as it is: making it writable again costs a system call,
// and threads that execute it wait.
constexpr size_t kRoomWorthOpening = 2048;

uint8_t* PageOf(uint8_t* at) {
  return reinterpret_cast<uint8_t*>(reinterpret_cast<uint64_t>(at) & ~(kPageBytes - 1));
}

// Behind the last page that is executable everything is writable still.
bool BeginWriting(Translator* t) {
  if (t->made_count != 0 || PageOf(t->code_at) == t->code_at) return true;
  return t->host.protect(PageOf(t->code_at), kPageBytes, false);
}

bool EndWriting(Translator* t, uint8_t* begin) {
  uint8_t* end = PageOf(t->code_at + kPageBytes - 1);
  if (end - t->code_at < ptrdiff_t{kRoomWorthOpening}) t->code_at = end;
  begin = PageOf(begin);
  return t->host.protect(begin, static_cast<size_t>(end - begin), true);
}

Outcome MakeTranslation(Translator* t, uint64_t pc, Batch* batch) {
  FormedRegion formed;
  Draft draft;
  const Outcome outcome = Generate(t, pc, &formed, &draft);
  if (outcome != Outcome::kDone) return outcome;
  if (!Append(t, draft)) return Outcome::kNoRoom;
  if (t->fresh->count < t->translation_limit) t->fresh->pcs()[t->fresh->count++] = pc;
  WantCalls(formed.region, batch);
  return Outcome::kDone;
}

}  // namespace

namespace {

constexpr size_t kPopulatedAtOnce = size_t{64} << 10;

// Memory up to `end` is about to be written to, and what follows soon.
void Populate(Translator* t, uint8_t** populated, const uint8_t* end) {
  while (*populated < end) {
    const auto rest = static_cast<size_t>(t->data_end - *populated);
    const size_t bytes = rest < kPopulatedAtOnce ? rest : kPopulatedAtOnce;
    if (t->host.populate != nullptr) t->host.populate(*populated, bytes);
    *populated += bytes;
  }
}

// Keeps what describes generated code. Most regions have the same homes as the one before.
bool Describe(Translator* t, const select::x64::Generated& generated, Draft* draft) {
  const size_t point_bytes = generated.point_count * sizeof(FaultPoint);
  if (t->data_at + sizeof(select::x64::Homes) + point_bytes > t->data_end) return false;
  Populate(t, &t->data_populated, t->data_at + sizeof(select::x64::Homes) + point_bytes);
  if (t->homes == nullptr || !(*t->homes == generated.homes)) {
    auto* homes = reinterpret_cast<select::x64::Homes*>(t->data_at);
    *homes = generated.homes;
    t->homes = homes;
    t->data_at += sizeof *homes;
  }
  uint8_t* points = t->data_at;
  Copy(points, reinterpret_cast<const uint8_t*>(generated.points), point_bytes);
  t->data_at += point_bytes;
  draft->code = generated.code;
  draft->code_bytes = static_cast<uint32_t>(generated.code_bytes);
  draft->point_count = static_cast<uint32_t>(generated.point_count);
  draft->points = reinterpret_cast<const FaultPoint*>(points);
  draft->homes = t->homes;
  return true;
}

}  // namespace

Outcome Generate(Translator* t, uint64_t pc, FormedRegion* formed, Draft* draft,
                 uint32_t* reference_count) {
  t->environment.context = t;
  t->environment.entry_of = EntryForCode;
  const select::Without& without = t->environment.without;
  t->environment.flags_wanted = without(select::Technique::kPeek) ? AlwaysWanted : FlagsWanted;
  Entry* entry = EntryOf(t, pc);
  if (entry == nullptr) return Outcome::kNoRoom;
  if (IsTranslated(t, pc)) return Outcome::kNothing;
  const uint64_t base = (reinterpret_cast<uint64_t>(t->code_at) + 15) & ~uint64_t{15};
  select::x64::Generated generated;
  bool made = false;
  for (const uint32_t blocks : kReleasedBlocks) {
    if (blocks > 1 && without(select::Technique::kRegions)) continue;
    if (!FormRegion(t, pc, blocks, formed)) return Outcome::kNothing;
    t->peeked_count = 0;
    made = select::x64::Select(t->workspace, t->environment, formed->region, base, &generated);
    if (made || t->entry_count == t->entry_limit) break;
  }
  if (!made || !Describe(t, generated, draft)) return Outcome::kNoRoom;
  if (reference_count != nullptr) *reference_count = generated.reference_count;
  // Whoever records makes code for programs that do not.
  const bool recorded = t->environment.reference_limit != 0;
  if (generated.reads_status && !t->environment.reads_status && !recorded) {
    t->environment.reads_status = true;
    t->stale = true;
  }
  draft->reads_status = generated.reads_status;
  draft->floats = generated.floats;
  draft->needs_sha = generated.needs_sha;
  draft->pc = pc;
  draft->entry = entry;
  draft->base = base;
  draft->low = formed->low;
  draft->high = formed->high;
  return Outcome::kDone;
}

bool Append(Translator* t, const Draft& draft) {
  auto* at = reinterpret_cast<uint8_t*>(draft.base);
  const size_t pages = ((draft.high - 1) >> kPageBits) - (draft.low >> kPageBits) + 1;
  if (at + draft.code_bytes > t->code_end || t->translation_count == t->translation_limit ||
      t->page_use_count + pages + kPeekedPages > t->page_use_limit) {
    return false;
  }
  if (!BeginWriting(t)) return false;
  Populate(t, &t->code_populated, at + draft.code_bytes);
  Copy(at, draft.code, draft.code_bytes);
  const uint32_t number = t->translation_count;
  t->translations[number] = {draft.base, draft.code_bytes, draft.point_count, draft.pc,   draft.low,
                             draft.high, draft.entry,      draft.points,      draft.homes};
  __atomic_store_n(&t->translation_count, number + 1, __ATOMIC_RELEASE);
  t->code_at = at + draft.code_bytes;
  AddPageUses(t, number, draft.low, draft.high);
  if (t->made_count++ == 0) t->made_first = number;
  return true;
}

uint64_t Translate(Translator* t, uint64_t pc, bool* no_room) {
  *no_room = false;
  const Entry* known = FindEntry(t, pc);
  if (known != nullptr && known->host != t->environment.translate) return known->host;
  uint8_t* begin = t->code_at;
  t->made_count = 0;
  const Outcome installed = Install(t, pc);
  Batch batch;
  if (installed == Outcome::kNothing) batch.Want(pc);
  *no_room = installed == Outcome::kNoRoom;
  for (uint32_t i = 0; i < batch.count && t->made_count < kBatch; i++) {
    const Outcome outcome = MakeTranslation(t, batch.pcs[i], &batch);
    if (i == 0 && outcome != Outcome::kDone) {
      *no_room = outcome == Outcome::kNoRoom;
      break;
    }
    if (outcome == Outcome::kNoRoom) break;
  }
  const uint32_t made_count = t->made_count;
  t->made_count = 0;
  if (made_count == 0) return 0;
  if (!EndWriting(t, begin)) {
    *no_room = true;
    return 0;
  }
  const Translation* made = &t->translations[t->made_first];
  for (uint32_t i = 0; i < made_count; i++) {
    __atomic_store_n(&made[i].entry->host, made[i].code, __ATOMIC_RELEASE);
  }
  return made->code;
}

void Reset(Translator* t) {
  for (uint32_t& offset : t->dispatch->offsets) offset = 0;
  for (uint32_t i = 0; i <= t->entry_index_mask; i++) t->entry_index[i] = 0;
  for (uint32_t i = 0; i < kPageBuckets; i++) t->page_buckets[i] = 0;
  ForgetFlags(t);
  ForgetEntries(t);
  const uint8_t* end = PageOf(t->code_at + kPageBytes - 1);
  BeginEmpty(t);
  if (t->code_at != end) t->host.protect(t->code_at, static_cast<size_t>(end - t->code_at), false);
}

void BeginEmpty(Translator* t) {
  t->stale = false;
  t->entry_count = 0;
  t->translation_count = 1;
  t->page_use_count = 1;
  t->data_at = t->data_begin;
  t->homes = nullptr;
  t->code_at = t->code_begin + kRoutineBytes;
}

}  // namespace dd::exec
