// The interpreter: vector shifts, and what makes elements wider or narrower.
#include "guest/ir/kernels.h"

namespace dd::ir::kernel {

namespace {

constexpr uint8_t kRounds = 1;
constexpr uint8_t kSaturates = 2;

// Half of the range of what a shift to the right drops.
int128 RoundingFor(int64_t shift) { return shift > 0 ? int128{1} << (shift - 1) : int128{0}; }

// The operand elements of a wide row.
struct Half {
  uint32_t first;
  uint32_t count;
};
Half HalfOf(const Op& op) {
  if (op.bits & kScalar) return {0, 1};
  const uint32_t count = 8 / Bytes(op.width);
  return {op.lane * count, count};
}

// dst = f(element of a, element of b), of twice the width.
template <typename F>
void MapWide(State& state, const Op& op, F f) {
  const V128 a = ReadV(state, op.a);
  const V128 b = ReadV(state, op.b);
  const Half half = HalfOf(op);
  V128 result = ZeroV();
  for (uint32_t i = 0; i < half.count; i++) {
    SetElement(result, Wider(op.width), i,
               f(Element(a, op.width, half.first + i), Element(b, op.width, half.first + i)));
  }
  WriteV(state, op.dst, result);
}

// dst = f(a's element shifted) in the half that `lane` says.
template <typename F>
void MapNarrow(State& state, const Op& op, bool is_signed, F f) {
  const V128 a = ReadV(state, op.a);
  V128 result = op.lane == 0 ? ZeroV() : ReadV(state, op.b);
  const Half half = HalfOf(op);
  if (op.lane != 0) result.d[1] = 0;
  const int128 rounding = op.extra & kRounds ? RoundingFor(op.imm) : int128{0};
  for (uint32_t i = 0; i < half.count; i++) {
    const int128 value = Number(Element(a, Wider(op.width), i), Wider(op.width), is_signed);
    SetElement(result, op.width, half.first + i, f((value + rounding) >> op.imm));
  }
  WriteV(state, op.dst, result);
}

uint128 CarrylessProduct(uint64_t a, uint64_t b) {
  uint128 product = 0;
  for (uint32_t i = 0; i < 64; i++) {
    if (b >> i & 1) product ^= uint128{a} << i;
  }
  return product;
}

// value << by, or value >> -by: exact, or further from 0 than every element.
int128 ShiftNumber(int128 value, int32_t by, bool rounds) {
  if (by >= 0) {
    // More than the widest element: what matters is only whether it fits.
    if (by >= 64)
      return value == 0 ? int128{0} : value > 0 ? int128{1} << 100 : -(int128{1} << 100);
    return value * (int128{1} << by);
  }
  const int32_t right = -by > 100 ? 100 : -by;
  return (value + (rounds ? RoundingFor(right) : int128{0})) >> right;
}

}  // namespace

void VShl(State& s, const Op& op) {
  MapElements(s, op, [&](uint64_t a, uint64_t) { return a << op.imm; });
}
void VShr(State& s, const Op& op) {
  const int128 rounding = op.extra & kRounds ? RoundingFor(op.imm) : int128{0};
  MapElements(s, op, [&](uint64_t a, uint64_t) {
    return static_cast<uint64_t>((Number(a, op.width, IsSigned(op)) + rounding) >> op.imm);
  });
}
void VShlInsert(State& s, const Op& op) {
  const uint64_t kept = MaskOf(static_cast<uint32_t>(op.imm));
  MapElements(s, op, [&](uint64_t a, uint64_t b) { return (b << op.imm) | (a & kept); });
}
void VShrInsert(State& s, const Op& op) {
  const uint32_t bits = Bits(op.width);
  const uint64_t written = MaskOf(bits - static_cast<uint32_t>(op.imm));
  MapElements(s, op, [&](uint64_t a, uint64_t b) {
    const uint64_t shifted = op.imm == bits ? 0 : b >> op.imm;
    return (op.imm == bits ? uint64_t{0} : shifted & written) | (op.imm == bits ? a : a & ~written);
  });
}
void VShlSat(State& s, const Op& op) {
  MapElements(s, op, [&](uint64_t a, uint64_t) {
    const int128 value = Number(a, op.width, IsSigned(op)) * (int128{1} << op.imm);
    return Saturate(s, value, op.width, IsSigned(op));
  });
}
void VShlSatUnsigned(State& s, const Op& op) {
  MapElements(s, op, [&](uint64_t a, uint64_t) {
    const int128 value = Number(a, op.width, true) * (int128{1} << op.imm);
    return Saturate(s, value, op.width, false);
  });
}
void VShiftVar(State& s, const Op& op) {
  MapElements(s, op, [&](uint64_t a, uint64_t b) {
    const int32_t by = static_cast<int8_t>(b);
    const bool rounds = (op.extra & kRounds) != 0;
    const int128 value = ShiftNumber(Number(a, op.width, IsSigned(op)), by, rounds);
    if (op.extra & kSaturates) return Saturate(s, value, op.width, IsSigned(op));
    if (by >= 64) return uint64_t{0};
    return static_cast<uint64_t>(value);
  });
}

void VWiden(State& s, const Op& op) {
  MapWide(s, op, [&](uint64_t a, uint64_t) {
    return static_cast<uint64_t>(Number(a, op.width, IsSigned(op)));
  });
}
void VMulWide(State& s, const Op& op) {
  MapWide(s, op, [&](uint64_t a, uint64_t b) {
    return static_cast<uint64_t>(Number(a, op.width, IsSigned(op)) *
                                 Number(b, op.width, IsSigned(op)));
  });
}
void VPolyMulWide(State& s, const Op& op) {
  if (op.width != Width::k64) {
    return MapWide(s, op, [](uint64_t a, uint64_t b) {
      return static_cast<uint64_t>(CarrylessProduct(a, b));
    });
  }
  const uint128 product = CarrylessProduct(ReadV(s, op.a).d[op.lane], ReadV(s, op.b).d[op.lane]);
  V128 result;
  result.d[0] = static_cast<uint64_t>(product);
  result.d[1] = static_cast<uint64_t>(product >> 64);
  WriteV(s, op.dst, result);
}
void VSatDoubleMulWide(State& s, const Op& op) {
  MapWide(s, op, [&](uint64_t a, uint64_t b) {
    const int128 product = Number(a, op.width, true) * Number(b, op.width, true) * 2;
    return Saturate(s, product, Wider(op.width), true);
  });
}

void VNarrow(State& s, const Op& op) {
  MapNarrow(s, op, false, [](int128 value) { return static_cast<uint64_t>(value); });
}
void VNarrowSat(State& s, const Op& op) {
  MapNarrow(s, op, IsSigned(op),
            [&](int128 value) { return Saturate(s, value, op.width, IsSigned(op)); });
}
void VNarrowSatUnsigned(State& s, const Op& op) {
  MapNarrow(s, op, true, [&](int128 value) { return Saturate(s, value, op.width, false); });
}

void VSatDoubleMulHigh(State& s, const Op& op) {
  const uint32_t bits = Bits(op.width);
  const int128 rounding = op.extra & kRounds ? RoundingFor(bits) : int128{0};
  MapElements(s, op, [&](uint64_t a, uint64_t b) {
    const int128 product = Number(a, op.width, true) * Number(b, op.width, true) * 2;
    return Saturate(s, (product + rounding) >> bits, op.width, true);
  });
}
void VSatDoubleMulAddHigh(State& s, const Op& op) {
  const uint32_t bits = Bits(op.width);
  MapElements3(s, op, [&](uint64_t a, uint64_t b, uint64_t c) {
    const int128 product = Number(a, op.width, true) * Number(b, op.width, true) * 2;
    const int128 onto = Number(c, op.width, true) * (int128{1} << bits);
    const int128 sum = (op.extra & 1 ? onto - product : onto + product) + RoundingFor(bits);
    return Saturate(s, sum >> bits, op.width, true);
  });
}

}  // namespace dd::ir::kernel
