// Making translations ahead, from the bytes of a file alone.
#include "guest/exec/cache.h"
#include "guest/exec/region.h"
#include "guest/exec/stored.h"

namespace dd::exec {
namespace {

using emit::x64::Reference;

// Where the file seems to lie. Far from all addresses there are, and no constant that a single
// instruction of a guest makes is near it: four different halfwords, no pattern that repeats. So a
// constant in generated code that is within kWindow of it is an address.
constexpr uint64_t kBase = 0x5ac3'9660'0000'0000;
constexpr uint64_t kWindow = uint64_t{1} << 33;

constexpr uint32_t kReferenceLimit = 1u << 16;
constexpr uint64_t kSourcePagesMax = kSourceBytesMax >> kPageBits;
// Within reach of a region, and looked at.
constexpr uint32_t kPagesPerRegion = 8 + kPeekedPages;
constexpr uint32_t kNoTarget = ~0u;
// Of what is stored behind the regions, by one more of them.
constexpr size_t kTailGrowth = size_t{1} << 18;

const Source* g_source;
// Pages of the source that are stored: by the order in which they were needed, and where each is in
// that order (+ 1).
uint32_t* g_pages;
uint32_t* g_page_places;
uint32_t g_page_count;

size_t FetchFromSource(void* to, uint64_t pc, size_t limit) {
  const uint64_t offset = pc - kBase;
  if (offset >= g_source->size) return 0;
  const uint64_t room = g_source->size - offset;
  const size_t bytes = room < limit ? room : limit;
  for (size_t i = 0; i < bytes; i++) static_cast<uint8_t*>(to)[i] = g_source->bytes[offset + i];
  return bytes;
}

// Where it goes; what does not fit is left out.
class Writer {
 public:
  Writer(uint8_t* to, size_t room) : begin_(to), at_(to), end_(to + room) {}

  // Zeroes; null: no room.
  template <typename T>
  T* Take(size_t count = 1) {
    const size_t bytes = Aligned8(count * sizeof(T));
    if (bytes > static_cast<size_t>(end_ - at_)) return nullptr;
    auto* taken = reinterpret_cast<T*>(at_);
    for (size_t i = 0; i < bytes; i++) at_[i] = 0;
    at_ += bytes;
    return taken;
  }
  uint32_t offset() const { return static_cast<uint32_t>(at_ - begin_); }
  size_t room() const { return static_cast<size_t>(end_ - at_); }
  void Return(uint32_t offset) { at_ = begin_ + offset; }

 private:
  uint8_t* begin_;
  uint8_t* at_;
  uint8_t* end_;
};

// Numbers of the pages that a region needs.
struct Pages {
  uint32_t at[kPagesPerRegion];
  uint32_t count = 0;

  void Add(uint64_t pc) {
    const auto page = static_cast<uint32_t>((pc - kBase) >> kPageBits);
    uint32_t& place = g_page_places[page];
    if (place == 0) {
      g_pages[g_page_count++] = page;
      place = g_page_count;
    }
    for (uint32_t i = 0; i < count; i++) {
      if (at[i] == place - 1) return;
    }
    at[count++] = place - 1;
  }
};

// Little-endian, at any place.
template <typename T>
void Put(uint8_t* at, T value) {
  for (size_t i = 0; i < sizeof value; i++) at[i] = static_cast<uint8_t>(value >> (8 * i));
}
uint32_t Get(const uint8_t* at) {
  uint32_t value = 0;
  for (int i = 3; i >= 0; i--) value = value << 8 | at[i];
  return value;
}

// Constants that are no addresses are the same everywhere.
bool IsKept(const Reference& reference) {
  return !reference.constant || reference.target - (kBase - kWindow) < 2 * kWindow;
}

// Where code goes on, as it is stored.
uint32_t TargetOf(const Entry& entry) {
  const uint64_t offset = entry.pc - kBase;
  return offset < g_source->size ? static_cast<uint32_t>(offset) : kNoTarget;
}

// One region, its code at the place where the translator would have it. False: no room, or it
// cannot be moved.
bool Store(Translator* t, const FormedRegion& formed, const Draft& draft, uint32_t references_made,
           Writer* writer) {
  Pages pages;
  for (uint32_t i = 0; i < formed.region.block_count; i++) pages.Add(formed.region.blocks[i].pc);
  for (uint32_t i = 0; i < t->peeked_count; i++) {
    const uint64_t page = t->peeked_pages[i] << kPageBits;
    if (page - kBase < g_source->size) pages.Add(page);
  }
  // The program has to be told by code of its own.
  if (draft.reads_status) return false;
  uint32_t reference_count = 0;
  for (uint32_t i = 0; i < references_made; i++) {
    if (IsKept(t->environment.references[i])) reference_count++;
  }

  auto* region = writer->Take<StoredRegion>();
  auto* references = writer->Take<StoredReference>(reference_count);
  auto* points = writer->Take<FaultPoint>(draft.point_count);
  auto* page_numbers = writer->Take<uint32_t>(pages.count);
  auto* stored_code = writer->Take<uint8_t>(draft.code_bytes);
  if (region == nullptr || references == nullptr || points == nullptr || page_numbers == nullptr ||
      stored_code == nullptr) {
    return false;
  }
  region->pc = static_cast<uint32_t>(draft.pc - kBase);
  region->low = static_cast<uint32_t>(draft.low - kBase);
  region->high = static_cast<uint32_t>(draft.high - kBase);
  region->target = static_cast<uint32_t>(draft.entry - t->entries);
  region->point_count = draft.point_count;
  region->page_count = pages.count;
  region->code_bytes = draft.code_bytes;
  region->homes = *draft.homes;
  region->floats = draft.floats ? 1 : 0;
  region->needs_sha = draft.needs_sha ? 1 : 0;
  for (uint32_t i = 0; i < draft.point_count; i++) points[i] = draft.points[i];
  for (uint32_t i = 0; i < pages.count; i++) page_numbers[i] = pages.at[i];
  for (uint32_t i = 0; i < draft.code_bytes; i++) stored_code[i] = draft.code[i];

  const auto cache = reinterpret_cast<uint64_t>(t->code_begin);
  const auto entries = reinterpret_cast<uint64_t>(t->entries);
  for (uint32_t i = 0; i < references_made; i++) {
    const Reference& from = t->environment.references[i];
    if (!IsKept(from)) continue;
    uint8_t* at = stored_code + from.offset;
    StoredReference to = {StoredReference::kCache, from.offset, 0};
    if (from.constant) {
      to.kind = StoredReference::kAddress;
      Put(at, from.target - draft.pc);
    } else if (from.target - entries < t->entry_count * sizeof(Entry)) {
      to.kind = StoredReference::kEntry;
      to.target = static_cast<uint32_t>((from.target - entries) / sizeof(Entry));
      if (TargetOf(t->entries[to.target]) == kNoTarget) return false;
      Put(at, Get(at) - static_cast<uint32_t>(from.target - draft.base));
    } else {
      to.target = static_cast<uint32_t>(from.target - cache);
      Put(at, Get(at) - static_cast<uint32_t>(from.target - draft.base));
    }
    references[region->reference_count++] = to;
  }
  return true;
}

// What regions refer to, behind them.
size_t TailBytes(const Translator* t) {
  return Aligned8(t->entry_count * sizeof(uint32_t)) +
         g_page_count * (sizeof(StoredPage) + kPageBytes);
}

void StoreTail(const Translator* t, StoredHeader* header, Writer* writer) {
  header->targets = writer->offset();
  header->target_count = t->entry_count;
  auto* targets = writer->Take<uint32_t>(t->entry_count);
  for (uint32_t i = 0; i < t->entry_count; i++) targets[i] = TargetOf(t->entries[i]);
  header->pages = writer->offset();
  header->page_count = g_page_count;
  auto* pages = writer->Take<StoredPage>(g_page_count);
  for (uint32_t i = 0; i < g_page_count; i++) {
    pages[i] = {g_pages[i], writer->offset()};
    FetchFromSource(writer->Take<uint8_t>(kPageBytes), kBase + (uint64_t{g_pages[i]} << kPageBits),
                    kPageBytes);
  }
}

// Shell's method: no recursion and no memory, whatever the list.
void SortByPc(StoredPlace* places, uint32_t count) {
  uint32_t gap = 1;
  while (gap < count / 3) gap = 3 * gap + 1;
  for (; gap > 0; gap /= 3) {
    for (uint32_t i = gap; i < count; i++) {
      const StoredPlace moved = places[i];
      uint32_t at = i;
      for (; at >= gap && places[at - gap].pc > moved.pc; at -= gap) places[at] = places[at - gap];
      places[at] = moved;
    }
  }
}

}  // namespace

Translator* MakeRecorder(const HostServices& host, LowerBlock lower) {
  HostServices services = host;
  services.fetch = FetchFromSource;
  Translator* t = Make(services, kCacheBytes, lower);
  if (t == nullptr) return nullptr;
  t->environment.references =
      static_cast<Reference*>(host.map(kReferenceLimit * sizeof(Reference)));
  t->environment.reference_limit = kReferenceLimit;
  g_pages = static_cast<uint32_t*>(host.map(kSourcePagesMax * sizeof(uint32_t)));
  g_page_places = static_cast<uint32_t*>(host.map(kSourcePagesMax * sizeof(uint32_t)));
  const bool room =
      t->environment.references != nullptr && g_pages != nullptr && g_page_places != nullptr;
  g_page_count = 0;
  return room ? t : nullptr;
}

size_t Record(Translator* t, const Source& source, uint8_t* to, size_t room) {
  g_source = &source;
  Writer writer(to, room < kStoredBytesMax ? room : kStoredBytesMax);
  auto* header = writer.Take<StoredHeader>();
  auto* places = writer.Take<StoredPlace>(source.pc_count);
  if (header == nullptr || places == nullptr || source.size > kSourceBytesMax) return 0;
  header->magic = kStoredMagic;
  header->version = kStoredVersion;
  header->index = static_cast<uint32_t>(reinterpret_cast<uint8_t*>(places) - to);
  header->source_bytes = source.size;
  for (size_t i = 0; i < kBuildBytes; i++) header->build[i] = source.build[i];
  for (uint32_t i = 0; i < source.pc_count; i++) {
    FormedRegion formed;
    Draft draft;
    StoredPlace* place = &places[header->region_count++];
    *place = {source.pcs[i], 0};
    uint32_t references;
    const Outcome outcome = Generate(t, kBase + source.pcs[i], &formed, &draft, &references);
    if (outcome == Outcome::kNothing) continue;
    const uint32_t at = writer.offset();
    if (outcome == Outcome::kNoRoom || !Append(t, draft)) break;
    t->made_count = 0;
    draft.entry->host = draft.base;
    if (!Store(t, formed, draft, references, &writer)) {
      writer.Return(at);
      continue;
    }
    if (writer.room() < TailBytes(t) + kTailGrowth) {
      writer.Return(at);
      break;
    }
    reinterpret_cast<StoredRegion*>(to + at)->bytes = writer.offset() - at;
    place->at = at;
  }
  if (writer.room() < TailBytes(t)) return 0;
  StoreTail(t, header, &writer);
  SortByPc(places, header->region_count);
  header->bytes = writer.offset();
  return header->bytes;
}

}  // namespace dd::exec
