// What the functions that lower instructions share. There is one function for each row of the
// instruction table, named as the row is, in namespace row.
#pragma once

#include <cstdint>

#include "guest/ir/builder.h"
#include "guest/isa/a64/rows.h"

namespace dd::lower::a64 {

using ir::Cond;
using ir::Op;
using ir::OpCode;
using ir::Ref;
using ir::Width;

// An instruction's bits, and the fields that most formats have.
struct Word {
  uint32_t bits;

  constexpr uint32_t At(uint32_t lowest, uint32_t count) const {
    return bits >> lowest & ((1u << count) - 1);
  }
  constexpr bool Bit(uint32_t n) const { return (bits >> n & 1) != 0; }
  // The field as a signed number.
  constexpr int64_t Signed(uint32_t lowest, uint32_t count) const {
    return static_cast<int64_t>(uint64_t{At(lowest, count)} << (64 - count)) >> (64 - count);
  }
  constexpr uint32_t rd() const { return At(0, 5); }
  constexpr uint32_t rt() const { return At(0, 5); }
  constexpr uint32_t rn() const { return At(5, 5); }
  constexpr uint32_t rm() const { return At(16, 5); }
  constexpr uint32_t ra() const { return At(10, 5); }
  constexpr Width sf() const { return Bit(31) ? Width::k64 : Width::k32; }
};

// The most operations and temporaries that one instruction needs.
constexpr uint32_t kInstructionOpLimit = 40;
constexpr uint32_t kInstructionTempLimit = 24;

// The register number that stands for the stack pointer or for zero.
constexpr uint32_t kThirtyOne = 31;

// One instruction's lowering.
class Lowering {
 public:
  Lowering(ir::Builder* builder, uint64_t pc) : builder_(*builder), pc_(pc) {}
  Lowering(const Lowering&) = delete;
  Lowering& operator=(const Lowering&) = delete;

  uint64_t pc() const { return pc_; }
  uint64_t next_pc() const { return pc_ + 4; }
  // The block ends here.
  bool ended() const { return ended_; }
  // The instruction raises an exception instead of doing anything.
  bool trapped() const { return trapped_; }
  ir::TrapKind trap() const { return trap_; }

  Op& Emit(OpCode code, Width width, Ref dst = {}, Ref a = {}, Ref b = {}, Ref c = {}) {
    return builder_.Emit(code, width, dst, a, b, c);
  }
  // With a constant as operand b.
  Op& EmitImm(OpCode code, Width width, Ref dst, Ref a, int64_t imm) {
    Op& op = Emit(code, width, dst, a, Ref::Imm());
    op.imm = imm;
    return op;
  }
  Op& EmitBits(uint8_t bits, OpCode code, Width width, Ref dst = {}, Ref a = {}, Ref b = {},
               Ref c = {}) {
    Op& op = Emit(code, width, dst, a, b, c);
    op.bits = bits;
    return op;
  }
  Ref Temp() { return builder_.Temp(); }

  // A temporary that holds a constant.
  Ref Constant(int64_t value) {
    const Ref temp = Temp();
    Emit(OpCode::kMov, Width::k64, temp, Ref::Imm()).imm = value;
    return temp;
  }
  // General register n to read; 31 is zero.
  Ref X(uint32_t n) { return n == kThirtyOne ? Constant(0) : Ref::G(n); }
  // General register n to write; 31 is nothing.
  static Ref ToX(uint32_t n) { return n == kThirtyOne ? Ref() : Ref::G(n); }
  // The same for what must be executed in any case: 31 is a temporary.
  Ref ToXOrTemp(uint32_t n) { return n == kThirtyOne ? Temp() : Ref::G(n); }
  // General register n, where 31 is the stack pointer.
  static Ref XOrSp(uint32_t n) { return Ref::G(n); }
  static Ref V(uint32_t n) { return Ref::V(n); }

  // Ends the block with a terminator.
  Op& End(OpCode code, Width width = Width::k64, Ref a = {}) {
    ended_ = true;
    return Emit(code, width, {}, a);
  }
  // What the instruction does instead; operations emitted for it are taken back.
  void Trap(ir::TrapKind kind) {
    trapped_ = true;
    trap_ = kind;
  }
  void Undefined() { Trap(ir::TrapKind::kUndefined); }

 private:
  ir::Builder& builder_;
  uint64_t pc_;
  bool ended_ = false;
  bool trapped_ = false;
  ir::TrapKind trap_ = ir::TrapKind::kUndefined;
};

using Lower = void(Lowering& l, Word w);

namespace row {
#define DD_A64(identifier, name, bits) Lower identifier;
#include "guest/isa/a64/base.inc"
#include "guest/isa/a64/crypto.inc"
#include "guest/isa/a64/float.inc"
#include "guest/isa/a64/memory.inc"
#include "guest/isa/a64/vector.inc"
#include "guest/isa/a64/vector_arithmetic.inc"
#include "guest/isa/a64/vector_float.inc"
#undef DD_A64
}  // namespace row

// Defines the function of a row: what follows lowers Word w by Lowering l.
#define DD_LOWER(identifier, ...) \
  void row::identifier([[maybe_unused]] Lowering& l, [[maybe_unused]] Word w) { __VA_ARGS__; }

// The constant of the logical immediates (DecodeBitMasks); false if the fields name none.
bool LogicalImmediate(bool n, uint32_t imms, uint32_t immr, Width width, uint64_t* to);

// The constant of an 8-bit floating-point immediate (VFPExpandImm).
uint64_t FloatImmediate(uint32_t imm8, Width width);

}  // namespace dd::lower::a64
