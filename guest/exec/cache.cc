#include "guest/exec/cache.h"

#include "guest/exec/region.h"

namespace dd::exec {
namespace {

constexpr uint32_t kReleasedBlocks[] = {ir::kBlocksPerRegion, 16, 4, 1};

uint64_t Hash(uint64_t value) { return value * 0x9e3779b97f4a7c15; }

uint64_t HostPage(const uint8_t* at) { return reinterpret_cast<uint64_t>(at) & ~(kPageBytes - 1); }

// Makes [at, at + bytes) writable or executable again: whole pages.
bool Protect(Translator* t, uint8_t* at, size_t bytes, bool executable) {
  const uint64_t begin = HostPage(at);
  const uint64_t end = HostPage(at + bytes + kPageBytes - 1);
  return t->host.protect(reinterpret_cast<void*>(begin), end - begin, executable);
}

void Copy(uint8_t* to, const uint8_t* from, size_t bytes) {
  asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes) : : "memory");
}

const Entry* EntryForCode(void* context, uint64_t pc) {
  return EntryOf(static_cast<Translator*>(context), pc);
}

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

Entry* FindEntry(const Translator* t, uint64_t pc) {
  for (uint64_t i = Hash(pc) >> 32;; i++) {
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
  uint64_t i = Hash(pc) >> 32;
  while (t->entry_index[i & t->entry_index_mask] != 0) i++;
  t->entry_index[i & t->entry_index_mask] = t->entry_count;
  return entry;
}

namespace {

// Translations that are made with one change of protection: of what a region calls and comes back
// to, which is about to be executed as well.
constexpr uint32_t kBatch = 8;

struct Batch {
  uint64_t pcs[kBatch];  // wanted
  uint32_t count = 0;
  uint32_t made[kBatch];  // numbers of translations
  uint32_t made_count = 0;

  void Want(uint64_t pc) {
    if (count < kBatch) pcs[count++] = pc;
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

enum class Made : uint8_t { kTranslation, kNothing, kNoRoom };

// Writes the code at the end of what there is; its pages are writable.
Made MakeTranslation(Translator* t, uint64_t pc, Batch* batch) {
  Entry* entry = EntryOf(t, pc);
  if (entry == nullptr) return Made::kNoRoom;
  if (entry->host != t->environment.translate) return Made::kNothing;
  FormedRegion formed;
  select::x64::Generated code;
  const uint64_t base = (reinterpret_cast<uint64_t>(t->code_at) + 15) & ~uint64_t{15};
  bool made = false;
  for (const uint32_t blocks : kReleasedBlocks) {
    if (!FormRegion(t, pc, blocks, &formed)) return Made::kNothing;
    t->peeked_count = 0;
    made = select::x64::Select(t->workspace, t->environment, formed.region, base, &code);
    if (made || t->entry_count == t->entry_limit) break;
  }
  if (!made) return Made::kNoRoom;
  auto* at = reinterpret_cast<uint8_t*>(base);
  const size_t pages = ((formed.high - 1) >> kPageBits) - (formed.low >> kPageBits) + 1;
  const size_t point_bytes = code.point_count * sizeof(FaultPoint);
  if (at + code.code_bytes > t->code_end || t->data_at + point_bytes > t->data_end ||
      t->translation_count == t->translation_limit ||
      t->page_use_count + pages + kPeekedPages > t->page_use_limit) {
    return Made::kNoRoom;
  }
  Copy(at, code.code, code.code_bytes);
  Copy(t->data_at, reinterpret_cast<const uint8_t*>(code.points), point_bytes);
  const uint32_t number = t->translation_count;
  t->translations[number] = {base,
                             static_cast<uint32_t>(code.code_bytes),
                             static_cast<uint32_t>(code.point_count),
                             pc,
                             formed.low,
                             formed.high,
                             entry,
                             reinterpret_cast<const FaultPoint*>(t->data_at),
                             code.homes};
  __atomic_store_n(&t->translation_count, number + 1, __ATOMIC_RELEASE);
  t->data_at += point_bytes;
  t->code_at = at + code.code_bytes;
  AddPageUses(t, number, formed.low, formed.high);
  if (batch->made_count == 0) WantCalls(formed.region, batch);
  batch->made[batch->made_count++] = number;
  return Made::kTranslation;
}

}  // namespace

uint64_t Translate(Translator* t, uint64_t pc, bool* no_room) {
  *no_room = false;
  const Entry* known = FindEntry(t, pc);
  if (known != nullptr && known->host != t->environment.translate) return known->host;
  // Behind the last page that has code everything is writable still.
  uint8_t* begin = t->code_at;
  const bool page_begun = begin != reinterpret_cast<uint8_t*>(HostPage(begin));
  if (page_begun && !Protect(t, begin, 1, false)) {
    *no_room = true;
    return 0;
  }
  t->environment.context = t;
  t->environment.entry_of = EntryForCode;
  t->environment.flags_wanted = FlagsWanted;
  Batch batch;
  batch.Want(pc);
  for (uint32_t i = 0; i < batch.count; i++) {
    const Made made = MakeTranslation(t, batch.pcs[i], &batch);
    if (i == 0 && made != Made::kTranslation) {
      *no_room = made == Made::kNoRoom;
      break;
    }
    if (made == Made::kNoRoom) break;
  }
  const size_t bytes = static_cast<size_t>(t->code_at - begin);
  if ((page_begun || bytes != 0) && !Protect(t, begin, bytes == 0 ? 1 : bytes, true)) return 0;
  if (batch.made_count == 0) return 0;
  for (uint32_t i = 0; i < batch.made_count; i++) {
    const Translation& translation = t->translations[batch.made[i]];
    __atomic_store_n(&translation.entry->host, translation.code, __ATOMIC_RELEASE);
  }
  return t->translations[batch.made[0]].code;
}

void Reset(Translator* t) {
  for (uint32_t i = 0; i < 1u << kTableBits; i++) t->table[i] = &t->nothing;
  for (uint32_t i = 0; i <= t->entry_index_mask; i++) t->entry_index[i] = 0;
  for (uint32_t i = 0; i < kPageBuckets; i++) t->page_buckets[i] = 0;
  t->entry_count = 0;
  t->translation_count = 1;
  t->page_use_count = 1;
  t->data_at = t->data_begin;
  uint8_t* begin = t->code_begin + kRoutineBytes;
  if (t->code_at != begin) Protect(t, begin, static_cast<size_t>(t->code_at - begin), false);
  t->code_at = begin;
}

}  // namespace dd::exec
