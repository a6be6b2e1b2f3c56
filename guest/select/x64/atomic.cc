// Atomic operations: lock-prefixed instructions are full barriers, so acquire and release come for
// free. An exclusive pair is a comparison of values.
#include "guest/select/x64/codegen.h"

namespace dd::select::x64 {

using ir::Op;
using ir::OpCode;
using ir::Width;

namespace {

constexpr size_t kExclusiveAddress = offsetof(ir::State, exclusive_addr);
constexpr size_t kExclusiveValue = offsetof(ir::State, exclusive_value);

}  // namespace

bool Codegen::AtomicAdd(const Op& op) {
  ClobberFlags();
  const Size size = SizeOf(op.width);
  const Mem at = Address(op, kRcx, kRax);
  MovValue(Size::k64, kRdx, Operand(op.b, op, Size::k64, kRdx));
  MarkPoint(op);
  if (op.dst.none()) {
    LockOp(Alu::kAdd, size, at, kRdx);
    return true;
  }
  LockXadd(size, at, kRdx);
  if (size < Size::k32) Movzx(size, kRdx, kRdx);
  CopyTo(op.dst, size == Size::k64 ? Size::k64 : Size::k32, kRdx);
  return true;
}

bool Codegen::AtomicLoop(const Op& op) {
  ClobberFlags();
  const Size size = SizeOf(op.width);
  const Size wide = size == Size::k64 ? Size::k64 : Size::k32;
  const Mem at = Address(op, kRcx, kRax);
  // In r?x only: b may be in State, but rax, rcx and rdx are taken.
  Value b = Operand(op.b, op, size, kRdx);
  if (b.kind == Value::kReg && b.reg == kRdx) return false;
  if (op.dst.none() && (op.code == OpCode::kAtomicOr || op.code == OpCode::kAtomicXor)) {
    MovValue(Size::k64, kRdx, b);
    MarkPoint(op);
    LockOp(op.code == OpCode::kAtomicOr ? Alu::kOr : Alu::kXor, size, at, kRdx);
    return true;
  }
  MarkPoint(op);
  if (size < Size::k32) {
    Movzx(size, kRax, at);
  } else {
    Mov(size, kRax, at);
  }
  Label again;
  Bind(&again);
  const bool is_signed = (op.bits & ir::kSigned) != 0;
  switch (op.code) {
    case OpCode::kAtomicAndNot:
      MovValue(wide, kRdx, b);
      Not(wide, kRdx);
      Arith(Alu::kAnd, wide, kRdx, kRax);
      break;
    case OpCode::kAtomicOr:
    case OpCode::kAtomicXor:
      Mov(Size::k64, kRdx, kRax);
      Apply(op.code == OpCode::kAtomicOr ? Alu::kOr : Alu::kXor, wide, kRdx, b);
      break;
    case OpCode::kAtomicMax:
      MovValue(wide, kRdx, b);
      Arith(Alu::kCmp, size, kRax, kRdx);
      Cmov(is_signed ? Cc::kG : Cc::kA, wide, kRdx, kRax);
      break;
    default:  // kAtomicMin
      MovValue(wide, kRdx, b);
      Arith(Alu::kCmp, size, kRax, kRdx);
      Cmov(is_signed ? Cc::kL : Cc::kB, wide, kRdx, kRax);
      break;
  }
  LockCmpxchg(size, at, kRdx);
  Jcc(Cc::kNe, &again);
  if (size < Size::k32) Movzx(size, kRax, kRax);
  CopyTo(op.dst, wide, kRax);
  return true;
}

bool Codegen::AtomicSwap(const Op& op) {
  const Size size = SizeOf(op.width);
  const Mem at = Address(op, kRcx, kRax);
  MovValue(Size::k64, kRdx, Operand(op.b, op, Size::k64, kRdx));
  MarkPoint(op);
  Xchg(size, at, kRdx);
  if (size < Size::k32) Movzx(size, kRdx, kRdx);
  CopyTo(op.dst, size == Size::k64 ? Size::k64 : Size::k32, kRdx);
  return true;
}

bool Codegen::CompareSwap(const Op& op) {
  ClobberFlags();
  const Size size = SizeOf(op.width);
  const Mem at = Address(op, kRcx, kRax);
  MovValue(Size::k64, kRax, Operand(op.b, op, Size::k64, kRax));
  const Gpr desired = Use(op.c, op, kRdx);
  MarkPoint(op);
  LockCmpxchg(size, at, desired);
  if (size < Size::k32) Movzx(size, kRax, kRax);
  CopyTo(op.dst, size == Size::k64 ? Size::k64 : Size::k32, kRax);
  return true;
}

bool Codegen::CompareSwapPair(const Op& op) {
  ClobberFlags();
  const auto join = [&](Gpr to, ir::Ref low, Gpr scratch) {
    MovValue(Size::k32, to, Operand(low, op, Size::k32, to));
    MovValue(Size::k64, scratch, Operand(Next(low), op, Size::k64, scratch));
    ShiftImm(Shift::kShl, Size::k64, scratch, 32);
    Arith(Alu::kOr, Size::k64, to, scratch);
  };
  if (op.width == Width::k32) {
    join(kRdx, op.c, kRax);
    join(kRax, op.b, kRcx);
    const Mem at = Address(op, kRcx, kRcx);
    MarkPoint(op);
    LockCmpxchg(Size::k64, at, kRdx);
    if (op.dst.none()) return true;
    Mov(Size::k32, kRcx, kRax);
    Define(op.dst, kRcx);
    ShiftImm(Shift::kShr, Size::k64, kRax, 32);
    CopyTo(Next(op.dst), Size::k64, kRax);
    return true;
  }
  MovValue(Size::k64, kRax, Operand(op.b, op, Size::k64, kRax));
  MovValue(Size::k64, kRdx, Operand(Next(op.b), op, Size::k64, kRdx));
  ExchangePair(op, op.c, Next(op.c));
  if (op.dst.none()) return true;
  CopyTo(op.dst, Size::k64, kRax);
  CopyTo(Next(op.dst), Size::k64, kRdx);
  return true;
}

// cmpxchg16b with rdx:rax as they are. It wants rbx, which is somebody's home, and no register is
// left for the address.
void Codegen::ExchangePair(const Op& op, ir::Ref low, ir::Ref high) {
  const Mem saved_rbx = StateMem(offsetof(ir::State, scratch) + 8 * kScratchRbx);
  const Mem saved_temp = StateMem(offsetof(ir::State, scratch) + 8 * kScratchTemp);
  const Mem desired = StateMem(offsetof(ir::State, scratch) + 8 * kScratchDesired);
  MovValue(Size::k64, kRcx, Operand(low, op, Size::k64, kRcx));
  Mov(Size::k64, desired, kRcx);
  MovValue(Size::k64, kRcx, Operand(high, op, Size::k64, kRcx));
  const Gpr base = Use(op.a, op, kTempGpr);
  Mov(Size::k64, saved_temp, kTempGpr);
  Lea(Size::k64, kTempGpr, Mem::At(base, static_cast<int32_t>(op.imm)));
  Untag(kTempGpr);
  Mov(Size::k64, saved_rbx, Gpr::kRbx);
  Mov(Size::k64, Gpr::kRbx, desired);
  MarkPoint(op, true);
  LockCmpxchgPair(Size::k64, Mem::At(kTempGpr));
  Mov(Size::k64, Gpr::kRbx, saved_rbx);
  Mov(Size::k64, kTempGpr, saved_temp);
}

bool Codegen::LoadExclusive(const Op& op) {
  const Size size = SizeOf(op.width);
  const Mem at = Address(op, kRcx, kRax);
  Lea(Size::k64, kRcx, at);
  MarkPoint(op);
  if (size < Size::k32) {
    Movzx(size, kRdx, Mem::At(kRcx));
  } else {
    Mov(size, kRdx, Mem::At(kRcx));
  }
  Mov(Size::k64, StateMem(kExclusiveAddress), kRcx);
  Mov(Size::k64, StateMem(kExclusiveValue), kRdx);
  CopyTo(op.dst, Size::k64, kRdx);
  return true;
}

bool Codegen::LoadExclusivePair(const Op& op) {
  Lea(Size::k64, kRcx, Address(op, kRcx, kRax));
  MarkPoint(op);
  if (op.width == Width::k32) {
    Mov(Size::k64, kRdx, Mem::At(kRcx));
    Mov(Size::k32, kRax, kRdx);
    Mov(Size::k64, StateMem(kExclusiveValue), kRax);
    Rorx(Size::k64, kRdx, kRdx, 32);
    Mov(Size::k32, kRdx, kRdx);
  } else {
    // One access: processors with AVX do aligned 16 bytes at once.
    Movups(kX15, Mem::At(kRcx));
    MovToGpr(Size::k64, kRax, kX15);
    Pextr(Size::k64, kRdx, kX15, 1);
    Mov(Size::k64, StateMem(kExclusiveValue), kRax);
  }
  Mov(Size::k64, StateMem(kExclusiveValue + 8), kRdx);
  Mov(Size::k64, StateMem(kExclusiveAddress), kRcx);
  CopyTo(op.dst, Size::k64, kRax);
  CopyTo(op.b, Size::k64, kRdx);
  return true;
}

bool Codegen::StoreExclusive(const Op& op) {
  ClobberFlags();
  const Size size = SizeOf(op.width);
  Lea(Size::k64, kRcx, Address(op, kRcx, kRax));
  const Gpr value = Use(op.b, op, kRdx);
  Label failed, done;
  Arith(Alu::kCmp, Size::k64, kRcx, StateMem(kExclusiveAddress));
  Jcc(Cc::kNe, &failed);
  Mov(Size::k64, kRax, StateMem(kExclusiveValue));
  MarkPoint(op);
  LockCmpxchg(size, Mem::At(kRcx), value);
  Jcc(Cc::kNe, &failed);
  MovImm(kRax, 0);
  Jmp(&done);
  Bind(&failed);
  MovImm(kRax, 1);
  Bind(&done);
  MovImm(Size::k64, StateMem(kExclusiveAddress), -1);
  Define(op.dst, kRax);
  return true;
}

bool Codegen::StoreExclusivePair(const Op& op) {
  ClobberFlags();
  Label failed, done;
  if (op.width == Width::k32) {
    MovValue(Size::k32, kRdx, Operand(op.b, op, Size::k32, kRdx));
    MovValue(Size::k64, kRax, Operand(op.c, op, Size::k64, kRax));
    ShiftImm(Shift::kShl, Size::k64, kRax, 32);
    Arith(Alu::kOr, Size::k64, kRdx, kRax);
    Lea(Size::k64, kRcx, Address(op, kRcx, kRax));
    Arith(Alu::kCmp, Size::k64, kRcx, StateMem(kExclusiveAddress));
    Jcc(Cc::kNe, &failed);
    // The value that was read, put together again.
    Mov(Size::k64, kRax, StateMem(kExclusiveValue + 8));
    ShiftImm(Shift::kShl, Size::k64, kRax, 32);
    Arith(Alu::kOr, Size::k64, kRax, StateMem(kExclusiveValue));
    MarkPoint(op);
    LockCmpxchg(Size::k64, Mem::At(kRcx), kRdx);
    Jcc(Cc::kNe, &failed);
    MovImm(kRax, 0);
    Jmp(&done);
    Bind(&failed);
    MovImm(kRax, 1);
    Bind(&done);
    MovImm(Size::k64, StateMem(kExclusiveAddress), -1);
    Define(op.dst, kRax);
    return true;
  }
  Lea(Size::k64, kRcx, Address(op, kRcx, kRax));
  Arith(Alu::kCmp, Size::k64, kRcx, StateMem(kExclusiveAddress));
  Jcc(Cc::kNe, &failed);
  Mov(Size::k64, kRax, StateMem(kExclusiveValue));
  Mov(Size::k64, kRdx, StateMem(kExclusiveValue + 8));
  ExchangePair(op, op.b, op.c);
  Jcc(Cc::kNe, &failed);
  MovImm(kRax, 0);
  Jmp(&done);
  Bind(&failed);
  MovImm(kRax, 1);
  Bind(&done);
  MovImm(Size::k64, StateMem(kExclusiveAddress), -1);
  Define(op.dst, kRax);
  return true;
}

bool Codegen::ClearExclusive(const Op&) {
  MovImm(Size::k64, StateMem(kExclusiveAddress), -1);
  return true;
}

bool Codegen::Fence(const Op& op) {
  // Loads are not reordered with loads, nor stores with stores.
  if (op.imm == 3) Mfence();
  return true;
}

bool Codegen::ReadSystem(const Op& op) {
  if (op.imm == static_cast<int64_t>(ir::SystemRegister::kFloatStatus)) reads_status_ = true;
  if (op.imm != static_cast<int64_t>(ir::SystemRegister::kThreadPointer)) return false;
  const Gpr target = Target(op.dst, kRax);
  Mov(Size::k64, target, StateMem(offsetof(ir::State, tls)));
  Define(op.dst, target);
  return true;
}

bool Codegen::PauseOp(const Op&) {
  Pause();
  return true;
}

}  // namespace dd::select::x64
