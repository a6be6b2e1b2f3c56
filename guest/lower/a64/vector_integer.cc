// Vector integer arithmetic of registers.
#include "guest/lower/a64/vector.h"

namespace dd::lower::a64 {

using enum ir::OpCode;

namespace {

constexpr uint8_t kSigned = ir::kSigned;
constexpr uint32_t kBhs = kB | kH | kS;
constexpr uint32_t kHs = kH | kS;
constexpr uint32_t kAll = kB | kH | kS | kD;
constexpr uint8_t kRounding = 1;
constexpr uint8_t kSaturating = 2;

// What the scalar forms of instructions that saturate have, and what those of the others have.
uint32_t SizesOf(Word w, uint32_t scalar) { return IsScalar(w) ? scalar : kAll; }

void Three(Lowering& l, Word w, OpCode code, uint8_t bits, uint32_t sizes, uint8_t extra = 0) {
  Shape shape{};
  if (!IntegerShape(l, w, sizes, &shape)) return;
  shape.bits |= bits;
  EmitShape(l, shape, code, Vd(w), Vn(w), Vm(w)).extra = extra;
}

// d = accumulate(d, code(n, m)).
void ThreeOnto(Lowering& l, Word w, OpCode code, uint8_t bits, OpCode accumulate) {
  Shape shape{};
  if (!IntegerShape(l, w, kBhs, &shape)) return;
  const Ref value = l.Temp();
  EmitShape(l, {shape.width, static_cast<uint8_t>(shape.bits | bits)}, code, value, Vn(w), Vm(w));
  EmitShape(l, shape, accumulate, Vd(w), Vd(w), value);
}

void MultiplyAddHigh(Lowering& l, Word w, bool subtract) {
  Shape shape{};
  if (!IntegerShape(l, w, kHs, &shape)) return;
  EmitShape(l, shape, kVSatDoubleMulAddHigh, Vd(w), Vn(w), Vm(w), Vd(w)).extra = subtract;
}

void Dot(Lowering& l, Word w, uint8_t bits) {
  EmitShape(l, {Width::k32, static_cast<uint8_t>(LengthBits(w) | bits)}, kVDot, Vd(w), Vn(w), Vm(w),
            Vd(w));
}

// A temporary with half of v's elements, twice as wide.
Ref Widened(Lowering& l, Word w, const Shape& shape, uint8_t bits, Ref v) {
  const Ref wide = l.Temp();
  l.EmitBits(bits, kVWiden, shape.width, wide, v).lane = HalfOf(w);
  return wide;
}

void Long(Lowering& l, Word w, OpCode code, uint8_t bits, bool first_is_wide = false) {
  Shape shape{};
  if (!IntegerShape(l, w, kBhs, &shape)) return;
  const Ref n = first_is_wide ? Vn(w) : Widened(l, w, shape, bits, Vn(w));
  const Ref m = Widened(l, w, shape, bits, Vm(w));
  l.Emit(code, Twice(shape.width), Vd(w), n, m);
}

void LongDifference(Lowering& l, Word w, uint8_t bits, bool accumulate) {
  Shape shape{};
  if (!IntegerShape(l, w, kBhs, &shape)) return;
  const Width wide = Twice(shape.width);
  const Ref n = Widened(l, w, shape, bits, Vn(w));
  const Ref m = Widened(l, w, shape, bits, Vm(w));
  const Ref difference = accumulate ? l.Temp() : Vd(w);
  l.EmitBits(bits, kVAbsDiff, wide, difference, n, m);
  if (accumulate) l.Emit(kVAdd, wide, Vd(w), Vd(w), difference);
}

// The upper halves of sums or differences.
void NarrowHigh(Lowering& l, Word w, OpCode code, uint8_t rounding) {
  Shape shape{};
  if (!IntegerShape(l, w, kBhs, &shape)) return;
  const Ref sum = l.Temp();
  l.Emit(code, Twice(shape.width), sum, Vn(w), Vm(w));
  Op& op = l.Emit(kVNarrow, shape.width, Vd(w), sum, HalfOf(w) ? Vd(w) : Ref());
  op.lane = HalfOf(w);
  op.imm = BitsOf(shape.width);
  op.extra = rounding;
}

// The product, twice as wide, added to (or subtracted from) d when there is an `accumulate`.
void LongProduct(Lowering& l, Word w, OpCode code, uint8_t bits, uint32_t sizes, Ref m,
                 OpCode accumulate = kVMov, uint8_t accumulate_bits = 0) {
  Shape shape{};
  if (!IntegerShape(l, w, sizes, &shape)) return;
  const uint8_t scalar = shape.bits & ir::kScalar;
  const Ref product = accumulate == kVMov ? Vd(w) : l.Temp();
  l.EmitBits(static_cast<uint8_t>(bits | scalar), code, shape.width, product, Vn(w), m).lane =
      HalfOf(w);
  if (accumulate == kVMov) return;
  l.EmitBits(static_cast<uint8_t>(accumulate_bits | scalar), accumulate, Twice(shape.width), Vd(w),
             Vd(w), product);
}

void Two(Lowering& l, Word w, OpCode code, uint8_t bits, uint32_t sizes, uint8_t extra = 0) {
  Shape shape{};
  if (!IntegerShape(l, w, sizes, &shape)) return;
  shape.bits |= bits;
  EmitShape(l, shape, code, Vd(w), Vn(w)).extra = extra;
}

void AccumulateSaturated(Lowering& l, Word w, uint8_t bits) {
  Shape shape{};
  if (!IntegerShape(l, w, kAll, &shape)) return;
  shape.bits |= bits;
  EmitShape(l, shape, kVAddSatMixed, Vd(w), Vd(w), Vn(w));
}

void PairsLong(Lowering& l, Word w, uint8_t bits, bool accumulate) {
  Shape shape{};
  if (!IntegerShape(l, w, kBhs, &shape)) return;
  const Ref sums = accumulate ? l.Temp() : Vd(w);
  EmitShape(l, {shape.width, static_cast<uint8_t>(shape.bits | bits)}, kVAddWidenPair, sums, Vn(w));
  if (accumulate) EmitShape(l, {Twice(shape.width), shape.bits}, kVAdd, Vd(w), Vd(w), sums);
}

// Comparison with 0; `swapped`: 0 is the first operand.
void CompareZero(Lowering& l, Word w, OpCode code, bool swapped) {
  Shape shape{};
  if (!IntegerShape(l, w, SizesOf(w, kD), &shape)) return;
  const Ref zero = l.Temp();
  l.Emit(kVZero, Width::k128, zero);
  shape.bits |= kSigned;
  EmitShape(l, shape, code, Vd(w), swapped ? zero : Vn(w), swapped ? Vn(w) : zero);
}

void Narrow(Lowering& l, Word w, OpCode code, uint8_t bits) {
  Shape shape{};
  const uint32_t size = w.At(22, 2);
  if (size == 3) return l.Undefined();
  shape = {static_cast<Width>(size), static_cast<uint8_t>((LengthBits(w) & ir::kScalar) | bits)};
  EmitShape(l, shape, code, Vd(w), Vn(w), HalfOf(w) ? Vd(w) : Ref()).lane = HalfOf(w);
}

void ShiftLong(Lowering& l, Word w) {
  const uint32_t size = w.At(22, 2);
  if (size == 3) return l.Undefined();
  const Width width = static_cast<Width>(size);
  const Ref wide = Widened(l, w, {width, 0}, 0, Vn(w));
  l.Emit(kVShl, Twice(width), Vd(w), wide).imm = BitsOf(width);
}

void Across(Lowering& l, Word w, OpCode code, uint8_t bits) {
  Shape shape{};
  if (!IntegerShape(l, w, kBhs, &shape)) return;
  if (shape.width == Width::k32 && !IsWhole(w)) return l.Undefined();
  shape.bits |= bits;
  EmitShape(l, shape, code, Vd(w), Vn(w));
}

void AddPair(Lowering& l, Word w) {
  if (w.At(22, 2) != 3) return l.Undefined();
  l.Emit(kVAddAcross, Width::k64, Vd(w), Vn(w));
}

void ByElement(Lowering& l, Word w, OpCode code, uint8_t extra = 0) {
  Shape shape{};
  if (!IntegerShape(l, w, kHs, &shape)) return;
  EmitShape(l, shape, code, Vd(w), Vn(w), ElementOfM(l, w, shape.width)).extra = extra;
}

void ByElementOnto(Lowering& l, Word w, OpCode accumulate) {
  Shape shape{};
  if (!IntegerShape(l, w, kHs, &shape)) return;
  const Ref product = l.Temp();
  EmitShape(l, shape, kVMul, product, Vn(w), ElementOfM(l, w, shape.width));
  EmitShape(l, shape, accumulate, Vd(w), Vd(w), product);
}

void ByElementHigh(Lowering& l, Word w, bool subtract) {
  Shape shape{};
  if (!IntegerShape(l, w, kHs, &shape)) return;
  const Ref m = ElementOfM(l, w, shape.width);
  EmitShape(l, shape, kVSatDoubleMulAddHigh, Vd(w), Vn(w), m, Vd(w)).extra = subtract;
}

void ByElementLong(Lowering& l, Word w, OpCode code, uint8_t bits, OpCode accumulate = kVMov,
                   uint8_t accumulate_bits = 0) {
  const uint32_t size = w.At(22, 2);
  if (size != 1 && size != 2) return l.Undefined();
  const Ref m = ElementOfM(l, w, static_cast<Width>(size));
  LongProduct(l, w, code, bits, kHs, m, accumulate, accumulate_bits);
}

void DotByElement(Lowering& l, Word w, uint8_t bits) {
  const Ref m = ElementOfM(l, w, Width::k32);
  EmitShape(l, {Width::k32, static_cast<uint8_t>(LengthBits(w) | bits)}, kVDot, Vd(w), Vn(w), m,
            Vd(w));
}

constexpr uint8_t k16 = static_cast<uint8_t>(Width::k16);
constexpr uint8_t k32 = static_cast<uint8_t>(Width::k32);
constexpr uint8_t k64 = static_cast<uint8_t>(Width::k64);

}  // namespace

DD_LOWER(SHADD_v, Three(l, w, kVHalvingAdd, kSigned, kBhs))
DD_LOWER(UHADD_v, Three(l, w, kVHalvingAdd, 0, kBhs))
DD_LOWER(SRHADD_v, Three(l, w, kVHalvingAdd, kSigned, kBhs, kRounding))
DD_LOWER(URHADD_v, Three(l, w, kVHalvingAdd, 0, kBhs, kRounding))
DD_LOWER(SHSUB_v, Three(l, w, kVHalvingSub, kSigned, kBhs))
DD_LOWER(UHSUB_v, Three(l, w, kVHalvingSub, 0, kBhs))
DD_LOWER_BOTH(SQADD, Three(l, w, kVAddSat, kSigned, kAll))
DD_LOWER_BOTH(UQADD, Three(l, w, kVAddSat, 0, kAll))
DD_LOWER_BOTH(SQSUB, Three(l, w, kVSubSat, kSigned, kAll))
DD_LOWER_BOTH(UQSUB, Three(l, w, kVSubSat, 0, kAll))
DD_LOWER_BOTH(CMGT, Three(l, w, kVCmpGt, kSigned, SizesOf(w, kD)))
DD_LOWER_BOTH(CMHI, Three(l, w, kVCmpGt, 0, SizesOf(w, kD)))
DD_LOWER_BOTH(CMGE, Three(l, w, kVCmpGe, kSigned, SizesOf(w, kD)))
DD_LOWER_BOTH(CMHS, Three(l, w, kVCmpGe, 0, SizesOf(w, kD)))
DD_LOWER_BOTH(CMEQ, Three(l, w, kVCmpEq, 0, SizesOf(w, kD)))
DD_LOWER_BOTH(CMTST, Three(l, w, kVCmpTest, 0, SizesOf(w, kD)))
DD_LOWER_BOTH(SSHL, Three(l, w, kVShiftVar, kSigned, SizesOf(w, kD)))
DD_LOWER_BOTH(USHL, Three(l, w, kVShiftVar, 0, SizesOf(w, kD)))
DD_LOWER_BOTH(SRSHL, Three(l, w, kVShiftVar, kSigned, SizesOf(w, kD), kRounding))
DD_LOWER_BOTH(URSHL, Three(l, w, kVShiftVar, 0, SizesOf(w, kD), kRounding))
DD_LOWER_BOTH(SQSHL, Three(l, w, kVShiftVar, kSigned, kAll, kSaturating))
DD_LOWER_BOTH(UQSHL, Three(l, w, kVShiftVar, 0, kAll, kSaturating))
DD_LOWER_BOTH(SQRSHL, Three(l, w, kVShiftVar, kSigned, kAll, kRounding | kSaturating))
DD_LOWER_BOTH(UQRSHL, Three(l, w, kVShiftVar, 0, kAll, kRounding | kSaturating))
DD_LOWER(SMAX_v, Three(l, w, kVMax, kSigned, kBhs))
DD_LOWER(UMAX_v, Three(l, w, kVMax, 0, kBhs))
DD_LOWER(SMIN_v, Three(l, w, kVMin, kSigned, kBhs))
DD_LOWER(UMIN_v, Three(l, w, kVMin, 0, kBhs))
DD_LOWER(SABD_v, Three(l, w, kVAbsDiff, kSigned, kBhs))
DD_LOWER(UABD_v, Three(l, w, kVAbsDiff, 0, kBhs))
DD_LOWER(SABA_v, ThreeOnto(l, w, kVAbsDiff, kSigned, kVAdd))
DD_LOWER(UABA_v, ThreeOnto(l, w, kVAbsDiff, 0, kVAdd))
DD_LOWER_BOTH(ADD, Three(l, w, kVAdd, 0, SizesOf(w, kD)))
DD_LOWER_BOTH(SUB, Three(l, w, kVSub, 0, SizesOf(w, kD)))
DD_LOWER(MUL_v, Three(l, w, kVMul, 0, kBhs))
DD_LOWER(MLA_v, ThreeOnto(l, w, kVMul, 0, kVAdd))
DD_LOWER(MLS_v, ThreeOnto(l, w, kVMul, 0, kVSub))
DD_LOWER(PMUL_v, Three(l, w, kVPolyMul, 0, kB))
DD_LOWER(SMAXP_v, Three(l, w, kVMaxPair, kSigned, kBhs))
DD_LOWER(UMAXP_v, Three(l, w, kVMaxPair, 0, kBhs))
DD_LOWER(SMINP_v, Three(l, w, kVMinPair, kSigned, kBhs))
DD_LOWER(UMINP_v, Three(l, w, kVMinPair, 0, kBhs))
DD_LOWER(ADDP_v, Three(l, w, kVAddPair, 0, kAll))
DD_LOWER_BOTH(SQDMULH, Three(l, w, kVSatDoubleMulHigh, 0, kHs))
DD_LOWER_BOTH(SQRDMULH, Three(l, w, kVSatDoubleMulHigh, 0, kHs, kRounding))
DD_LOWER_BOTH(SQRDMLAH, MultiplyAddHigh(l, w, false))
DD_LOWER_BOTH(SQRDMLSH, MultiplyAddHigh(l, w, true))
DD_LOWER(SDOT_v, Dot(l, w, kSigned))
DD_LOWER(UDOT_v, Dot(l, w, 0))

DD_LOWER(SADDL_v, Long(l, w, kVAdd, kSigned))
DD_LOWER(UADDL_v, Long(l, w, kVAdd, 0))
DD_LOWER(SADDW_v, Long(l, w, kVAdd, kSigned, true))
DD_LOWER(UADDW_v, Long(l, w, kVAdd, 0, true))
DD_LOWER(SSUBL_v, Long(l, w, kVSub, kSigned))
DD_LOWER(USUBL_v, Long(l, w, kVSub, 0))
DD_LOWER(SSUBW_v, Long(l, w, kVSub, kSigned, true))
DD_LOWER(USUBW_v, Long(l, w, kVSub, 0, true))
DD_LOWER(ADDHN_v, NarrowHigh(l, w, kVAdd, 0))
DD_LOWER(RADDHN_v, NarrowHigh(l, w, kVAdd, kRounding))
DD_LOWER(SUBHN_v, NarrowHigh(l, w, kVSub, 0))
DD_LOWER(RSUBHN_v, NarrowHigh(l, w, kVSub, kRounding))
DD_LOWER(SABAL_v, LongDifference(l, w, kSigned, true))
DD_LOWER(UABAL_v, LongDifference(l, w, 0, true))
DD_LOWER(SABDL_v, LongDifference(l, w, kSigned, false))
DD_LOWER(UABDL_v, LongDifference(l, w, 0, false))
DD_LOWER(SMULL_v, LongProduct(l, w, kVMulWide, kSigned, kBhs, Vm(w)))
DD_LOWER(UMULL_v, LongProduct(l, w, kVMulWide, 0, kBhs, Vm(w)))
DD_LOWER(SMLAL_v, LongProduct(l, w, kVMulWide, kSigned, kBhs, Vm(w), kVAdd))
DD_LOWER(UMLAL_v, LongProduct(l, w, kVMulWide, 0, kBhs, Vm(w), kVAdd))
DD_LOWER(SMLSL_v, LongProduct(l, w, kVMulWide, kSigned, kBhs, Vm(w), kVSub))
DD_LOWER(UMLSL_v, LongProduct(l, w, kVMulWide, 0, kBhs, Vm(w), kVSub))
DD_LOWER_BOTH(SQDMULL, LongProduct(l, w, kVSatDoubleMulWide, 0, kHs, Vm(w)))
DD_LOWER_BOTH(SQDMLAL, LongProduct(l, w, kVSatDoubleMulWide, 0, kHs, Vm(w), kVAddSat, kSigned))
DD_LOWER_BOTH(SQDMLSL, LongProduct(l, w, kVSatDoubleMulWide, 0, kHs, Vm(w), kVSubSat, kSigned))

DD_LOWER(REV64_v, Two(l, w, kVReverse, 0, kBhs, k64))
DD_LOWER(REV32_v, Two(l, w, kVReverse, 0, kB | kH, k32))
DD_LOWER(REV16_v, Two(l, w, kVReverse, 0, kB, k16))
DD_LOWER(SADDLP_v, PairsLong(l, w, kSigned, false))
DD_LOWER(UADDLP_v, PairsLong(l, w, 0, false))
DD_LOWER(SADALP_v, PairsLong(l, w, kSigned, true))
DD_LOWER(UADALP_v, PairsLong(l, w, 0, true))
DD_LOWER_BOTH(SUQADD, AccumulateSaturated(l, w, kSigned))
DD_LOWER_BOTH(USQADD, AccumulateSaturated(l, w, 0))
DD_LOWER(CLS_v, Two(l, w, kVCls, 0, kBhs))
DD_LOWER(CLZ_v, Two(l, w, kVClz, 0, kBhs))
DD_LOWER(CNT_v, Two(l, w, kVPopcount, 0, kB))
DD_LOWER_BOTH(SQABS, Two(l, w, kVAbsSat, 0, kAll))
DD_LOWER_BOTH(SQNEG, Two(l, w, kVNegSat, 0, kAll))
DD_LOWER_BOTH(CMGT_zero, CompareZero(l, w, kVCmpGt, false))
DD_LOWER_BOTH(CMGE_zero, CompareZero(l, w, kVCmpGe, false))
DD_LOWER_BOTH(CMEQ_zero, CompareZero(l, w, kVCmpEq, false))
DD_LOWER_BOTH(CMLE_zero, CompareZero(l, w, kVCmpGe, true))
DD_LOWER_BOTH(CMLT_zero, CompareZero(l, w, kVCmpGt, true))
DD_LOWER_BOTH(ABS, Two(l, w, kVAbs, 0, SizesOf(w, kD)))
DD_LOWER_BOTH(NEG, Two(l, w, kVNeg, 0, SizesOf(w, kD)))
DD_LOWER(XTN_v, Narrow(l, w, kVNarrow, 0))
DD_LOWER_BOTH(SQXTN, Narrow(l, w, kVNarrowSat, kSigned))
DD_LOWER_BOTH(UQXTN, Narrow(l, w, kVNarrowSat, 0))
DD_LOWER_BOTH(SQXTUN, Narrow(l, w, kVNarrowSatUnsigned, 0))
DD_LOWER(SHLL_v, ShiftLong(l, w))

DD_LOWER(SADDLV, Across(l, w, kVAddWidenAcross, kSigned))
DD_LOWER(UADDLV, Across(l, w, kVAddWidenAcross, 0))
DD_LOWER(SMAXV, Across(l, w, kVMaxAcross, kSigned))
DD_LOWER(UMAXV, Across(l, w, kVMaxAcross, 0))
DD_LOWER(SMINV, Across(l, w, kVMinAcross, kSigned))
DD_LOWER(UMINV, Across(l, w, kVMinAcross, 0))
DD_LOWER(ADDV, Across(l, w, kVAddAcross, 0))
DD_LOWER(ADDP_pair, AddPair(l, w))

DD_LOWER(MUL_ev, ByElement(l, w, kVMul))
DD_LOWER(MLA_ev, ByElementOnto(l, w, kVAdd))
DD_LOWER(MLS_ev, ByElementOnto(l, w, kVSub))
DD_LOWER(SMULL_ev, ByElementLong(l, w, kVMulWide, kSigned))
DD_LOWER(UMULL_ev, ByElementLong(l, w, kVMulWide, 0))
DD_LOWER(SMLAL_ev, ByElementLong(l, w, kVMulWide, kSigned, kVAdd))
DD_LOWER(UMLAL_ev, ByElementLong(l, w, kVMulWide, 0, kVAdd))
DD_LOWER(SMLSL_ev, ByElementLong(l, w, kVMulWide, kSigned, kVSub))
DD_LOWER(UMLSL_ev, ByElementLong(l, w, kVMulWide, 0, kVSub))
DD_LOWER(SQDMULL_ev, ByElementLong(l, w, kVSatDoubleMulWide, 0))
DD_LOWER(SQDMULL_es, ByElementLong(l, w, kVSatDoubleMulWide, 0))
DD_LOWER(SQDMLAL_ev, ByElementLong(l, w, kVSatDoubleMulWide, 0, kVAddSat, kSigned))
DD_LOWER(SQDMLAL_es, ByElementLong(l, w, kVSatDoubleMulWide, 0, kVAddSat, kSigned))
DD_LOWER(SQDMLSL_ev, ByElementLong(l, w, kVSatDoubleMulWide, 0, kVSubSat, kSigned))
DD_LOWER(SQDMLSL_es, ByElementLong(l, w, kVSatDoubleMulWide, 0, kVSubSat, kSigned))
DD_LOWER(SQDMULH_ev, ByElement(l, w, kVSatDoubleMulHigh))
DD_LOWER(SQDMULH_es, ByElement(l, w, kVSatDoubleMulHigh))
DD_LOWER(SQRDMULH_ev, ByElement(l, w, kVSatDoubleMulHigh, kRounding))
DD_LOWER(SQRDMULH_es, ByElement(l, w, kVSatDoubleMulHigh, kRounding))
DD_LOWER(SQRDMLAH_ev, ByElementHigh(l, w, false))
DD_LOWER(SQRDMLAH_es, ByElementHigh(l, w, false))
DD_LOWER(SQRDMLSH_ev, ByElementHigh(l, w, true))
DD_LOWER(SQRDMLSH_es, ByElementHigh(l, w, true))
DD_LOWER(SDOT_ev, DotByElement(l, w, kSigned))
DD_LOWER(UDOT_ev, DotByElement(l, w, 0))

}  // namespace dd::lower::a64
