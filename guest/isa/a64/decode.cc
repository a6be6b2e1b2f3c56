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

struct Index {
  std::array<uint32_t, kBuckets + 1> begin{};
  std::array<uint16_t, EntryCount()> rows{};
};

constexpr Index MakeIndex() {
  Index index;
  for (const Row& row : kRows) {
    ForBuckets(row, [&](uint32_t bucket) { index.begin[bucket + 1]++; });
  }
  for (uint32_t i = 0; i < kBuckets; i++) index.begin[i + 1] += index.begin[i];
  std::array<uint16_t, kBuckets> used{};
  for (int fixed = 32; fixed >= 0; fixed--) {
    for (uint32_t i = 0; i < kRowCount; i++) {
      if (std::popcount(kRows[i].mask) != fixed) continue;
      ForBuckets(kRows[i], [&](uint32_t bucket) {
        index.rows[index.begin[bucket] + used[bucket]++] = static_cast<uint16_t>(i);
      });
    }
  }
  return index;
}

constexpr Index kIndex = MakeIndex();

}  // namespace

Id Decode(uint32_t word) {
  const uint32_t bucket = BucketOf(word);
  for (uint32_t at = kIndex.begin[bucket]; at < kIndex.begin[bucket + 1]; at++) {
    const uint16_t row = kIndex.rows[at];
    if (kRows[row].Matches(word)) return static_cast<Id>(row);
  }
  return Id::kUndefined;
}

}  // namespace dd::isa::a64
