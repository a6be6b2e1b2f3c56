// Floating-point numbers to and from integers and other formats.
#include "guest/ir/soft_format.h"

namespace dd::ir {

namespace {

// A number cut at the binary point.
struct Cut {
  uint128 integer;
  bool inexact;
};

// mantissa * 2^exponent rounded to an integer. Numbers of 2^127 and more stay below 2^128: they are
// too great for every use.
Cut CutAt(uint64_t mantissa, int32_t exponent, bool sign, RoundMode mode) {
  if (exponent >= 0) return {uint128{mantissa} << (exponent > 63 ? 63 : exponent), false};
  const uint32_t drop = exponent < -100 ? 100 : static_cast<uint32_t>(-exponent);
  const uint128 half = uint128{1} << (drop - 1);
  const uint128 error = uint128{mantissa} & ((uint128{1} << drop) - 1);
  uint128 integer = uint128{mantissa} >> drop;
  bool up = false;
  switch (mode) {
    case RoundMode::kNearestEven:
      up = error > half || (error == half && (integer & 1) != 0);
      break;
    case RoundMode::kNearestAway:
      up = error >= half;
      break;
    case RoundMode::kUp:
      up = error != 0 && !sign;
      break;
    case RoundMode::kDown:
      up = error != 0 && sign;
      break;
    case RoundMode::kZero:
    case RoundMode::kOdd:
      break;
  }
  if (up) integer++;
  return {integer, error != 0};
}

}  // namespace

uint64_t SoftFloat::RoundToIntegral(Width width, uint64_t a, RoundMode mode, bool exact) {
  const Number x = Unpack(width, a);
  if (x.nan()) return Quiet(width, a, x);
  if (x.infinity()) return a;
  if (x.zero()) return Signed(width, x.sign, 0);
  if (x.exponent >= 0) return a;
  const Cut cut = CutAt(x.mantissa, x.exponent, x.sign, mode);
  if (cut.inexact && exact) Raise(kFpsrInexact);
  if (cut.integer == 0) return Signed(width, x.sign, 0);
  return Round(width, {x.sign, 0, cut.integer}, RoundMode::kZero);
}

uint64_t SoftFloat::ToInteger(Width width, uint64_t a, Width to, bool is_signed,
                              uint32_t fraction_bits, RoundMode mode) {
  const Number x = Unpack(width, a);
  const uint32_t bits = Bits(to);
  const uint64_t highest = is_signed ? MaskOf(bits - 1) : MaskOf(bits);
  const uint64_t lowest = is_signed ? highest + 1 : 0;
  if (x.nan()) {
    Raise(kFpsrInvalid);
    return 0;
  }
  if (x.zero()) return 0;
  if (x.infinity()) {
    Raise(kFpsrInvalid);
    return x.sign ? lowest : highest;
  }
  const Cut cut = CutAt(x.mantissa, x.exponent + static_cast<int32_t>(fraction_bits), x.sign, mode);
  const uint128 limit = x.sign ? uint128{is_signed ? lowest : 0} : uint128{highest};
  if (cut.integer > limit) {
    Raise(kFpsrInvalid);
    return x.sign ? lowest : highest;
  }
  if (cut.inexact) Raise(kFpsrInexact);
  const uint64_t size = static_cast<uint64_t>(cut.integer);
  return Truncate(x.sign ? 0 - size : size, bits);
}

uint64_t SoftFloat::ToIntegerModulo(uint64_t a, bool* exact) {
  const Number x = Unpack(Width::k64, a);
  *exact = false;
  if (x.nan() || x.infinity()) {
    Raise(kFpsrInvalid);
    return 0;
  }
  if (x.zero()) {
    *exact = a == 0;
    return 0;
  }
  // Multiples of 2^32 have no part in it.
  const bool huge = x.exponent >= 32;
  const Cut cut = huge ? Cut{0, false} : CutAt(x.mantissa, x.exponent, x.sign, RoundMode::kZero);
  const uint64_t limit = uint64_t{1} << 31;
  if (huge || cut.integer > (x.sign ? limit : limit - 1)) {
    Raise(kFpsrInvalid);
  } else if (cut.inexact) {
    Raise(kFpsrInexact);
  } else {
    *exact = true;
  }
  const uint64_t size = static_cast<uint64_t>(cut.integer);
  return Truncate(x.sign ? 0 - size : size, 32);
}

uint64_t SoftFloat::FromInteger(Width width, uint64_t a, Width from, bool is_signed,
                                uint32_t fraction_bits) {
  const uint32_t bits = Bits(from);
  a = Truncate(a, bits);
  if (a == 0) return 0;
  const bool negative = is_signed && SignExtend(a, bits) < 0;
  const uint64_t size = negative ? Truncate(0 - a, bits) : a;
  return Round(width, {negative, -static_cast<int32_t>(fraction_bits), size}, mode());
}

uint64_t SoftFloat::ConvertNan(Width from, const Number& x, Width to) {
  if (x.kind == Kind::kSignallingNan) Raise(kFpsrInvalid);
  if (fpcr_ & kFpcrDefaultNan) return DefaultNan(to);
  // The upper bits of the fraction are kept.
  const uint32_t have = FormatOf(from).fraction_bits;
  const uint32_t want = FormatOf(to).fraction_bits;
  const uint64_t fraction =
      want >= have ? x.mantissa << (want - have) : x.mantissa >> (have - want);
  return Signed(to, x.sign, ExponentMask(to) | QuietBit(to) | fraction);
}

uint64_t SoftFloat::Convert(Width from, uint64_t a, Width to, RoundMode mode) {
  const Number x = Unpack(from, a, true);
  const bool alternative = to == Width::k16 && (fpcr_ & kFpcrAlternativeHalf) != 0;
  if (x.nan()) {
    if (alternative) Raise(kFpsrInvalid);
    if (alternative) return Signed(to, x.sign, 0);
    return ConvertNan(from, x, to);
  }
  if (x.infinity()) {
    if (!alternative) return Infinity(to, x.sign);
    Raise(kFpsrInvalid);
    return Signed(to, x.sign, 0x7fff);
  }
  if (x.zero()) return Signed(to, x.sign, 0);
  return Round(to, {x.sign, x.exponent, x.mantissa}, mode, true);
}

}  // namespace dd::ir
