// Vector floating point, and the scalar forms that only the SIMD unit has.
#include "guest/lower/a64/vector.h"

namespace dd::lower::a64 {

using enum ir::OpCode;
using ir::Rounding;

namespace {

constexpr Precision kBySize = Precision::kBySize;
constexpr Precision kHalf = Precision::kHalf;

void Three(Lowering& l, Word w, Precision precision, OpCode code) {
  Shape shape{};
  if (!FloatShape(l, w, precision, &shape)) return;
  EmitShape(l, shape, code, Vd(w), Vn(w), Vm(w));
}

void MultiplyAdd(Lowering& l, Word w, Precision precision, uint8_t negated) {
  Shape shape{};
  if (!FloatShape(l, w, precision, &shape)) return;
  EmitShape(l, shape, kFMulAdd, Vd(w), Vn(w), Vm(w), Vd(w)).extra = negated;
}

Ref Absolute(Lowering& l, const Shape& shape, Ref v) {
  const Ref absolute = l.Temp();
  EmitShape(l, shape, kFAbs, absolute, v);
  return absolute;
}

void CompareAbsolute(Lowering& l, Word w, Precision precision, OpCode code) {
  Shape shape{};
  if (!FloatShape(l, w, precision, &shape)) return;
  const Ref n = Absolute(l, shape, Vn(w));
  EmitShape(l, shape, code, Vd(w), n, Absolute(l, shape, Vm(w)));
}

void Absolute(Lowering& l, Word w, Precision precision, OpCode code) {
  Shape shape{};
  if (!FloatShape(l, w, precision, &shape)) return;
  const Ref difference = l.Temp();
  EmitShape(l, shape, code, difference, Vn(w), Vm(w));
  EmitShape(l, shape, kFAbs, Vd(w), difference);
}

// code(even elements, odd elements) of a and b.
void CombinePairs(Lowering& l, const Shape& shape, OpCode code, Ref dst, Ref a, Ref b) {
  const Ref even = l.Temp();
  const Ref odd = l.Temp();
  EmitShape(l, shape, kVUzp, even, a, b).lane = 0;
  EmitShape(l, shape, kVUzp, odd, a, b).lane = 1;
  EmitShape(l, shape, code, dst, even, odd);
}

void Pairs(Lowering& l, Word w, Precision precision, OpCode code) {
  Shape shape{};
  if (!FloatShape(l, w, precision, &shape)) return;
  CombinePairs(l, shape, code, Vd(w), Vn(w), Vm(w));
}

// Elements 0 and 1.
void OnePair(Lowering& l, Word w, Precision precision, OpCode code) {
  Shape shape{};
  if (!FloatShape(l, w, precision, &shape)) return;
  const Ref second = l.Temp();
  EmitShape(l, shape, kVDupLane, second, Vn(w)).lane = 1;
  EmitShape(l, shape, code, Vd(w), Vn(w), second);
}

// Neighbours first, then what they gave: the order that NaNs and the sign of zero depend on.
void Across(Lowering& l, Word w, Precision precision, OpCode code) {
  const Width width = precision == kHalf ? Width::k16 : Width::k32;
  uint32_t elements = width == Width::k16 ? 4 : 2;
  if (IsWhole(w)) elements *= 2;
  if (elements == 2) return l.Undefined();
  Ref from = Vn(w);
  for (; elements > 2; elements /= 2) {
    const Ref pairs = l.Temp();
    // The lower half of a vector is all there is once it is half a vector long.
    const uint8_t bits = elements * (1u << static_cast<uint32_t>(width)) == 16 ? 0 : ir::kHalf;
    CombinePairs(l, {width, bits}, code, pairs, from, from);
    from = pairs;
  }
  const Ref second = l.Temp();
  EmitShape(l, {width, ir::kScalar}, kVDupLane, second, from).lane = 1;
  EmitShape(l, {width, ir::kScalar}, code, Vd(w), from, second);
}

void Two(Lowering& l, Word w, Precision precision, OpCode code) {
  Shape shape{};
  if (!FloatShape(l, w, precision, &shape)) return;
  EmitShape(l, shape, code, Vd(w), Vn(w));
}

void CompareZero(Lowering& l, Word w, Precision precision, OpCode code, bool swapped) {
  Shape shape{};
  if (!FloatShape(l, w, precision, &shape)) return;
  const Ref zero = l.Temp();
  l.Emit(kVZero, Width::k128, zero);
  EmitShape(l, shape, code, Vd(w), swapped ? zero : Vn(w), swapped ? Vn(w) : zero);
}

void Round(Lowering& l, Word w, Precision precision, Rounding rounding, bool exact = false) {
  Shape shape{};
  if (!FloatShape(l, w, precision, &shape)) return;
  Op& op = EmitShape(l, shape, kFRound, Vd(w), Vn(w));
  op.lane = static_cast<uint8_t>(rounding);
  op.extra = exact;
}

void ToInteger(Lowering& l, Word w, Precision precision, Rounding rounding, uint8_t bits) {
  Shape shape{};
  if (!FloatShape(l, w, precision, &shape)) return;
  shape.bits |= bits;
  EmitShape(l, shape, kFToInt, Vd(w), Vn(w)).lane = static_cast<uint8_t>(rounding);
}

void FromInteger(Lowering& l, Word w, Precision precision, uint8_t bits) {
  Shape shape{};
  if (!FloatShape(l, w, precision, &shape)) return;
  shape.bits |= bits;
  EmitShape(l, shape, kFFromInt, Vd(w), Vn(w));
}

// To and from the next narrower format.
void Narrow(Lowering& l, Word w) {
  Op& op = l.Emit(kFNarrow, w.Bit(22) ? Width::k32 : Width::k16, Vd(w), Vn(w),
                  HalfOf(w) ? Vd(w) : Ref());
  op.lane = HalfOf(w);
}

void NarrowToOdd(Lowering& l, Word w) {
  if (!w.Bit(22)) return l.Undefined();
  const uint8_t bits = static_cast<uint8_t>(IsScalar(w) ? ir::kScalar : 0);
  Op& op = l.EmitBits(bits, kFNarrow, Width::k32, Vd(w), Vn(w), HalfOf(w) ? Vd(w) : Ref());
  op.lane = HalfOf(w);
  op.extra = 1;
}

void Widen(Lowering& l, Word w) {
  l.Emit(kFWiden, w.Bit(22) ? Width::k32 : Width::k16, Vd(w), Vn(w)).lane = HalfOf(w);
}

void Estimate(Lowering& l, Word w, OpCode code) {
  if (w.Bit(22)) return l.Undefined();
  EmitShape(l, {Width::k32, LengthBits(w)}, code, Vd(w), Vn(w));
}

// By element: single and double say by bit 22, and double has one bit of index.
bool ElementShape(Lowering& l, Word w, Precision precision, Shape* to) {
  if (!FloatShape(l, w, precision, to)) return false;
  if (to->width != Width::k64 || !w.Bit(21)) return true;
  l.Undefined();
  return false;
}

void ByElement(Lowering& l, Word w, Precision precision, OpCode code) {
  Shape shape{};
  if (!ElementShape(l, w, precision, &shape)) return;
  EmitShape(l, shape, code, Vd(w), Vn(w), ElementOfM(l, w, shape.width));
}

void MultiplyAddByElement(Lowering& l, Word w, Precision precision, uint8_t negated) {
  Shape shape{};
  if (!ElementShape(l, w, precision, &shape)) return;
  const Ref m = ElementOfM(l, w, shape.width);
  EmitShape(l, shape, kFMulAdd, Vd(w), Vn(w), m, Vd(w)).extra = negated;
}

// FMLAL and its kin: products of half precision onto single precision.
void MultiplyAddLong(Lowering& l, Word w, Ref m, uint8_t upper, bool subtract) {
  Op& op = EmitShape(l, {Width::k32, LengthBits(w)}, kFMulAddWide, Vd(w), Vn(w), m, Vd(w));
  op.lane = upper;
  op.extra = subtract;
}

bool ComplexShape(Lowering& l, Word w, Shape* to) {
  const uint32_t size = w.At(22, 2);
  if (size == 0 || (size == 3 && !IsWhole(w))) {
    l.Undefined();
    return false;
  }
  *to = {static_cast<Width>(size), LengthBits(w)};
  return true;
}

void ComplexAdd(Lowering& l, Word w) {
  Shape shape{};
  if (!ComplexShape(l, w, &shape)) return;
  EmitShape(l, shape, kFComplexAdd, Vd(w), Vn(w), Vm(w)).extra = w.Bit(12) ? 3 : 1;
}

void ComplexMultiplyAdd(Lowering& l, Word w) {
  Shape shape{};
  if (!ComplexShape(l, w, &shape)) return;
  EmitShape(l, shape, kFComplexMulAdd, Vd(w), Vn(w), Vm(w), Vd(w)).extra =
      static_cast<uint8_t>(w.At(11, 2));
}

void ComplexMultiplyAddByElement(Lowering& l, Word w) {
  const uint32_t size = w.At(22, 2);
  const uint32_t high = w.At(11, 1);
  const uint32_t low = w.At(21, 1);
  const bool halves = size == 1 && (IsWhole(w) || high == 0);
  const bool singles = size == 2 && IsWhole(w) && low == 0;
  if (!halves && !singles) return l.Undefined();
  // An element is a pair: one of twice the width.
  const Width width = static_cast<Width>(size);
  const Ref m = l.Temp();
  l.Emit(kVDupLane, Twice(width), m, Vm(w)).lane =
      static_cast<uint8_t>(halves ? high << 1 | low : high);
  EmitShape(l, {width, LengthBits(w)}, kFComplexMulAdd, Vd(w), Vn(w), m, Vd(w)).extra =
      static_cast<uint8_t>(w.At(13, 2));
}

constexpr uint8_t kSigned = ir::kSigned;

}  // namespace

// A row of vectors for single and double, and one for half precision; both again for scalars.
#define DD_LOWER_V(name, function, ...)                    \
  DD_LOWER(name##_v, function(l, w, kBySize, __VA_ARGS__)) \
  DD_LOWER(name##_vh, function(l, w, kHalf, __VA_ARGS__))
#define DD_LOWER_S(name, function, ...)                    \
  DD_LOWER(name##_s, function(l, w, kBySize, __VA_ARGS__)) \
  DD_LOWER(name##_sh, function(l, w, kHalf, __VA_ARGS__))
#define DD_LOWER_VS(name, function, ...)  \
  DD_LOWER_V(name, function, __VA_ARGS__) \
  DD_LOWER_S(name, function, __VA_ARGS__)
// The same for rows by element, and for scalar pairs.
#define DD_LOWER_E(name, function, ...)                     \
  DD_LOWER(name##_ev, function(l, w, kBySize, __VA_ARGS__)) \
  DD_LOWER(name##_evh, function(l, w, kHalf, __VA_ARGS__))  \
  DD_LOWER(name##_es, function(l, w, kBySize, __VA_ARGS__)) \
  DD_LOWER(name##_esh, function(l, w, kHalf, __VA_ARGS__))
#define DD_LOWER_PAIR(name, code)                     \
  DD_LOWER(name##_pair, OnePair(l, w, kBySize, code)) \
  DD_LOWER(name##_pairh, OnePair(l, w, kHalf, code))

DD_LOWER_V(FMAXNM, Three, kFMaxNum)
DD_LOWER_V(FMINNM, Three, kFMinNum)
DD_LOWER_V(FMAX, Three, kFMax)
DD_LOWER_V(FMIN, Three, kFMin)
DD_LOWER_V(FADD, Three, kFAdd)
DD_LOWER_V(FSUB, Three, kFSub)
DD_LOWER_V(FMUL, Three, kFMul)
DD_LOWER_V(FDIV, Three, kFDiv)
DD_LOWER_V(FMLA, MultiplyAdd, 0)
DD_LOWER_V(FMLS, MultiplyAdd, ir::kNegateProduct)
DD_LOWER_VS(FMULX, Three, kFMulExtended)
DD_LOWER_VS(FRECPS, Three, kFRecipStep)
DD_LOWER_VS(FRSQRTS, Three, kFRsqrtStep)
DD_LOWER_VS(FCMEQ, Three, kFCmpEq)
DD_LOWER_VS(FCMGE, Three, kFCmpGe)
DD_LOWER_VS(FCMGT, Three, kFCmpGt)
DD_LOWER_VS(FACGE, CompareAbsolute, kFCmpGe)
DD_LOWER_VS(FACGT, CompareAbsolute, kFCmpGt)
DD_LOWER_VS(FABD, Absolute, kFSub)
DD_LOWER_V(FMAXNMP, Pairs, kFMaxNum)
DD_LOWER_V(FMINNMP, Pairs, kFMinNum)
DD_LOWER_V(FMAXP, Pairs, kFMax)
DD_LOWER_V(FMINP, Pairs, kFMin)
DD_LOWER_V(FADDP, Pairs, kFAdd)
DD_LOWER(FMLAL_v, MultiplyAddLong(l, w, Vm(w), 0, false))
DD_LOWER(FMLSL_v, MultiplyAddLong(l, w, Vm(w), 0, true))
DD_LOWER(FMLAL2_v, MultiplyAddLong(l, w, Vm(w), 1, false))
DD_LOWER(FMLSL2_v, MultiplyAddLong(l, w, Vm(w), 1, true))
DD_LOWER(FCMLA_v, ComplexMultiplyAdd(l, w))
DD_LOWER(FCADD_v, ComplexAdd(l, w))

DD_LOWER(FCVTN_v, Narrow(l, w))
DD_LOWER_BOTH(FCVTXN, NarrowToOdd(l, w))
DD_LOWER(FCVTL_v, Widen(l, w))
DD_LOWER_V(FRINTN, Round, Rounding::kNearestEven)
DD_LOWER_V(FRINTM, Round, Rounding::kDown)
DD_LOWER_V(FRINTP, Round, Rounding::kUp)
DD_LOWER_V(FRINTZ, Round, Rounding::kZero)
DD_LOWER_V(FRINTA, Round, Rounding::kNearestAway)
DD_LOWER_V(FRINTX, Round, Rounding::kControl, true)
DD_LOWER_V(FRINTI, Round, Rounding::kControl)
DD_LOWER_VS(FCVTNS, ToInteger, Rounding::kNearestEven, kSigned)
DD_LOWER_VS(FCVTNU, ToInteger, Rounding::kNearestEven, 0)
DD_LOWER_VS(FCVTMS, ToInteger, Rounding::kDown, kSigned)
DD_LOWER_VS(FCVTMU, ToInteger, Rounding::kDown, 0)
DD_LOWER_VS(FCVTPS, ToInteger, Rounding::kUp, kSigned)
DD_LOWER_VS(FCVTPU, ToInteger, Rounding::kUp, 0)
DD_LOWER_VS(FCVTZS, ToInteger, Rounding::kZero, kSigned)
DD_LOWER_VS(FCVTZU, ToInteger, Rounding::kZero, 0)
DD_LOWER_VS(FCVTAS, ToInteger, Rounding::kNearestAway, kSigned)
DD_LOWER_VS(FCVTAU, ToInteger, Rounding::kNearestAway, 0)
DD_LOWER_VS(SCVTF, FromInteger, kSigned)
DD_LOWER_VS(UCVTF, FromInteger, 0)
DD_LOWER_VS(FCMGT_zero, CompareZero, kFCmpGt, false)
DD_LOWER_VS(FCMGE_zero, CompareZero, kFCmpGe, false)
DD_LOWER_VS(FCMEQ_zero, CompareZero, kFCmpEq, false)
DD_LOWER_VS(FCMLE_zero, CompareZero, kFCmpGe, true)
DD_LOWER_VS(FCMLT_zero, CompareZero, kFCmpGt, true)
DD_LOWER_V(FABS, Two, kFAbs)
DD_LOWER_V(FNEG, Two, kFNeg)
DD_LOWER_V(FSQRT, Two, kFSqrt)
DD_LOWER_VS(FRECPE, Two, kFRecipEstimate)
DD_LOWER_VS(FRSQRTE, Two, kFRsqrtEstimate)
DD_LOWER_S(FRECPX, Two, kFRecipExponent)
DD_LOWER(URECPE_v, Estimate(l, w, kVRecipEstimate))
DD_LOWER(URSQRTE_v, Estimate(l, w, kVRsqrtEstimate))

DD_LOWER_V(FMAXNMV, Across, kFMaxNum)
DD_LOWER_V(FMINNMV, Across, kFMinNum)
DD_LOWER_V(FMAXV, Across, kFMax)
DD_LOWER_V(FMINV, Across, kFMin)
DD_LOWER_PAIR(FMAXNMP, kFMaxNum)
DD_LOWER_PAIR(FMINNMP, kFMinNum)
DD_LOWER_PAIR(FMAXP, kFMax)
DD_LOWER_PAIR(FMINP, kFMin)
DD_LOWER_PAIR(FADDP, kFAdd)

DD_LOWER_E(FMLA, MultiplyAddByElement, 0)
DD_LOWER_E(FMLS, MultiplyAddByElement, ir::kNegateProduct)
DD_LOWER_E(FMUL, ByElement, kFMul)
DD_LOWER_E(FMULX, ByElement, kFMulExtended)
DD_LOWER(FMLAL_ev, MultiplyAddLong(l, w, ElementOfM(l, w, Width::k16), 0, false))
DD_LOWER(FMLSL_ev, MultiplyAddLong(l, w, ElementOfM(l, w, Width::k16), 0, true))
DD_LOWER(FMLAL2_ev, MultiplyAddLong(l, w, ElementOfM(l, w, Width::k16), 1, false))
DD_LOWER(FMLSL2_ev, MultiplyAddLong(l, w, ElementOfM(l, w, Width::k16), 1, true))
DD_LOWER(FCMLA_ev, ComplexMultiplyAddByElement(l, w))

}  // namespace dd::lower::a64
