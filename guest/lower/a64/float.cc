// Scalar floating point.
#include "guest/lower/a64/lowering.h"

namespace dd::lower::a64 {

using enum ir::OpCode;
using ir::Rounding;

uint64_t FloatImmediate(uint32_t imm8, Width width) {
  const uint32_t fraction = imm8 & 15;
  const uint32_t low = imm8 >> 4 & 3;
  const bool high = (imm8 & 0x40) != 0;
  const uint64_t sign = imm8 >> 7;
  // The exponent: the inverse of bit 6, bit 6 repeated, bits 5 and 4.
  switch (width) {
    case Width::k16:
      return sign << 15 | (high ? 0x0cu : 0x10u) << 10 | low << 10 | fraction << 6;
    case Width::k32:
      return sign << 31 | (high ? 0x7cu : 0x80u) << 23 | low << 23 | fraction << 19;
    default:
      return sign << 63 | (high ? uint64_t{0x3fc} : uint64_t{0x400}) << 52 | uint64_t{low} << 52 |
             uint64_t{fraction} << 48;
  }
}

namespace {

constexpr uint8_t kScalar = ir::kScalar;

// The format of bits 23..22; false for the one that does not exist.
bool Format(uint32_t type, Width* to) {
  constexpr Width kFormats[] = {Width::k32, Width::k64, Width::k128, Width::k16};
  *to = kFormats[type];
  return type != 2;
}

bool Format(Lowering& l, Word w, Width* to) {
  if (Format(w.At(22, 2), to)) return true;
  l.Undefined();
  return false;
}

void Unary(Lowering& l, Word w, OpCode code) {
  Width width{};
  if (!Format(l, w, &width)) return;
  l.EmitBits(kScalar, code, width, l.V(w.rd()), l.V(w.rn()));
}

void Round(Lowering& l, Word w, Rounding rounding, bool exact = false) {
  Width width{};
  if (!Format(l, w, &width)) return;
  Op& op = l.EmitBits(kScalar, kFRound, width, l.V(w.rd()), l.V(w.rn()));
  op.lane = static_cast<uint8_t>(rounding);
  op.extra = exact;
}

void Convert(Lowering& l, Word w) {
  Width from{};
  Width to{};
  const uint32_t type = w.At(15, 2);
  if (!Format(l, w, &from)) return;
  if (!Format(type, &to) || from == to) return l.Undefined();
  l.EmitBits(kScalar, kFConvert, from, l.V(w.rd()), l.V(w.rn())).extra = static_cast<uint8_t>(to);
}

void Binary(Lowering& l, Word w, OpCode code) {
  Width width{};
  if (!Format(l, w, &width)) return;
  l.EmitBits(kScalar, code, width, l.V(w.rd()), l.V(w.rn()), l.V(w.rm()));
}

void MultiplyNegate(Lowering& l, Word w) {
  Width width{};
  if (!Format(l, w, &width)) return;
  const Ref product = l.Temp();
  l.EmitBits(kScalar, kFMul, width, product, l.V(w.rn()), l.V(w.rm()));
  l.EmitBits(kScalar, kFNeg, width, l.V(w.rd()), product);
}

void MultiplyAdd(Lowering& l, Word w, uint32_t negated) {
  Width width{};
  if (!Format(l, w, &width)) return;
  Op& op = l.EmitBits(kScalar, kFMulAdd, width, l.V(w.rd()), l.V(w.rn()), l.V(w.rm()), l.V(w.ra()));
  op.extra = static_cast<uint8_t>(negated);
}

void Compare(Lowering& l, Word w) {
  Width width{};
  if (!Format(l, w, &width)) return;
  const bool zero = w.Bit(3);
  l.EmitBits(w.Bit(4) ? ir::kSigned : 0, kFCompare, width, {}, l.V(w.rn()),
             zero ? Ref::Imm() : l.V(w.rm()));
}

void CondCompare(Lowering& l, Word w) {
  Width width{};
  if (!Format(l, w, &width)) return;
  Op& op =
      l.EmitBits(w.Bit(4) ? ir::kSigned : 0, kFCondCompare, width, {}, l.V(w.rn()), l.V(w.rm()));
  op.cond = static_cast<Cond>(w.At(12, 4));
  op.imm = w.At(0, 4);
}

void Select(Lowering& l, Word w) {
  Width width{};
  if (!Format(l, w, &width)) return;
  l.EmitBits(kScalar, kVSelectCond, width, l.V(w.rd()), l.V(w.rn()), l.V(w.rm())).cond =
      static_cast<Cond>(w.At(12, 4));
}

void Immediate(Lowering& l, Word w) {
  Width width{};
  if (!Format(l, w, &width)) return;
  l.EmitBits(ir::kHalf, kVConst, Width::k64, l.V(w.rd())).imm =
      static_cast<int64_t>(FloatImmediate(w.At(13, 8), width));
}

// Bits 15..10 of fixed-point conversions say 64 - the number of fraction bits.
bool FractionBits(Lowering& l, Word w, bool fixed, int64_t* to) {
  *to = fixed ? 64 - int64_t{w.At(10, 6)} : 0;
  if (*to <= (w.sf() == Width::k64 ? 64 : 32)) return true;
  l.Undefined();
  return false;
}

void FromGeneral(Lowering& l, Word w, bool is_signed, bool fixed = false) {
  Width width{};
  int64_t fraction = 0;
  if (!Format(l, w, &width) || !FractionBits(l, w, fixed, &fraction)) return;
  const Ref n = l.X(w.rn());
  Op& op = l.EmitBits(is_signed ? ir::kSigned : 0, kFFromGeneral, width, l.V(w.rd()), n);
  op.extra = static_cast<uint8_t>(w.sf());
  op.imm = fraction;
}

void ToGeneral(Lowering& l, Word w, Rounding rounding, bool is_signed, bool fixed = false) {
  Width width{};
  int64_t fraction = 0;
  if (!Format(l, w, &width) || !FractionBits(l, w, fixed, &fraction)) return;
  const Ref dst = l.ToXOrTemp(w.rd());
  Op& op = l.EmitBits(is_signed ? ir::kSigned : 0, kFToGeneral, width, dst, l.V(w.rn()));
  op.lane = static_cast<uint8_t>(rounding);
  op.extra = static_cast<uint8_t>(w.sf());
  op.imm = fraction;
}

// FMOV between a general and a floating-point register: half precision goes with both sizes, the
// others with their own.
bool MoveFormat(Lowering& l, Word w, Width* to) {
  if (!Format(l, w, to)) return false;
  if (*to == Width::k16 || *to == w.sf()) return true;
  l.Undefined();
  return false;
}

void MoveToGeneral(Lowering& l, Word w) {
  Width width{};
  if (!MoveFormat(l, w, &width) || w.rd() == kThirtyOne) return;
  l.Emit(kVExtract, width, Ref::G(w.rd()), l.V(w.rn()));
}

void MoveFromGeneral(Lowering& l, Word w) {
  Width width{};
  if (!MoveFormat(l, w, &width)) return;
  const Ref n = l.X(w.rn());
  l.EmitBits(kScalar, kVDup, width, l.V(w.rd()), n);
}

void MoveTopToGeneral(Lowering& l, Word w) {
  if (w.rd() == kThirtyOne) return;
  l.Emit(kVExtract, Width::k64, Ref::G(w.rd()), l.V(w.rn())).lane = 1;
}

void MoveTopFromGeneral(Lowering& l, Word w) {
  const Ref n = l.X(w.rn());
  l.Emit(kVInsert, Width::k64, l.V(w.rd()), l.V(w.rd()), n).lane = 1;
}

void ConvertAsJavaScript(Lowering& l, Word w) {
  l.Emit(kFToIntJs, Width::k64, l.ToXOrTemp(w.rd()), l.V(w.rn()));
}

}  // namespace

DD_LOWER(FMOV_s, Unary(l, w, kVMov))
DD_LOWER(FABS_s, Unary(l, w, kFAbs))
DD_LOWER(FNEG_s, Unary(l, w, kFNeg))
DD_LOWER(FSQRT_s, Unary(l, w, kFSqrt))
DD_LOWER(FCVT, Convert(l, w))
DD_LOWER(FRINTN_s, Round(l, w, Rounding::kNearestEven))
DD_LOWER(FRINTP_s, Round(l, w, Rounding::kUp))
DD_LOWER(FRINTM_s, Round(l, w, Rounding::kDown))
DD_LOWER(FRINTZ_s, Round(l, w, Rounding::kZero))
DD_LOWER(FRINTA_s, Round(l, w, Rounding::kNearestAway))
DD_LOWER(FRINTX_s, Round(l, w, Rounding::kControl, true))
DD_LOWER(FRINTI_s, Round(l, w, Rounding::kControl))

DD_LOWER(FMUL_s, Binary(l, w, kFMul))
DD_LOWER(FDIV_s, Binary(l, w, kFDiv))
DD_LOWER(FADD_s, Binary(l, w, kFAdd))
DD_LOWER(FSUB_s, Binary(l, w, kFSub))
DD_LOWER(FMAX_s, Binary(l, w, kFMax))
DD_LOWER(FMIN_s, Binary(l, w, kFMin))
DD_LOWER(FMAXNM_s, Binary(l, w, kFMaxNum))
DD_LOWER(FMINNM_s, Binary(l, w, kFMinNum))
DD_LOWER(FNMUL_s, MultiplyNegate(l, w))
DD_LOWER(FMADD, MultiplyAdd(l, w, 0))
DD_LOWER(FMSUB, MultiplyAdd(l, w, ir::kNegateProduct))
DD_LOWER(FNMADD, MultiplyAdd(l, w, ir::kNegateProduct | ir::kNegateAddend))
DD_LOWER(FNMSUB, MultiplyAdd(l, w, ir::kNegateAddend))

DD_LOWER(FCMP, Compare(l, w))
DD_LOWER(FCCMP, CondCompare(l, w))
DD_LOWER(FCSEL, Select(l, w))
DD_LOWER(FMOV_imm, Immediate(l, w))

DD_LOWER(SCVTF_fixed_g, FromGeneral(l, w, true, true))
DD_LOWER(UCVTF_fixed_g, FromGeneral(l, w, false, true))
DD_LOWER(FCVTZS_fixed_g, ToGeneral(l, w, Rounding::kZero, true, true))
DD_LOWER(FCVTZU_fixed_g, ToGeneral(l, w, Rounding::kZero, false, true))
DD_LOWER(FCVTNS_g, ToGeneral(l, w, Rounding::kNearestEven, true))
DD_LOWER(FCVTNU_g, ToGeneral(l, w, Rounding::kNearestEven, false))
DD_LOWER(SCVTF_g, FromGeneral(l, w, true))
DD_LOWER(UCVTF_g, FromGeneral(l, w, false))
DD_LOWER(FCVTAS_g, ToGeneral(l, w, Rounding::kNearestAway, true))
DD_LOWER(FCVTAU_g, ToGeneral(l, w, Rounding::kNearestAway, false))
DD_LOWER(FCVTPS_g, ToGeneral(l, w, Rounding::kUp, true))
DD_LOWER(FCVTPU_g, ToGeneral(l, w, Rounding::kUp, false))
DD_LOWER(FCVTMS_g, ToGeneral(l, w, Rounding::kDown, true))
DD_LOWER(FCVTMU_g, ToGeneral(l, w, Rounding::kDown, false))
DD_LOWER(FCVTZS_g, ToGeneral(l, w, Rounding::kZero, true))
DD_LOWER(FCVTZU_g, ToGeneral(l, w, Rounding::kZero, false))
DD_LOWER(FMOV_to_g, MoveToGeneral(l, w))
DD_LOWER(FMOV_from_g, MoveFromGeneral(l, w))
DD_LOWER(FMOV_top_to_g, MoveTopToGeneral(l, w))
DD_LOWER(FMOV_top_from_g, MoveTopFromGeneral(l, w))
DD_LOWER(FJCVTZS, ConvertAsJavaScript(l, w))

}  // namespace dd::lower::a64
