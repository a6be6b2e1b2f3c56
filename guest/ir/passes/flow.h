// How a region's blocks follow each other.
#pragma once

#include "guest/ir/ir.h"

namespace dd::ir {

constexpr uint32_t kBlocksPerRegion = 64;
constexpr uint32_t kOpsPerRegion = 4096;
constexpr int16_t kOutside = -1;  // an edge that leaves the region
constexpr int16_t kNoEdge = -2;

struct BlockFlow {
  int16_t taken = kNoEdge;  // by the branch, or kOutside
  int16_t next = kNoEdge;   // to next_pc
  uint8_t predecessors = 0;
  uint8_t depth = 0;       // of loops around it
  bool loop_head = false;  // an edge from it or from a later block leads here
};

struct Flow {
  BlockFlow blocks[kBlocksPerRegion];
};

// The block that begins at `pc`, or kOutside. Block 0 is the entry; the others lie in the order of
// their addresses, those behind it first.
int16_t BlockAt(const Block* blocks, uint32_t count, uint64_t pc);
void FindFlow(const Region& region, Flow* flow);

// What is known of code outside of the region.
struct Outside {
  void* context;
  bool (*flags_wanted)(void* context, uint64_t pc);
};

// Clears kSetsFlags where nobody reads the flags, and says after which operations the flags that
// are there then are still wanted: a bit per operation, blocks one after another. `live_in` and
// `live_outside`: a bit per block, of flags wanted where it begins, and where it leaves the region.
void FindFlagsWanted(const Region& region, const Flow& flow, const Outside& outside,
                     uint64_t* wanted_after, uint64_t* live_in, uint64_t* live_outside);

}  // namespace dd::ir
