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
constexpr uint32_t kExtentLimit = ir::kBlocksPerRegion + kPeekLimit;

const Source* g_source;

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
  void Return(uint32_t offset) { at_ = begin_ + offset; }

 private:
  uint8_t* begin_;
  uint8_t* at_;
  uint8_t* end_;
};

struct Extents {
  StoredExtent at[kExtentLimit];
  uint32_t count = 0;
  size_t bytes = 0;

  // Sorted, those that overlap or touch joined.
  void Add(uint64_t pc, uint64_t size) {
    auto low = static_cast<uint32_t>(pc - kBase);
    auto high = static_cast<uint32_t>(pc - kBase + size);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
      const StoredExtent each = at[i];
      if (each.pc > high || each.pc + each.bytes < low) {
        at[kept++] = each;
        continue;
      }
      if (each.pc < low) low = each.pc;
      if (each.pc + each.bytes > high) high = each.pc + each.bytes;
    }
    count = kept;
    at[count++] = {low, high - low};
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

// One region, its code at the place where the translator would have it. False: no room, or it
// cannot be moved.
bool Store(Translator* t, const FormedRegion& formed, const Draft& draft, Writer* writer) {
  const select::x64::Generated& code = draft.code;
  Extents extents;
  for (uint32_t i = 0; i < formed.region.block_count; i++) {
    const ir::Block& block = formed.region.blocks[i];
    extents.Add(block.pc, block.next_pc - block.pc);
  }
  // A list that is full may have lost some.
  if (t->peek_count == kPeekLimit) return false;
  for (uint32_t i = 0; i < t->peek_count; i++) {
    if (t->peeks[i].bytes != 0) extents.Add(kBase + t->peeks[i].pc, t->peeks[i].bytes);
  }
  uint32_t source_bytes = 0;
  for (uint32_t i = 0; i < extents.count; i++) source_bytes += extents.at[i].bytes;
  uint32_t reference_count = 0;
  for (uint32_t i = 0; i < code.reference_count; i++) {
    if (IsKept(t->environment.references[i])) reference_count++;
  }

  auto* region = writer->Take<StoredRegion>();
  auto* stored_extents = writer->Take<StoredExtent>(extents.count);
  auto* references = writer->Take<StoredReference>(reference_count);
  auto* points = writer->Take<FaultPoint>(code.point_count);
  auto* source = writer->Take<uint8_t>(source_bytes);
  auto* stored_code = writer->Take<uint8_t>(code.code_bytes);
  if (region == nullptr || stored_extents == nullptr || references == nullptr ||
      points == nullptr || source == nullptr || stored_code == nullptr) {
    return false;
  }
  region->pc = static_cast<uint32_t>(draft.pc - kBase);
  region->low = static_cast<uint32_t>(draft.low - kBase);
  region->high = static_cast<uint32_t>(draft.high - kBase);
  region->extent_count = extents.count;
  region->point_count = static_cast<uint32_t>(code.point_count);
  region->source_bytes = source_bytes;
  region->code_bytes = static_cast<uint32_t>(code.code_bytes);
  region->homes = code.homes;
  for (uint32_t i = 0; i < extents.count; i++) {
    stored_extents[i] = extents.at[i];
    FetchFromSource(source, kBase + extents.at[i].pc, extents.at[i].bytes);
    source += extents.at[i].bytes;
  }
  for (size_t i = 0; i < code.point_count; i++) points[i] = code.points[i];
  for (size_t i = 0; i < code.code_bytes; i++) stored_code[i] = code.code[i];

  const auto cache = reinterpret_cast<uint64_t>(t->code_begin);
  const auto entries = reinterpret_cast<uint64_t>(t->entries);
  for (uint32_t i = 0; i < code.reference_count; i++) {
    const Reference& from = t->environment.references[i];
    if (!IsKept(from)) continue;
    uint8_t* at = stored_code + from.offset;
    StoredReference to = {StoredReference::kCache, from.offset, 0};
    if (from.constant) {
      to.kind = StoredReference::kAddress;
      Put(at, from.target - draft.pc);
    } else if (from.target - entries < t->entry_count * sizeof(Entry)) {
      const int64_t distance =
          static_cast<int64_t>(t->entries[(from.target - entries) / sizeof(Entry)].pc - draft.pc);
      if (distance != static_cast<int32_t>(distance)) return false;
      to.kind = StoredReference::kEntry;
      to.target = static_cast<uint32_t>(distance);
      Put(at, Get(at) - static_cast<uint32_t>(from.target - draft.base));
    } else {
      to.target = static_cast<uint32_t>(from.target - cache);
      Put(at, Get(at) - static_cast<uint32_t>(from.target - draft.base));
    }
    references[region->reference_count++] = to;
  }
  return true;
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
  return t->environment.references == nullptr ? nullptr : t;
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
    const Outcome outcome = Generate(t, kBase + source.pcs[i], &formed, &draft);
    if (outcome == Outcome::kNothing) continue;
    const uint32_t at = writer.offset();
    if (outcome == Outcome::kNoRoom || !Append(t, draft)) break;
    t->made_count = 0;
    draft.entry->host = draft.base;
    if (!Store(t, formed, draft, &writer)) {
      writer.Return(at);
      continue;
    }
    reinterpret_cast<StoredRegion*>(to + at)->bytes = writer.offset() - at;
    place->at = at;
  }
  SortByPc(places, header->region_count);
  header->bytes = writer.offset();
  return header->bytes;
}

}  // namespace dd::exec
