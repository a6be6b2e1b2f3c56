// Flags that nobody reads are not computed: most arithmetic of compiled code sets them for one
// reader or none.
#include "guest/ir/op_traits.h"
#include "guest/ir/passes/flow.h"

namespace dd::ir {
namespace {

// What a block does first to the flags that it finds, and which operation does it.
struct FirstUse {
  enum Kind : uint8_t { kNone, kReads, kWrites };
  Kind kind;
  uint32_t op;
};

FirstUse FirstUseOf(const Block& block) {
  for (uint32_t i = 0; i < block.op_count; i++) {
    if (ReadsFlags(block.ops[i])) return {FirstUse::kReads, i};
    if (WritesFlags(block.ops[i])) return {FirstUse::kWrites, i};
  }
  return {FirstUse::kNone, block.op_count};
}

// Bits [begin, end) of a set of bits.
void Fill(uint64_t* words, uint32_t begin, uint32_t end, bool value) {
  while (begin < end) {
    const uint32_t bit = begin & 63;
    const uint32_t count = end - begin < 64 - bit ? end - begin : 64 - bit;
    const uint64_t mask = ~uint64_t{0} >> (64 - count) << bit;
    uint64_t& word = words[begin >> 6];
    word = value ? word | mask : word & ~mask;
    begin += count;
  }
}

bool LiveInside(int16_t edge, uint64_t live_in) { return edge >= 0 && (live_in >> edge & 1) != 0; }

bool WantedOutside(const Block& block, const BlockFlow& flow, const Outside& outside) {
  const Op& last = block.ops[block.op_count - 1];
  const auto target = static_cast<uint64_t>(last.imm);
  if (last.code == OpCode::kCall) return outside.flags_wanted(outside.context, target);
  if (flow.taken == kNoEdge && flow.next == kNoEdge) return true;
  return (flow.taken == kOutside && outside.flags_wanted(outside.context, target)) ||
         (flow.next == kOutside && outside.flags_wanted(outside.context, block.next_pc));
}

}  // namespace

void FindFlagsWanted(const Region& region, const Flow& flow, const Outside& outside,
                     uint64_t* wanted_after, uint64_t* live_in, uint64_t* live_outside) {
  *live_in = 0;
  *live_outside = 0;
  FirstUse first_use[kBlocksPerRegion];
  bool matters = false;  // looking outside costs most
  for (uint32_t b = 0; b < region.block_count; b++) {
    first_use[b] = FirstUseOf(region.blocks[b]);
    matters = matters || first_use[b].kind != FirstUse::kNone;
  }
  for (uint32_t b = 0; b < region.block_count; b++) {
    if (!matters || WantedOutside(region.blocks[b], flow.blocks[b], outside)) {
      *live_outside |= uint64_t{1} << b;
    }
  }
  const auto live_after = [&](uint32_t b) {
    return (*live_outside >> b & 1) != 0 || LiveInside(flow.blocks[b].taken, *live_in) ||
           LiveInside(flow.blocks[b].next, *live_in);
  };
  for (bool changed = true; changed;) {
    changed = false;
    for (uint32_t i = region.block_count; i-- > 0;) {
      const uint64_t bit = uint64_t{1} << i;
      if ((*live_in & bit) != 0 || first_use[i].kind == FirstUse::kWrites) continue;
      if (first_use[i].kind == FirstUse::kReads || live_after(i)) {
        *live_in |= bit;
        changed = true;
      }
    }
  }
  uint32_t first = 0;
  for (uint32_t b = 0; b < region.block_count; b++) {
    const Block& block = region.blocks[b];
    bool live = live_after(b);
    uint32_t end = block.op_count;  // what is said of operations from here on
    const auto say_from = [&](uint32_t i) {
      Fill(wanted_after, first + i, first + end, live);
      end = i;
    };
    for (uint32_t i = block.op_count; i-- > first_use[b].op;) {
      Op& op = block.ops[i];
      const bool writes = WritesFlags(op);
      const bool reads = ReadsFlags(op);
      if (!writes && !reads) continue;
      if (writes && !live) op.bits &= static_cast<uint8_t>(~kSetsFlags);
      if (live == reads) continue;
      say_from(i);
      live = reads;
    }
    say_from(0);
    first += block.op_count;
  }
}

}  // namespace dd::ir
