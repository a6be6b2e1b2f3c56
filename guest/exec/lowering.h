// What makes blocks of guest bytes. The translator is given one such function and knows nothing
// else of the guest's instruction set.
#pragma once

#include <cstddef>
#include <cstdint>

#include "guest/ir/ir.h"

namespace dd::exec {

// Lowers the basic block at guest address `pc`. `bytes` are the `size` guest bytes from there on;
// instructions that do not lie in them whole are not looked at. At most `op_limit` operations are
// written to `ops`, the last one of them a terminator: what the block ends with, or, when the bytes
// or the limit end first, a Jump to the next instruction. Fills in `block` and says how many bytes
// of the guest the block is; 0: not even one instruction is there.
//
// An instruction's operations write no guest register before the last one that may fault. No
// temporary outlives its instruction.
using LowerBlock = size_t (*)(const uint8_t* bytes, size_t size, uint64_t pc, ir::Op* ops,
                              uint32_t op_limit, ir::Block* block);

// No instruction needs more operations than this.
constexpr uint32_t kOpsPerInstruction = 64;

}  // namespace dd::exec
