// The interpreter: general registers and flags.
#include "guest/ir/kernels.h"

namespace dd::ir::kernel {

namespace {

struct Sum {
  uint64_t value;
  uint32_t flags;
};

// a + b + carry in `bits`, as the manual's AddWithCarry.
Sum AddWithCarry(uint64_t a, uint64_t b, bool carry, uint32_t bits) {
  a = Truncate(a, bits);
  b = Truncate(b, bits);
  const uint128 wide = uint128{a} + b + carry;
  const uint64_t value = Truncate(static_cast<uint64_t>(wide), bits);
  const int128 exact = int128{SignExtend(a, bits)} + SignExtend(b, bits) + carry;
  uint32_t flags = 0;
  if (value >> (bits - 1)) flags |= kFlagN;
  if (value == 0) flags |= kFlagZ;
  if (wide >> bits) flags |= kFlagC;
  if (exact != SignExtend(value, bits)) flags |= kFlagV;
  return {value, flags};
}

uint32_t LogicFlags(uint64_t value, uint32_t bits) {
  return (value >> (bits - 1) ? kFlagN : 0) | (value == 0 ? kFlagZ : 0);
}

void Finish(State& state, const Op& op, Sum sum) {
  WriteG(state, op.dst, sum.value);
  if (op.bits & kSetsFlags) state.flags = sum.flags;
}

void FinishLogic(State& state, const Op& op, uint64_t value) {
  const uint32_t bits = Bits(op.width);
  value = Truncate(value, bits);
  Finish(state, op, {value, LogicFlags(value, bits)});
}

uint64_t A(const State& state, const Op& op) { return ReadG(state, op, op.a); }
uint64_t B(const State& state, const Op& op) { return ReadG(state, op, op.b); }
bool Carry(const State& state) { return (state.flags & kFlagC) != 0; }

void Write(State& state, const Op& op, uint64_t value) {
  WriteG(state, op.dst, Truncate(value, Bits(op.width)));
}

// The CRC of `bytes` of data, bit by bit, with the polynomial's bits reversed.
uint64_t Crc(uint64_t sum, uint64_t data, uint32_t bits, uint32_t polynomial) {
  uint64_t crc = Truncate(sum, 32) ^ Truncate(data, bits);
  for (uint32_t i = 0; i < bits; i++) crc = (crc >> 1) ^ (crc & 1 ? polynomial : 0);
  return Truncate(crc, 32);
}

}  // namespace

void Mov(State& s, const Op& op) { Write(s, op, A(s, op)); }
void Add(State& s, const Op& op) {
  Finish(s, op, AddWithCarry(A(s, op), B(s, op), false, Bits(op.width)));
}
void Sub(State& s, const Op& op) {
  Finish(s, op, AddWithCarry(A(s, op), ~B(s, op), true, Bits(op.width)));
}
void Adc(State& s, const Op& op) {
  Finish(s, op, AddWithCarry(A(s, op), B(s, op), Carry(s), Bits(op.width)));
}
void Sbc(State& s, const Op& op) {
  Finish(s, op, AddWithCarry(A(s, op), ~B(s, op), Carry(s), Bits(op.width)));
}
void And(State& s, const Op& op) { FinishLogic(s, op, A(s, op) & B(s, op)); }
void Or(State& s, const Op& op) { FinishLogic(s, op, A(s, op) | B(s, op)); }
void Xor(State& s, const Op& op) { FinishLogic(s, op, A(s, op) ^ B(s, op)); }
void AndNot(State& s, const Op& op) { FinishLogic(s, op, A(s, op) & ~B(s, op)); }
void OrNot(State& s, const Op& op) { FinishLogic(s, op, A(s, op) | ~B(s, op)); }
void XorNot(State& s, const Op& op) { FinishLogic(s, op, A(s, op) ^ ~B(s, op)); }
void Neg(State& s, const Op& op) {
  Finish(s, op, AddWithCarry(0, ~A(s, op), true, Bits(op.width)));
}
void Not(State& s, const Op& op) { Write(s, op, ~A(s, op)); }
void Mul(State& s, const Op& op) { Write(s, op, A(s, op) * B(s, op)); }

void MulHigh(State& s, const Op& op) {
  const uint64_t a = A(s, op);
  const uint64_t b = B(s, op);
  const uint128 product =
      IsSigned(op) ? static_cast<uint128>(int128{static_cast<int64_t>(a)} * static_cast<int64_t>(b))
                   : uint128{a} * b;
  Write(s, op, static_cast<uint64_t>(product >> 64));
}

void MulWide(State& s, const Op& op) {
  const uint64_t a = A(s, op);
  const uint64_t b = B(s, op);
  Write(s, op,
        IsSigned(op) ? static_cast<uint64_t>(SignExtend(a, 32) * SignExtend(b, 32))
                     : Truncate(a, 32) * Truncate(b, 32));
}

void Div(State& s, const Op& op) {
  const uint32_t bits = Bits(op.width);
  const uint64_t a = Truncate(A(s, op), bits);
  const uint64_t b = Truncate(B(s, op), bits);
  if (b == 0) return Write(s, op, 0);
  if (!IsSigned(op)) return Write(s, op, a / b);
  if (b == MaskOf(bits)) return Write(s, op, 0 - a);
  Write(s, op, static_cast<uint64_t>(SignExtend(a, bits) / SignExtend(b, bits)));
}

void Shl(State& s, const Op& op) { Write(s, op, A(s, op) << (B(s, op) % Bits(op.width))); }
void Shr(State& s, const Op& op) {
  const uint32_t bits = Bits(op.width);
  Write(s, op, Truncate(A(s, op), bits) >> (B(s, op) % bits));
}
void Sar(State& s, const Op& op) {
  const uint32_t bits = Bits(op.width);
  Write(s, op, static_cast<uint64_t>(SignExtend(A(s, op), bits) >> (B(s, op) % bits)));
}
void Ror(State& s, const Op& op) {
  const uint32_t bits = Bits(op.width);
  const uint64_t a = Truncate(A(s, op), bits);
  const uint64_t by = B(s, op) % bits;
  Write(s, op, by == 0 ? a : (a >> by) | (a << (bits - by)));
}
void ExtractPair(State& s, const Op& op) {
  const uint32_t bits = Bits(op.width);
  const uint64_t low = Truncate(B(s, op), bits);
  Write(s, op, op.lane == 0 ? low : (low >> op.lane) | (A(s, op) << (bits - op.lane)));
}
void BitExtract(State& s, const Op& op) {
  const uint64_t field = Truncate(A(s, op) >> op.lane, op.extra);
  Write(s, op, IsSigned(op) ? static_cast<uint64_t>(SignExtend(field, op.extra)) : field);
}
void BitPlace(State& s, const Op& op) {
  const uint64_t field = Truncate(A(s, op), op.extra);
  const uint64_t value = IsSigned(op) ? static_cast<uint64_t>(SignExtend(field, op.extra)) : field;
  Write(s, op, value << op.lane);
}
void BitInsert(State& s, const Op& op) {
  const uint64_t mask = MaskOf(op.extra) << op.lane;
  Write(s, op, (A(s, op) & ~mask) | ((B(s, op) << op.lane) & mask));
}
void Zext(State& s, const Op& op) {
  Write(s, op, Truncate(A(s, op), Bits(static_cast<Width>(op.extra))));
}
void Sext(State& s, const Op& op) {
  Write(s, op, static_cast<uint64_t>(SignExtend(A(s, op), Bits(static_cast<Width>(op.extra)))));
}

void Clz(State& s, const Op& op) {
  const uint32_t bits = Bits(op.width);
  const uint64_t a = Truncate(A(s, op), bits);
  Write(s, op, a == 0 ? bits : static_cast<uint32_t>(__builtin_clzll(a)) - (64 - bits));
}
void Cls(State& s, const Op& op) {
  const int64_t a = SignExtend(A(s, op), Bits(op.width));
  Write(s, op, static_cast<uint32_t>(__builtin_clrsbll(a)) - (64 - Bits(op.width)));
}
void BitReverse(State& s, const Op& op) {
  uint64_t a = A(s, op);
  uint64_t result = 0;
  for (uint32_t i = 0; i < Bits(op.width); i++, a >>= 1) result = (result << 1) | (a & 1);
  Write(s, op, result);
}
void ByteSwap(State& s, const Op& op) {
  const uint32_t unit = Bytes(static_cast<Width>(op.extra));
  const uint64_t a = A(s, op);
  uint64_t result = 0;
  for (uint32_t i = 0; i < Bytes(op.width); i++) {
    const uint32_t from = (i / unit) * unit + (unit - 1 - i % unit);
    result |= Truncate(a >> (8 * from), 8) << (8 * i);
  }
  Write(s, op, result);
}
void Crc32(State& s, const Op& op) {
  const uint32_t bits = Bits(static_cast<Width>(op.extra));
  WriteG(s, op.dst, Crc(A(s, op), B(s, op), bits, 0xedb88320));
}
void Crc32c(State& s, const Op& op) {
  const uint32_t bits = Bits(static_cast<Width>(op.extra));
  WriteG(s, op.dst, Crc(A(s, op), B(s, op), bits, 0x82f63b78));
}

void Select(State& s, const Op& op) { Write(s, op, Holds(op.cond, s.flags) ? A(s, op) : B(s, op)); }
void SetCond(State& s, const Op& op) { WriteG(s, op.dst, Holds(op.cond, s.flags)); }
void CondCompare(State& s, const Op& op) {
  if (!Holds(op.cond, s.flags)) {
    s.flags = FlagsOf(op.lane);
    return;
  }
  const uint64_t b = B(s, op);
  s.flags = AddWithCarry(A(s, op), IsSigned(op) ? b : ~b, !IsSigned(op), Bits(op.width)).flags;
}
void ReadFlags(State& s, const Op& op) {
  WriteG(s, op.dst,
         (s.flags & kFlagN ? uint64_t{1} << 31 : 0) | (s.flags & kFlagZ ? 1u << 30 : 0) |
             (s.flags & kFlagC ? 1u << 29 : 0) | (s.flags & kFlagV ? 1u << 28 : 0));
}
void WriteFlags(State& s, const Op& op) {
  s.flags = FlagsOf(static_cast<uint32_t>(A(s, op) >> 28) & 15);
}

}  // namespace dd::ir::kernel
