// What makes blocks of guest bytes. The translator is given one such function and knows nothing
// else of the guest's instruction set.
#pragma once

#include <cstddef>
#include <cstdint>

#include "guest/ir/arena.h"
#include "guest/ir/ir.h"

namespace dd::exec {

// Lowers the basic block at guest address `pc` into `arena`. `bytes` are the `size` guest bytes
// from there on; instructions that do not lie in them whole are not looked at. The block ends with
// its terminator, or, when the bytes or the arena end first, with a Jump to the next instruction.
// Says how many bytes of the guest the block is; 0: not even one instruction is there, or fits.
//
// An instruction's operations write no guest register before the last one that may fault. No
// temporary outlives its instruction.
using LowerBlock = size_t (*)(const uint8_t* bytes, size_t size, uint64_t pc, ir::Arena* arena,
                              ir::Block* block);

}  // namespace dd::exec
