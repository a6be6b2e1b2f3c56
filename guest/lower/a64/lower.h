// arm64 instructions as operations of the intermediate representation. Knows no host.
#pragma once

#include <cstddef>
#include <cstdint>

#include "guest/ir/arena.h"
#include "guest/ir/ir.h"

namespace dd::lower::a64 {

// A block has at most so many guest instructions; selection may count on it.
constexpr uint32_t kBlockInstructionLimit = 64;
// At most so many operations, with its terminator.
constexpr uint32_t kBlockOpLimit = 640;

// Makes the block that begins at `pc` out of guest code: `bytes` are the `size` bytes there. It
// ends at a branch, a system call, an instruction that traps (which, when it is not the block's
// first, is left to a block of its own), an instruction barrier, where the bytes end, or at a
// limit. Says how many bytes of code the block is; 0: not even one instruction is there, or the
// arena has no room.
//
// After a fault an instruction can be repeated: until its last access to memory it overwrites none
// of the registers that it reads. No temporary outlives its instruction.
size_t LowerBlock(const uint8_t* bytes, size_t size, uint64_t pc, ir::Arena* arena,
                  ir::Block* block);

}  // namespace dd::lower::a64
