// Integer vectors.
#include "guest/select/x64/codegen.h"

namespace dd::select::x64 {

namespace vex = emit::x64::vex;
using emit::x64::VexOp;
using ir::Op;
using ir::OpCode;
using ir::Width;

namespace {

bool IsSigned(const Op& op) { return (op.bits & ir::kSigned) != 0; }
bool IsHalf(const Op& op) { return (op.bits & ir::kHalf) != 0; }
bool IsScalar(const Op& op) { return (op.bits & ir::kScalar) != 0; }
// Elements that can be cut out by one instruction.
bool ScalarFits(const Op& op) { return !IsScalar(op) || op.width >= Width::k32; }

const VexOp* Of(const VexOp* const (&by_width)[4], Width width) {
  return width <= Width::k64 ? by_width[static_cast<uint8_t>(width)] : nullptr;
}

constexpr const VexOp* kAdd[] = {&vex::kPaddb, &vex::kPaddw, &vex::kPaddd, &vex::kPaddq};
constexpr const VexOp* kSub[] = {&vex::kPsubb, &vex::kPsubw, &vex::kPsubd, &vex::kPsubq};
constexpr const VexOp* kMul[] = {nullptr, &vex::kPmullw, &vex::kPmulld, nullptr};
constexpr const VexOp* kEqual[] = {&vex::kPcmpeqb, &vex::kPcmpeqw, &vex::kPcmpeqd, &vex::kPcmpeqq};
constexpr const VexOp* kGreater[] = {&vex::kPcmpgtb, &vex::kPcmpgtw, &vex::kPcmpgtd,
                                     &vex::kPcmpgtq};
constexpr const VexOp* kMaxS[] = {&vex::kPmaxsb, &vex::kPmaxsw, &vex::kPmaxsd, nullptr};
constexpr const VexOp* kMaxU[] = {&vex::kPmaxub, &vex::kPmaxuw, &vex::kPmaxud, nullptr};
constexpr const VexOp* kMinS[] = {&vex::kPminsb, &vex::kPminsw, &vex::kPminsd, nullptr};
constexpr const VexOp* kMinU[] = {&vex::kPminub, &vex::kPminuw, &vex::kPminud, nullptr};
constexpr const VexOp* kAbs[] = {&vex::kPabsb, &vex::kPabsw, &vex::kPabsd, nullptr};
constexpr const VexOp* kBroadcast[] = {&vex::kPbroadcastb, &vex::kPbroadcastw, &vex::kPbroadcastd,
                                       &vex::kPbroadcastq};

const VexOp* Extreme(OpCode code, Width width, bool is_signed) {
  if (code == OpCode::kVMax) return is_signed ? Of(kMaxS, width) : Of(kMaxU, width);
  return is_signed ? Of(kMinS, width) : Of(kMinU, width);
}

const VexOp* Binary(const Op& op) {
  switch (op.code) {
    case OpCode::kVAdd:
      return Of(kAdd, op.width);
    case OpCode::kVSub:
      return Of(kSub, op.width);
    case OpCode::kVMul:
      return Of(kMul, op.width);
    case OpCode::kVAnd:
      return &vex::kPand;
    case OpCode::kVOr:
      return &vex::kPor;
    case OpCode::kVXor:
      return &vex::kPxor;
    case OpCode::kVMax:
    case OpCode::kVMin:
      return Extreme(op.code, op.width, IsSigned(op));
    case OpCode::kVCmpEq:
      return Of(kEqual, op.width);
    case OpCode::kVHalvingAdd:
      if (op.extra != 1 || IsSigned(op) || op.width > Width::k16) return nullptr;
      return op.width == Width::k8 ? &vex::kPavgb : &vex::kPavgw;
    default:
      return nullptr;
  }
}

}  // namespace

// Clears what the operation says is 0, and defines dst.
void Codegen::FinishV(const Op& op, Xmm reg) {
  const Xmm target = TargetV(op.dst, kX15);
  if (IsScalar(op) && op.width == Width::k32) {
    Insertps(target, reg, reg, 0x0e);
    DefineV(op.dst, target, Upper::kZeroFrom32);
  } else if (IsScalar(op) || IsHalf(op)) {
    Movq(target, reg);
    DefineV(op.dst, target, Upper::kZeroFrom64);
  } else {
    DefineV(op.dst, reg, Upper::kUnknown);
  }
}

Xmm Codegen::Last(const Op& op) {
  return IsHalf(op) || IsScalar(op) ? kX15 : TargetV(op.dst, kX15);
}

bool Codegen::VMov(const Op& op) {
  if (!ScalarFits(op)) return false;
  const Xmm a = UseV(op.a, kX15);
  if (IsScalar(op) || IsHalf(op)) {
    FinishV(op, a);
  } else {
    DefineV(op.dst, a, UpperOf(op.a));
  }
  return true;
}

bool Codegen::VConst(const Op& op) {
  const Xmm target = TargetV(op.dst, kX15);
  const bool whole = !IsHalf(op) && !IsScalar(op);
  if (op.code == OpCode::kVZero || op.imm == 0) {
    V(vex::kPxor, target, target, target);
    DefineV(op.dst, target, Upper::kZeroFrom32);
    return true;
  }
  if (IsScalar(op) && op.width != Width::k64) return false;
  if (op.imm == -1 && whole) {
    V(vex::kPcmpeqd, target, target, target);
    DefineV(op.dst, target, Upper::kUnknown);
    return true;
  }
  MovImm(kRax, static_cast<uint64_t>(op.imm));
  MovFromGpr(Size::k64, target, kRax);
  if (whole) V(vex::kPunpcklqdq, target, target, target);
  DefineV(op.dst, target, whole ? Upper::kUnknown : Upper::kZeroFrom64);
  return true;
}

bool Codegen::VDup(const Op& op) {
  const Gpr a = Use(op.a, op, kRax);
  const Xmm target = TargetV(op.dst, kX15);
  if (IsScalar(op)) {
    Gpr from = a;
    if (op.width < Width::k32) {
      Movzx(SizeOf(op.width), kRax, a);
      from = kRax;
    }
    MovFromGpr(op.width == Width::k64 ? Size::k64 : Size::k32, target, from);
    DefineV(op.dst, target, op.width == Width::k64 ? Upper::kZeroFrom64 : Upper::kZeroFrom32);
    return true;
  }
  MovFromGpr(op.width == Width::k64 ? Size::k64 : Size::k32, target, a);
  V(*kBroadcast[static_cast<uint8_t>(op.width)], target, target);
  FinishV(op, target);
  return true;
}

bool Codegen::VDupLane(const Op& op) {
  const Xmm a = UseV(op.a, kX15);
  const uint8_t lane = op.lane;
  if (IsScalar(op) && op.width < Width::k32) {
    const Xmm target = TargetV(op.dst, kX15);
    Pextr(SizeOf(op.width), kRax, a, lane);
    MovFromGpr(Size::k32, target, kRax);
    DefineV(op.dst, target, Upper::kZeroFrom32);
    return true;
  }
  if (lane == 0 && IsScalar(op)) {
    FinishV(op, a);
    return true;
  }
  if (op.width == Width::k64) {
    Pshufd(kX15, a, lane == 0 ? 0x44 : 0xee);
  } else if (op.width == Width::k32) {
    Pshufd(kX15, a, static_cast<uint8_t>(lane * 0x55));
  } else {
    Xmm from = a;
    if (lane != 0) {
      const uint32_t bytes = lane << static_cast<uint8_t>(op.width);
      PshiftBytes(false, kX15, a, static_cast<uint8_t>(bytes));
      from = kX15;
    }
    V(*kBroadcast[static_cast<uint8_t>(op.width)], kX15, from);
  }
  FinishV(op, kX15);
  return true;
}

bool Codegen::VInsert(const Op& op) {
  const Gpr b = Use(op.b, op, kRax);
  const Xmm a = UseV(op.a, kX15);
  const Xmm target = TargetV(op.dst, kX15);
  Pinsr(SizeOf(op.width), target, a, b, op.lane);
  DefineV(op.dst, target, Upper::kUnknown);
  return true;
}

bool Codegen::VInsertLane(const Op& op) {
  const Xmm a = UseV(op.a, kX14);
  const Xmm b = UseV(op.b, kX15);
  const Xmm target = TargetV(op.dst, kX14);
  if (op.width == Width::k64) {
    if (op.extra != op.lane) Pshufd(kX15, b, 0x4e);
    Pblendw(target, a, op.extra != op.lane ? kX15 : b, op.lane == 0 ? 0x0f : 0xf0);
  } else if (op.width == Width::k32) {
    Insertps(target, a, b, static_cast<uint8_t>(op.extra << 6 | op.lane << 4));
  } else {
    Pextr(SizeOf(op.width), kRax, b, op.extra);
    Pinsr(SizeOf(op.width), target, a, kRax, op.lane);
  }
  DefineV(op.dst, target, Upper::kUnknown);
  return true;
}

bool Codegen::VExtract(const Op& op) {
  const Xmm a = UseV(op.a, kX15);
  const Gpr target = Target(op.dst, kRax);
  const Size size = SizeOf(op.width);
  if (op.lane == 0 && size >= Size::k32) {
    MovToGpr(size, target, a);
  } else {
    Pextr(size, target, a, op.lane);
  }
  if (IsSigned(op) && size < Size::k64) {
    Movsx(static_cast<Width>(op.extra) == Width::k64 ? Size::k64 : Size::k32, size, target, target);
  }
  Define(op.dst, target);
  return true;
}

bool Codegen::VMulBytes(const Op& op) {
  const Xmm a = UseV(op.a, kX13);
  const Xmm b = UseV(op.b, kX14);
  // Odd bytes in the upper halves of words, even ones in the lower.
  V(vex::kPmullw, kX15, a, b);
  V(vex::kPand, kX15, kX15, Constant(offsetof(ConstantPool, words_00ff)));
  PshiftImm(Size::k16, 2, kX13, a, 8);
  PshiftImm(Size::k16, 2, kX14, b, 8);
  V(vex::kPmullw, kX14, kX14, kX13);
  PshiftImm(Size::k16, 6, kX14, kX14, 8);
  const Xmm last = Last(op);
  V(vex::kPor, last, kX15, kX14);
  FinishV(op, last);
  return true;
}

bool Codegen::VBinary(const Op& op) {
  if (op.code == OpCode::kVMul && op.width == Width::k8 && !IsScalar(op)) return VMulBytes(op);
  const VexOp* vex_op = Binary(op);
  if (vex_op == nullptr || !ScalarFits(op)) return false;
  const Xmm a = UseV(op.a, kX14);
  const bool partial = IsHalf(op) || IsScalar(op);
  const Xmm target = partial ? kX15 : TargetV(op.dst, kX15);
  if (op.b.none() || op.b.immediate()) {
    V(*vex_op, target, a, UseV(op.b, kX15));
  } else {
    WithV(op.b, [&](auto b) { V(*vex_op, target, a, b); });
  }
  FinishV(op, target);
  return true;
}

bool Codegen::VNot(const Op& op) {
  const bool alone = op.code == OpCode::kVNot;
  const Xmm b = UseV(alone ? op.a : op.b, kX14);
  const Xmm last = Last(op);
  if (op.code == OpCode::kVAndNot) {
    WithV(op.a, [&](auto a) { V(vex::kPandn, last, b, a); });
  } else {
    V(vex::kPxor, alone ? last : kX15, b, Constant(offsetof(ConstantPool, all_ones)));
    if (!alone) WithV(op.a, [&](auto a) { V(vex::kPor, last, kX15, a); });
  }
  FinishV(op, last);
  return true;
}

bool Codegen::VSelect(const Op& op) {
  const Xmm mask = UseV(op.c, kX13);
  WithV(op.a, [&](auto a) { V(vex::kPand, kX14, mask, a); });
  WithV(op.b, [&](auto b) { V(vex::kPandn, kX15, mask, b); });
  const Xmm last = Last(op);
  V(vex::kPor, last, kX15, kX14);
  FinishV(op, last);
  return true;
}

bool Codegen::VSelectCond(const Op& op) {
  if (!ScalarFits(op) || op.cond == ir::Cond::kAl || op.cond == ir::Cond::kNv) return false;
  const Condition test = TestOf(op.cond);
  Label done;
  const Xmm b = UseV(op.b, kX15);
  if (b != kX15) Movaps(kX15, b);
  JumpUnless(test, &done);
  const Xmm a = UseV(op.a, kX15);
  if (a != kX15) Movaps(kX15, a);
  Bind(&done);
  FinishV(op, kX15);
  return true;
}

bool Codegen::VCompare(const Op& op) {
  if (op.width > Width::k64 || !ScalarFits(op)) return false;
  const auto invert = [&] {
    V(vex::kPxor, kX15, kX15, Constant(offsetof(ConstantPool, all_ones)));
  };
  const Xmm a = UseV(op.a, kX13);
  const Xmm b = UseV(op.b, kX14);
  const uint8_t width = static_cast<uint8_t>(op.width);
  if (op.code == OpCode::kVCmpTest) {
    V(vex::kPand, kX15, a, b);
    V(vex::kPxor, kX14, kX14, kX14);
    V(*kEqual[width], kX15, kX15, kX14);
    invert();
  } else if (IsSigned(op)) {
    if (op.code == OpCode::kVCmpGt) {
      V(*kGreater[width], kX15, a, b);
    } else {
      V(*kGreater[width], kX15, b, a);
      invert();
    }
  } else if (op.width == Width::k64) {
    const Mem sign = Constant(offsetof(ConstantPool, sign_double));
    V(vex::kPxor, kX13, a, sign);
    V(vex::kPxor, kX14, b, sign);
    if (op.code == OpCode::kVCmpGt) {
      V(vex::kPcmpgtq, kX15, kX13, kX14);
    } else {
      V(vex::kPcmpgtq, kX15, kX14, kX13);
      invert();
    }
  } else if (op.code == OpCode::kVCmpGe) {
    V(*kMaxU[width], kX15, a, b);
    V(*kEqual[width], kX15, kX15, a);
  } else {
    V(*kMinU[width], kX15, a, b);
    V(*kEqual[width], kX15, kX15, a);
    invert();
  }
  FinishV(op, kX15);
  return true;
}

bool Codegen::VNegAbs(const Op& op) {
  if (!ScalarFits(op) || op.width > Width::k64) return false;
  const uint8_t width = static_cast<uint8_t>(op.width);
  if (op.code == OpCode::kVAbsDiff) {
    if (op.width == Width::k64) return false;
    const Xmm a = UseV(op.a, kX13);
    const Xmm b = UseV(op.b, kX14);
    V(*Extreme(OpCode::kVMax, op.width, IsSigned(op)), kX15, a, b);
    V(*Extreme(OpCode::kVMin, op.width, IsSigned(op)), kX14, a, b);
    V(*kSub[width], kX15, kX15, kX14);
  } else if (op.code == OpCode::kVNeg) {
    const Xmm a = UseV(op.a, kX14);
    V(vex::kPxor, kX15, kX15, kX15);
    V(*kSub[width], kX15, kX15, a);
  } else {
    if (kAbs[width] == nullptr) return false;
    V(*kAbs[width], kX15, UseV(op.a, kX14));
  }
  FinishV(op, kX15);
  return true;
}

// x15 = a shifted by a constant.
// dst = (from + half of what is shifted out) >> count; count is not 0. Uses x14.
void Codegen::ShiftRounding(Size size, bool is_signed, Xmm dst, Xmm from, uint8_t count) {
  constexpr uint8_t kRight = 2, kArithmetic = 4, kLeft = 6;
  const auto top = static_cast<uint8_t>((8u << static_cast<uint8_t>(size)) - 1);
  // The last bit that is shifted out is what has to be added.
  PshiftImm(size, kRight, kX14, from, static_cast<uint8_t>(count - 1));
  PshiftImm(size, kLeft, kX14, kX14, top);
  PshiftImm(size, kRight, kX14, kX14, top);
  PshiftImm(size, is_signed ? kArithmetic : kRight, dst, from, count);
  V(size == Size::k16   ? vex::kPaddw
    : size == Size::k32 ? vex::kPaddd
                        : vex::kPaddq,
    dst, dst, kX14);
}

bool Codegen::VShift(const Op& op) {
  constexpr uint8_t kRight = 2, kArithmetic = 4, kLeft = 6;
  if (!ScalarFits(op) || op.width > Width::k64) return false;
  const Size size = SizeOf(op.width);
  const auto count = static_cast<uint8_t>(op.imm);
  const bool left = op.code == OpCode::kVShl || op.code == OpCode::kVShlInsert;
  const bool insert = op.code == OpCode::kVShlInsert || op.code == OpCode::kVShrInsert;
  if (!left && !insert && op.extra == 1) {
    if (size == Size::k8 || (size == Size::k64 && IsSigned(op))) return false;
    ShiftRounding(size, IsSigned(op), kX15, UseV(op.a, kX13), count);
    FinishV(op, kX15);
    return true;
  }
  const bool is_signed = IsSigned(op) && !left && !insert;
  if (size == Size::k8 && (is_signed || insert)) return false;
  const Xmm from = UseV(insert ? op.b : op.a, kX14);
  const uint32_t bits = 8u << static_cast<uint8_t>(size);
  if (size == Size::k8) {
    PshiftImm(Size::k16, left ? kLeft : kRight, kX15, from, count);
    const uint32_t keep = left ? 0xffu << count : 0xffu >> count;
    MovImm(kRax, (keep & 0xff) * 0x01010101u);
    MovFromGpr(Size::k32, kX14, kRax);
    V(vex::kPbroadcastd, kX14, kX14);
    V(vex::kPand, kX15, kX15, kX14);
  } else if (is_signed && size == Size::k64) {
    V(vex::kPxor, kX15, kX15, kX15);
    V(vex::kPcmpgtq, kX15, kX15, from);
    if (count < 64) {
      PshiftImm(Size::k64, kLeft, kX15, kX15, static_cast<uint8_t>(64 - count));
      PshiftImm(Size::k64, kRight, kX14, from, count);
      V(vex::kPor, kX15, kX15, kX14);
    }
  } else {
    const Xmm last = insert ? kX15 : Last(op);
    PshiftImm(size, left ? kLeft : is_signed ? kArithmetic : kRight, last, from, count);
    if (!insert) {
      FinishV(op, last);
      return true;
    }
  }
  if (insert) {
    // What the shift leaves free comes from a.
    V(vex::kPcmpeqd, kX14, kX14, kX14);
    if (count < bits) {
      PshiftImm(size, left ? kLeft : kRight, kX14, kX14, count);
    } else {
      V(vex::kPxor, kX14, kX14, kX14);
    }
    WithV(op.a, [&](auto a) { V(vex::kPandn, kX14, kX14, a); });
    V(vex::kPor, kX15, kX15, kX14);
  }
  FinishV(op, kX15);
  return true;
}

}  // namespace dd::select::x64
