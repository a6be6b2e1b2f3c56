// The translator's intermediate representation: a region is a few basic blocks, a block a list of
// operations on guest registers. There is no SSA and no phi: guest registers are operands,
// temporaries live within a block and are assigned once. `lower` makes it and knows no host;
// `select` reads it and knows no guest; `interpret.h` says what it means.
//
// Everything here is plain data in arenas: the translator runs on guest threads, without libc,
// allocator or exceptions.
#pragma once

#include <cstdint>

#include "guest/ir/opcodes.h"
#include "guest/ir/state.h"

namespace dd::ir {

// An operand: nothing, a guest register, or a temporary. Immediates are in Op::imm.
class Ref {
 public:
  constexpr Ref() = default;
  static constexpr Ref G(uint32_t n) { return Ref(kGuest | n); }
  static constexpr Ref V(uint32_t n) { return Ref(kVector | n); }
  static constexpr Ref T(uint32_t n) {
    return Ref(kTemp | n);
  }  // general or vector: as its definition says
  // Op::imm stands for this operand.
  static constexpr Ref Imm() { return Ref(kImmediate); }

  constexpr bool none() const { return bits_ == 0; }
  constexpr bool guest() const { return (bits_ & kKind) == kGuest; }
  constexpr bool vector() const { return (bits_ & kKind) == kVector; }
  constexpr bool temp() const { return (bits_ & kKind) == kTemp; }
  constexpr bool immediate() const { return (bits_ & kKind) == kImmediate; }
  constexpr uint32_t index() const { return bits_ & ~uint32_t{kKind}; }
  constexpr bool operator==(const Ref&) const = default;

 private:
  // Also known to op_traits.h.
  static constexpr uint16_t kKind = 0xf000;
  static constexpr uint16_t kGuest = 0x1000;
  static constexpr uint16_t kVector = 0x2000;
  static constexpr uint16_t kTemp = 0x3000;
  static constexpr uint16_t kImmediate = 0x4000;
  constexpr explicit Ref(uint32_t bits) : bits_(static_cast<uint16_t>(bits)) {}
  uint16_t bits_ = 0;
};

// Of an integer result, a memory access or a vector's elements: log2 of its bytes.
enum class Width : uint8_t { k8, k16, k32, k64, k128 };

// Conditions on the flags, in the arm64 manual's order (C1.2.4): odd ones negate their predecessor.
// C after a subtraction is "no borrow".
enum class Cond : uint8_t {
  kEq,
  kNe,
  kCs,
  kCc,
  kMi,
  kPl,
  kVs,
  kVc,
  kHi,
  kLs,
  kGe,
  kLt,
  kGt,
  kLe,
  kAl,
  kNv
};
constexpr Cond Negate(Cond cond) { return static_cast<Cond>(static_cast<uint8_t>(cond) ^ 1); }

// What an operation's row in opcodes.h allows.
enum OpBits : uint8_t {
  kSetsFlags = 1 << 0,  // N, Z, C, V; without it an operation leaves the flags alone
  kSigned = 1 << 1,     // load: sign-extend to `to`; others as their row says
  kAcquire = 1 << 2,
  kRelease = 1 << 3,
  kHalf = 1 << 4,    // vector: only the lower 64 bits are computed, the upper become 0
  kScalar = 1 << 5,  // vector: only element 0 is computed, the rest become 0
};

// How a memory operand's index is read.
enum class Extend : uint8_t { kNone, kUxtw, kSxtw };

struct Op {
  OpCode code;
  Width width = Width::k64;
  uint8_t bits = 0;
  Cond cond = Cond::kAl;
  // Memory: the shift of the index. Vectors: an element's number. Bit operations: the lowest bit,
  // or the shift.
  uint8_t lane = 0;
  // Memory: MemoryExtra, read by IndexExtend and LoadTo. Bit operations: the number of bits.
  // Others: as their row says.
  uint8_t extra = 0;
  Ref dst;
  // Memory: a is the base, b the index (or none), c the value to store; the address is a +
  // (extend(b) << lane) + imm.
  Ref a, b, c;
  // The guest instruction it comes from: its address is Block::pc + pc_offset. A fault reports that
  // address.
  uint16_t pc_offset = 0;
  int64_t imm = 0;
};
static_assert(sizeof(Op) == 32 || sizeof(Op) == 40);

// Op::extra of a memory operation: how the index is read and, of a load, the width it is extended
// to.
constexpr uint8_t MemoryExtra(Extend index, Width to) {
  return static_cast<uint8_t>(static_cast<uint8_t>(index) | static_cast<uint8_t>(to) << 4);
}
constexpr Extend IndexExtend(const Op& op) { return static_cast<Extend>(op.extra & 15); }
constexpr Width LoadTo(const Op& op) { return static_cast<Width>(op.extra >> 4); }

// A basic block: entered at its first operation only, left by its last one, which is its only
// terminator.
struct Block {
  uint64_t pc;       // guest address of its first instruction
  uint64_t next_pc;  // of the instruction after its last: where a branch not taken and a call's
                     // return go on
  Op* ops;
  uint32_t op_count;
  uint32_t temp_count;
};

// What is translated as one piece: entered at block 0 from outside. A branch of a block to the `pc`
// of another block of the same region stays inside; all other targets leave it.
struct Region {
  Block* blocks;
  uint32_t block_count;
};

}  // namespace dd::ir
