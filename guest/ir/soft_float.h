// IEEE 754 arithmetic in integers, as the arm64 manual's pseudocode has it to the last bit: choice
// of NaNs, flushing, rounding, exceptions. Numbers are bit patterns of a Width (16, 32 or 64 bits).
// It is the reference, and what generated code falls back on.
#pragma once

#include <cstdint>

#include "guest/ir/ir.h"

namespace dd::ir {

// How results are rounded; odd: the last bit says that something was lost.
enum class RoundMode : uint8_t { kNearestEven, kUp, kDown, kZero, kNearestAway, kOdd };

enum class Ordering : uint8_t { kLess, kEqual, kGreater, kUnordered };

// Arithmetic under a guest's FPCR; exceptions are added to its FPSR.
class SoftFloat {
 public:
  explicit SoftFloat(State& state) : fpcr_(state.fpcr), fpsr_(state.fpsr) {}

  uint64_t Add(Width width, uint64_t a, uint64_t b);
  uint64_t Subtract(Width width, uint64_t a, uint64_t b);
  uint64_t Multiply(Width width, uint64_t a, uint64_t b);
  // 0 times infinity is 2.
  uint64_t MultiplyExtended(Width width, uint64_t a, uint64_t b);
  uint64_t Divide(Width width, uint64_t a, uint64_t b);
  uint64_t SquareRoot(Width width, uint64_t a);
  // addend + a * b; a and b may be of a narrower width.
  uint64_t MultiplyAdd(Width width, uint64_t addend, uint64_t a, uint64_t b, Width factors);

  uint64_t Maximum(Width width, uint64_t a, uint64_t b) { return Extreme(width, a, b, true); }
  uint64_t Minimum(Width width, uint64_t a, uint64_t b) { return Extreme(width, a, b, false); }
  // A quiet NaN loses against a number.
  uint64_t MaximumNumber(Width width, uint64_t a, uint64_t b);
  uint64_t MinimumNumber(Width width, uint64_t a, uint64_t b);

  // `signals`: an exception also for quiet NaNs.
  Ordering Compare(Width width, uint64_t a, uint64_t b, bool signals);

  uint64_t ReciprocalEstimate(Width width, uint64_t a);
  uint64_t RootEstimate(Width width, uint64_t a);
  uint64_t ReciprocalExponent(Width width, uint64_t a);
  uint64_t ReciprocalStep(Width width, uint64_t a, uint64_t b);
  uint64_t RootStep(Width width, uint64_t a, uint64_t b);

  // To an integer in the same format; `exact`: it is an exception when that changes the value.
  uint64_t RoundToIntegral(Width width, uint64_t a, RoundMode mode, bool exact);
  // a * 2^fraction_bits as an integer of `to`, saturated.
  uint64_t ToInteger(Width width, uint64_t a, Width to, bool is_signed, uint32_t fraction_bits,
                     RoundMode mode);
  // The integer's lower 32 bits, and whether they are all that a was.
  uint64_t ToIntegerModulo(uint64_t a, bool* exact);
  uint64_t FromInteger(Width width, uint64_t a, Width from, bool is_signed, uint32_t fraction_bits);
  uint64_t Convert(Width from, uint64_t a, Width to, RoundMode mode);

  // As FPCR says.
  RoundMode mode() const;

 private:
  enum class Kind : uint8_t { kZero, kFinite, kInfinity, kQuietNan, kSignallingNan };
  // A finite number is mantissa * 2^exponent.
  struct Number {
    Kind kind;
    bool sign;
    int32_t exponent;
    uint64_t mantissa;
    bool nan() const { return kind >= Kind::kQuietNan; }
    bool zero() const { return kind == Kind::kZero; }
    bool infinity() const { return kind == Kind::kInfinity; }
  };
  struct Exact;

  void Raise(uint32_t exceptions) { fpsr_ |= exceptions; }
  bool Flushes(Width width) const;
  Number Unpack(Width width, uint64_t bits, bool converts = false);
  uint64_t Invalid(Width width);
  uint64_t Quiet(Width width, uint64_t bits, const Number& number);
  // A NaN in another format.
  uint64_t ConvertNan(Width from, const Number& x, Width to);
  bool PickNan(Width width, uint64_t a, const Number& x, uint64_t b, const Number& y, uint64_t* to);
  // The sign of a sum that is exactly 0.
  bool SignOfZero() const { return mode() == RoundMode::kDown; }
  uint64_t Round(Width width, const Exact& value, RoundMode mode, bool converts = false);
  uint64_t AddNumbers(Width width, const Number& x, const Number& y);
  uint64_t Extreme(Width width, uint64_t a, uint64_t b, bool greatest);
  uint64_t Step(Width width, uint64_t a, uint64_t b, uint64_t constant, uint64_t if_undefined,
                int32_t halvings);

  const uint32_t fpcr_;
  uint32_t& fpsr_;
};

// The bits of numbers that are not made by arithmetic.
constexpr uint64_t FloatSign(Width width) {
  return uint64_t{1} << ((8u << static_cast<uint32_t>(width)) - 1);
}

}  // namespace dd::ir
