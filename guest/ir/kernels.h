// What the interpreter's functions have in common: operands, elements, flags. One function per
// operation, named as its row, in kernels_*.cc.
#pragma once

#include <cstdint>

#include "guest/ir/interpret.h"

namespace dd::ir {

namespace kernel {
#define DD_IR_KERNEL(name, kind) Kernel name;
DD_IR_INTEGER_OPS(DD_IR_KERNEL)
DD_IR_MEMORY_OPS(DD_IR_KERNEL)
DD_IR_SYSTEM_OPS(DD_IR_KERNEL)
DD_IR_VECTOR_OPS(DD_IR_KERNEL)
#undef DD_IR_KERNEL
}  // namespace kernel

__extension__ using int128 = __int128;
__extension__ using uint128 = unsigned __int128;

constexpr uint32_t Bytes(Width width) { return 1u << static_cast<uint32_t>(width); }
constexpr uint32_t Bits(Width width) { return 8u << static_cast<uint32_t>(width); }
constexpr Width Wider(Width width) { return static_cast<Width>(static_cast<uint8_t>(width) + 1); }
constexpr uint64_t MaskOf(uint32_t bits) {
  return bits >= 64 ? ~uint64_t{0} : (uint64_t{1} << bits) - 1;
}
constexpr uint64_t Truncate(uint64_t value, uint32_t bits) { return value & MaskOf(bits); }
constexpr int64_t SignExtend(uint64_t value, uint32_t bits) {
  return static_cast<int64_t>(value << (64 - bits)) >> (64 - bits);
}

inline uint64_t ReadG(const State& state, const Op& op, Ref ref) {
  if (ref.guest()) return state.g[ref.index()];
  if (ref.temp()) return state.temps[ref.index()].d[0];
  return ref.immediate() ? static_cast<uint64_t>(op.imm) : 0;
}

inline void WriteG(State& state, Ref ref, uint64_t value) {
  if (ref.guest()) {
    state.g[ref.index()] = value;
  } else if (ref.temp()) {
    state.temps[ref.index()].d[0] = value;
  }
}

inline V128 ReadV(const State& state, Ref ref) {
  if (ref.vector()) return state.v[ref.index()];
  if (ref.temp()) return state.temps[ref.index()];
  V128 zero;
  zero.d[0] = zero.d[1] = 0;
  return zero;
}

inline void WriteV(State& state, Ref ref, const V128& value) {
  if (ref.vector()) {
    state.v[ref.index()] = value;
  } else if (ref.temp()) {
    state.temps[ref.index()] = value;
  }
}

inline V128 ZeroV() {
  V128 zero;
  zero.d[0] = zero.d[1] = 0;
  return zero;
}

inline uint64_t Element(const V128& v, Width width, uint32_t index) {
  switch (width) {
    case Width::k8:
      return v.b[index];
    case Width::k16:
      return v.h[index];
    case Width::k32:
      return v.s[index];
    default:
      return v.d[index];
  }
}

inline void SetElement(V128& v, Width width, uint32_t index, uint64_t value) {
  switch (width) {
    case Width::k8:
      v.b[index] = static_cast<uint8_t>(value);
      return;
    case Width::k16:
      v.h[index] = static_cast<uint16_t>(value);
      return;
    case Width::k32:
      v.s[index] = static_cast<uint32_t>(value);
      return;
    default:
      v.d[index] = value;
  }
}

// How many elements an operation computes.
inline uint32_t Elements(const Op& op) {
  if (op.bits & kScalar) return 1;
  return (op.bits & kHalf ? 8 : 16) / Bytes(op.width);
}

inline bool IsSigned(const Op& op) { return (op.bits & kSigned) != 0; }

// An element as a number: by kSigned.
inline int128 Number(uint64_t element, Width width, bool is_signed) {
  return is_signed ? int128{SignExtend(element, Bits(width))} : int128{element};
}

// The nearest number that fits; says in FPSR when that is another one.
inline uint64_t Saturate(State& state, int128 value, Width width, bool is_signed) {
  const uint32_t bits = Bits(width);
  const int128 highest = (int128{1} << (is_signed ? bits - 1 : bits)) - 1;
  const int128 lowest = is_signed ? -(int128{1} << (bits - 1)) : int128{0};
  if (value > highest) {
    state.fpsr |= kFpsrSaturated;
    value = highest;
  } else if (value < lowest) {
    state.fpsr |= kFpsrSaturated;
    value = lowest;
  }
  return Truncate(static_cast<uint64_t>(value), bits);
}

// dst = f(element of a, element of b), element by element.
template <typename F>
void MapElements(State& state, const Op& op, F f) {
  const V128 a = ReadV(state, op.a);
  const V128 b = ReadV(state, op.b);
  V128 result = ZeroV();
  for (uint32_t i = 0; i < Elements(op); i++) {
    SetElement(result, op.width, i, f(Element(a, op.width, i), Element(b, op.width, i)));
  }
  WriteV(state, op.dst, result);
}

// The same with the element of c.
template <typename F>
void MapElements3(State& state, const Op& op, F f) {
  const V128 a = ReadV(state, op.a);
  const V128 b = ReadV(state, op.b);
  const V128 c = ReadV(state, op.c);
  V128 result = ZeroV();
  for (uint32_t i = 0; i < Elements(op); i++) {
    SetElement(result, op.width, i,
               f(Element(a, op.width, i), Element(b, op.width, i), Element(c, op.width, i)));
  }
  WriteV(state, op.dst, result);
}

}  // namespace dd::ir
