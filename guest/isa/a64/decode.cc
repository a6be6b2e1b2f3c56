#include "guest/isa/a64/decode.h"

namespace dd::isa::a64 {

namespace {

// Two rows that match the same word must be a general case and a special one of it. These pairs are
// told apart by the order in which they are tried: more fixed bits first.
constexpr bool Disjoint(const Row& a, const Row& b) {
  if (((a.value ^ b.value) & a.mask & b.mask) != 0) return true;
  // A field that is not 0 against bits that are.
  const auto excluded = [](const Row& x, const Row& y) {
    return x.nonzero != 0 && (y.mask & x.nonzero) == x.nonzero && (y.value & x.nonzero) == 0;
  };
  return excluded(a, b) || excluded(b, a);
}

constexpr bool Ordered(const Row& a, const Row& b) {
  return a.mask != b.mask && ((a.mask & b.mask) == a.mask || (a.mask & b.mask) == b.mask);
}

constexpr bool NoAmbiguity() {
  for (uint32_t i = 0; i < kRowCount; i++) {
    for (uint32_t j = 0; j < i; j++) {
      if (!Disjoint(kRows[i], kRows[j]) && !Ordered(kRows[i], kRows[j])) return false;
    }
  }
  return true;
}
static_assert(NoAmbiguity(), "two rows match the same word and neither is a special case");

// The index: bits 28..21 and 15..10 of a word choose a bucket, whose rows are tried in order.
constexpr uint32_t kHighShift = 21;
constexpr uint32_t kLowShift = 10;
constexpr uint32_t kLowBits = 6;
constexpr uint32_t kBuckets = 1u << 14;
constexpr uint32_t kIndexed = 0xffu << kHighShift | 0x3fu << kLowShift;

constexpr uint32_t BucketOf(uint32_t word) {
  return (word >> kHighShift & 0xff) << kLowBits | (word >> kLowShift & 0x3f);
}

// Calls f for each bucket that words of `row` fall into.
template <typename F>
constexpr void ForBuckets(const Row& row, F f) {
  const uint32_t free = kIndexed & ~row.mask;
  uint32_t some = 0;
  do {
    f(BucketOf(row.value | some));
    some = (some - free) & free;
  } while (some != 0);
}

constexpr uint32_t EntryCount() {
  uint32_t count = 0;
  for (const Row& row : kRows) count += 1u << std::popcount(kIndexed & ~row.mask);
  return count;
}

// The rows of each bucket, one bucket after another.
struct Rows {
  std::array<uint32_t, kBuckets + 1> begin{};
  std::array<uint16_t, EntryCount()> rows{};

  constexpr uint32_t Count(uint32_t bucket) const { return begin[bucket + 1] - begin[bucket]; }
  constexpr bool Same(uint32_t a, uint32_t b) const {
    if (Count(a) != Count(b)) return false;
    for (uint32_t i = 0; i < Count(a); i++) {
      if (rows[begin[a] + i] != rows[begin[b] + i]) return false;
    }
    return true;
  }
};

constexpr Rows SortRows() {
  Rows sorted;
  for (const Row& row : kRows) {
    ForBuckets(row, [&](uint32_t bucket) { sorted.begin[bucket + 1]++; });
  }
  for (uint32_t i = 0; i < kBuckets; i++) sorted.begin[i + 1] += sorted.begin[i];
  std::array<uint16_t, kBuckets> used{};
  for (int fixed = 32; fixed >= 0; fixed--) {
    for (uint32_t i = 0; i < kRowCount; i++) {
      if (std::popcount(kRows[i].mask) != fixed) continue;
      ForBuckets(kRows[i], [&](uint32_t bucket) {
        sorted.rows[sorted.begin[bucket] + used[bucket]++] = static_cast<uint16_t>(i);
      });
    }
  }
  return sorted;
}

// What a word is compared with. A list of them ends with one that matches every word.
struct Candidate {
  uint32_t mask, value, nonzero;
  Id id;
};
constexpr Candidate kEnd = {0, 0, 0, Id::kUndefined};

// Small, so that it stays in the processor's cache: buckets with the same rows share a list, looked
// for among those that were made last.
constexpr uint32_t kCandidatesMax = 4096;
constexpr uint32_t kShared = 24;

struct Index {
  std::array<uint16_t, kBuckets> list{};
  std::array<Candidate, kCandidatesMax> candidates{};
  uint32_t count = 0;
};

constexpr Index MakeIndex() {
  Index index;
  const Rows sorted = SortRows();
  std::array<uint32_t, kShared> recent{};  // buckets whose lists those are
  uint32_t made = 0;
  for (uint32_t bucket = 0; bucket < kBuckets; bucket++) {
    uint32_t shared = 0;
    while (shared < made && shared < kShared && !sorted.Same(recent[shared], bucket)) shared++;
    if (shared < made && shared < kShared) {
      index.list[bucket] = index.list[recent[shared]];
      continue;
    }
    recent[made++ % kShared] = bucket;
    index.list[bucket] = static_cast<uint16_t>(index.count);
    for (uint32_t i = 0; i < sorted.Count(bucket); i++) {
      const uint16_t number = sorted.rows[sorted.begin[bucket] + i];
      const Row& row = kRows[number];
      index.candidates[index.count++] = {row.mask, row.value, row.nonzero, static_cast<Id>(number)};
    }
    index.candidates[index.count++] = kEnd;
  }
  return index;
}

constexpr Index kIndex = MakeIndex();

}  // namespace

Id Decode(uint32_t word) {
  const Candidate* at = &kIndex.candidates[kIndex.list[BucketOf(word)]];
  while ((word & at->mask) != at->value || ((word & at->nonzero) == 0 && at->nonzero != 0)) at++;
  return at->id;
}

}  // namespace dd::isa::a64
