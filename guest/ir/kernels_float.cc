// The interpreter: floating point, by SoftFloat.
#include "guest/ir/kernels.h"
#include "guest/ir/soft_float.h"

namespace dd::ir::kernel {

namespace {

using Binary = uint64_t (SoftFloat::*)(Width width, uint64_t a, uint64_t b);
using Unary = uint64_t (SoftFloat::*)(Width width, uint64_t a);

void Map(State& state, const Op& op, Binary f) {
  SoftFloat soft(state);
  MapElements(state, op, [&](uint64_t a, uint64_t b) { return (soft.*f)(op.width, a, b); });
}

void Map(State& state, const Op& op, Unary f) {
  SoftFloat soft(state);
  MapElements(state, op, [&](uint64_t a, uint64_t) { return (soft.*f)(op.width, a); });
}

// All ones where `f` holds of how a compares with b.
template <typename F>
void CompareElements(State& state, const Op& op, bool signals, F f) {
  SoftFloat soft(state);
  MapElements(state, op, [&](uint64_t a, uint64_t b) {
    return f(soft.Compare(op.width, a, b, signals)) ? ~uint64_t{0} : uint64_t{0};
  });
}

RoundMode ModeOf(const SoftFloat& soft, uint8_t rounding) {
  switch (static_cast<Rounding>(rounding)) {
    case Rounding::kNearestEven:
      return RoundMode::kNearestEven;
    case Rounding::kUp:
      return RoundMode::kUp;
    case Rounding::kDown:
      return RoundMode::kDown;
    case Rounding::kZero:
      return RoundMode::kZero;
    case Rounding::kNearestAway:
      return RoundMode::kNearestAway;
    case Rounding::kControl:
      break;
  }
  return soft.mode();
}

uint32_t FlagsOf(Ordering ordering) {
  switch (ordering) {
    case Ordering::kLess:
      return kFlagN;
    case Ordering::kEqual:
      return kFlagZ | kFlagC;
    case Ordering::kGreater:
      return kFlagC;
    case Ordering::kUnordered:
      break;
  }
  return kFlagC | kFlagV;
}

// Element 0 of v, the rest 0.
void WriteElement(State& state, Ref dst, Width width, uint64_t value) {
  V128 result = ZeroV();
  SetElement(result, width, 0, value);
  WriteV(state, dst, result);
}

void CompareScalars(State& state, const Op& op) {
  const uint64_t a = Element(ReadV(state, op.a), op.width, 0);
  const uint64_t b = op.b.immediate() ? 0 : Element(ReadV(state, op.b), op.width, 0);
  state.flags = FlagsOf(SoftFloat(state).Compare(op.width, a, b, IsSigned(op)));
}

}  // namespace

void FAdd(State& s, const Op& op) { Map(s, op, &SoftFloat::Add); }
void FSub(State& s, const Op& op) { Map(s, op, &SoftFloat::Subtract); }
void FMul(State& s, const Op& op) { Map(s, op, &SoftFloat::Multiply); }
void FMulExtended(State& s, const Op& op) { Map(s, op, &SoftFloat::MultiplyExtended); }
void FDiv(State& s, const Op& op) { Map(s, op, &SoftFloat::Divide); }
void FSqrt(State& s, const Op& op) { Map(s, op, &SoftFloat::SquareRoot); }
void FMulAdd(State& s, const Op& op) {
  SoftFloat soft(s);
  const uint64_t sign = FloatSign(op.width);
  MapElements3(s, op, [&](uint64_t a, uint64_t b, uint64_t c) {
    if (op.extra & kNegateProduct) a ^= sign;
    if (op.extra & kNegateAddend) c ^= sign;
    return soft.MultiplyAdd(op.width, c, a, b, op.width);
  });
}
void FMax(State& s, const Op& op) { Map(s, op, &SoftFloat::Maximum); }
void FMin(State& s, const Op& op) { Map(s, op, &SoftFloat::Minimum); }
void FMaxNum(State& s, const Op& op) { Map(s, op, &SoftFloat::MaximumNumber); }
void FMinNum(State& s, const Op& op) { Map(s, op, &SoftFloat::MinimumNumber); }
void FAbs(State& s, const Op& op) {
  MapElements(s, op, [&](uint64_t a, uint64_t) { return a & ~FloatSign(op.width); });
}
void FNeg(State& s, const Op& op) {
  MapElements(s, op, [&](uint64_t a, uint64_t) { return a ^ FloatSign(op.width); });
}
void FCmpEq(State& s, const Op& op) {
  CompareElements(s, op, false, [](Ordering o) { return o == Ordering::kEqual; });
}
void FCmpGt(State& s, const Op& op) {
  CompareElements(s, op, true, [](Ordering o) { return o == Ordering::kGreater; });
}
void FCmpGe(State& s, const Op& op) {
  CompareElements(s, op, true,
                  [](Ordering o) { return o == Ordering::kGreater || o == Ordering::kEqual; });
}
void FRecipEstimate(State& s, const Op& op) { Map(s, op, &SoftFloat::ReciprocalEstimate); }
void FRsqrtEstimate(State& s, const Op& op) { Map(s, op, &SoftFloat::RootEstimate); }
void FRecipExponent(State& s, const Op& op) { Map(s, op, &SoftFloat::ReciprocalExponent); }
void FRecipStep(State& s, const Op& op) { Map(s, op, &SoftFloat::ReciprocalStep); }
void FRsqrtStep(State& s, const Op& op) { Map(s, op, &SoftFloat::RootStep); }

void FRound(State& s, const Op& op) {
  SoftFloat soft(s);
  const RoundMode mode = ModeOf(soft, op.lane);
  MapElements(s, op, [&](uint64_t a, uint64_t) {
    return soft.RoundToIntegral(op.width, a, mode, op.extra != 0);
  });
}
void FToInt(State& s, const Op& op) {
  SoftFloat soft(s);
  const RoundMode mode = ModeOf(soft, op.lane);
  MapElements(s, op, [&](uint64_t a, uint64_t) {
    return soft.ToInteger(op.width, a, op.width, IsSigned(op), static_cast<uint32_t>(op.imm), mode);
  });
}
void FFromInt(State& s, const Op& op) {
  SoftFloat soft(s);
  MapElements(s, op, [&](uint64_t a, uint64_t) {
    return soft.FromInteger(op.width, a, op.width, IsSigned(op), static_cast<uint32_t>(op.imm));
  });
}
void FToGeneral(State& s, const Op& op) {
  SoftFloat soft(s);
  const uint64_t a = Element(ReadV(s, op.a), op.width, 0);
  WriteG(s, op.dst,
         soft.ToInteger(op.width, a, static_cast<Width>(op.extra), IsSigned(op),
                        static_cast<uint32_t>(op.imm), ModeOf(soft, op.lane)));
}
void FFromGeneral(State& s, const Op& op) {
  // Operand a is a register: imm is the fraction's.
  const uint64_t value =
      SoftFloat(s).FromInteger(op.width, ReadG(s, op, op.a), static_cast<Width>(op.extra),
                               IsSigned(op), static_cast<uint32_t>(op.imm));
  WriteElement(s, op.dst, op.width, value);
}
void FConvert(State& s, const Op& op) {
  SoftFloat soft(s);
  const Width to = static_cast<Width>(op.extra);
  const uint64_t a = Element(ReadV(s, op.a), op.width, 0);
  WriteElement(s, op.dst, to, soft.Convert(op.width, a, to, soft.mode()));
}
void FWiden(State& s, const Op& op) {
  SoftFloat soft(s);
  const V128 a = ReadV(s, op.a);
  const uint32_t count = 8 / Bytes(op.width);
  V128 result;
  for (uint32_t i = 0; i < count; i++) {
    const uint64_t element = Element(a, op.width, op.lane * count + i);
    SetElement(result, Wider(op.width), i,
               soft.Convert(op.width, element, Wider(op.width), soft.mode()));
  }
  WriteV(s, op.dst, result);
}
void FNarrow(State& s, const Op& op) {
  SoftFloat soft(s);
  const RoundMode mode = op.extra != 0 ? RoundMode::kOdd : soft.mode();
  const V128 a = ReadV(s, op.a);
  const uint32_t count = op.bits & kScalar ? 1 : 8 / Bytes(op.width);
  V128 result = op.lane == 0 ? ZeroV() : ReadV(s, op.b);
  for (uint32_t i = 0; i < count; i++) {
    const uint64_t element = Element(a, Wider(op.width), i);
    SetElement(result, op.width, op.lane * count + i,
               soft.Convert(Wider(op.width), element, op.width, mode));
  }
  WriteV(s, op.dst, result);
}
void FToIntJs(State& s, const Op& op) {
  bool exact = false;
  const uint64_t value = SoftFloat(s).ToIntegerModulo(ReadV(s, op.a).d[0], &exact);
  WriteG(s, op.dst, value);
  s.flags = exact ? kFlagZ : 0;
}
void FCompare(State& s, const Op& op) { CompareScalars(s, op); }
void FCondCompare(State& s, const Op& op) {
  if (Holds(op.cond, s.flags)) return CompareScalars(s, op);
  s.flags = ir::FlagsOf(static_cast<uint32_t>(op.imm));
}
void FMulAddWide(State& s, const Op& op) {
  SoftFloat soft(s);
  const V128 a = ReadV(s, op.a);
  const V128 b = ReadV(s, op.b);
  V128 result = ReadV(s, op.c);
  if (op.bits & kHalf) result.d[1] = 0;
  const uint32_t count = Elements(op);
  for (uint32_t i = 0; i < count; i++) {
    const uint32_t from = op.lane * count + i;
    const uint64_t factor = op.extra & 1 ? a.h[from] ^ FloatSign(Width::k16) : a.h[from];
    result.s[i] = static_cast<uint32_t>(
        soft.MultiplyAdd(Width::k32, result.s[i], factor, b.h[from], Width::k16));
  }
  WriteV(s, op.dst, result);
}
void FComplexAdd(State& s, const Op& op) {
  SoftFloat soft(s);
  const V128 a = ReadV(s, op.a);
  const V128 b = ReadV(s, op.b);
  const uint64_t sign = FloatSign(op.width);
  V128 result = ZeroV();
  for (uint32_t i = 0; i < Elements(op); i += 2) {
    const uint64_t real = Element(b, op.width, i + 1) ^ (op.extra == 1 ? sign : 0);
    const uint64_t imaginary = Element(b, op.width, i) ^ (op.extra == 3 ? sign : 0);
    SetElement(result, op.width, i, soft.Add(op.width, Element(a, op.width, i), real));
    SetElement(result, op.width, i + 1, soft.Add(op.width, Element(a, op.width, i + 1), imaginary));
  }
  WriteV(s, op.dst, result);
}
void FComplexMulAdd(State& s, const Op& op) {
  SoftFloat soft(s);
  const V128 a = ReadV(s, op.a);
  const V128 b = ReadV(s, op.b);
  const V128 c = ReadV(s, op.c);
  const uint64_t sign = FloatSign(op.width);
  // Turned by odd multiples of 90 degrees: b's parts change places, and a's imaginary part counts.
  const uint32_t odd = op.extra & 1;
  V128 result = ZeroV();
  for (uint32_t i = 0; i < Elements(op); i += 2) {
    const uint64_t factor = Element(a, op.width, i + odd);
    const bool negative_real = op.extra == 1 || op.extra == 2;
    const uint64_t real = Element(b, op.width, i + odd) ^ (negative_real ? sign : 0);
    const uint64_t imaginary = Element(b, op.width, i + 1 - odd) ^ (op.extra >= 2 ? sign : 0);
    SetElement(result, op.width, i,
               soft.MultiplyAdd(op.width, Element(c, op.width, i), factor, real, op.width));
    SetElement(
        result, op.width, i + 1,
        soft.MultiplyAdd(op.width, Element(c, op.width, i + 1), factor, imaginary, op.width));
  }
  WriteV(s, op.dst, result);
}

}  // namespace dd::ir::kernel
