// Vector arithmetic that saturates, and shifts by the elements of a vector.
#include "guest/select/x64/codegen.h"

namespace dd::select::x64 {

using emit::x64::VexOp;
using ir::Op;
using ir::OpCode;
using ir::Width;
namespace vex = emit::x64::vex;

namespace {

// Kinds of PshiftImm.
constexpr uint8_t kRight = 2, kArithmetic = 4, kLeft = 6;

bool IsSigned(const Op& op) { return (op.bits & ir::kSigned) != 0; }
bool IsScalar(const Op& op) { return (op.bits & ir::kScalar) != 0; }

struct Saturating {
  const VexOp* saturates;
  const VexOp* wraps;
};

// Of 8 or 16 bits.
Saturating SaturatingOf(const Op& op) {
  static constexpr VexOp kSaturates[2][2][2] = {
      {{vex::kPaddusb, vex::kPaddsb}, {vex::kPaddusw, vex::kPaddsw}},
      {{vex::kPsubusb, vex::kPsubsb}, {vex::kPsubusw, vex::kPsubsw}}};
  static constexpr VexOp kWraps[2][2] = {{vex::kPaddb, vex::kPaddw}, {vex::kPsubb, vex::kPsubw}};
  const uint32_t sub = op.code == OpCode::kVSubSat ? 1 : 0;
  const uint32_t width = op.width == Width::k16 ? 1 : 0;
  return {&kSaturates[sub][width][IsSigned(op) ? 1 : 0], &kWraps[sub][width]};
}

}  // namespace

// Whether an element has saturated, which has to be recorded, is told from the sum that has not.
bool Codegen::VSaturating(const Op& op) {
  if (IsScalar(op) || op.width > Width::k16) return false;
  ClobberFlags();
  const Saturating ops = SaturatingOf(op);
  const Xmm a = UseV(op.a, kX13);
  const Xmm b = UseV(op.b, kX14);
  TargetV(op.dst, kX15);
  V(*ops.saturates, kX15, a, b);
  V(*ops.wraps, kX14, a, b);
  V(vex::kPxor, kX14, kX14, kX15);
  Ptest(kX14, kX14);
  Stub* stub = KernelIf(Cc::kNe, op);
  FinishV(op, kX15);
  EndKernelIf(stub);
  return true;
}

// What has been made narrow, in the half of the result that the operation says.
void Codegen::FinishNarrow(const Op& op, Xmm narrow) {
  if (op.lane == 1) {
    V(vex::kPunpcklqdq, kX15, UseV(op.b, kX13), narrow);
    DefineV(op.dst, kX15, Upper::kUnknown);
  } else {
    Movq(kX15, narrow);
    DefineV(op.dst, kX15, Upper::kZeroFrom64);
  }
}

// Whether an element has saturated is told by making the result wide again.
bool Codegen::VNarrowSaturating(const Op& op) {
  if (IsScalar(op) || op.width > Width::k16) return false;
  ClobberFlags();
  const bool bytes = op.width == Width::k8;
  const Size wide = bytes ? Size::k16 : Size::k32;
  const bool from_signed = op.code == OpCode::kVNarrowSatUnsigned || IsSigned(op);
  const bool to_signed = op.code == OpCode::kVNarrowSat && IsSigned(op);
  const auto count = static_cast<uint8_t>(op.imm);
  const Xmm shifted = count == 0 ? UseV(op.a, kX15) : kX15;
  if (count != 0 && op.extra != 0) {
    ShiftRounding(wide, from_signed, kX15, UseV(op.a, kX13), count);
  } else if (count != 0) {
    PshiftImm(wide, from_signed ? kArithmetic : kRight, kX15, UseV(op.a, kX13), count);
  }
  TargetV(op.dst, kX15);
  Xmm limited = shifted;
  if (!from_signed) {
    // The host's instructions take what they make narrow for signed.
    V(vex::kPcmpeqd, kX14, kX14, kX14);
    PshiftImm(wide, kRight, kX14, kX14, bytes ? 8 : 16);
    V(bytes ? vex::kPminuw : vex::kPminud, kX14, shifted, kX14);
    limited = kX14;
  }
  if (to_signed) {
    V(bytes ? vex::kPacksswb : vex::kPackssdw, kX14, limited, limited);
    V(bytes ? vex::kPmovsxbw : vex::kPmovsxwd, kX13, kX14);
  } else {
    V(bytes ? vex::kPackuswb : vex::kPackusdw, kX14, limited, limited);
    V(bytes ? vex::kPmovzxbw : vex::kPmovzxwd, kX13, kX14);
  }
  V(vex::kPxor, kX13, kX13, shifted);
  Ptest(kX13, kX13);
  Stub* stub = KernelIf(Cc::kNe, op);
  FinishNarrow(op, kX14);
  EndKernelIf(stub);
  return true;
}

// 16 bits: only the square of the smallest number is too large, and would be it again.
bool Codegen::VSatDoubleMulHigh(const Op& op) {
  if (IsScalar(op) || op.width != Width::k16) return false;
  ClobberFlags();
  const Xmm a = UseV(op.a, kX13);
  const Xmm b = UseV(op.b, kX14);
  TargetV(op.dst, kX15);
  if (op.extra == 1) {
    V(vex::kPmulhrsw, kX15, a, b);
  } else {
    V(vex::kPmulhw, kX15, a, b);
    V(vex::kPmullw, kX14, a, b);
    PshiftImm(Size::k16, kLeft, kX15, kX15, 1);
    PshiftImm(Size::k16, kRight, kX14, kX14, 15);
    V(vex::kPor, kX15, kX15, kX14);
  }
  V(vex::kPcmpeqd, kX14, kX14, kX14);
  PshiftImm(Size::k16, kLeft, kX14, kX14, 15);
  V(vex::kPcmpeqw, kX14, kX14, kX15);
  Ptest(kX14, kX14);
  Stub* stub = KernelIf(Cc::kNe, op);
  FinishV(op, kX15);
  EndKernelIf(stub);
  return true;
}

// Both directions, of which one is by too much and leaves nothing: counts are bytes without sign.
bool Codegen::VShiftVar(const Op& op) {
  const bool narrow = op.width == Width::k32;
  if (op.extra != 0 || !(narrow || (op.width == Width::k64 && !IsSigned(op)))) return false;
  const Size size = SizeOf(op.width);
  const uint8_t rest = narrow ? 24 : 56;
  const Xmm a = UseV(op.a, kX13);
  V(vex::kPxor, kX14, kX14, kX14);
  WithV(op.b, [&](auto b) { V(narrow ? vex::kPsubd : vex::kPsubq, kX14, kX14, b); });
  PshiftImm(size, kLeft, kX14, kX14, rest);
  PshiftImm(size, kRight, kX14, kX14, rest);
  const auto count = [&] {
    Xmm b = UseV(op.b, kX14);
    PshiftImm(size, kLeft, kX14, b, rest);
  };
  if (IsSigned(op)) {
    V(vex::kPsravd, kX15, a, kX14);
    count();
    PshiftImm(size, kArithmetic, kX14, kX14, 31);
    V(vex::kPand, kX15, kX15, kX14);
  } else {
    V(narrow ? vex::kPsrlvd : vex::kPsrlvq, kX15, a, kX14);
  }
  count();
  PshiftImm(size, kRight, kX14, kX14, rest);
  V(narrow ? vex::kPsllvd : vex::kPsllvq, kX14, a, kX14);
  V(vex::kPor, kX15, kX15, kX14);
  FinishV(op, kX15);
  return true;
}

}  // namespace dd::select::x64
