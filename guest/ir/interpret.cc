#include "guest/ir/interpret.h"

#include "guest/ir/kernels.h"

namespace dd::ir {

namespace {

#define DD_IR_ADDRESS(name, kind) kernel::name,
#define DD_IR_NONE(name, kind) nullptr,
constexpr Kernel* kKernels[] = {DD_IR_INTEGER_OPS(DD_IR_ADDRESS) DD_IR_MEMORY_OPS(DD_IR_ADDRESS)
                                    DD_IR_SYSTEM_OPS(DD_IR_ADDRESS) DD_IR_VECTOR_OPS(DD_IR_ADDRESS)
                                        DD_IR_TERMINATORS(DD_IR_NONE)};
#undef DD_IR_ADDRESS
#undef DD_IR_NONE

uint64_t Operand(const State& state, const Op& op) {
  return Truncate(ReadG(state, op, op.a), Bits(op.width));
}

// Where a terminator goes on.
uint64_t Target(const State& state, const Block& block, const Op& op) {
  const uint64_t imm = static_cast<uint64_t>(op.imm);
  switch (op.code) {
    case OpCode::kJump:
    case OpCode::kCall:
      return imm;
    case OpCode::kBranch:
      return Holds(op.cond, state.flags) ? imm : block.next_pc;
    case OpCode::kBranchZero:
      return Operand(state, op) == 0 ? imm : block.next_pc;
    case OpCode::kBranchNotZero:
      return Operand(state, op) != 0 ? imm : block.next_pc;
    case OpCode::kBranchBitClear:
      return (Operand(state, op) >> op.lane & 1) == 0 ? imm : block.next_pc;
    case OpCode::kBranchBitSet:
      return (Operand(state, op) >> op.lane & 1) != 0 ? imm : block.next_pc;
    case OpCode::kCallIndirect:
    case OpCode::kJumpIndirect:
    case OpCode::kReturn:
      return ReadG(state, op, op.a);
    case OpCode::kTrap:
      return block.pc + op.pc_offset;
    default:
      return block.next_pc;
  }
}

}  // namespace

Kernel* KernelOf(OpCode code) { return kKernels[static_cast<uint32_t>(code)]; }

void Execute(State& state, const Op& op) { KernelOf(op.code)(state, op); }

bool Holds(Cond cond, uint32_t flags) {
  const bool n = (flags & kFlagN) != 0;
  const bool z = (flags & kFlagZ) != 0;
  const bool c = (flags & kFlagC) != 0;
  const bool v = (flags & kFlagV) != 0;
  switch (cond) {
    case Cond::kEq:
      return z;
    case Cond::kNe:
      return !z;
    case Cond::kCs:
      return c;
    case Cond::kCc:
      return !c;
    case Cond::kMi:
      return n;
    case Cond::kPl:
      return !n;
    case Cond::kVs:
      return v;
    case Cond::kVc:
      return !v;
    case Cond::kHi:
      return c && !z;
    case Cond::kLs:
      return !c || z;
    case Cond::kGe:
      return n == v;
    case Cond::kLt:
      return n != v;
    case Cond::kGt:
      return !z && n == v;
    case Cond::kLe:
      return z || n != v;
    default:
      return true;
  }
}

const Op& RunBlock(State& state, const Block& block) {
  const Op* const last = block.ops + block.op_count - 1;
  for (const Op* op = block.ops; op < last; op++) Execute(state, *op);
  state.pc = Target(state, block, *last);
  return *last;
}

}  // namespace dd::ir
