// Arithmetic and logic. x86-64's 32-bit instructions clear the upper half, as operations do.
#include "guest/select/x64/codegen.h"

namespace dd::select::x64 {

using ir::Op;
using ir::OpCode;

bool Codegen::Mov(const Op& op) {
  const Size size = op.width == ir::Width::k64 ? Size::k64 : Size::k32;
  if (op.width < ir::Width::k32) return false;
  Gpr reg;
  if (op.a.immediate() || op.a.none()) {
    const uint64_t imm = op.a.none()         ? 0
                         : size == Size::k32 ? static_cast<uint32_t>(op.imm)
                                             : static_cast<uint64_t>(op.imm);
    if (!op.dst.temp() && !InGpr(op.dst, &reg) && imm <= INT32_MAX) {
      MovImm(Size::k64, HomeInState(op.dst), static_cast<int32_t>(imm));
      return true;
    }
    const Gpr target = Target(op.dst, kRax);
    MovImm(target, imm);
    Define(op.dst, target);
    return true;
  }
  const Value a = Operand(op.a, op, size, kRax);
  const Gpr target = Target(op.dst, a.kind == Value::kReg && size == Size::k64 ? a.reg : kRax);
  MovValue(size, target, a);
  Define(op.dst, target);
  return true;
}

bool Codegen::Add(const Op& op) {
  if (!Is32Or64(op.width)) return false;
  const Size size = SizeOf(op.width);
  const bool sets = (op.bits & ir::kSetsFlags) != 0;
  if (!sets) {
    if (op.dst.none()) return true;
    Gpr reg;
    const bool in_place = op.dst == op.a && !FlagsBusy() && size == Size::k64;
    if (in_place && !op.dst.temp() && !InGpr(op.dst, &reg)) {
      ClobberFlags();
      const Value b = Operand(op.b, op, size, kRax);
      if (b.kind == Value::kImm) {
        Arith(Alu::kAdd, size, HomeInState(op.dst), b.imm);
      } else {
        const Gpr from = Use(op.b, op, kRax);
        Arith(Alu::kAdd, size, HomeInState(op.dst), from);
      }
      return true;
    }
    const Gpr target = Target(op.dst, kRax);
    if (InGpr(op.a, &reg) && reg == target && !FlagsBusy()) {
      ClobberFlags();
      Apply(Alu::kAdd, size, target, Operand(op.b, op, size, kRcx));
    } else {
      const Gpr a = Use(op.a, op, kRax);
      const Value b = Operand(op.b, op, size, kRcx);
      if (b.kind == Value::kImm) {
        Lea(size, target, Mem::At(a, b.imm));
      } else {
        Lea(size, target, Mem::Indexed(a, Use(op.b, op, kRcx), 0));
      }
    }
    Define(op.dst, target);
    return true;
  }
  const Value b = Operand(op.b, op, size, kRcx);
  const Gpr target = op.dst.none() ? kRax : Target(op.dst, kRax);
  const Value a = Operand(op.a, op, size, kRdx);
  if (Is(b, target)) {
    Apply(Alu::kAdd, size, target, a);
  } else {
    if (!Is(a, target) || size == Size::k64) MovValue(size, target, a);
    Apply(Alu::kAdd, size, target, b);
  }
  FlagsAre(InEflags::kAdd);
  Define(op.dst, target);
  return true;
}

bool Codegen::Sub(const Op& op) {
  if (!Is32Or64(op.width)) return false;
  const Size size = SizeOf(op.width);
  const bool sets = (op.bits & ir::kSetsFlags) != 0;
  if (op.dst.none()) {
    if (!sets) return true;
    const Value b = Operand(op.b, op, size, kRcx);
    Gpr a;
    if (!InGpr(op.a, &a) && !op.a.none() && !op.a.immediate() && b.kind != Value::kMem) {
      const Mem home = HomeInState(op.a);
      if (b.kind == Value::kImm) {
        Arith(Alu::kCmp, size, home, b.imm);
      } else {
        Arith(Alu::kCmp, size, home, b.reg);
      }
    } else {
      a = Use(op.a, op, kRax);
      if (b.kind == Value::kImm && b.imm == 0) {
        // As a comparison with 0: no borrow, no overflow.
        Test(size, a, a);
      } else {
        Apply(Alu::kCmp, size, a, b);
      }
    }
    FlagsAre(InEflags::kSub);
    return true;
  }
  const Value b = Operand(op.b, op, size, kRcx);
  const Gpr home = Target(op.dst, kRax);
  const Value a = Operand(op.a, op, size, kRdx);
  if (!sets) {
    if (b.kind == Value::kImm && b.imm != INT32_MIN && (FlagsBusy() || !Is(a, home))) {
      const Gpr from = Use(op.a, op, kRax);
      Lea(size, home, Mem::At(from, -b.imm));
      Define(op.dst, home);
      return true;
    }
    ClobberFlags();
  }
  const Gpr target = Is(b, home) && !Is(a, home) ? kRax : home;
  if (!sets && a.kind == Value::kImm && a.imm == 0) {
    MovValue(size, home, b);
    Neg(size, home);
    Define(op.dst, home);
    return true;
  }
  if (!Is(a, target)) MovValue(size, target, a);
  Apply(Alu::kSub, size, target, b);
  if (sets) FlagsAre(InEflags::kSub);
  Define(op.dst, target);
  return true;
}

bool Codegen::WithCarry(const Op& op) {
  if (!Is32Or64(op.width)) return false;
  const Size size = SizeOf(op.width);
  const bool sets = (op.bits & ir::kSetsFlags) != 0;
  const bool subtract = op.code == OpCode::kSbc;
  if (!sets && FlagsBusy()) SaveFlags();
  const Value b = Operand(op.b, op, size, kRcx);
  const Gpr home = op.dst.none() ? kRax : Target(op.dst, kRax);
  const Gpr target = Is(b, home) ? kRax : home;
  // The carry into CF: as it is to add, inverted to subtract.
  InEflags now = flags_.eflags;
  if (now == InEflags::kFloat || now == InEflags::kFloatSwapped) {
    SaveFlags();
    now = InEflags::kNo;
  }
  if (now == InEflags::kNo) {
    Bt(Size::k32, StateMem(offsetof(ir::State, flags)), 8);
    now = InEflags::kAdd;
  }
  if ((now == InEflags::kSub) != subtract) Cmc();
  const Value a = Operand(op.a, op, size, kRdx);
  if (!Is(a, target)) MovValue(size, target, a);
  Apply(subtract ? Alu::kSbb : Alu::kAdc, size, target, b);
  if (sets) {
    FlagsAre(subtract ? InEflags::kSub : InEflags::kAdd);
  } else {
    flags_.eflags = InEflags::kNo;
  }
  Define(op.dst, target);
  return true;
}

bool Codegen::Logic(const Op& op) {
  if (!Is32Or64(op.width)) return false;
  const Size size = SizeOf(op.width);
  const bool sets = (op.bits & ir::kSetsFlags) != 0;
  const Alu alu = op.code == OpCode::kAnd  ? Alu::kAnd
                  : op.code == OpCode::kOr ? Alu::kOr
                                           : Alu::kXor;
  if (op.dst.none() && !sets) return true;
  if (!sets) ClobberFlags();
  const Value b = Operand(op.b, op, size, kRcx);
  if (op.dst.none() && alu == Alu::kAnd) {
    const Gpr a = Use(op.a, op, kRax);
    if (b.kind == Value::kImm) {
      TestImm(size, a, b.imm);
    } else if (b.kind == Value::kMem) {
      Test(size, b.mem, a);
    } else {
      Test(size, b.reg, a);
    }
    FlagsAre(InEflags::kAdd);
    return true;
  }
  const Gpr target = op.dst.none() ? kRax : Target(op.dst, kRax);
  const Value a = Operand(op.a, op, size, kRdx);
  if (Is(b, target)) {
    Apply(alu, size, target, a);
  } else {
    if (!Is(a, target)) MovValue(size, target, a);
    Apply(alu, size, target, b);
  }
  if (sets) FlagsAre(InEflags::kAdd);
  Define(op.dst, target);
  return true;
}

bool Codegen::LogicNot(const Op& op) {
  if (!Is32Or64(op.width)) return false;
  const Size size = SizeOf(op.width);
  const bool sets = (op.bits & ir::kSetsFlags) != 0;
  if (op.dst.none() && !sets) return true;
  const bool a_is_zero = op.a.none() || (op.a.immediate() && op.imm == 0);
  if (!sets && a_is_zero && op.code != OpCode::kAndNot) {  // a plain inversion
    const Gpr target = Target(op.dst, kRax);
    MovValue(size, target, Operand(op.b, op, size, kRax));
    Not(size, target);
    Define(op.dst, target);
    return true;
  }
  if (!sets) ClobberFlags();
  const Gpr b = Use(op.b, op, kRcx);
  const Gpr home = op.dst.none() ? kRax : Target(op.dst, kRax);
  if (op.code == OpCode::kAndNot) {
    Andn(size, home, b, Use(op.a, op, kRdx));
  } else {
    const Value a = Operand(op.a, op, size, kRdx);
    Mov(size, kRax, b);
    Not(size, kRax);
    Apply(op.code == OpCode::kOrNot ? Alu::kOr : Alu::kXor, size, kRax, a);
    if (home != kRax) Mov(Size::k64, home, kRax);
  }
  if (sets) FlagsAre(InEflags::kAdd);
  Define(op.dst, home);
  return true;
}

bool Codegen::NegOrNot(const Op& op) {
  if (!Is32Or64(op.width)) return false;
  const Size size = SizeOf(op.width);
  const bool sets = (op.bits & ir::kSetsFlags) != 0;
  const bool inverts = op.code == OpCode::kNot;
  if (op.dst.none() && !sets) return true;
  if (!sets && !inverts) ClobberFlags();
  const Value a = Operand(op.a, op, size, kRax);
  const Gpr target = op.dst.none() ? kRax : Target(op.dst, kRax);
  if (!Is(a, target)) MovValue(size, target, a);
  if (inverts) {
    Not(size, target);
  } else {
    Neg(size, target);
    if (sets) FlagsAre(InEflags::kSub);
  }
  Define(op.dst, target);
  return true;
}

bool Codegen::Mul(const Op& op) {
  if (!Is32Or64(op.width)) return false;
  const Size size = SizeOf(op.width);
  ClobberFlags();
  const Value b = Operand(op.b, op, size, kRcx);
  const Gpr home = Target(op.dst, kRax);
  if (b.kind == Value::kImm) {
    ImulImm(size, home, Use(op.a, op, kRax), b.imm);
    Define(op.dst, home);
    return true;
  }
  const Value a = Operand(op.a, op, size, kRdx);
  const Gpr target = Is(b, home) && !Is(a, home) ? kRax : home;
  if (!Is(a, target)) MovValue(size, target, a);
  if (b.kind == Value::kMem) {
    Imul(size, target, b.mem);
  } else {
    Imul(size, target, b.reg);
  }
  Define(op.dst, target);
  return true;
}

bool Codegen::MulHigh(const Op& op) {
  if (op.width != ir::Width::k64) return false;
  if ((op.bits & ir::kSigned) != 0) {
    ClobberFlags();
    const Gpr b = Use(op.b, op, kRcx);
    MovValue(Size::k64, kRax, Operand(op.a, op, Size::k64, kRax));
    Imul1(Size::k64, b);
    CopyTo(op.dst, Size::k64, kRdx);
    return true;
  }
  const Gpr b = Use(op.b, op, kRcx);
  MovValue(Size::k64, kRdx, Operand(op.a, op, Size::k64, kRdx));
  const Gpr target = Target(op.dst, kRax);
  Mulx(Size::k64, target, kRcx, b);
  Define(op.dst, target);
  return true;
}

bool Codegen::MulWide(const Op& op) {
  ClobberFlags();
  const bool is_signed = (op.bits & ir::kSigned) != 0;
  const auto load = [&](Gpr to, ir::Ref ref) {
    const Value value = Operand(ref, op, Size::k64, to);
    if (value.kind == Value::kImm) {
      MovImm(to, is_signed ? static_cast<uint64_t>(int64_t{value.imm})
                           : static_cast<uint32_t>(value.imm));
    } else if (value.kind == Value::kMem) {
      is_signed ? Movsx(Size::k64, Size::k32, to, value.mem) : Mov(Size::k32, to, value.mem);
    } else {
      is_signed ? Movsx(Size::k64, Size::k32, to, value.reg) : Mov(Size::k32, to, value.reg);
    }
  };
  load(kRax, op.a);
  load(kRcx, op.b);
  Imul(Size::k64, kRax, kRcx);
  Define(op.dst, kRax);
  return true;
}

bool Codegen::Div(const Op& op) {
  if (!Is32Or64(op.width)) return false;
  const Size size = SizeOf(op.width);
  ClobberFlags();
  const bool is_signed = (op.bits & ir::kSigned) != 0;
  MovValue(size, kRcx, Operand(op.b, op, size, kRcx));
  MovValue(size, kRax, Operand(op.a, op, size, kRax));
  Label by_zero, by_minus_one, done;
  Test(size, kRcx, kRcx);
  Jcc(Cc::kE, &by_zero);
  if (is_signed) {
    Arith(Alu::kCmp, size, kRcx, -1);
    Jcc(Cc::kE, &by_minus_one);
    Cdq(size);
    Idiv(size, kRcx);
  } else {
    MovImm(kRdx, 0);
    Div(size, kRcx);
  }
  Jmp(&done);
  if (is_signed) {
    Bind(&by_minus_one);
    Neg(size, kRax);
    Jmp(&done);
  }
  Bind(&by_zero);
  MovImm(kRax, 0);
  Bind(&done);
  Define(op.dst, kRax);
  return true;
}

bool Codegen::ShiftOp(const Op& op) {
  if (!Is32Or64(op.width)) return false;
  const Size size = SizeOf(op.width);
  const uint32_t mask = size == Size::k64 ? 63 : 31;
  if (op.b.immediate()) {
    const auto count = static_cast<uint8_t>(static_cast<uint64_t>(op.imm) & mask);
    if (op.code == OpCode::kRor) {
      const Gpr from = Use(op.a, op, kRax);
      const Gpr target = Target(op.dst, kRax);
      Rorx(size, target, from, count);
      Define(op.dst, target);
      return true;
    }
    if (FlagsBusy()) {
      MovImm(kRcx, count);
    } else {
      flags_.eflags = InEflags::kNo;
      const Value a = Operand(op.a, op, size, kRax);
      const Gpr target = Target(op.dst, kRax);
      const auto kind = op.code == OpCode::kShl   ? Shift::kShl
                        : op.code == OpCode::kShr ? Shift::kShr
                                                  : Shift::kSar;
      if (!Is(a, target) || (size == Size::k32 && count == 0)) MovValue(size, target, a);
      if (count != 0) ShiftImm(kind, size, target, count);
      Define(op.dst, target);
      return true;
    }
  }
  const Gpr count = op.b.immediate() ? kRcx : Use(op.b, op, kRcx);
  if (op.code == OpCode::kRor) {
    ClobberFlags();
    if (count != kRcx) Mov(Size::k32, kRcx, count);
    MovValue(size, kRdx, Operand(op.a, op, size, kRdx));
    ShiftCl(Shift::kRor, size, kRdx);
    CopyTo(op.dst, Size::k64, kRdx);
    return true;
  }
  const Gpr from = Use(op.a, op, kRax);
  const Gpr target = Target(op.dst, kRax);
  if (op.code == OpCode::kShl) Shlx(size, target, from, count);
  if (op.code == OpCode::kShr) Shrx(size, target, from, count);
  if (op.code == OpCode::kSar) Sarx(size, target, from, count);
  Define(op.dst, target);
  return true;
}

}  // namespace dd::select::x64
