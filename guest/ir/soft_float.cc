#include "guest/ir/soft_float.h"

#include "guest/ir/estimate.h"
#include "guest/ir/soft_format.h"

namespace dd::ir {

RoundMode SoftFloat::mode() const {
  return static_cast<RoundMode>(fpcr_ >> kFpcrRoundingShift & 3);
}

bool SoftFloat::Flushes(Width width) const {
  return (fpcr_ & (width == Width::k16 ? kFpcrFlushHalfToZero : kFpcrFlushToZero)) != 0;
}

SoftFloat::Number SoftFloat::Unpack(Width width, uint64_t bits, bool converts) {
  const Format f = FormatOf(width);
  const bool sign = (bits & FloatSign(width)) != 0;
  const uint64_t fraction = bits & FractionMask(width);
  const uint32_t exponent = static_cast<uint32_t>((bits & ExponentMask(width)) >> f.fraction_bits);
  const int32_t unit = 1 - f.bias - static_cast<int32_t>(f.fraction_bits);
  if (exponent == 0) {
    if (fraction == 0) return {Kind::kZero, sign, 0, 0};
    // Conversions take numbers of half precision as they are.
    if (Flushes(width) && !(converts && width == Width::k16)) {
      if (width != Width::k16) Raise(kFpsrInputDenormal);
      return {Kind::kZero, sign, 0, 0};
    }
    return {Kind::kFinite, sign, unit, fraction};
  }
  const bool alternative = converts && width == Width::k16 && (fpcr_ & kFpcrAlternativeHalf) != 0;
  if (exponent == MaskOf(f.exponent_bits) && !alternative) {
    if (fraction == 0) return {Kind::kInfinity, sign, 0, 0};
    return {fraction & QuietBit(width) ? Kind::kQuietNan : Kind::kSignallingNan, sign, 0, fraction};
  }
  return {Kind::kFinite, sign, unit + static_cast<int32_t>(exponent) - 1,
          fraction | uint64_t{1} << f.fraction_bits};
}

uint64_t SoftFloat::Invalid(Width width) {
  Raise(kFpsrInvalid);
  return DefaultNan(width);
}

uint64_t SoftFloat::Quiet(Width width, uint64_t bits, const Number& number) {
  if (number.kind == Kind::kSignallingNan) Raise(kFpsrInvalid);
  return fpcr_ & kFpcrDefaultNan ? DefaultNan(width) : bits | QuietBit(width);
}

bool SoftFloat::PickNan(Width width, uint64_t a, const Number& x, uint64_t b, const Number& y,
                        uint64_t* to) {
  if (!x.nan() && !y.nan()) return false;
  const bool first = x.kind == Kind::kSignallingNan ||
                     (y.kind != Kind::kSignallingNan && x.kind == Kind::kQuietNan);
  *to = first ? Quiet(width, a, x) : Quiet(width, b, y);
  return true;
}

uint64_t SoftFloat::Round(Width width, const Exact& value, RoundMode mode, bool converts) {
  const Format f = FormatOf(width);
  const bool half_conversion = converts && width == Width::k16;
  const Exact high = value.Raised(127);
  const int32_t exponent = high.exponent + 127;
  const int32_t least = 1 - f.bias;
  if (exponent < least && Flushes(width) && !half_conversion) {
    Raise(kFpsrUnderflow);
    return Signed(width, value.sign, 0);
  }
  // The mantissa with the bits of the format, and what is lost in `error`.
  uint32_t drop = 127 - f.fraction_bits;
  int32_t biased = exponent - least + 1;
  if (biased <= 0) {
    drop += static_cast<uint32_t>(1 - biased);
    biased = 0;
  }
  uint128 kept = drop < 128 ? high.mantissa >> drop : uint128{0};
  const uint128 half = drop <= 128 ? uint128{1} << (drop - 1) : uint128{0};
  const uint128 error = drop < 128 ? high.mantissa & ((uint128{1} << drop) - 1) : high.mantissa;
  const bool more_than_half = half != 0 && error > half;
  const bool exactly_half = half != 0 && error == half;
  bool inexact = error != 0;
  if (biased == 0 && inexact) Raise(kFpsrUnderflow);
  bool up = false;
  bool overflows_to_infinity = true;
  switch (mode) {
    case RoundMode::kNearestEven:
      up = more_than_half || (exactly_half && (kept & 1) != 0);
      break;
    case RoundMode::kNearestAway:
      up = more_than_half || exactly_half;
      break;
    case RoundMode::kUp:
      up = inexact && !value.sign;
      overflows_to_infinity = !value.sign;
      break;
    case RoundMode::kDown:
      up = inexact && value.sign;
      overflows_to_infinity = value.sign;
      break;
    case RoundMode::kZero:
      overflows_to_infinity = false;
      break;
    case RoundMode::kOdd:
      if (inexact) kept |= 1;
      overflows_to_infinity = false;
      break;
  }
  if (up) kept++;
  if (biased == 0 && kept >> f.fraction_bits != 0) biased = 1;
  if (kept >> (f.fraction_bits + 1) != 0) {
    kept >>= 1;
    biased++;
  }
  const int32_t most = static_cast<int32_t>(MaskOf(f.exponent_bits));
  if (half_conversion && (fpcr_ & kFpcrAlternativeHalf) != 0) {
    if (biased > most) {
      Raise(kFpsrInvalid);
      return Signed(width, value.sign, 0x7fff);
    }
  } else if (biased >= most) {
    Raise(kFpsrOverflow | kFpsrInexact);
    return overflows_to_infinity ? Infinity(width, value.sign) : Greatest(width, value.sign);
  }
  if (inexact) Raise(kFpsrInexact);
  const uint64_t fraction = static_cast<uint64_t>(kept) & FractionMask(width);
  return Signed(width, value.sign, static_cast<uint64_t>(biased) << f.fraction_bits | fraction);
}

uint64_t SoftFloat::AddNumbers(Width width, const Number& x, const Number& y) {
  if (x.infinity() && y.infinity() && x.sign != y.sign) return Invalid(width);
  if (x.infinity() || y.infinity()) return Infinity(width, x.infinity() ? x.sign : y.sign);
  if (x.zero() && y.zero()) return Signed(width, x.sign == y.sign ? x.sign : SignOfZero(), 0);
  const auto exact = [](const Number& n) { return Exact{n.sign, n.exponent, n.mantissa}; };
  if (x.zero()) return Round(width, exact(y), mode());
  if (y.zero()) return Round(width, exact(x), mode());
  // Nothing is lost of two numbers that are near each other: 53 bits leave room for 70 more.
  Exact a = exact(x).Raised(125);
  Exact b = exact(y).Raised(125);
  if (a.exponent < b.exponent || (a.exponent == b.exponent && a.mantissa < b.mantissa)) {
    const Exact other = a;
    a = b;
    b = other;
  }
  const uint128 shifted = ShiftRightJam(b.mantissa, static_cast<uint32_t>(a.exponent - b.exponent));
  const uint128 sum = a.sign == b.sign ? a.mantissa + shifted : a.mantissa - shifted;
  if (sum == 0) return Signed(width, SignOfZero(), 0);
  return Round(width, {a.sign, a.exponent, sum}, mode());
}

uint64_t SoftFloat::Add(Width width, uint64_t a, uint64_t b) {
  const Number x = Unpack(width, a);
  const Number y = Unpack(width, b);
  uint64_t nan = 0;
  if (PickNan(width, a, x, b, y, &nan)) return nan;
  return AddNumbers(width, x, y);
}

uint64_t SoftFloat::Subtract(Width width, uint64_t a, uint64_t b) {
  const Number x = Unpack(width, a);
  Number y = Unpack(width, b);
  uint64_t nan = 0;
  if (PickNan(width, a, x, b, y, &nan)) return nan;
  y.sign = !y.sign;
  return AddNumbers(width, x, y);
}

uint64_t SoftFloat::Multiply(Width width, uint64_t a, uint64_t b) {
  const Number x = Unpack(width, a);
  const Number y = Unpack(width, b);
  uint64_t nan = 0;
  if (PickNan(width, a, x, b, y, &nan)) return nan;
  const bool sign = x.sign != y.sign;
  if ((x.infinity() && y.zero()) || (x.zero() && y.infinity())) return Invalid(width);
  if (x.infinity() || y.infinity()) return Infinity(width, sign);
  if (x.zero() || y.zero()) return Signed(width, sign, 0);
  return Round(width, {sign, x.exponent + y.exponent, uint128{x.mantissa} * y.mantissa}, mode());
}

uint64_t SoftFloat::MultiplyExtended(Width width, uint64_t a, uint64_t b) {
  const Number x = Unpack(width, a);
  const Number y = Unpack(width, b);
  if ((x.infinity() && y.zero()) || (x.zero() && y.infinity())) {
    return Signed(width, x.sign != y.sign, PowerOfTwo(width, 1));
  }
  return Multiply(width, a, b);
}

uint64_t SoftFloat::Divide(Width width, uint64_t a, uint64_t b) {
  const Number x = Unpack(width, a);
  const Number y = Unpack(width, b);
  uint64_t nan = 0;
  if (PickNan(width, a, x, b, y, &nan)) return nan;
  const bool sign = x.sign != y.sign;
  if ((x.infinity() && y.infinity()) || (x.zero() && y.zero())) return Invalid(width);
  if (x.infinity()) return Infinity(width, sign);
  if (y.zero()) {
    Raise(kFpsrDivideByZero);
    return Infinity(width, sign);
  }
  if (x.zero() || y.infinity()) return Signed(width, sign, 0);
  // Long division of mantissas that both have bit 63 set: 64 bits of quotient.
  const int32_t up = __builtin_clzll(x.mantissa);
  const int32_t down = __builtin_clzll(y.mantissa);
  const uint64_t divisor = y.mantissa << down;
  uint128 rest = x.mantissa << up;
  uint128 quotient = 0;
  constexpr int32_t kSteps = 64;
  for (int32_t i = 0; i < kSteps; i++) {
    quotient <<= 1;
    if (rest >= divisor) {
      rest -= divisor;
      quotient |= 1;
    }
    rest <<= 1;
  }
  quotient = quotient << 1 | (rest != 0);
  return Round(width, {sign, x.exponent - up - (y.exponent - down) - kSteps, quotient}, mode());
}

uint64_t SoftFloat::SquareRoot(Width width, uint64_t a) {
  const Number x = Unpack(width, a);
  if (x.nan()) return Quiet(width, a, x);
  if (x.zero()) return Signed(width, x.sign, 0);
  if (x.sign) return Invalid(width);
  if (x.infinity()) return Infinity(width, false);
  Exact value = Exact{false, x.exponent, x.mantissa}.Raised(126);
  if (value.exponent & 1) {
    value.mantissa >>= 1;
    value.exponent++;
  }
  uint64_t root = 0;
  for (int32_t bit = 63; bit >= 0; bit--) {
    const uint64_t next = root | uint64_t{1} << bit;
    if (uint128{next} * next <= value.mantissa) root = next;
  }
  const bool rest = uint128{root} * root != value.mantissa;
  return Round(width, {false, value.exponent / 2 - 1, uint128{root} << 1 | rest}, mode());
}

uint64_t SoftFloat::MultiplyAdd(Width width, uint64_t addend, uint64_t a, uint64_t b,
                                Width factors) {
  const Number c = Unpack(width, addend);
  const Number x = Unpack(factors, a);
  const Number y = Unpack(factors, b);
  const bool undefined = (x.infinity() && y.zero()) || (x.zero() && y.infinity());
  if (c.kind == Kind::kQuietNan && undefined) return Invalid(width);
  if (c.nan() || x.nan() || y.nan()) {
    // Signalling ones first, in the order addend, a, b; then quiet ones.
    const auto widened = [&](uint64_t bits, const Number& n) {
      if (factors == width) return Quiet(width, bits, n);
      return ConvertNan(factors, n, width);
    };
    constexpr Kind kOrder[] = {Kind::kSignallingNan, Kind::kQuietNan};
    for (const Kind kind : kOrder) {
      if (c.kind == kind) return Quiet(width, addend, c);
      if (x.kind == kind) return widened(a, x);
      if (y.kind == kind) return widened(b, y);
    }
  }
  const bool sign = x.sign != y.sign;
  const bool infinite = x.infinity() || y.infinity();
  if (undefined || (c.infinity() && infinite && c.sign != sign)) return Invalid(width);
  if (c.infinity() || infinite) return Infinity(width, c.infinity() ? c.sign : sign);
  if (x.zero() || y.zero()) {
    if (!c.zero()) return Round(width, {c.sign, c.exponent, c.mantissa}, mode());
    return Signed(width, c.sign == sign ? sign : SignOfZero(), 0);
  }
  const Exact product{sign, x.exponent + y.exponent, uint128{x.mantissa} * y.mantissa};
  if (c.zero()) return Round(width, product, mode());
  // 106 bits leave room for 20 more: what is jammed is far below.
  Exact p = product.Raised(125);
  Exact q = Exact{c.sign, c.exponent, c.mantissa}.Raised(125);
  if (p.exponent < q.exponent || (p.exponent == q.exponent && p.mantissa < q.mantissa)) {
    const Exact other = p;
    p = q;
    q = other;
  }
  const uint128 shifted = ShiftRightJam(q.mantissa, static_cast<uint32_t>(p.exponent - q.exponent));
  const uint128 sum = p.sign == q.sign ? p.mantissa + shifted : p.mantissa - shifted;
  if (sum == 0) return Signed(width, SignOfZero(), 0);
  return Round(width, {p.sign, p.exponent, sum}, mode());
}

uint64_t SoftFloat::Extreme(Width width, uint64_t a, uint64_t b, bool greatest) {
  const Number x = Unpack(width, a);
  const Number y = Unpack(width, b);
  uint64_t nan = 0;
  if (PickNan(width, a, x, b, y, &nan)) return nan;
  if (x.zero() && y.zero()) {
    return Signed(width, greatest ? x.sign && y.sign : x.sign || y.sign, 0);
  }
  // Bits of numbers of one sign are in the order of their values; flushed ones are 0.
  const auto key = [&](const Number& n, uint64_t bits) {
    const int64_t size = n.zero() ? 0 : static_cast<int64_t>(bits & ~FloatSign(width));
    return n.sign ? -size : size;
  };
  const bool first = greatest ? key(x, a) > key(y, b) : key(x, a) < key(y, b);
  const Number& chosen = first ? x : y;
  if (chosen.zero()) return Signed(width, chosen.sign, 0);
  return first ? a : b;
}

uint64_t SoftFloat::MaximumNumber(Width width, uint64_t a, uint64_t b) {
  const Kind x = Unpack(width, a).kind;
  const Kind y = Unpack(width, b).kind;
  if (x == Kind::kQuietNan && y != Kind::kQuietNan) a = Infinity(width, true);
  if (x != Kind::kQuietNan && y == Kind::kQuietNan) b = Infinity(width, true);
  return Maximum(width, a, b);
}

uint64_t SoftFloat::MinimumNumber(Width width, uint64_t a, uint64_t b) {
  const Kind x = Unpack(width, a).kind;
  const Kind y = Unpack(width, b).kind;
  if (x == Kind::kQuietNan && y != Kind::kQuietNan) a = Infinity(width, false);
  if (x != Kind::kQuietNan && y == Kind::kQuietNan) b = Infinity(width, false);
  return Minimum(width, a, b);
}

Ordering SoftFloat::Compare(Width width, uint64_t a, uint64_t b, bool signals) {
  const Number x = Unpack(width, a);
  const Number y = Unpack(width, b);
  if (x.nan() || y.nan()) {
    const bool signalling = x.kind == Kind::kSignallingNan || y.kind == Kind::kSignallingNan;
    if (signalling || signals) Raise(kFpsrInvalid);
    return Ordering::kUnordered;
  }
  const auto key = [&](const Number& n, uint64_t bits) {
    const int64_t size = n.zero() ? 0 : static_cast<int64_t>(bits & ~FloatSign(width));
    return n.sign ? -size : size;
  };
  const int64_t left = key(x, a);
  const int64_t right = key(y, b);
  return left < right ? Ordering::kLess : left > right ? Ordering::kGreater : Ordering::kEqual;
}

uint64_t SoftFloat::ReciprocalEstimate(Width width, uint64_t a) {
  const Format f = FormatOf(width);
  const Number x = Unpack(width, a);
  if (x.nan()) return Quiet(width, a, x);
  if (x.infinity()) return Signed(width, x.sign, 0);
  if (x.zero()) {
    Raise(kFpsrDivideByZero);
    return Infinity(width, x.sign);
  }
  // x = mantissa * 2^exponent with bit 63 of the mantissa set.
  const int32_t up = __builtin_clzll(x.mantissa);
  const uint64_t mantissa = x.mantissa << up;
  const int32_t exponent = x.exponent - up + 63;
  if (exponent < -(f.bias + 1)) {
    Raise(kFpsrOverflow | kFpsrInexact);
    const RoundMode round = mode();
    const bool infinite =
        round == RoundMode::kNearestEven || round == (x.sign ? RoundMode::kDown : RoundMode::kUp);
    return infinite ? Infinity(width, x.sign) : Greatest(width, x.sign);
  }
  if (exponent >= f.bias - 1 && Flushes(width)) {
    Raise(kFpsrUnderflow);
    return Signed(width, x.sign, 0);
  }
  uint64_t fraction = uint64_t{RecipEstimate(static_cast<uint32_t>(mantissa >> 55))} << 44;
  int32_t biased = -exponent - 1 + f.bias;
  // The leading one of the estimate is implied, unless the result is denormal.
  fraction &= MaskOf(52);
  if (biased <= 0) {
    fraction = (fraction | uint64_t{1} << 52) >> (1 - biased);
    biased = 0;
  }
  return Signed(
      width, x.sign,
      static_cast<uint64_t>(biased) << f.fraction_bits | fraction >> (52 - f.fraction_bits));
}

uint64_t SoftFloat::RootEstimate(Width width, uint64_t a) {
  const Format f = FormatOf(width);
  const Number x = Unpack(width, a);
  if (x.nan()) return Quiet(width, a, x);
  if (x.zero()) {
    Raise(kFpsrDivideByZero);
    return Infinity(width, x.sign);
  }
  if (x.sign) return Invalid(width);
  if (x.infinity()) return 0;
  const int32_t up = __builtin_clzll(x.mantissa);
  const uint64_t mantissa = x.mantissa << up;
  const int32_t biased = x.exponent - up + 63 + f.bias;
  const uint32_t scaled = static_cast<uint32_t>(mantissa >> ((biased & 1) == 0 ? 55 : 56));
  const int32_t result = (3 * f.bias - 1 - biased) >> 1;
  const uint64_t fraction = uint64_t{RsqrtEstimate(scaled) & 0xff} << (f.fraction_bits - 8);
  return static_cast<uint64_t>(result) << f.fraction_bits | fraction;
}

uint64_t SoftFloat::ReciprocalExponent(Width width, uint64_t a) {
  const Number x = Unpack(width, a);
  if (x.nan()) return Quiet(width, a, x);
  const uint64_t exponent = a & ExponentMask(width);
  const uint64_t lowest = FractionMask(width) + 1;
  return Signed(width, x.sign,
                exponent == 0 ? ExponentMask(width) - lowest : ~exponent & ExponentMask(width));
}

uint64_t SoftFloat::Step(Width width, uint64_t a, uint64_t b, uint64_t constant,
                         uint64_t if_undefined, int32_t halvings) {
  a ^= FloatSign(width);
  const Number x = Unpack(width, a);
  const Number y = Unpack(width, b);
  uint64_t nan = 0;
  if (PickNan(width, a, x, b, y, &nan)) return nan;
  if ((x.infinity() && y.zero()) || (x.zero() && y.infinity())) return if_undefined;
  const bool sign = x.sign != y.sign;
  if (x.infinity() || y.infinity()) return Infinity(width, sign);
  const Number c = Unpack(width, constant);
  const Exact onto = Exact{false, c.exponent, c.mantissa}.Raised(125);
  if (x.zero() || y.zero()) {
    return Round(width, {false, onto.exponent - halvings, onto.mantissa}, mode());
  }
  Exact p = Exact{sign, x.exponent + y.exponent, uint128{x.mantissa} * y.mantissa}.Raised(125);
  Exact q = onto;
  if (p.exponent < q.exponent || (p.exponent == q.exponent && p.mantissa < q.mantissa)) {
    const Exact other = p;
    p = q;
    q = other;
  }
  const uint128 shifted = ShiftRightJam(q.mantissa, static_cast<uint32_t>(p.exponent - q.exponent));
  const uint128 sum = p.sign == q.sign ? p.mantissa + shifted : p.mantissa - shifted;
  if (sum == 0) return Signed(width, SignOfZero(), 0);
  return Round(width, {p.sign, p.exponent - halvings, sum}, mode());
}

uint64_t SoftFloat::ReciprocalStep(Width width, uint64_t a, uint64_t b) {
  return Step(width, a, b, PowerOfTwo(width, 1), PowerOfTwo(width, 1), 0);
}

uint64_t SoftFloat::RootStep(Width width, uint64_t a, uint64_t b) {
  // 3 is 1.5 times 2.
  return Step(width, a, b, PowerOfTwo(width, 1, true), PowerOfTwo(width, 0, true), 1);
}

}  // namespace dd::ir
