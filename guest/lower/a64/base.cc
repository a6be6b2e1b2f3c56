// Integer data processing.
#include "guest/lower/a64/lowering.h"

namespace dd::lower::a64 {

using enum ir::OpCode;

bool LogicalImmediate(bool n, uint32_t imms, uint32_t immr, Width width, uint64_t* to) {
  const uint32_t combined = (n ? 64u : 0u) | (~imms & 63);
  if (combined < 2 || (n && width == Width::k32)) return false;
  const uint32_t length = 31 - static_cast<uint32_t>(std::countl_zero(combined));
  const uint32_t size = 1u << length;
  const uint32_t ones = imms & (size - 1);
  const uint32_t rotate = immr & (size - 1);
  if (ones == size - 1) return false;
  uint64_t element = (uint64_t{1} << (ones + 1)) - 1;
  const uint64_t mask = size == 64 ? ~uint64_t{0} : (uint64_t{1} << size) - 1;
  if (rotate != 0) element = ((element >> rotate) | (element << (size - rotate))) & mask;
  for (uint32_t filled = size; filled < 64; filled *= 2) element |= element << filled;
  *to = width == Width::k32 ? element & 0xffffffff : element;
  return true;
}

namespace {

constexpr uint8_t kFlags = ir::kSetsFlags;

uint32_t BitsOf(Width width) { return width == Width::k64 ? 64 : 32; }

// ADR and ADRP: the offset is bits 23..5 and 30..29.
int64_t PcOffset(Word w) { return w.Signed(5, 19) * 4 + w.At(29, 2); }

void SetConstant(Lowering& l, uint32_t rd, uint64_t value) {
  if (rd == kThirtyOne) return;
  l.Emit(kMov, Width::k64, Ref::G(rd), Ref::Imm()).imm = static_cast<int64_t>(value);
}

void ArithmeticImmediate(Lowering& l, Word w, OpCode code, uint8_t bits = 0) {
  const int64_t imm = int64_t{w.At(10, 12)} << (w.Bit(22) ? 12 : 0);
  const Ref dst = bits & kFlags ? l.ToX(w.rd()) : l.XOrSp(w.rd());
  const Ref n = l.XOrSp(w.rn());
  if (imm == 0 && bits == 0) {
    l.Emit(kMov, w.sf(), dst, n);
    return;
  }
  l.EmitImm(code, w.sf(), dst, n, imm).bits = bits;
}

void LogicImmediate(Lowering& l, Word w, OpCode code, uint8_t bits = 0) {
  uint64_t imm = 0;
  if (!LogicalImmediate(w.Bit(22), w.At(10, 6), w.At(16, 6), w.sf(), &imm)) return l.Undefined();
  const Ref dst = bits & kFlags ? l.ToX(w.rd()) : l.XOrSp(w.rd());
  if (code == kOr && w.rn() == kThirtyOne) {
    l.Emit(kMov, Width::k64, dst, Ref::Imm()).imm = static_cast<int64_t>(imm);
    return;
  }
  l.EmitImm(code, w.sf(), dst, l.X(w.rn()), static_cast<int64_t>(imm)).bits = bits;
}

// Where MOVZ, MOVN and MOVK put their 16 bits; more than the register has: undefined.
bool MoveShift(Lowering& l, Word w, uint32_t* shift) {
  *shift = w.At(21, 2) * 16;
  if (*shift < BitsOf(w.sf())) return true;
  l.Undefined();
  return false;
}

void MoveWide(Lowering& l, Word w, bool inverted) {
  uint32_t shift = 0;
  if (!MoveShift(l, w, &shift)) return;
  uint64_t value = uint64_t{w.At(5, 16)} << shift;
  if (inverted) value = ~value;
  SetConstant(l, w.rd(), w.sf() == Width::k32 ? value & 0xffffffff : value);
}

void MoveKeep(Lowering& l, Word w) {
  uint32_t shift = 0;
  if (!MoveShift(l, w, &shift) || w.rd() == kThirtyOne) return;
  Op& op = l.EmitImm(kBitInsert, w.sf(), Ref::G(w.rd()), Ref::G(w.rd()), w.At(5, 16));
  op.lane = static_cast<uint8_t>(shift);
  op.extra = 16;
}

struct Bitfield {
  uint32_t immr;
  uint32_t imms;
  uint32_t bits;
};

bool ReadBitfield(Lowering& l, Word w, Bitfield* field) {
  *field = {w.At(16, 6), w.At(10, 6), BitsOf(w.sf())};
  const bool valid =
      w.Bit(22) == w.Bit(31) && field->immr < field->bits && field->imms < field->bits;
  if (!valid) l.Undefined();
  return valid;
}

void BitfieldMove(Lowering& l, Word w, uint8_t bits) {
  Bitfield f{};
  if (!ReadBitfield(l, w, &f) || w.rd() == kThirtyOne) return;
  const Ref dst = Ref::G(w.rd());
  const Ref n = l.X(w.rn());
  const bool is_signed = (bits & ir::kSigned) != 0;
  if (f.imms == f.bits - 1) {
    l.EmitImm(is_signed ? kSar : kShr, w.sf(), dst, n, f.immr);
    return;
  }
  if (f.imms < f.immr) {
    const uint32_t lane = f.bits - f.immr;
    if (!is_signed && f.imms + 1 == f.immr) {
      l.EmitImm(kShl, w.sf(), dst, n, lane);
      return;
    }
    Op& op = l.EmitBits(bits, kBitPlace, w.sf(), dst, n);
    op.lane = static_cast<uint8_t>(lane);
    op.extra = static_cast<uint8_t>(f.imms + 1);
    return;
  }
  const uint32_t count = f.imms - f.immr + 1;
  if (f.immr == 0 && (count == 8 || count == 16 || count == 32)) {
    const Width from = count == 8 ? Width::k8 : count == 16 ? Width::k16 : Width::k32;
    l.Emit(is_signed ? kSext : kZext, w.sf(), dst, n).extra = static_cast<uint8_t>(from);
    return;
  }
  Op& op = l.EmitBits(bits, kBitExtract, w.sf(), dst, n);
  op.lane = static_cast<uint8_t>(f.immr);
  op.extra = static_cast<uint8_t>(count);
}

void BitfieldInsert(Lowering& l, Word w) {
  Bitfield f{};
  if (!ReadBitfield(l, w, &f) || w.rd() == kThirtyOne) return;
  const Ref dst = Ref::G(w.rd());
  Ref from = l.X(w.rn());
  uint32_t lane = (f.bits - f.immr) % f.bits;
  uint32_t count = f.imms + 1;
  if (f.imms >= f.immr) {
    if (f.immr != 0) {
      const Ref shifted = l.Temp();
      l.EmitImm(kShr, w.sf(), shifted, from, f.immr);
      from = shifted;
    }
    lane = 0;
    count = f.imms - f.immr + 1;
  }
  if (count == f.bits) {
    l.Emit(kMov, w.sf(), dst, from);
    return;
  }
  Op& op = l.Emit(kBitInsert, w.sf(), dst, dst, from);
  op.lane = static_cast<uint8_t>(lane);
  op.extra = static_cast<uint8_t>(count);
}

void Extract(Lowering& l, Word w) {
  const uint32_t lsb = w.At(10, 6);
  if (w.Bit(22) != w.Bit(31) || lsb >= BitsOf(w.sf())) return l.Undefined();
  if (w.rd() == kThirtyOne) return;
  const Ref dst = Ref::G(w.rd());
  if (w.rn() == w.rm()) {
    l.EmitImm(kRor, w.sf(), dst, l.X(w.rn()), lsb);
    return;
  }
  const Ref n = l.X(w.rn());
  l.Emit(kExtractPair, w.sf(), dst, n, l.X(w.rm())).lane = static_cast<uint8_t>(lsb);
}

// The second operand of instructions with a shifted register.
bool ShiftedOperand(Lowering& l, Word w, bool rotates, Ref* to) {
  const uint32_t amount = w.At(10, 6);
  const uint32_t kind = w.At(22, 2);
  if (amount >= BitsOf(w.sf()) || (kind == 3 && !rotates)) {
    l.Undefined();
    return false;
  }
  *to = l.X(w.rm());
  if (amount == 0 || w.rm() == kThirtyOne) return true;
  constexpr OpCode kKinds[] = {kShl, kShr, kSar, kRor};
  const Ref shifted = l.Temp();
  l.EmitImm(kKinds[kind], w.sf(), shifted, *to, amount);
  *to = shifted;
  return true;
}

void LogicRegister(Lowering& l, Word w, OpCode code, uint8_t bits = 0) {
  Ref m;
  if (!ShiftedOperand(l, w, true, &m)) return;
  const Ref dst = l.ToX(w.rd());
  if (dst.none() && bits == 0) return;
  if (w.rn() == kThirtyOne && (code == kOr || code == kOrNot)) {
    l.Emit(code == kOr ? kMov : kNot, w.sf(), dst, m);
    return;
  }
  l.EmitBits(bits, code, w.sf(), dst, l.X(w.rn()), m);
}

void ArithmeticRegister(Lowering& l, Word w, OpCode code, uint8_t bits = 0) {
  Ref m;
  if (!ShiftedOperand(l, w, false, &m)) return;
  const Ref dst = l.ToX(w.rd());
  if (dst.none() && bits == 0) return;
  if (w.rn() == kThirtyOne && code == kSub) {
    l.EmitBits(bits, kNeg, w.sf(), dst, m);
    return;
  }
  l.EmitBits(bits, code, w.sf(), dst, l.X(w.rn()), m);
}

void ArithmeticExtended(Lowering& l, Word w, OpCode code, uint8_t bits = 0) {
  const uint32_t amount = w.At(10, 3);
  if (amount > 4) return l.Undefined();
  const uint32_t option = w.At(13, 3);
  const uint8_t from = static_cast<uint8_t>(option & 3);
  Ref m = l.X(w.rm());
  if (from < (w.sf() == Width::k64 ? 3 : 2)) {
    const Ref extended = l.Temp();
    l.Emit(option & 4 ? kSext : kZext, w.sf(), extended, m).extra = from;
    m = extended;
  }
  if (amount != 0) {
    const Ref shifted = l.Temp();
    l.EmitImm(kShl, w.sf(), shifted, m, amount);
    m = shifted;
  }
  const Ref dst = bits & kFlags ? l.ToX(w.rd()) : l.XOrSp(w.rd());
  l.EmitBits(bits, code, w.sf(), dst, l.XOrSp(w.rn()), m);
}

// rd = code(rn, rm).
void Binary(Lowering& l, Word w, OpCode code, uint8_t bits = 0) {
  const Ref dst = l.ToX(w.rd());
  if (dst.none() && (bits & kFlags) == 0) return;
  const Ref n = l.X(w.rn());
  l.EmitBits(bits, code, w.sf(), dst, n, l.X(w.rm()));
}

void Unary(Lowering& l, Word w, OpCode code, uint8_t extra = 0) {
  if (w.rd() == kThirtyOne) return;
  l.Emit(code, w.sf(), Ref::G(w.rd()), l.X(w.rn())).extra = extra;
}

void Crc(Lowering& l, Word w, OpCode code) {
  if (w.rd() == kThirtyOne) return;
  const Ref n = l.X(w.rn());
  Op& op = l.Emit(code, Width::k32, Ref::G(w.rd()), n, l.X(w.rm()));
  op.extra = static_cast<uint8_t>(w.At(10, 2));
}

void CondCompare(Lowering& l, Word w, bool negative, bool immediate) {
  const Ref n = l.X(w.rn());
  const Ref m = immediate ? Ref::Imm() : l.X(w.rm());
  Op& op = l.EmitBits(negative ? ir::kSigned : 0, kCondCompare, w.sf(), {}, n, m);
  if (immediate) op.imm = w.At(16, 5);
  op.cond = static_cast<Cond>(w.At(12, 4));
  op.lane = static_cast<uint8_t>(w.At(0, 4));
}

// What is selected when the condition does not hold: m, or `change` of it.
void Select(Lowering& l, Word w, OpCode change) {
  if (w.rd() == kThirtyOne) return;
  const Ref dst = Ref::G(w.rd());
  const Cond cond = static_cast<Cond>(w.At(12, 4));
  const bool zeros = w.rn() == kThirtyOne && w.rm() == kThirtyOne;
  if (zeros && w.At(13, 3) != 7 && (change == kAdd || change == kNot)) {
    const Ref set = change == kAdd ? dst : l.Temp();
    l.Emit(kSetCond, Width::k64, set).cond = ir::Negate(cond);
    if (change == kNot) l.Emit(kNeg, w.sf(), dst, set);
    return;
  }
  Ref m = l.X(w.rm());
  if (change != kMov) {
    const Ref changed = l.Temp();
    if (change == kAdd) {
      l.EmitImm(kAdd, w.sf(), changed, m, 1);
    } else {
      l.Emit(change, w.sf(), changed, m);
    }
    m = changed;
  }
  l.Emit(kSelect, w.sf(), dst, l.X(w.rn()), m).cond = cond;
}

// ra + or - rn * rm; `code` says how the product is made.
void MultiplyAdd(Lowering& l, Word w, OpCode code, uint8_t bits, OpCode accumulate) {
  if (w.rd() == kThirtyOne) return;
  const Ref dst = Ref::G(w.rd());
  const bool plain = w.ra() == kThirtyOne;
  const Ref product = plain && accumulate == kAdd ? dst : l.Temp();
  const Ref n = l.X(w.rn());
  l.EmitBits(bits, code, w.sf(), product, n, l.X(w.rm()));
  if (product == dst) return;
  if (plain) {
    l.Emit(kNeg, w.sf(), dst, product);
  } else {
    l.Emit(accumulate, w.sf(), dst, Ref::G(w.ra()), product);
  }
}

constexpr uint8_t k16 = static_cast<uint8_t>(Width::k16);
constexpr uint8_t k32 = static_cast<uint8_t>(Width::k32);
constexpr uint8_t k64 = static_cast<uint8_t>(Width::k64);

}  // namespace

DD_LOWER(ADR, SetConstant(l, w.rd(), l.pc() + static_cast<uint64_t>(PcOffset(w))))
DD_LOWER(ADRP, SetConstant(l, w.rd(),
                           (l.pc() & ~uint64_t{4095}) + static_cast<uint64_t>(PcOffset(w) * 4096)))
DD_LOWER(ADD_imm, ArithmeticImmediate(l, w, kAdd))
DD_LOWER(ADDS_imm, ArithmeticImmediate(l, w, kAdd, kFlags))
DD_LOWER(SUB_imm, ArithmeticImmediate(l, w, kSub))
DD_LOWER(SUBS_imm, ArithmeticImmediate(l, w, kSub, kFlags))
DD_LOWER(AND_imm, LogicImmediate(l, w, kAnd))
DD_LOWER(ORR_imm, LogicImmediate(l, w, kOr))
DD_LOWER(EOR_imm, LogicImmediate(l, w, kXor))
DD_LOWER(ANDS_imm, LogicImmediate(l, w, kAnd, kFlags))
DD_LOWER(MOVN, MoveWide(l, w, true))
DD_LOWER(MOVZ, MoveWide(l, w, false))
DD_LOWER(MOVK, MoveKeep(l, w))
DD_LOWER(SBFM, BitfieldMove(l, w, ir::kSigned))
DD_LOWER(BFM, BitfieldInsert(l, w))
DD_LOWER(UBFM, BitfieldMove(l, w, 0))
DD_LOWER(EXTR, Extract(l, w))

DD_LOWER(AND_reg, LogicRegister(l, w, kAnd))
DD_LOWER(BIC_reg, LogicRegister(l, w, kAndNot))
DD_LOWER(ORR_reg, LogicRegister(l, w, kOr))
DD_LOWER(ORN_reg, LogicRegister(l, w, kOrNot))
DD_LOWER(EOR_reg, LogicRegister(l, w, kXor))
DD_LOWER(EON_reg, LogicRegister(l, w, kXorNot))
DD_LOWER(ANDS_reg, LogicRegister(l, w, kAnd, kFlags))
DD_LOWER(BICS_reg, LogicRegister(l, w, kAndNot, kFlags))
DD_LOWER(ADD_reg, ArithmeticRegister(l, w, kAdd))
DD_LOWER(ADDS_reg, ArithmeticRegister(l, w, kAdd, kFlags))
DD_LOWER(SUB_reg, ArithmeticRegister(l, w, kSub))
DD_LOWER(SUBS_reg, ArithmeticRegister(l, w, kSub, kFlags))
DD_LOWER(ADD_ext, ArithmeticExtended(l, w, kAdd))
DD_LOWER(ADDS_ext, ArithmeticExtended(l, w, kAdd, kFlags))
DD_LOWER(SUB_ext, ArithmeticExtended(l, w, kSub))
DD_LOWER(SUBS_ext, ArithmeticExtended(l, w, kSub, kFlags))
DD_LOWER(ADC, Binary(l, w, kAdc))
DD_LOWER(ADCS, Binary(l, w, kAdc, kFlags))
DD_LOWER(SBC, Binary(l, w, kSbc))
DD_LOWER(SBCS, Binary(l, w, kSbc, kFlags))
DD_LOWER(CCMN_reg, CondCompare(l, w, true, false))
DD_LOWER(CCMP_reg, CondCompare(l, w, false, false))
DD_LOWER(CCMN_imm, CondCompare(l, w, true, true))
DD_LOWER(CCMP_imm, CondCompare(l, w, false, true))
DD_LOWER(CSEL, Select(l, w, kMov))
DD_LOWER(CSINC, Select(l, w, kAdd))
DD_LOWER(CSINV, Select(l, w, kNot))
DD_LOWER(CSNEG, Select(l, w, kNeg))
DD_LOWER(MADD, MultiplyAdd(l, w, kMul, 0, kAdd))
DD_LOWER(MSUB, MultiplyAdd(l, w, kMul, 0, kSub))
DD_LOWER(SMADDL, MultiplyAdd(l, w, kMulWide, ir::kSigned, kAdd))
DD_LOWER(SMSUBL, MultiplyAdd(l, w, kMulWide, ir::kSigned, kSub))
DD_LOWER(SMULH, Binary(l, w, kMulHigh, ir::kSigned))
DD_LOWER(UMADDL, MultiplyAdd(l, w, kMulWide, 0, kAdd))
DD_LOWER(UMSUBL, MultiplyAdd(l, w, kMulWide, 0, kSub))
DD_LOWER(UMULH, Binary(l, w, kMulHigh))
DD_LOWER(UDIV, Binary(l, w, kDiv))
DD_LOWER(SDIV, Binary(l, w, kDiv, ir::kSigned))
DD_LOWER(LSLV, Binary(l, w, kShl))
DD_LOWER(LSRV, Binary(l, w, kShr))
DD_LOWER(ASRV, Binary(l, w, kSar))
DD_LOWER(RORV, Binary(l, w, kRor))
DD_LOWER(CRC32B, Crc(l, w, kCrc32))
DD_LOWER(CRC32H, Crc(l, w, kCrc32))
DD_LOWER(CRC32W, Crc(l, w, kCrc32))
DD_LOWER(CRC32X, Crc(l, w, kCrc32))
DD_LOWER(CRC32CB, Crc(l, w, kCrc32c))
DD_LOWER(CRC32CH, Crc(l, w, kCrc32c))
DD_LOWER(CRC32CW, Crc(l, w, kCrc32c))
DD_LOWER(CRC32CX, Crc(l, w, kCrc32c))
DD_LOWER(RBIT, Unary(l, w, kBitReverse))
DD_LOWER(REV16, Unary(l, w, kByteSwap, k16))
DD_LOWER(REV_32, Unary(l, w, kByteSwap, k32))
DD_LOWER(REV32, Unary(l, w, kByteSwap, k32))
DD_LOWER(REV_64, Unary(l, w, kByteSwap, k64))
DD_LOWER(CLZ, Unary(l, w, kClz))
DD_LOWER(CLS, Unary(l, w, kCls))

}  // namespace dd::lower::a64
