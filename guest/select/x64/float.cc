// Floating point on SSE and FMA. Results that are NaN are made by the operations' kernels, out of
// line: which NaN it is differs.
#include "guest/select/x64/codegen.h"

namespace dd::select::x64 {

namespace vex = emit::x64::vex;
using ir::Cond;
using ir::Op;
using ir::OpCode;
using ir::Rounding;
using ir::Width;

namespace {

constexpr uint8_t kUnordered = 3;

bool IsSigned(const Op& op) { return (op.bits & ir::kSigned) != 0; }
bool IsHalf(const Op& op) { return (op.bits & ir::kHalf) != 0; }
bool IsScalar(const Op& op) { return (op.bits & ir::kScalar) != 0; }
bool IsDouble(const Op& op) { return op.width == Width::k64; }
bool Is32Or64Float(const Op& op) { return op.width == Width::k32 || op.width == Width::k64; }

FloatOp Instruction(OpCode code) {
  switch (code) {
    case OpCode::kFAdd:
      return FloatOp::kAdd;
    case OpCode::kFSub:
      return FloatOp::kSub;
    case OpCode::kFMul:
      return FloatOp::kMul;
    case OpCode::kFDiv:
      return FloatOp::kDiv;
    case OpCode::kFMax:
    case OpCode::kFMaxNum:
      return FloatOp::kMax;
    default:
      return FloatOp::kMin;
  }
}

// roundss' and roundsd's way; false: there is none.
bool ModeOf(uint8_t rounding, uint8_t* mode) {
  switch (static_cast<Rounding>(rounding)) {
    case Rounding::kNearestEven:
      *mode = 0;
      return true;
    case Rounding::kDown:
      *mode = 1;
      return true;
    case Rounding::kUp:
      *mode = 2;
      return true;
    case Rounding::kZero:
      *mode = 3;
      return true;
    case Rounding::kControl:
      *mode = 4;
      return true;
    default:
      return false;
  }
}

// Whether the condition is better told from the operands' swapped comparison.
bool WantsSwapped(Cond cond) {
  const auto base = static_cast<Cond>(static_cast<uint8_t>(cond) & ~1);
  return base == Cond::kMi || base == Cond::kHi || base == Cond::kCs;
}

}  // namespace

// The result in x15 or `reg`, of which element 0 or all may be NaN; goes on when none is.
Stub* Codegen::KernelIfNan(const Op& op, Xmm reg) {
  if (IsScalar(op)) {
    Ucomis(IsDouble(op), reg, reg);
    return KernelIf(Cc::kP, op);
  }
  CmpPacked(IsDouble(op), kX14, reg, reg, kUnordered);
  Ptest(kX14, kX14);
  return KernelIf(Cc::kNe, op);
}

// arm64 calls a result tiny before it is rounded, x86-64 afterwards: it is not the same of what is
// rounded up to the smallest normal number, which arm64 flushes to zero, or says is an underflow.
// Null: nobody could tell.
Stub* Codegen::KernelIfTiny(const Op& op, Xmm reg, bool is_double) {
  if (!env_->flushes && !env_->reads_status) return nullptr;
  V(vex::kPand, kX14, reg,
    Constant(is_double ? offsetof(ConstantPool, abs_double) : offsetof(ConstantPool, abs_single)));
  if (is_double) {
    V(vex::kPcmpeqq, kX14, kX14, Constant(offsetof(ConstantPool, least_double)));
  } else {
    V(vex::kPcmpeqd, kX14, kX14, Constant(offsetof(ConstantPool, least_single)));
  }
  Ptest(kX14, kX14);
  return KernelIf(Cc::kNe, op);
}

// x86-64 does not tell that it has taken a number for 0, and calls results inexact that it makes 0.
// Guests that flush and look at exceptions as well get them from kernels.
Stub* Codegen::KernelIfFlushing(const Op& op) {
  ClobberFlags();
  if (op.code == OpCode::kFToGeneral) {
    Target(op.dst, kRax);
  } else {
    TargetV(op.dst, kX15);
  }
  TestImm(Size::k32, StateMem(offsetof(ir::State, fpcr)), int32_t{ir::kFpcrFlushToZero});
  return KernelIf(Cc::kNe, op);
}

void Codegen::EmitFloat(const Op& op, Selection selection) {
  floats_ = true;
  const bool exactly = env_->flushes && env_->reads_status;
  if (exactly && WritesFlags(op)) {
    CallKernel(op);
    return;
  }
  Stub* stub = exactly ? KernelIfFlushing(op) : nullptr;
  if (!(this->*selection)(op)) CallKernel(op);
  if (stub != nullptr) EndKernelIf(stub);
}

// An operand of which only the lower half counts: exceptions of the upper half must not happen.
Xmm Codegen::UseFloat(const Op& op, ir::Ref ref, Xmm scratch) {
  const Xmm reg = UseV(ref, scratch);
  if (!IsHalf(op) || UpperOf(ref) != Upper::kUnknown) return reg;
  Movq(scratch, reg);
  return scratch;
}

void Codegen::FinishFloat(const Op& op, Xmm reg, Upper upper) {
  const Upper needed = IsScalar(op) ? (IsDouble(op) ? Upper::kZeroFrom64 : Upper::kZeroFrom32)
                       : IsHalf(op) ? Upper::kZeroFrom64
                                    : Upper::kUnknown;
  if (upper >= needed) {
    DefineV(op.dst, reg, upper);
  } else {
    FinishV(op, reg);
  }
}

bool Codegen::FBinary(const Op& op) {
  if (!Is32Or64Float(op) || (IsHalf(op) && op.code == OpCode::kFDiv)) return false;
  ClobberFlags();
  const FloatOp instruction = Instruction(op.code);
  const Xmm a = UseFloat(op, op.a, kX13);
  // Scalar instructions take what is above from the first operand. Of others the upper half is a
  // result as well, and 0 - 0 is not 0 when rounding down.
  const Upper upper = IsScalar(op) ? UpperOf(op.a) : Upper::kUnknown;
  Xmm target = TargetV(op.dst, kX15);
  if (op.dst == op.a || op.dst == op.b) target = kX15;
  if (IsScalar(op)) {
    WithV(op.b, [&](auto b) { Scalar(instruction, IsDouble(op), target, a, b); });
  } else {
    Packed(instruction, IsDouble(op), target, a, UseFloat(op, op.b, kX14));
  }
  Stub* stub = KernelIfNan(op, target);
  const bool rounds = op.code == OpCode::kFMul || op.code == OpCode::kFDiv;
  Stub* tiny = rounds ? KernelIfTiny(op, target, IsDouble(op)) : nullptr;
  FinishFloat(op, target, upper);
  EndKernelIf(stub);
  if (tiny != nullptr) EndKernelIf(tiny);
  return true;
}

bool Codegen::FSqrt(const Op& op) {
  if (!Is32Or64Float(op)) return false;
  ClobberFlags();
  const Xmm a = UseFloat(op, op.a, kX13);
  TargetV(op.dst, kX15);
  if (IsScalar(op)) {
    Scalar(FloatOp::kSqrt, IsDouble(op), kX15, a, a);
  } else {
    Packed(FloatOp::kSqrt, IsDouble(op), kX15, Xmm::kX0, a);
  }
  Stub* stub = KernelIfNan(op, kX15);
  FinishFloat(op, kX15, UpperOf(op.a));
  EndKernelIf(stub);
  return true;
}

bool Codegen::FMulAdd(const Op& op) {
  if (!Is32Or64Float(op)) return false;
  ClobberFlags();
  const Xmm c = UseFloat(op, op.c, kX15);
  const Xmm a = UseFloat(op, op.a, kX13);
  const Xmm b = UseFloat(op, op.b, kX14);
  const Upper upper = IsScalar(op) ? UpperOf(op.c) : Upper::kUnknown;
  TargetV(op.dst, kX15);
  if (c != kX15) Movaps(kX15, c);
  uint8_t opcode = IsScalar(op) ? 0xb9 : 0xb8;
  if ((op.extra & ir::kNegateAddend) != 0) opcode += 2;
  if ((op.extra & ir::kNegateProduct) != 0) opcode += 4;
  Fma231(opcode, IsDouble(op), kX15, a, b);
  Stub* stub = KernelIfNan(op, kX15);
  Stub* tiny = KernelIfTiny(op, kX15, IsDouble(op));
  FinishFloat(op, kX15, upper);
  EndKernelIf(stub);
  if (tiny != nullptr) EndKernelIf(tiny);
  return true;
}

bool Codegen::FSign(const Op& op) {
  if (!Is32Or64Float(op)) return false;
  const Xmm a = UseV(op.a, kX15);
  if (op.code == OpCode::kFAbs) {
    V(vex::kPand, kX15, a,
      Constant(IsDouble(op) ? offsetof(ConstantPool, abs_double)
                            : offsetof(ConstantPool, abs_single)));
  } else {
    V(vex::kPxor, kX15, a,
      Constant(IsDouble(op) ? offsetof(ConstantPool, sign_double)
                            : offsetof(ConstantPool, sign_single)));
  }
  FinishV(op, kX15);
  return true;
}

bool Codegen::FCompare(const Op& op) {
  if (!Is32Or64Float(op)) return false;
  // The order that suits the first reader.
  bool swapped = false;
  const ir::Block& block = region_->blocks[block_];
  for (uint32_t i = op_in_block_ + 1; i < block.op_count; i++) {
    const Op& reader = block.ops[i];
    if (ReadsFlags(reader)) {
      swapped = reader.cond != Cond::kAl && WantsSwapped(reader.cond);
      break;
    }
    if (WritesFlags(reader)) break;
  }
  const Xmm a = UseV(op.a, kX14);
  const Xmm b = UseV(op.b, kX15);
  const Xmm first = swapped ? b : a;
  const Xmm second = swapped ? a : b;
  if (IsSigned(op)) {
    Comis(IsDouble(op), first, second);
  } else {
    Ucomis(IsDouble(op), first, second);
  }
  FlagsAre(swapped ? InEflags::kFloatSwapped : InEflags::kFloat);
  return true;
}

// The flags of either way meet in State.
bool Codegen::FCondCompare(const Op& op) {
  if (!Is32Or64Float(op)) return false;
  if (op.cond == Cond::kAl || op.cond == Cond::kNv) return FCompare(op);
  const Xmm a = UseV(op.a, kX14);
  const Xmm b = UseV(op.b, kX15);
  Label otherwise;
  Label done;
  JumpUnless(TestOf(op.cond), &otherwise);
  if (IsSigned(op)) {
    Comis(IsDouble(op), a, b);
  } else {
    Ucomis(IsDouble(op), a, b);
  }
  FlagsAre(InEflags::kFloat);
  SaveFlags();
  Jmp(&done);
  Bind(&otherwise);
  MovImm(Size::k32, StateMem(offsetof(ir::State, flags)),
         static_cast<int32_t>(ir::FlagsOf(static_cast<uint32_t>(op.imm))));
  Bind(&done);
  flags_ = FlagsPlace{};
  return true;
}

bool Codegen::FMinMax(const Op& op) {
  if (!Is32Or64Float(op) || !IsScalar(op)) return false;
  ClobberFlags();
  const Xmm a = UseV(op.a, kX13);
  const Xmm b = UseV(op.b, kX14);
  const bool max = op.code == OpCode::kFMax || op.code == OpCode::kFMaxNum;
  TargetV(op.dst, kX15);
  Ucomis(IsDouble(op), a, b);
  Stub* stub = KernelIf(Cc::kP, op);
  Label different;
  Scalar(Instruction(op.code), IsDouble(op), kX15, a, b);
  Jcc(Cc::kNe, &different);
  // Zeros have signs; and what is read as 0 becomes it.
  Packed(max ? FloatOp::kAnd : FloatOp::kOr, IsDouble(op), kX15, a, b);
  Scalar(FloatOp::kMul, IsDouble(op), kX15, kX15,
         Constant(IsDouble(op) ? offsetof(ConstantPool, one) : offsetof(ConstantPool, one_single)));
  Bind(&different);
  FinishV(op, kX15);
  EndKernelIf(stub);
  return true;
}

bool Codegen::FCompareMask(const Op& op) {
  if (!Is32Or64Float(op) || IsScalar(op)) return false;
  const Xmm a = UseFloat(op, op.a, kX13);
  const Xmm b = UseFloat(op, op.b, kX14);
  if (op.code == OpCode::kFCmpEq) {
    CmpPacked(IsDouble(op), kX15, a, b, 0);
  } else {
    CmpPacked(IsDouble(op), kX15, b, a, op.code == OpCode::kFCmpGt ? 1 : 2);
  }
  FinishV(op, kX15);
  return true;
}

bool Codegen::FRound(const Op& op) {
  uint8_t mode;
  if (!Is32Or64Float(op) || !ModeOf(op.lane, &mode)) return false;
  ClobberFlags();
  if (op.extra != 1) mode |= 8;
  const Xmm a = UseFloat(op, op.a, kX13);
  TargetV(op.dst, kX15);
  if (IsScalar(op)) {
    RoundScalar(IsDouble(op), kX15, a, a, mode);
  } else {
    RoundPacked(IsDouble(op), kX15, a, mode);
  }
  Stub* stub = KernelIfNan(op, kX15);
  FinishFloat(op, kX15, UpperOf(op.a));
  EndKernelIf(stub);
  return true;
}

bool Codegen::FToGeneral(const Op& op) {
  uint8_t mode;
  if (!Is32Or64Float(op) || op.imm != 0 || !ModeOf(op.lane, &mode)) return false;
  const auto to = static_cast<Width>(op.extra);
  if (!Is32Or64(to)) return false;
  ClobberFlags();
  const Xmm a = UseV(op.a, kX14);
  Target(op.dst, kRax);
  Stub* negative = nullptr;
  Stub* too_big = nullptr;
  if (!IsSigned(op)) {
    // x86-64's conversions are of signed numbers: what they do not say right is told before.
    MovToGpr(SizeOf(op.width), kRax, a);
    Test(SizeOf(op.width), kRax, kRax);
    negative = KernelIf(Cc::kS, op);
    const bool wide = to == Width::k64;
    const size_t limit =
        IsDouble(op) ? (wide ? offsetof(ConstantPool, two_63) : offsetof(ConstantPool, two_32))
                     : (wide ? offsetof(ConstantPool, two_63_single)
                             : offsetof(ConstantPool, two_32_single));
    Ucomis(IsDouble(op), a, Constant(limit));
    too_big = KernelIf(Cc::kAe, op);
  }
  const Size size = IsSigned(op) && to == Width::k32 ? Size::k32 : Size::k64;
  Xmm rounded = a;
  if (mode != 3) {
    // The exceptions are those of the number as it is.
    CvttToInt(IsDouble(op), size, kRcx, a);
    RoundScalar(IsDouble(op), kX15, a, a, mode | 8);
    rounded = kX15;
  }
  CvttToInt(IsDouble(op), size, kRax, rounded);
  // What cannot be converted is the smallest number, the only one that this subtraction overflows.
  Arith(Alu::kCmp, size, kRax, 1);
  Stub* out_of_range = KernelIf(Cc::kO, op);
  Stub* too_wide = nullptr;
  if (!IsSigned(op) && to == Width::k32) {
    Mov(Size::k32, kRcx, kRax);
    Arith(Alu::kCmp, Size::k64, kRcx, kRax);
    too_wide = KernelIf(Cc::kNe, op);
  }
  Define(op.dst, kRax);
  for (Stub* stub : {negative, too_big, out_of_range, too_wide}) {
    if (stub != nullptr) EndKernelIf(stub);
  }
  return true;
}

bool Codegen::FFromGeneral(const Op& op) {
  if (!Is32Or64Float(op) || op.imm != 0) return false;
  const auto from = static_cast<Width>(op.extra);
  if (!Is32Or64(from)) return false;
  ClobberFlags();
  const Xmm target = TargetV(op.dst, kX15);
  Gpr a = Use(op.a, op, kRax);
  Stub* stub = nullptr;
  Size size = SizeOf(from);
  if (!IsSigned(op) && from == Width::k64) {
    Test(Size::k64, a, a);
    stub = KernelIf(Cc::kS, op);
  } else if (!IsSigned(op)) {
    Mov(Size::k32, kRax, a);
    a = kRax;
    size = Size::k64;
  }
  V(vex::kPxor, target, target, target);
  CvtFromInt(IsDouble(op), size, target, target, a);
  DefineV(op.dst, target, IsDouble(op) ? Upper::kZeroFrom64 : Upper::kZeroFrom32);
  if (stub != nullptr) EndKernelIf(stub);
  return true;
}

bool Codegen::FFromInt(const Op& op) {
  if (!Is32Or64Float(op) || op.imm != 0 || !IsSigned(op)) return false;
  if (!IsScalar(op)) {
    if (IsDouble(op)) return false;
    V(vex::kCvtdq2ps, kX15, UseFloat(op, op.a, kX15));
    FinishV(op, kX15);
    return true;
  }
  const Size size = SizeOf(op.width);
  MovToGpr(size, kRax, UseV(op.a, kX15));
  const Xmm target = TargetV(op.dst, kX15);
  V(vex::kPxor, target, target, target);
  CvtFromInt(IsDouble(op), size, target, target, kRax);
  DefineV(op.dst, target, IsDouble(op) ? Upper::kZeroFrom64 : Upper::kZeroFrom32);
  return true;
}

// To zero, as compiled code does. What cannot be converted becomes the smallest number.
bool Codegen::FToInt(const Op& op) {
  uint8_t mode;
  if (!Is32Or64Float(op) || op.imm != 0 || !IsSigned(op)) return false;
  if (!ModeOf(op.lane, &mode) || mode != 3 || (IsDouble(op) && !IsScalar(op))) return false;
  ClobberFlags();
  const Xmm a = UseFloat(op, op.a, kX13);
  TargetV(op.dst, kX15);
  Stub* stub;
  if (IsScalar(op)) {
    const Size size = SizeOf(op.width);
    CvttToInt(IsDouble(op), size, kRax, a);
    MovFromGpr(size, kX15, kRax);
    Arith(Alu::kCmp, size, kRax, 1);
    stub = KernelIf(Cc::kO, op);
  } else {
    V(vex::kCvttps2dq, kX15, a);
    V(vex::kPcmpeqd, kX14, kX15, Constant(offsetof(ConstantPool, sign_single)));
    Ptest(kX14, kX14);
    stub = KernelIf(Cc::kNe, op);
  }
  FinishV(op, kX15);
  EndKernelIf(stub);
  return true;
}

bool Codegen::FConvert(const Op& op) {
  const auto to = static_cast<Width>(op.extra);
  if (!Is32Or64Float(op) || (to != Width::k32 && to != Width::k64) || to == op.width) return false;
  ClobberFlags();
  const Xmm a = UseV(op.a, kX14);
  TargetV(op.dst, kX15);
  V(vex::kPxor, kX15, kX15, kX15);
  CvtScalar(IsDouble(op), kX15, kX15, a);
  Ucomis(to == Width::k64, kX15, kX15);
  Stub* stub = KernelIf(Cc::kP, op);
  Stub* tiny = to == Width::k32 ? KernelIfTiny(op, kX15, false) : nullptr;
  DefineV(op.dst, kX15, to == Width::k64 ? Upper::kZeroFrom64 : Upper::kZeroFrom32);
  EndKernelIf(stub);
  if (tiny != nullptr) EndKernelIf(tiny);
  return true;
}

}  // namespace dd::select::x64
