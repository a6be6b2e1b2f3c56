// Vector shifts by a constant.
#include "guest/lower/a64/vector.h"

namespace dd::lower::a64 {

using enum ir::OpCode;

namespace {

constexpr uint8_t kSigned = ir::kSigned;
constexpr uint8_t kRounding = 1;

// Bits 22..16: the highest one set is the size of the elements, the rest the distance.
struct Distance {
  Width width;
  int64_t left;
  int64_t right;
};

Distance DistanceOf(Word w) {
  const uint32_t fields = w.At(16, 7);
  const uint32_t size = 31 - static_cast<uint32_t>(std::countl_zero(fields >> 3));
  const int64_t bits = int64_t{8} << size;
  return {static_cast<Width>(size), fields - bits, 2 * bits - fields};
}

bool ShiftShape(Lowering& l, Word w, uint32_t scalar_sizes, Distance* distance, Shape* shape) {
  *distance = DistanceOf(w);
  const uint32_t size = static_cast<uint32_t>(distance->width);
  const bool exists =
      IsScalar(w) ? (scalar_sizes >> size & 1) != 0 : distance->width != Width::k64 || IsWhole(w);
  if (!exists) {
    l.Undefined();
    return false;
  }
  *shape = {distance->width, LengthBits(w)};
  return true;
}

constexpr uint32_t kAll = kB | kH | kS | kD;

void Left(Lowering& l, Word w, OpCode code, uint8_t bits, uint32_t scalar_sizes) {
  Distance distance{};
  Shape shape{};
  if (!ShiftShape(l, w, scalar_sizes, &distance, &shape)) return;
  shape.bits |= bits;
  EmitShape(l, shape, code, Vd(w), Vn(w)).imm = distance.left;
}

// Right; what comes out is added to d when the instruction accumulates.
void Right(Lowering& l, Word w, uint8_t bits, uint8_t rounding, bool accumulate) {
  Distance distance{};
  Shape shape{};
  if (!ShiftShape(l, w, kD, &distance, &shape)) return;
  const Ref shifted = accumulate ? l.Temp() : Vd(w);
  Op& op =
      EmitShape(l, {shape.width, static_cast<uint8_t>(shape.bits | bits)}, kVShr, shifted, Vn(w));
  op.imm = distance.right;
  op.extra = rounding;
  if (accumulate) EmitShape(l, shape, kVAdd, Vd(w), Vd(w), shifted);
}

void Insert(Lowering& l, Word w, OpCode code) {
  Distance distance{};
  Shape shape{};
  if (!ShiftShape(l, w, kD, &distance, &shape)) return;
  EmitShape(l, shape, code, Vd(w), Vd(w), Vn(w)).imm =
      code == kVShlInsert ? distance.left : distance.right;
}

void Narrow(Lowering& l, Word w, OpCode code, uint8_t bits, uint8_t rounding) {
  const Distance distance = DistanceOf(w);
  if (distance.width == Width::k64) return l.Undefined();
  if (IsScalar(w)) bits |= ir::kScalar;
  Op& op = l.EmitBits(bits, code, distance.width, Vd(w), Vn(w), HalfOf(w) ? Vd(w) : Ref());
  op.lane = HalfOf(w);
  op.imm = distance.right;
  op.extra = rounding;
}

void Widen(Lowering& l, Word w, uint8_t bits) {
  const Distance distance = DistanceOf(w);
  if (distance.width == Width::k64) return l.Undefined();
  const Ref wide = distance.left == 0 ? Vd(w) : l.Temp();
  l.EmitBits(bits, kVWiden, distance.width, wide, Vn(w)).lane = HalfOf(w);
  if (distance.left != 0) l.Emit(kVShl, Twice(distance.width), Vd(w), wide).imm = distance.left;
}

// Conversions with as many fraction bits as a shift to the right would have.
bool FixedShape(Lowering& l, Word w, Distance* distance, Shape* shape) {
  if (!ShiftShape(l, w, kAll, distance, shape)) return false;
  if (shape->width != Width::k8) return true;
  l.Undefined();
  return false;
}

void FromFixed(Lowering& l, Word w, uint8_t bits) {
  Distance distance{};
  Shape shape{};
  if (!FixedShape(l, w, &distance, &shape)) return;
  shape.bits |= bits;
  EmitShape(l, shape, kFFromInt, Vd(w), Vn(w)).imm = distance.right;
}

void ToFixed(Lowering& l, Word w, uint8_t bits) {
  Distance distance{};
  Shape shape{};
  if (!FixedShape(l, w, &distance, &shape)) return;
  shape.bits |= bits;
  Op& op = EmitShape(l, shape, kFToInt, Vd(w), Vn(w));
  op.imm = distance.right;
  op.lane = static_cast<uint8_t>(ir::Rounding::kZero);
}

}  // namespace

#define DD_LOWER_SHIFT(name, ...)  \
  DD_LOWER(name##_iv, __VA_ARGS__) \
  DD_LOWER(name##_is, __VA_ARGS__)

DD_LOWER_SHIFT(SSHR, Right(l, w, kSigned, 0, false))
DD_LOWER_SHIFT(USHR, Right(l, w, 0, 0, false))
DD_LOWER_SHIFT(SSRA, Right(l, w, kSigned, 0, true))
DD_LOWER_SHIFT(USRA, Right(l, w, 0, 0, true))
DD_LOWER_SHIFT(SRSHR, Right(l, w, kSigned, kRounding, false))
DD_LOWER_SHIFT(URSHR, Right(l, w, 0, kRounding, false))
DD_LOWER_SHIFT(SRSRA, Right(l, w, kSigned, kRounding, true))
DD_LOWER_SHIFT(URSRA, Right(l, w, 0, kRounding, true))
DD_LOWER_SHIFT(SHL, Left(l, w, kVShl, 0, kD))
DD_LOWER_SHIFT(SQSHL, Left(l, w, kVShlSat, kSigned, kAll))
DD_LOWER_SHIFT(UQSHL, Left(l, w, kVShlSat, 0, kAll))
DD_LOWER_SHIFT(SQSHLU, Left(l, w, kVShlSatUnsigned, 0, kAll))
DD_LOWER_SHIFT(SLI, Insert(l, w, kVShlInsert))
DD_LOWER_SHIFT(SRI, Insert(l, w, kVShrInsert))
DD_LOWER(SHRN_iv, Narrow(l, w, kVNarrow, 0, 0))
DD_LOWER(RSHRN_iv, Narrow(l, w, kVNarrow, 0, kRounding))
DD_LOWER_SHIFT(SQSHRN, Narrow(l, w, kVNarrowSat, kSigned, 0))
DD_LOWER_SHIFT(SQRSHRN, Narrow(l, w, kVNarrowSat, kSigned, kRounding))
DD_LOWER_SHIFT(UQSHRN, Narrow(l, w, kVNarrowSat, 0, 0))
DD_LOWER_SHIFT(UQRSHRN, Narrow(l, w, kVNarrowSat, 0, kRounding))
DD_LOWER_SHIFT(SQSHRUN, Narrow(l, w, kVNarrowSatUnsigned, 0, 0))
DD_LOWER_SHIFT(SQRSHRUN, Narrow(l, w, kVNarrowSatUnsigned, 0, kRounding))
DD_LOWER(SSHLL_iv, Widen(l, w, kSigned))
DD_LOWER(USHLL_iv, Widen(l, w, 0))
DD_LOWER_SHIFT(SCVTF, FromFixed(l, w, kSigned))
DD_LOWER_SHIFT(UCVTF, FromFixed(l, w, 0))
DD_LOWER_SHIFT(FCVTZS, ToFixed(l, w, kSigned))
DD_LOWER_SHIFT(FCVTZU, ToFixed(l, w, 0))

}  // namespace dd::lower::a64
