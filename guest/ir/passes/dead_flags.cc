// Flags that nobody reads are not computed: most arithmetic of compiled code sets them for one
// reader or none.
#include "guest/ir/op_traits.h"
#include "guest/ir/passes/flow.h"

namespace dd::ir {
namespace {

// Whether flags are wanted before the block, given whether they are after it.
bool LiveBefore(const Block& block, bool live) {
  for (uint32_t i = block.op_count; i-- > 0;) {
    const Op& op = block.ops[i];
    if (WritesFlags(op)) live = false;
    if (ReadsFlags(op)) live = true;
  }
  return live;
}

bool LiveAlong(int16_t edge, uint64_t live_in) {
  if (edge == kNoEdge) return false;
  return edge == kOutside || (live_in >> edge & 1) != 0;
}

bool LiveAfter(const BlockFlow& flow, uint64_t live_in) {
  if (flow.taken == kNoEdge && flow.next == kNoEdge) return true;
  return LiveAlong(flow.taken, live_in) || LiveAlong(flow.next, live_in);
}

}  // namespace

void FindFlagsWanted(const Region& region, const Flow& flow, uint64_t* wanted_after,
                     uint64_t* live_in) {
  *live_in = 0;
  for (bool changed = true; changed;) {
    changed = false;
    for (uint32_t i = region.block_count; i-- > 0;) {
      const uint64_t bit = uint64_t{1} << i;
      if ((*live_in & bit) == 0 &&
          LiveBefore(region.blocks[i], LiveAfter(flow.blocks[i], *live_in))) {
        *live_in |= bit;
        changed = true;
      }
    }
  }
  uint32_t first = 0;
  for (uint32_t b = 0; b < region.block_count; b++) {
    const Block& block = region.blocks[b];
    bool live = LiveAfter(flow.blocks[b], *live_in);
    for (uint32_t i = block.op_count; i-- > 0;) {
      Op& op = block.ops[i];
      const uint32_t at = first + i;
      const uint64_t bit = uint64_t{1} << (at & 63);
      wanted_after[at >> 6] = live ? wanted_after[at >> 6] | bit : wanted_after[at >> 6] & ~bit;
      if (WritesFlags(op)) {
        if (!live) op.bits &= static_cast<uint8_t>(~kSetsFlags);
        live = false;
      }
      if (ReadsFlags(op)) live = true;
    }
    first += block.op_count;
  }
}

}  // namespace dd::ir
