// The reciprocal estimates of 9 bits that the arm64 manual prescribes (RecipEstimate and
// RecipSqrtEstimate): what approximates 1 / x and 1 / sqrt(x) of a scaled mantissa.
#pragma once

#include <cstdint>

namespace dd::ir {

// Of 256..511, which stands for 0.5 up to 1; the result, 256..511, for 1 up to 2.
constexpr uint32_t RecipEstimate(uint32_t a) {
  const uint32_t b = (1u << 19) / (a * 2 + 1);
  return (b + 1) / 2;
}

// Of 128..511, which stands for 0.25 up to 1.
constexpr uint32_t RsqrtEstimate(uint32_t a) {
  a = a < 256 ? a * 2 + 1 : ((a & ~1u) + 1) * 2;
  uint32_t b = 512;
  while (a * (b + 1) * (b + 1) < 1u << 28) b++;
  return (b + 1) / 2;
}

}  // namespace dd::ir
