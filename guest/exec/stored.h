// Translations of one file, made ahead by a process without a guest (record.cc), and taken over by
// translators whose guest has mapped that file (install.cc). Nothing in it is executed where it
// lies: code is copied into the translator's own cache and made to fit there.
//
// A translation is taken only where the pages that it was made of are, byte by byte, the guest's.
#pragma once

#include <cstddef>
#include <cstdint>

#include "guest/exec/lowering.h"
#include "guest/exec/translator.h"
#include "guest/select/x64/environment.h"

namespace dd::exec {

constexpr uint64_t kStoredMagic = 0x736e617274646401;  // "\1ddtrans"
constexpr uint32_t kStoredVersion = 2;
constexpr size_t kBuildBytes = 20;
// Files that translations are made of ahead, and what is made of one.
constexpr uint64_t kSourceBytesMax = uint64_t{1} << 31;
constexpr uint64_t kStoredBytesMax = uint64_t{64} << 20;
// Address space of a translator. Its layout, which code depends on, follows from it.
constexpr size_t kCacheBytes = size_t{128} << 20;

// Beginning of what is stored; known to the sentry as well (sentry/translations/format.ts). Offsets
// are from here on, addresses of the guest are offsets in the file.
struct StoredHeader {
  uint64_t magic;
  uint32_t version;
  uint32_t region_count;
  uint8_t build[kBuildBytes];  // of the program that made it
  uint32_t index;              // offset of StoredPlace[region_count], by pc
  uint64_t source_bytes;
  uint64_t bytes;  // all of it
  // Of what regions refer to by numbers: addresses, and the source's pages. Offsets.
  uint32_t targets;  // uint32_t[target_count]; behind the last region
  uint32_t target_count;
  uint32_t pages;  // StoredPage[page_count]
  uint32_t page_count;
};
static_assert(sizeof(StoredHeader) == 72);

struct StoredPlace {
  uint32_t pc;
  uint32_t at;  // of its StoredRegion; 0: it was tried in vain
};

// A page of the source that code was made of, or looked at for it.
struct StoredPage {
  uint32_t number;
  uint32_t at;  // of its bytes, as many as the source has of it
};

// Something in the code that depends on where it lies.
struct StoredReference {
  enum Kind : uint32_t {
    kCache,    // a displacement to `target` bytes behind the beginning of the code cache
    kEntry,    // a displacement to the entry of target number `target`
    kAddress,  // a guest address, as the distance from the pc
  };
  uint32_t kind;
  uint32_t offset;  // in the code
  uint32_t target;
};

// One translation. Behind it: references, fault points, numbers of its pages, code; each begins at
// a multiple of 8. In the order in which they were made, which is roughly the order in which a
// program comes to them.
struct StoredRegion {
  uint32_t pc;
  uint32_t low, high;
  uint32_t bytes;   // with what is behind it: where the next one begins
  uint32_t target;  // number of its pc
  uint32_t reference_count;
  uint32_t point_count;
  uint32_t page_count;
  uint32_t code_bytes;
  uint16_t floats;     // 1: depends on what floating point is watched for
  uint16_t needs_sha;  // 1: not every host can execute it
  select::x64::Homes homes;
};
static_assert(sizeof(StoredRegion) % 8 == 0);

constexpr size_t Aligned8(size_t bytes) { return (bytes + 7) & ~size_t{7}; }

// Where the parts of a region lie.
struct StoredParts {
  const StoredReference* references;
  const select::x64::FaultPoint* points;
  const uint32_t* pages;
  const uint8_t* code;
};
inline StoredParts PartsOf(const StoredRegion* region) {
  StoredParts parts;
  const auto* at = reinterpret_cast<const uint8_t*>(region + 1);
  parts.references = reinterpret_cast<const StoredReference*>(at);
  at += Aligned8(region->reference_count * sizeof(StoredReference));
  parts.points = reinterpret_cast<const select::x64::FaultPoint*>(at);
  at += Aligned8(region->point_count * sizeof(select::x64::FaultPoint));
  parts.pages = reinterpret_cast<const uint32_t*>(at);
  at += Aligned8(region->page_count * sizeof(uint32_t));
  parts.code = at;
  return parts;
}

// What to lend: `stored`, which stays where it is, readable, for as long as the translator lives;
// or what is the same and was kept before. Null: there are too many.
const StoredHeader* Keep(Translator* translator, const StoredHeader* stored);

// The guest has mapped [begin, end) from byte `offset` on of the file that `stored`, which is kept,
// was made of.
void Lend(Translator* translator, uint64_t begin, uint64_t end, uint64_t offset,
          const StoredHeader* stored);

// How many guest addresses have been translated in this process, not taken over; they follow, in
// that order.
struct Fresh {
  uint64_t count;
  uint64_t* pcs() { return &count + 1; }
};
const Fresh* FreshOf(const Translator* translator);

// What translations are made of ahead of time.
struct Source {
  const uint8_t* bytes;
  uint64_t size;
  const uint32_t* pcs;  // entries wanted, in the order in which they are to be stored
  uint32_t pc_count;
  uint8_t build[kBuildBytes];
};

// A translator that only records. The host services are the caller's but for `fetch`; one at a time
// in a process. Null as for Make.
Translator* MakeRecorder(const HostServices& host, LowerBlock lower);

// Translates what can be, and stores it at `to`. Says how many bytes that is; 0: there is no room
// for anything. Executes nothing of it.
size_t Record(Translator* translator, const Source& source, uint8_t* to, size_t room);

}  // namespace dd::exec
