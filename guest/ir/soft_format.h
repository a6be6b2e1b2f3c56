// Formats of floating-point numbers, and exact values on their way to be rounded.
#pragma once

#include "guest/ir/kernels.h"
#include "guest/ir/soft_float.h"

namespace dd::ir {

struct Format {
  uint32_t fraction_bits;
  uint32_t exponent_bits;
  int32_t bias;
};

constexpr Format FormatOf(Width width) {
  if (width == Width::k16) return {10, 5, 15};
  if (width == Width::k32) return {23, 8, 127};
  return {52, 11, 1023};
}

constexpr uint64_t ExponentMask(Width width) {
  const Format f = FormatOf(width);
  return MaskOf(f.exponent_bits) << f.fraction_bits;
}
constexpr uint64_t FractionMask(Width width) { return MaskOf(FormatOf(width).fraction_bits); }
constexpr uint64_t QuietBit(Width width) {
  return uint64_t{1} << (FormatOf(width).fraction_bits - 1);
}
constexpr uint64_t Signed(Width width, bool sign, uint64_t bits) {
  return sign ? bits | FloatSign(width) : bits;
}
constexpr uint64_t Infinity(Width width, bool sign) {
  return Signed(width, sign, ExponentMask(width));
}
constexpr uint64_t Greatest(Width width, bool sign) {
  return Signed(width, sign, ExponentMask(width) - 1);
}
constexpr uint64_t DefaultNan(Width width) { return ExponentMask(width) | QuietBit(width); }
// 2^power, with the fraction's highest bit set or not.
constexpr uint64_t PowerOfTwo(Width width, int32_t power, bool and_half = false) {
  const Format f = FormatOf(width);
  return static_cast<uint64_t>(power + f.bias) << f.fraction_bits |
         (and_half ? QuietBit(width) : 0);
}

inline uint32_t LeadingZeros(uint128 value) {
  const uint64_t high = static_cast<uint64_t>(value >> 64);
  if (high != 0) return static_cast<uint32_t>(__builtin_clzll(high));
  return 64 + static_cast<uint32_t>(__builtin_clzll(static_cast<uint64_t>(value)));
}

// Shifts to the right; the lowest bit says that something was lost.
inline uint128 ShiftRightJam(uint128 value, uint32_t by) {
  if (by == 0) return value;
  if (by >= 128) return value != 0;
  return (value >> by) | ((value << (128 - by)) != 0);
}

// mantissa * 2^exponent; the lowest bit of the mantissa may stand for anything smaller.
struct SoftFloat::Exact {
  bool sign;
  int32_t exponent;
  uint128 mantissa;  // not 0

  // The same with the highest bit of the mantissa at `bit`, when it is below.
  Exact Raised(uint32_t bit) const {
    const uint32_t by = LeadingZeros(mantissa) - (127 - bit);
    return {sign, exponent - static_cast<int32_t>(by), mantissa << by};
  }
};

}  // namespace dd::ir
