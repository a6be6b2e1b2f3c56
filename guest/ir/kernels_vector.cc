// The interpreter: integer arithmetic of vectors.
#include "guest/ir/estimate.h"
#include "guest/ir/kernels.h"

namespace dd::ir::kernel {

namespace {

// dst = f(number a, number b), cut to the element; by kSigned.
template <typename F>
void MapNumbers(State& state, const Op& op, F f) {
  MapElements(state, op, [&](uint64_t a, uint64_t b) {
    return static_cast<uint64_t>(
        f(Number(a, op.width, IsSigned(op)), Number(b, op.width, IsSigned(op))));
  });
}

// The same as signed numbers, and to the nearest one that fits.
template <typename F>
void MapSaturated(State& state, const Op& op, bool is_signed, F f) {
  MapElements(state, op, [&](uint64_t a, uint64_t b) {
    return Saturate(state, f(Number(a, op.width, is_signed), Number(b, op.width, is_signed)),
                    op.width, is_signed);
  });
}

// All ones, or 0.
template <typename F>
void Compare(State& state, const Op& op, F f) {
  MapNumbers(state, op, [&](int128 a, int128 b) { return f(a, b) ? int128{-1} : int128{0}; });
}

uint64_t CarrylessProduct8(uint64_t a, uint64_t b) {
  uint64_t product = 0;
  for (uint32_t i = 0; i < 8; i++) {
    if (b >> i & 1) product ^= a << i;
  }
  return product;
}

// dst = f over neighbours of a, then of b.
template <typename F>
void MapPairs(State& state, const Op& op, F f) {
  const V128 a = ReadV(state, op.a);
  const V128 b = ReadV(state, op.b);
  V128 result = ZeroV();
  const uint32_t count = Elements(op);
  for (uint32_t i = 0; i < count; i++) {
    const V128& from = 2 * i < count ? a : b;
    const uint32_t at = 2 * i % count;
    SetElement(
        result, op.width, i,
        static_cast<uint64_t>(f(Number(Element(from, op.width, at), op.width, IsSigned(op)),
                                Number(Element(from, op.width, at + 1), op.width, IsSigned(op)))));
  }
  WriteV(state, op.dst, result);
}

// Element 0, of `to`, = f over all elements of a.
template <typename F>
void Reduce(State& state, const Op& op, Width to, F f) {
  const V128 a = ReadV(state, op.a);
  int128 value = Number(Element(a, op.width, 0), op.width, IsSigned(op));
  for (uint32_t i = 1; i < Elements(op); i++) {
    value = f(value, Number(Element(a, op.width, i), op.width, IsSigned(op)));
  }
  V128 result = ZeroV();
  SetElement(result, to, 0, static_cast<uint64_t>(value));
  WriteV(state, op.dst, result);
}

int128 Sum(int128 a, int128 b) { return a + b; }
int128 Greater(int128 a, int128 b) { return a > b ? a : b; }
int128 Lesser(int128 a, int128 b) { return a < b ? a : b; }

}  // namespace

void VAdd(State& s, const Op& op) {
  MapElements(s, op, [](uint64_t a, uint64_t b) { return a + b; });
}
void VSub(State& s, const Op& op) {
  MapElements(s, op, [](uint64_t a, uint64_t b) { return a - b; });
}
void VMul(State& s, const Op& op) {
  MapElements(s, op, [](uint64_t a, uint64_t b) { return a * b; });
}
void VPolyMul(State& s, const Op& op) {
  MapElements(s, op, [](uint64_t a, uint64_t b) { return CarrylessProduct8(a, b); });
}
void VNeg(State& s, const Op& op) {
  MapElements(s, op, [](uint64_t a, uint64_t) { return 0 - a; });
}
void VAbs(State& s, const Op& op) {
  MapElements(s, op,
              [&](uint64_t a, uint64_t) { return SignExtend(a, Bits(op.width)) < 0 ? 0 - a : a; });
}
void VMax(State& s, const Op& op) { MapNumbers(s, op, Greater); }
void VMin(State& s, const Op& op) { MapNumbers(s, op, Lesser); }
void VAbsDiff(State& s, const Op& op) {
  MapNumbers(s, op, [](int128 a, int128 b) { return a > b ? a - b : b - a; });
}
void VCmpEq(State& s, const Op& op) {
  Compare(s, op, [](int128 a, int128 b) { return a == b; });
}
void VCmpGt(State& s, const Op& op) {
  Compare(s, op, [](int128 a, int128 b) { return a > b; });
}
void VCmpGe(State& s, const Op& op) {
  Compare(s, op, [](int128 a, int128 b) { return a >= b; });
}
void VCmpTest(State& s, const Op& op) {
  Compare(s, op, [](int128 a, int128 b) { return (a & b) != 0; });
}
void VPopcount(State& s, const Op& op) {
  MapElements(s, op, [](uint64_t a, uint64_t) {
    uint64_t count = 0;
    for (; a != 0; a &= a - 1) count++;
    return count;
  });
}
void VClz(State& s, const Op& op) {
  MapElements(s, op, [&](uint64_t a, uint64_t) {
    const uint32_t bits = Bits(op.width);
    return uint64_t{a == 0 ? bits : static_cast<uint32_t>(__builtin_clzll(a)) - (64 - bits)};
  });
}
void VCls(State& s, const Op& op) {
  MapElements(s, op, [&](uint64_t a, uint64_t) {
    const uint32_t bits = Bits(op.width);
    return uint64_t{static_cast<uint32_t>(__builtin_clrsbll(SignExtend(a, bits))) - (64 - bits)};
  });
}
void VBitReverse(State& s, const Op& op) {
  MapElements(s, op, [](uint64_t a, uint64_t) {
    uint64_t result = 0;
    for (uint32_t i = 0; i < 8; i++) result |= (a >> i & 1) << (7 - i);
    return result;
  });
}
void VHalvingAdd(State& s, const Op& op) {
  MapNumbers(s, op, [&](int128 a, int128 b) { return (a + b + op.extra) >> 1; });
}
void VHalvingSub(State& s, const Op& op) {
  MapNumbers(s, op, [](int128 a, int128 b) { return (a - b) >> 1; });
}
void VAddSat(State& s, const Op& op) { MapSaturated(s, op, IsSigned(op), Sum); }
void VSubSat(State& s, const Op& op) {
  MapSaturated(s, op, IsSigned(op), [](int128 a, int128 b) { return a - b; });
}
void VAddSatMixed(State& s, const Op& op) {
  MapElements(s, op, [&](uint64_t a, uint64_t b) {
    const int128 sum = Number(a, op.width, IsSigned(op)) + Number(b, op.width, !IsSigned(op));
    return Saturate(s, sum, op.width, IsSigned(op));
  });
}
void VNegSat(State& s, const Op& op) {
  MapSaturated(s, op, true, [](int128 a, int128) { return -a; });
}
void VAbsSat(State& s, const Op& op) {
  MapSaturated(s, op, true, [](int128 a, int128) { return a < 0 ? -a : a; });
}
void VRecipEstimate(State& s, const Op& op) {
  MapElements(s, op, [](uint64_t a, uint64_t) {
    return a >> 31 == 0 ? ~uint64_t{0}
                        : uint64_t{RecipEstimate(static_cast<uint32_t>(a >> 23))} << 23;
  });
}
void VRsqrtEstimate(State& s, const Op& op) {
  MapElements(s, op, [](uint64_t a, uint64_t) {
    return a >> 30 == 0 ? ~uint64_t{0}
                        : uint64_t{RsqrtEstimate(static_cast<uint32_t>(a >> 23))} << 23;
  });
}
void VAddPair(State& s, const Op& op) { MapPairs(s, op, Sum); }
void VMaxPair(State& s, const Op& op) { MapPairs(s, op, Greater); }
void VMinPair(State& s, const Op& op) { MapPairs(s, op, Lesser); }
void VAddWidenPair(State& s, const Op& op) {
  const V128 a = ReadV(s, op.a);
  V128 result = ZeroV();
  for (uint32_t i = 0; i < Elements(op) / 2; i++) {
    const int128 sum = Number(Element(a, op.width, 2 * i), op.width, IsSigned(op)) +
                       Number(Element(a, op.width, 2 * i + 1), op.width, IsSigned(op));
    SetElement(result, Wider(op.width), i, static_cast<uint64_t>(sum));
  }
  WriteV(s, op.dst, result);
}
void VAddAcross(State& s, const Op& op) { Reduce(s, op, op.width, Sum); }
void VMaxAcross(State& s, const Op& op) { Reduce(s, op, op.width, Greater); }
void VMinAcross(State& s, const Op& op) { Reduce(s, op, op.width, Lesser); }
void VAddWidenAcross(State& s, const Op& op) { Reduce(s, op, Wider(op.width), Sum); }
void VDot(State& s, const Op& op) {
  const V128 a = ReadV(s, op.a);
  const V128 b = ReadV(s, op.b);
  V128 result = ReadV(s, op.c);
  if (op.bits & kHalf) result.d[1] = 0;
  for (uint32_t i = 0; i < 4 * Elements(op); i++) {
    const int128 product =
        Number(a.b[i], Width::k8, IsSigned(op)) * Number(b.b[i], Width::k8, IsSigned(op));
    result.s[i / 4] += static_cast<uint32_t>(product);
  }
  WriteV(s, op.dst, result);
}

}  // namespace dd::ir::kernel
