// Loads and stores: a guest address is a host address.
#include "guest/select/x64/codegen.h"

namespace dd::select::x64 {

using ir::Extend;
using ir::Op;
using ir::Width;

// Leaves EFLAGS alone.
void Codegen::Untag(Gpr address) {
  if (env_->tagged) {
    Pext(Size::k64, address, address, Constant(offsetof(ConstantPool, address_mask)));
  }
}

// Leaves EFLAGS alone.
Mem Codegen::Address(const Op& op, Gpr base_scratch, Gpr index_scratch) {
  const Mem at = TaggedAddress(op, base_scratch, index_scratch);
  if (!env_->tagged) return at;
  Lea(Size::k64, base_scratch, at);
  Untag(base_scratch);
  return Mem::At(base_scratch);
}

Mem Codegen::TaggedAddress(const Op& op, Gpr base_scratch, Gpr index_scratch) {
  int64_t disp = op.imm;
  Gpr base = base_scratch;
  if (op.a.immediate() || op.a.none()) {
    MovImm(base, 0);
  } else {
    base = Use(op.a, op, base_scratch);
  }
  if (!emit::x64::FitsInt32(disp)) {
    // Only of addresses that are constants.
    Mov(Size::k64, base_scratch, base);
    MovImm(index_scratch, static_cast<uint64_t>(disp));
    Lea(Size::k64, base_scratch, Mem::Indexed(base_scratch, index_scratch, 0));
    base = base_scratch;
    disp = 0;
  }
  const bool atomic = KindOf(op.code) == ir::OpKind::kAtomic;
  if (atomic || op.b.none() || op.b.immediate()) return Mem::At(base, static_cast<int32_t>(disp));
  Gpr index = Use(op.b, op, index_scratch);
  if (IndexExtend(op) == Extend::kUxtw) {
    Mov(Size::k32, index_scratch, index);
    index = index_scratch;
  } else if (IndexExtend(op) == Extend::kSxtw) {
    Movsx(Size::k64, Size::k32, index_scratch, index);
    index = index_scratch;
  }
  uint8_t shift = op.lane;
  if (shift > 3) {
    Lea(Size::k64, index_scratch, Mem::Indexed(index, index, 0));
    index = index_scratch;
    shift = 3;
  }
  return Mem::Indexed(base, index, shift, static_cast<int32_t>(disp));
}

bool Codegen::Load(const Op& op) {
  const Mem at = Address(op, kRax, kRcx);
  const Gpr target = op.dst.none() ? kRax : Target(op.dst, kRax);
  MarkPoint(op);
  const Size from = SizeOf(op.width);
  if ((op.bits & ir::kSigned) != 0 && LoadTo(op) > op.width) {
    Movsx(LoadTo(op) == Width::k64 ? Size::k64 : Size::k32, from, target, at);
  } else if (from == Size::k64) {
    Mov(Size::k64, target, at);
  } else {
    Movzx(from, target, at);
  }
  Define(op.dst, target);
  return true;
}

bool Codegen::Store(const Op& op) {
  const Size size = SizeOf(op.width);
  const Mem at = Address(op, kRax, kRcx);
  // A store that releases must not be overtaken by a later load that acquires: xchg is a full
  // barrier.
  if ((op.bits & ir::kRelease) != 0) {
    MovValue(Size::k64, kRdx, Operand(op.c, op, Size::k64, kRdx));
    MarkPoint(op);
    Xchg(size, at, kRdx);
    return true;
  }
  if (op.c.none()) {
    MarkPoint(op);
    MovImm(size, at, 0);
    return true;
  }
  const Gpr value = Use(op.c, op, kRdx);
  MarkPoint(op);
  Mov(size, at, value);
  return true;
}

bool Codegen::LoadVector(const Op& op) {
  const Mem at = Address(op, kRax, kRcx);
  const Xmm target = TargetV(op.dst, kX15);
  MarkPoint(op);
  Upper upper = Upper::kZeroFrom32;
  switch (op.width) {
    case Width::k128:
      Movups(target, at);
      upper = Upper::kUnknown;
      break;
    case Width::k64:
      Movq(target, at);
      upper = Upper::kZeroFrom64;
      break;
    case Width::k32:
      Movd(target, at);
      break;
    default:
      Movzx(SizeOf(op.width), kRax, at);
      MovFromGpr(Size::k32, target, kRax);
  }
  DefineV(op.dst, target, upper);
  return true;
}

bool Codegen::StoreVector(const Op& op) {
  const Mem at = Address(op, kRax, kRcx);
  const Xmm value = UseV(op.c, kX15);
  MarkPoint(op);
  switch (op.width) {
    case Width::k128:
      Movups(at, value);
      break;
    case Width::k64:
      Movq(at, value);
      break;
    case Width::k32:
      Movd(at, value);
      break;
    default:
      Pextr(SizeOf(op.width), at, value, 0);
  }
  return true;
}

bool Codegen::ZeroBlock(const Op& op) {
  ClobberFlags();
  Lea(Size::k64, kRax, Mem::At(Use(op.a, op, kRax), static_cast<int32_t>(op.imm)));
  Untag(kRax);
  Arith(Alu::kAnd, Size::k64, kRax, -64);
  V(emit::x64::vex::kPxor, kX15, kX15, kX15);
  MarkPoint(op);
  for (int32_t i = 0; i < 64; i += 16) Movups(Mem::At(kRax, i), kX15);
  return true;
}

}  // namespace dd::select::x64
