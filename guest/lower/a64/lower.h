// arm64 instructions as operations of the intermediate representation. Knows no host.
#pragma once

#include <cstddef>
#include <cstdint>

#include "guest/ir/arena.h"
#include "guest/ir/ir.h"

namespace dd::lower::a64 {

// Copies up to `limit` bytes of guest code at `pc` and says how many: as HostServices::fetch.
using Fetch = size_t(void* to, uint64_t pc, size_t limit);

enum class Lowered : uint8_t {
  kBlock,
  kFetchFault,  // the instruction at `pc` cannot be fetched
  kNoRoom,      // the arena has no room for a block
};

// A block has at most so many guest instructions; selection may count on it.
constexpr uint32_t kBlockInstructionLimit = 64;
// At most so many operations, with its terminator.
constexpr uint32_t kBlockOpLimit = 640;

// Makes the block that begins at `pc`. It ends at a branch, a system call, an instruction that
// traps (which, when it is not the block's first, is left to a block of its own), an instruction
// barrier, a page's end or a limit. `pc` is a multiple of 4: alignment is the caller's to check.
Lowered LowerBlock(Fetch* fetch, uint64_t pc, ir::Arena* arena, ir::Block* block);

}  // namespace dd::lower::a64
