// Where operands are: homes in host registers, State, temporaries.
#include "guest/select/x64/codegen.h"

namespace dd::select::x64 {

using ir::Op;
using ir::Ref;

Mem Codegen::HomeInState(Ref ref) const {
  if (ref.guest()) return StateMem(offsetof(ir::State, g) + 8 * ref.index());
  if (ref.vector()) return StateMem(offsetof(ir::State, v) + 16 * ref.index());
  return StateMem(offsetof(ir::State, temps) + 16 * ref.index());
}

bool Codegen::InGpr(Ref ref, Gpr* reg) const {
  if (ref.guest() && homes_.g[ref.index()] != kNowhere) {
    *reg = emit::x64::GprOf(homes_.g[ref.index()]);
    return true;
  }
  if (ref.temp() && temps_[ref.index()].kind == TempPlace::kGpr) {
    *reg = emit::x64::GprOf(temps_[ref.index()].reg);
    return true;
  }
  return false;
}

bool Codegen::InXmm(Ref ref, Xmm* reg) const {
  if (ref.vector() && homes_.v[ref.index()] != kNowhere) {
    *reg = emit::x64::XmmOf(homes_.v[ref.index()]);
    return true;
  }
  if (ref.temp() && temps_[ref.index()].kind == TempPlace::kXmm) {
    *reg = emit::x64::XmmOf(temps_[ref.index()].reg);
    return true;
  }
  return false;
}

Gpr Codegen::Use(Ref ref, const Op& op, Gpr scratch) {
  Gpr reg;
  if (InGpr(ref, &reg)) return reg;
  if (ref.immediate() || ref.none()) {
    MovImm(scratch, ref.none() ? 0 : static_cast<uint64_t>(op.imm));
  } else {
    Mov(Size::k64, scratch, HomeInState(ref));
  }
  return scratch;
}

Value Codegen::Operand(Ref ref, const Op& op, Size size, Gpr scratch) {
  Gpr reg;
  if (InGpr(ref, &reg)) return {Value::kReg, reg, {}, 0};
  if (ref.immediate() || ref.none()) {
    const int64_t imm = ref.none() ? 0 : op.imm;
    if (size != Size::k64) return {Value::kImm, {}, {}, static_cast<int32_t>(imm)};
    if (emit::x64::FitsInt32(imm)) return {Value::kImm, {}, {}, static_cast<int32_t>(imm)};
    MovImm(scratch, static_cast<uint64_t>(imm));
    return {Value::kReg, scratch, {}, 0};
  }
  return {Value::kMem, {}, HomeInState(ref), 0};
}

TempPlace& Codegen::TakeTemp(uint32_t index, bool vector) {
  TempPlace& place = temps_[index];
  const TempPlace::Kind wanted = vector ? TempPlace::kXmm : TempPlace::kGpr;
  if (place.kind == wanted) return place;
  uint32_t& free = vector ? free_xmms_ : free_gprs_;
  if (free == 0) {
    place.kind = TempPlace::kState;
  } else {
    const auto reg = static_cast<uint8_t>(__builtin_ctz(free));
    free &= free - 1;
    place = {wanted, reg, Upper::kUnknown};
  }
  return place;
}

void Codegen::ReleaseTemps(uint32_t op_index) {
  const Op& op = region_->blocks[block_].ops[op_index];
  if (!ir::HasTemp(ir::Operands(op))) return;
  const auto release = [&](Ref ref) {
    if (!ref.temp() || temp_last_use_[ref.index()] != op_index) return;
    TempPlace& place = temps_[ref.index()];
    if (place.kind == TempPlace::kGpr) free_gprs_ |= 1u << place.reg;
    if (place.kind == TempPlace::kXmm) free_xmms_ |= 1u << place.reg;
    place.kind = TempPlace::kState;
  };
  for (const Ref ref : {op.dst, op.a, op.b, op.c}) {
    release(ref);
    if (op.code == ir::OpCode::kCompareSwapPair && ref.temp()) release(Next(ref));
  }
}

Gpr Codegen::Target(Ref dst, Gpr scratch) {
  Gpr reg;
  if (dst.temp()) TakeTemp(dst.index(), false);
  return InGpr(dst, &reg) ? reg : scratch;
}

void Codegen::Define(Ref dst, Gpr from) {
  Gpr reg;
  if (dst.none()) return;
  if (dst.temp()) TakeTemp(dst.index(), false);
  if (InGpr(dst, &reg)) {
    if (reg != from) Mov(Size::k64, reg, from);
  } else {
    Mov(Size::k64, HomeInState(dst), from);
  }
}

void Codegen::CopyTo(Ref dst, Size size, Gpr from) {
  if (dst.none()) return;
  const Gpr reg = Target(dst, from);
  if (reg != from || size != Size::k64) Mov(size, reg, from);
  Define(dst, reg);
}

void Codegen::Apply(Alu alu, Size size, Gpr dst, const Value& value) {
  if (value.kind == Value::kReg) {
    Arith(alu, size, dst, value.reg);
  } else if (value.kind == Value::kMem) {
    Arith(alu, size, dst, value.mem);
  } else {
    Arith(alu, size, dst, value.imm);
  }
}

void Codegen::MovValue(Size size, Gpr dst, const Value& value) {
  if (value.kind == Value::kReg) {
    if (value.reg != dst || size != Size::k64) Mov(size, dst, value.reg);
  } else if (value.kind == Value::kMem) {
    Mov(size, dst, value.mem);
  } else {
    MovImm(dst, size == Size::k64 ? static_cast<uint64_t>(int64_t{value.imm})
                                  : static_cast<uint32_t>(value.imm));
  }
}

Xmm Codegen::UseV(Ref ref, Xmm scratch) {
  Xmm reg;
  if (InXmm(ref, &reg)) return reg;
  if (ref.none() || ref.immediate()) {
    V(emit::x64::vex::kPxor, scratch, scratch, scratch);
  } else {
    Movups(scratch, HomeInState(ref));
  }
  return scratch;
}

Xmm Codegen::TargetV(Ref dst, Xmm scratch) {
  Xmm reg;
  if (dst.temp()) TakeTemp(dst.index(), true);
  return InXmm(dst, &reg) ? reg : scratch;
}

void Codegen::DefineV(Ref dst, Xmm from, Upper upper) {
  Xmm reg;
  if (dst.temp()) TakeTemp(dst.index(), true);
  if (InXmm(dst, &reg)) {
    if (reg != from) Movaps(reg, from);
  } else {
    Movups(HomeInState(dst), from);
  }
  if (dst.vector()) upper_.Set(dst.index(), upper);
  if (dst.temp()) temps_[dst.index()].upper = upper;
}

Upper Codegen::UpperOf(Ref ref) const {
  if (ref.vector()) return upper_.Of(ref.index());
  if (ref.temp()) return temps_[ref.index()].upper;
  return Upper::kZeroFrom32;
}

void Codegen::CopyScalar(bool is_double, Xmm dst, Xmm from) {
  if (is_double) {
    Movq(dst, from);
  } else {
    Insertps(dst, from, from, 0x0e);
  }
}

}  // namespace dd::select::x64
