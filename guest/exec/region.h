// Finds what is translated as one piece: blocks that direct branches lead to from the entry.
#pragma once

#include "guest/exec/cache.h"

namespace dd::exec {

struct FormedRegion {
  ir::Region region;
  uint64_t low, high;  // guest bytes lie in between
};

// The region at `pc`, of at most `block_limit` blocks, in the translator's arena. False: nothing
// can be fetched at pc.
bool FormRegion(Translator* t, uint64_t pc, uint32_t block_limit, FormedRegion* formed);

}  // namespace dd::exec
