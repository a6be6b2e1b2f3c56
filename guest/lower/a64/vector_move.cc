// Copies between registers and elements, constants, permutations, bitwise logic.
#include "guest/lower/a64/vector.h"

namespace dd::lower::a64 {

using enum ir::OpCode;

namespace {

// Bits 20..16: the lowest one set is the size of an element, the rest its index.
struct ElementField {
  Width width;
  uint8_t index;
};

bool ReadElement(Lowering& l, Word w, ElementField* to) {
  const uint32_t field = w.At(16, 5);
  const uint32_t size = static_cast<uint32_t>(std::countr_zero(field | 0x20));
  if (size > 3) {
    l.Undefined();
    return false;
  }
  *to = {static_cast<Width>(size), static_cast<uint8_t>(field >> (size + 1))};
  return true;
}

void DuplicateElement(Lowering& l, Word w) {
  ElementField e{};
  if (!ReadElement(l, w, &e)) return;
  if (e.width == Width::k64 && !IsScalar(w) && !IsWhole(w)) return l.Undefined();
  l.EmitBits(LengthBits(w), kVDupLane, e.width, Vd(w), Vn(w)).lane = e.index;
}

void DuplicateGeneral(Lowering& l, Word w) {
  ElementField e{};
  if (!ReadElement(l, w, &e)) return;
  if (e.width == Width::k64 && !IsWhole(w)) return l.Undefined();
  const Ref n = l.X(w.rn());
  l.EmitBits(LengthBits(w), kVDup, e.width, Vd(w), n);
}

void InsertGeneral(Lowering& l, Word w) {
  ElementField e{};
  if (!ReadElement(l, w, &e)) return;
  const Ref n = l.X(w.rn());
  l.Emit(kVInsert, e.width, Vd(w), Vd(w), n).lane = e.index;
}

void InsertElement(Lowering& l, Word w) {
  ElementField e{};
  if (!ReadElement(l, w, &e)) return;
  Op& op = l.Emit(kVInsertLane, e.width, Vd(w), Vd(w), Vn(w));
  op.lane = e.index;
  op.extra = static_cast<uint8_t>(w.At(11, 4) >> static_cast<uint32_t>(e.width));
}

void MoveSigned(Lowering& l, Word w) {
  ElementField e{};
  if (!ReadElement(l, w, &e)) return;
  const Width to = IsWhole(w) ? Width::k64 : Width::k32;
  if (e.width >= to) return l.Undefined();
  if (w.rd() == kThirtyOne) return;
  Op& op = l.EmitBits(ir::kSigned, kVExtract, e.width, Ref::G(w.rd()), Vn(w));
  op.lane = e.index;
  op.extra = static_cast<uint8_t>(to);
}

void MoveUnsigned(Lowering& l, Word w) {
  ElementField e{};
  if (!ReadElement(l, w, &e)) return;
  if ((e.width == Width::k64) != IsWhole(w)) return l.Undefined();
  if (w.rd() == kThirtyOne) return;
  l.Emit(kVExtract, e.width, Ref::G(w.rd()), Vn(w)).lane = e.index;
}

uint64_t Repeat(uint64_t value, uint32_t bits) {
  for (; bits < 64; bits *= 2) value |= value << bits;
  return value;
}

uint32_t Imm8(Word w) { return w.At(16, 3) << 5 | w.At(5, 5); }

// AdvSIMDExpandImm for the constants that are not floating point.
uint64_t ExpandImmediate(uint32_t cmode, bool op, uint64_t imm8) {
  const uint32_t shift = cmode >> 1 & 3;
  if (cmode < 8) return Repeat(imm8 << (8 * shift), 32);
  if (cmode < 12) return Repeat(imm8 << (8 * (shift & 1)), 16);
  if (cmode == 12) return Repeat(imm8 << 8 | 0xff, 32);
  if (cmode == 13) return Repeat(imm8 << 16 | 0xffff, 32);
  if (!op) return Repeat(imm8, 8);
  uint64_t mask = 0;
  for (uint32_t i = 0; i < 8; i++) {
    if (imm8 >> i & 1) mask |= uint64_t{0xff} << (8 * i);
  }
  return mask;
}

void VectorImmediate(Lowering& l, Word w) {
  const uint32_t cmode = w.At(12, 4);
  const bool op = w.Bit(29);
  const uint8_t bits = LengthBits(w);
  if (cmode == 15) {
    if (op && !IsWhole(w)) return l.Undefined();
    const uint64_t value = FloatImmediate(Imm8(w), op ? Width::k64 : Width::k32);
    l.EmitBits(bits, kVConst, Width::k64, Vd(w)).imm =
        static_cast<int64_t>(op ? value : Repeat(value, 32));
    return;
  }
  const uint64_t value = ExpandImmediate(cmode, op, Imm8(w));
  const bool combines = cmode < 12 && (cmode & 1) != 0;  // ORR, or BIC
  if (combines) {
    const Ref constant = l.Temp();
    l.EmitBits(bits, kVConst, Width::k64, constant).imm = static_cast<int64_t>(value);
    l.EmitBits(bits, op ? kVAndNot : kVOr, Width::k64, Vd(w), Vd(w), constant);
    return;
  }
  const bool inverted = op && cmode != 14;
  l.EmitBits(bits, kVConst, Width::k64, Vd(w)).imm =
      static_cast<int64_t>(inverted ? ~value : value);
}

void HalfImmediate(Lowering& l, Word w) {
  l.EmitBits(LengthBits(w), kVConst, Width::k64, Vd(w)).imm =
      static_cast<int64_t>(Repeat(FloatImmediate(Imm8(w), Width::k16), 16));
}

void Extract(Lowering& l, Word w) {
  const uint32_t at = w.At(11, 4);
  if (at >= 8 && !IsWhole(w)) return l.Undefined();
  l.EmitBits(LengthBits(w), kVExt, Width::k8, Vd(w), Vn(w), Vm(w)).imm = at;
}

// One to four registers are looked up one after another; what none of them has is 0 (TBL) or d's
// own byte (TBX).
void Table(Lowering& l, Word w, bool keeps) {
  const uint32_t count = w.At(13, 2) + 1;
  Ref found = keeps ? Vd(w) : Ref();
  for (uint32_t i = 0; i < count; i++) {
    const Ref dst = i + 1 == count ? Vd(w) : l.Temp();
    l.EmitBits(LengthBits(w), kVTable, Width::k8, dst, l.V((w.rn() + i) % 32), Vm(w), found).imm =
        16 * i;
    found = dst;
  }
}

void Permute(Lowering& l, Word w, OpCode code, uint8_t lane) {
  Shape shape{};
  if (!IntegerShape(l, w, kB | kH | kS | kD, &shape)) return;
  EmitShape(l, shape, code, Vd(w), Vn(w), Vm(w)).lane = lane;
}

void Logic(Lowering& l, Word w, OpCode code) {
  if (code == kVOr && w.rn() == w.rm()) {
    l.EmitBits(LengthBits(w), kVMov, Width::k64, Vd(w), Vn(w));
    return;
  }
  l.EmitBits(LengthBits(w), code, Width::k64, Vd(w), Vn(w), Vm(w));
}

void SelectBits(Lowering& l, Word w, Ref ones, Ref zeros, Ref mask) {
  l.EmitBits(LengthBits(w), kVSelect, Width::k64, Vd(w), ones, zeros, mask);
}

void Two(Lowering& l, Word w, OpCode code) {
  l.EmitBits(LengthBits(w), code, Width::k8, Vd(w), Vn(w));
}

}  // namespace

DD_LOWER(DUP_element_v, DuplicateElement(l, w))
DD_LOWER(DUP_element_s, DuplicateElement(l, w))
DD_LOWER(DUP_general, DuplicateGeneral(l, w))
DD_LOWER(INS_general, InsertGeneral(l, w))
DD_LOWER(INS_element, InsertElement(l, w))
DD_LOWER(SMOV, MoveSigned(l, w))
DD_LOWER(UMOV, MoveUnsigned(l, w))
DD_LOWER(MOVI, VectorImmediate(l, w))
DD_LOWER(FMOV_imm_vh, HalfImmediate(l, w))

DD_LOWER(EXT, Extract(l, w))
DD_LOWER(TBL, Table(l, w, false))
DD_LOWER(TBX, Table(l, w, true))
DD_LOWER(UZP1, Permute(l, w, kVUzp, 0))
DD_LOWER(UZP2, Permute(l, w, kVUzp, 1))
DD_LOWER(TRN1, Permute(l, w, kVTrn, 0))
DD_LOWER(TRN2, Permute(l, w, kVTrn, 1))
DD_LOWER(ZIP1, Permute(l, w, kVZip, 0))
DD_LOWER(ZIP2, Permute(l, w, kVZip, 1))

DD_LOWER(AND_v, Logic(l, w, kVAnd))
DD_LOWER(BIC_v, Logic(l, w, kVAndNot))
DD_LOWER(ORR_v, Logic(l, w, kVOr))
DD_LOWER(ORN_v, Logic(l, w, kVOrNot))
DD_LOWER(EOR_v, Logic(l, w, kVXor))
DD_LOWER(BSL_v, SelectBits(l, w, Vn(w), Vm(w), Vd(w)))
DD_LOWER(BIT_v, SelectBits(l, w, Vn(w), Vd(w), Vm(w)))
DD_LOWER(BIF_v, SelectBits(l, w, Vd(w), Vn(w), Vm(w)))
DD_LOWER(NOT_v, Two(l, w, kVNot))
DD_LOWER(RBIT_v, Two(l, w, kVBitReverse))

}  // namespace dd::lower::a64
