// Vectors: moving elements about, changing their width, sums over neighbours.
#include "guest/select/x64/codegen.h"

namespace dd::select::x64 {

namespace vex = emit::x64::vex;
using emit::x64::VexOp;
using ir::Op;
using ir::OpCode;
using ir::Width;

namespace {

constexpr uint8_t kRight = 2, kArithmetic = 4, kLeft = 6;

bool IsSigned(const Op& op) { return (op.bits & ir::kSigned) != 0; }
bool IsHalf(const Op& op) { return (op.bits & ir::kHalf) != 0; }
bool IsScalar(const Op& op) { return (op.bits & ir::kScalar) != 0; }

constexpr const VexOp* kUnpackLow[] = {&vex::kPunpcklbw, &vex::kPunpcklwd, &vex::kPunpckldq,
                                       &vex::kPunpcklqdq};
constexpr const VexOp* kUnpackHigh[] = {&vex::kPunpckhbw, &vex::kPunpckhwd, &vex::kPunpckhdq,
                                        &vex::kPunpckhqdq};
constexpr const VexOp* kWidenSigned[] = {&vex::kPmovsxbw, &vex::kPmovsxwd, &vex::kPmovsxdq};
constexpr const VexOp* kWidenUnsigned[] = {&vex::kPmovzxbw, &vex::kPmovzxwd, &vex::kPmovzxdq};

const VexOp* PairOp(const Op& op) {
  constexpr const VexOp* kAdd[] = {&vex::kPaddb, &vex::kPaddw, &vex::kPaddd, &vex::kPaddq};
  constexpr const VexOp* kMaxS[] = {&vex::kPmaxsb, &vex::kPmaxsw, &vex::kPmaxsd, nullptr};
  constexpr const VexOp* kMaxU[] = {&vex::kPmaxub, &vex::kPmaxuw, &vex::kPmaxud, nullptr};
  constexpr const VexOp* kMinS[] = {&vex::kPminsb, &vex::kPminsw, &vex::kPminsd, nullptr};
  constexpr const VexOp* kMinU[] = {&vex::kPminub, &vex::kPminuw, &vex::kPminud, nullptr};
  const uint8_t width = static_cast<uint8_t>(op.width);
  switch (op.code) {
    case OpCode::kVAddPair:
    case OpCode::kVAddAcross:
      return kAdd[width];
    case OpCode::kVMaxPair:
    case OpCode::kVMaxAcross:
      return IsSigned(op) ? kMaxS[width] : kMaxU[width];
    default:
      return IsSigned(op) ? kMinS[width] : kMinU[width];
  }
}

}  // namespace

bool Codegen::VZip(const Op& op) {
  const uint8_t width = static_cast<uint8_t>(op.width);
  if (op.width > Width::k64) return false;
  const Xmm a = UseV(op.a, kX14);
  const Xmm b = UseV(op.b, kX15);
  if (IsHalf(op)) {
    V(*kUnpackLow[width], kX15, a, b);
    if (op.lane == 1) PshiftBytes(false, kX15, kX15, 8);
  } else {
    const Xmm last = Last(op);
    V(op.lane == 0 ? *kUnpackLow[width] : *kUnpackHigh[width], last, a, b);
    FinishV(op, last);
    return true;
  }
  FinishV(op, kX15);
  return true;
}

// x15 = even or odd elements of a, then those of b.
void Codegen::Deinterleave(const Op& op, bool odd, Xmm target) {
  const Xmm a = UseV(op.a, kX13);
  const Xmm b = UseV(op.b, kX15);
  if (op.width == Width::k64) {
    V(odd ? vex::kPunpckhqdq : vex::kPunpcklqdq, target, a, b);
    return;
  }
  const uint8_t order = odd ? 0xdd : 0x88;
  if (IsHalf(op)) {
    V(vex::kPunpcklqdq, target, a, b);
    if (op.width == Width::k32) {
      Pshufd(target, target, order);
      return;
    }
  } else if (op.width == Width::k32) {
    Shufps(target, a, b, order);
    return;
  }
  const size_t mask =
      op.width == Width::k8
          ? (odd ? offsetof(ConstantPool, odd_bytes) : offsetof(ConstantPool, even_bytes))
          : (odd ? offsetof(ConstantPool, odd_halves) : offsetof(ConstantPool, even_halves));
  if (IsHalf(op)) {
    V(vex::kPshufb, target, target, Constant(mask));
    return;
  }
  // b may be in the target: it goes first.
  V(vex::kPshufb, kX15, b, Constant(mask));
  V(vex::kPshufb, kX13, a, Constant(mask));
  V(vex::kPunpcklqdq, target, kX13, kX15);
}

bool Codegen::VUzp(const Op& op) {
  if (op.width > Width::k64) return false;
  const Xmm last = Last(op);
  Deinterleave(op, op.lane == 1, last);
  FinishV(op, last);
  return true;
}

bool Codegen::VPair(const Op& op) {
  const VexOp* vex_op = op.width <= Width::k64 ? PairOp(op) : nullptr;
  if (vex_op == nullptr || IsScalar(op)) return false;
  Deinterleave(op, false, kX14);
  Deinterleave(op, true, kX15);
  const Xmm last = Last(op);
  V(*vex_op, last, kX14, kX15);
  FinishV(op, last);
  return true;
}

bool Codegen::VTrn(const Op& op) {
  if (op.width > Width::k64) return false;
  const bool odd = op.lane == 1;
  const Xmm a = UseV(op.a, kX14);
  const Xmm b = UseV(op.b, kX15);
  switch (op.width) {
    case Width::k64:
      V(odd ? vex::kPunpckhqdq : vex::kPunpcklqdq, kX15, a, b);
      break;
    case Width::k32:
      Shufps(kX15, a, b, odd ? 0xdd : 0x88);
      Pshufd(kX15, kX15, 0xd8);
      break;
    case Width::k16:
      if (odd) {
        PshiftImm(Size::k32, kRight, kX14, a, 16);
        Pblendw(kX15, kX14, b, 0xaa);
      } else {
        PshiftImm(Size::k32, kLeft, kX15, b, 16);
        Pblendw(kX15, a, kX15, 0xaa);
      }
      break;
    default: {
      const Mem low_bytes = Constant(offsetof(ConstantPool, words_00ff));
      if (odd) {
        PshiftImm(Size::k16, kRight, kX14, a, 8);
        Movups(kX13, low_bytes);
        V(vex::kPandn, kX15, kX13, b);
      } else {
        V(vex::kPand, kX14, a, low_bytes);
        PshiftImm(Size::k16, kLeft, kX15, b, 8);
      }
      V(vex::kPor, kX15, kX15, kX14);
    }
  }
  FinishV(op, kX15);
  return true;
}

bool Codegen::VExt(const Op& op) {
  const Xmm a = UseV(op.a, kX14);
  const Xmm b = UseV(op.b, kX15);
  const auto from = static_cast<uint8_t>(op.imm);
  if (IsHalf(op)) {
    V(vex::kPunpcklqdq, kX15, a, b);
    PshiftBytes(false, kX15, kX15, from);
  } else {
    const Xmm last = Last(op);
    Palignr(last, b, a, from);
    FinishV(op, last);
    return true;
  }
  FinishV(op, kX15);
  return true;
}

bool Codegen::VReverse(const Op& op) {
  const auto unit = static_cast<Width>(op.extra);
  if (op.width == Width::k32 && unit == Width::k64) {
    Pshufd(kX15, UseV(op.a, kX15), 0xb1);
  } else if (op.width == Width::k8 && unit <= Width::k64) {
    const size_t order = unit == Width::k64   ? offsetof(ConstantPool, reverse_in_8)
                         : unit == Width::k32 ? offsetof(ConstantPool, reverse_in_4)
                                              : offsetof(ConstantPool, reverse_in_2);
    V(vex::kPshufb, kX15, UseV(op.a, kX15), Constant(order));
  } else {
    return false;
  }
  FinishV(op, kX15);
  return true;
}

bool Codegen::VTable(const Op& op) {
  // Of one table; what is beyond is 0: an index of 16 or more gets its highest bit.
  if (op.imm != 0 || !op.c.none()) return false;
  const Xmm indices = UseV(op.b, kX14);
  MovImm(kRax, 0x70707070);
  MovFromGpr(Size::k32, kX15, kRax);
  V(vex::kPbroadcastd, kX15, kX15);
  V(vex::kPaddusb, kX15, kX15, indices);
  V(vex::kPshufb, kX15, UseV(op.a, kX14), kX15);
  FinishV(op, kX15);
  return true;
}

bool Codegen::VPopcount(const Op& op) {
  const Xmm a = UseV(op.a, kX14);
  const Mem low_nibbles = Constant(offsetof(ConstantPool, bytes_0f));
  PshiftImm(Size::k16, kRight, kX13, a, 4);
  V(vex::kPand, kX14, a, low_nibbles);
  V(vex::kPand, kX13, kX13, low_nibbles);
  Movups(kX15, Constant(offsetof(ConstantPool, popcount_of_nibble)));
  V(vex::kPshufb, kX14, kX15, kX14);
  V(vex::kPshufb, kX15, kX15, kX13);
  V(vex::kPaddb, kX15, kX15, kX14);
  FinishV(op, kX15);
  return true;
}

// target = the operand's half that a wide operation reads, its elements twice as wide.
void Codegen::Widen(const Op& op, ir::Ref ref, Xmm target) {
  const Xmm from = UseV(ref, target);
  const uint8_t width = static_cast<uint8_t>(op.width);
  const VexOp& widen = IsSigned(op) ? *kWidenSigned[width] : *kWidenUnsigned[width];
  if (op.lane == 1) {
    PshiftBytes(false, target, from, 8);
    V(widen, target, target);
  } else {
    V(widen, target, from);
  }
}

bool Codegen::VWiden(const Op& op) {
  if (op.width > Width::k32 || IsScalar(op)) return false;
  const Xmm last = TargetV(op.dst, kX15);
  Widen(op, op.a, last);
  if (op.imm != 0) {
    PshiftImm(static_cast<Size>(static_cast<uint8_t>(op.width) + 1), kLeft, last, last,
              static_cast<uint8_t>(op.imm));
  }
  DefineV(op.dst, last, Upper::kUnknown);
  return true;
}

bool Codegen::VMulWide(const Op& op) {
  if (op.width > Width::k32 || IsScalar(op)) return false;
  Widen(op, op.a, kX14);
  Widen(op, op.b, kX15);
  const Xmm last = TargetV(op.dst, kX15);
  if (op.width == Width::k8) {
    V(vex::kPmullw, last, kX15, kX14);
  } else if (op.width == Width::k16) {
    V(vex::kPmulld, last, kX15, kX14);
  } else {
    V(IsSigned(op) ? vex::kPmuldq : vex::kPmuludq, last, kX15, kX14);
  }
  DefineV(op.dst, last, Upper::kUnknown);
  return true;
}

bool Codegen::VNarrow(const Op& op) {
  if (op.width > Width::k32 || IsScalar(op)) return false;
  const Size wide = static_cast<Size>(static_cast<uint8_t>(op.width) + 1);
  Xmm from = UseV(op.a, kX15);
  if (op.extra != 0 && op.imm != 0) {
    ShiftRounding(wide, false, kX15, UseV(op.a, kX13), static_cast<uint8_t>(op.imm));
    from = kX15;
  } else if (op.imm != 0) {
    PshiftImm(wide, kRight, kX15, from, static_cast<uint8_t>(op.imm));
    from = kX15;
  }
  if (op.width == Width::k32) {
    Pshufd(kX15, from, 0x88);
    if (op.lane == 0) Movq(kX15, kX15);
  } else {
    const size_t order = op.width == Width::k8 ? offsetof(ConstantPool, even_bytes)
                                               : offsetof(ConstantPool, even_halves);
    V(vex::kPshufb, kX15, from, Constant(order));
  }
  if (op.lane == 1) {
    V(vex::kPunpcklqdq, kX15, UseV(op.b, kX14), kX15);
    DefineV(op.dst, kX15, Upper::kUnknown);
  } else {
    DefineV(op.dst, kX15, Upper::kZeroFrom64);
  }
  return true;
}

bool Codegen::VAddWidenPair(const Op& op) {
  if (op.width > Width::k16 || IsScalar(op)) return false;
  const Xmm a = UseV(op.a, kX15);
  if (op.width == Width::k8) {
    const Mem ones = Constant(offsetof(ConstantPool, ones_byte));
    if (IsSigned(op)) {
      Movups(kX14, ones);
      V(vex::kPmaddubsw, kX15, kX14, a);
    } else {
      V(vex::kPmaddubsw, kX15, a, ones);
    }
  } else if (IsSigned(op)) {
    V(vex::kPmaddwd, kX15, a, Constant(offsetof(ConstantPool, ones_half)));
  } else {
    PshiftImm(Size::k32, kRight, kX14, a, 16);
    PshiftImm(Size::k32, kLeft, kX15, a, 16);
    PshiftImm(Size::k32, kRight, kX15, kX15, 16);
    V(vex::kPaddd, kX15, kX15, kX14);
  }
  if (IsHalf(op)) {
    const Xmm target = TargetV(op.dst, kX15);
    Movq(target, kX15);
    DefineV(op.dst, target, Upper::kZeroFrom64);
  } else {
    DefineV(op.dst, kX15, Upper::kUnknown);
  }
  return true;
}

bool Codegen::VAcross(const Op& op) {
  const VexOp* vex_op = op.width <= Width::k32 ? PairOp(op) : nullptr;
  if (vex_op == nullptr) return false;
  const Xmm a = UseV(op.a, kX15);
  if (op.code == OpCode::kVAddAcross && op.width == Width::k8) {
    V(vex::kPxor, kX14, kX14, kX14);
    V(vex::kPsadbw, kX15, a, kX14);
    if (!IsHalf(op)) {
      Pshufd(kX14, kX15, 0xee);
      V(vex::kPaddw, kX15, kX15, kX14);
    }
  } else {
    Xmm from = a;
    uint32_t bytes = IsHalf(op) ? 4 : 8;
    for (; bytes >= 1u << static_cast<uint8_t>(op.width); bytes /= 2) {
      PshiftBytes(false, kX14, from, static_cast<uint8_t>(bytes));
      V(*vex_op, kX15, from, kX14);
      from = kX15;
    }
  }
  const Xmm target = TargetV(op.dst, kX15);
  if (op.width == Width::k32) {
    Insertps(target, kX15, kX15, 0x0e);
  } else {
    Pextr(SizeOf(op.width), kRax, kX15, 0);
    MovFromGpr(Size::k32, target, kRax);
  }
  DefineV(op.dst, target, Upper::kZeroFrom32);
  return true;
}

bool Codegen::VPolyMulWide(const Op& op) {
  if (op.width != Width::k64) return false;
  const Xmm a = UseV(op.a, kX14);
  Pclmulqdq(kX15, a, UseV(op.b, kX15), op.lane == 1 ? 0x11 : 0x00);
  DefineV(op.dst, kX15, Upper::kUnknown);
  return true;
}

bool Codegen::Aes(const Op& op) {
  const Xmm a = UseV(op.a, kX15);
  V(vex::kPxor, kX14, kX14, kX14);
  switch (op.code) {
    case OpCode::kAesEncrypt:
    case OpCode::kAesDecrypt:
      WithV(op.b, [&](auto b) { V(vex::kPxor, kX15, a, b); });
      V(op.code == OpCode::kAesEncrypt ? vex::kAesenclast : vex::kAesdeclast, kX15, kX15, kX14);
      break;
    case OpCode::kAesMixColumns:
      // The last round backwards, then a whole round forwards: only its columns' mix is left.
      V(vex::kAesdeclast, kX15, a, kX14);
      V(vex::kAesenc, kX15, kX15, kX14);
      break;
    default:
      V(vex::kAesimc, kX15, a);
  }
  DefineV(op.dst, kX15, Upper::kUnknown);
  return true;
}

}  // namespace dd::select::x64
