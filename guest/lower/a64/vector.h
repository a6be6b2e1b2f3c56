// What the functions that lower vector instructions share.
#pragma once

#include "guest/lower/a64/lowering.h"

namespace dd::lower::a64 {

// The elements of an instruction: how wide, and by OpBits how many.
struct Shape {
  Width width;
  uint8_t bits;
};

// Sets of element sizes, as bits by Width.
constexpr uint32_t kB = 1;
constexpr uint32_t kH = 2;
constexpr uint32_t kS = 4;
constexpr uint32_t kD = 8;

// Scalar forms have bit 28 set, where vectors have 0 (and bit 30 says how long they are).
constexpr bool IsScalar(Word w) { return w.Bit(28); }
constexpr bool IsWhole(Word w) { return w.Bit(30); }
constexpr uint8_t LengthBits(Word w) {
  return static_cast<uint8_t>(IsScalar(w) ? ir::kScalar : IsWhole(w) ? 0 : ir::kHalf);
}
// Which half of its narrower operands a widening or narrowing instruction works on.
constexpr uint8_t HalfOf(Word w) { return !IsScalar(w) && IsWhole(w) ? 1 : 0; }

constexpr uint32_t BitsOf(Width width) { return 8u << static_cast<uint32_t>(width); }
constexpr Width Twice(Width width) { return static_cast<Width>(static_cast<uint32_t>(width) + 1); }

// The shape of an integer instruction of one of `sizes`; false, and undefined, if there is none.
inline bool IntegerShape(Lowering& l, Word w, uint32_t sizes, Shape* to) {
  const uint32_t size = w.At(22, 2);
  const bool one_of_one = size == 3 && !IsScalar(w) && !IsWhole(w);
  if ((sizes >> size & 1) == 0 || one_of_one) {
    l.Undefined();
    return false;
  }
  *to = {static_cast<Width>(size), LengthBits(w)};
  return true;
}

// Whether a row is of half precision, or of single and double by bit 22.
enum class Precision : bool { kBySize, kHalf };

inline bool FloatShape(Lowering& l, Word w, Precision precision, Shape* to) {
  const Width width = precision == Precision::kHalf ? Width::k16
                      : w.Bit(22)                   ? Width::k64
                                                    : Width::k32;
  if (width == Width::k64 && !IsScalar(w) && !IsWhole(w)) {
    l.Undefined();
    return false;
  }
  *to = {width, LengthBits(w)};
  return true;
}

inline Op& EmitShape(Lowering& l, const Shape& shape, OpCode code, Ref dst, Ref a = {}, Ref b = {},
                     Ref c = {}) {
  return l.EmitBits(shape.bits, code, shape.width, dst, a, b, c);
}

// The operands by position.
inline Ref Vd(Word w) { return Lowering::V(w.rd()); }
inline Ref Vn(Word w) { return Lowering::V(w.rn()); }
inline Ref Vm(Word w) { return Lowering::V(w.rm()); }

// The element of Vm that instructions "by element" name, in all elements of a temporary.
inline Ref ElementOfM(Lowering& l, Word w, Width width) {
  const uint32_t high = w.At(11, 1);
  const uint32_t low = w.At(21, 1);
  const uint32_t least = w.At(20, 1);
  const bool short_register = width == Width::k16;
  const uint32_t index = width == Width::k16   ? high << 2 | low << 1 | least
                         : width == Width::k32 ? high << 1 | low
                                               : high;
  const Ref all = l.Temp();
  l.Emit(OpCode::kVDupLane, width, all, l.V(w.At(16, short_register ? 4 : 5))).lane =
      static_cast<uint8_t>(index);
  return all;
}

// Defines the rows NAME_v and NAME_s alike.
#define DD_LOWER_BOTH(name, ...)  \
  DD_LOWER(name##_v, __VA_ARGS__) \
  DD_LOWER(name##_s, __VA_ARGS__)

}  // namespace dd::lower::a64
