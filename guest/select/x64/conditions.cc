#include "guest/select/x64/codegen.h"

namespace dd::select::x64 {

using ir::Op;

namespace {

constexpr bool Always(ir::Cond cond) { return cond == ir::Cond::kAl || cond == ir::Cond::kNv; }

}  // namespace

bool Codegen::Select(const Op& op) {
  if (!Is32Or64(op.width)) return false;
  const Size size = SizeOf(op.width);
  if (Always(op.cond)) {
    const Value value = Operand(op.a, op, size, kRcx);
    const Gpr only = Target(op.dst, kRax);
    MovValue(size, only, value);
    Define(op.dst, only);
    return true;
  }
  const Condition test = TestOf(op.cond);
  const Value a = Operand(op.a, op, size, kRcx);
  const Gpr target = Target(op.dst, kRax);
  // In a register of its own while operands are still wanted.
  const Gpr reg = Is(a, target) ? kRax : target;
  const Value b = Operand(op.b, op, size, kRdx);
  MovValue(size, reg, b);
  const auto move = [&](Cc cc, Gpr dst, const Value& from) {
    if (from.kind == Value::kMem) {
      Cmov(cc, size, dst, from.mem);
    } else {
      Cmov(cc, size, dst, from.reg);
    }
  };
  Value taken = a;
  if (a.kind == Value::kImm) {
    MovValue(size, kRcx, a);
    taken = {Value::kReg, kRcx, {}, 0};
  }
  if (test.parity == Condition::kAndNot) {
    // b over a when the parity says so.
    MovValue(size, kRdx, b);
    move(test.cc, reg, taken);
    Cmov(Cc::kP, size, reg, kRdx);
  } else {
    move(test.cc, reg, taken);
    if (test.parity == Condition::kOr) move(Cc::kP, reg, taken);
  }
  Define(op.dst, reg);
  return true;
}

bool Codegen::SetCond(const Op& op) {
  if (Always(op.cond)) {
    const Gpr only = Target(op.dst, kRax);
    MovImm(only, 1);
    Define(op.dst, only);
    return true;
  }
  const Condition test = TestOf(op.cond);
  const Gpr reg = Target(op.dst, kRax);
  if (test.parity == Condition::kNone) {
    Setcc(test.cc, kRax);
    Movzx(Size::k8, reg, kRax);
  } else {
    // Moves only: others may still want the flags.
    const bool either = test.parity == Condition::kOr;
    MovImm(kRax, 0);
    MovImm(kRcx, 1);
    Cmov(test.cc, Size::k32, kRax, kRcx);
    if (!either) MovImm(kRcx, 0);
    Cmov(Cc::kP, Size::k32, kRax, kRcx);
    if (reg != kRax) Mov(Size::k32, reg, kRax);
  }
  Define(op.dst, reg);
  return true;
}

bool Codegen::CondCompare(const Op& op) {
  if (!Is32Or64(op.width)) return false;
  if ((wanted_after_[op_number_ >> 6] >> (op_number_ & 63) & 1) == 0) return true;
  const Size size = SizeOf(op.width);
  const bool always = Always(op.cond);
  const Condition test = always ? Condition{} : TestOf(op.cond);
  Label otherwise;
  Label done;
  const Gpr a = Use(op.a, op, kRcx);
  const Value b = Operand(op.b, op, size, kRdx);
  if (!always) JumpUnless(test, &otherwise);
  if ((op.bits & ir::kSigned) != 0) {
    Mov(size, kRax, a);
    Apply(Alu::kAdd, size, kRax, b);
    Cmc();
  } else {
    Apply(Alu::kCmp, size, a, b);
  }
  if (!always) {
    Jmp(&done);
    Bind(&otherwise);
    SetFlagsConstant(op.lane);
    Bind(&done);
  }
  FlagsAre(InEflags::kSub);
  return true;
}

}  // namespace dd::select::x64
