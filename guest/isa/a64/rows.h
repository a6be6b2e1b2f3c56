// The arm64 instructions that are covered, one row each, and what follows from their bits at
// compile time.
//
// A row's bits are written as in the manual, from 31 down: 0 and 1 are fixed, small and capital
// letters are fields (x: ignored). `H` is a field that is not 0. An encoding that no row matches is
// undefined; some that a row matches are, too, which lowering knows.
#pragma once

#include <array>
#include <bit>
#include <cstdint>

namespace dd::isa::a64 {

#define DD_A64(identifier, name, bits) identifier,
enum class Id : uint16_t {
#include "guest/isa/a64/base.inc"
#include "guest/isa/a64/crypto.inc"
#include "guest/isa/a64/float.inc"
#include "guest/isa/a64/memory.inc"
#include "guest/isa/a64/vector.inc"
#include "guest/isa/a64/vector_arithmetic.inc"
#include "guest/isa/a64/vector_float.inc"
  kUndefined
};
#undef DD_A64

constexpr uint32_t kRowCount = static_cast<uint32_t>(Id::kUndefined);

struct Row {
  const char* name;
  const char* bits;
  uint32_t mask;     // bits that are fixed,
  uint32_t value;    // and what they are
  uint32_t nonzero;  // bits of which one is set; 0 when there is no such field

  constexpr bool Matches(uint32_t word) const {
    return (word & mask) == value && ((word & nonzero) != 0 || nonzero == 0);
  }
};

constexpr Row MakeRow(const char* name, const char* bits) {
  Row row{name, bits, 0, 0, 0};
  for (uint32_t i = 0; i < 32; i++) {
    const uint32_t bit = 1u << (31 - i);
    if (bits[i] == '0' || bits[i] == '1') row.mask |= bit;
    if (bits[i] == '1') row.value |= bit;
    if (bits[i] == 'H') row.nonzero |= bit;
  }
  return row;
}

#define DD_A64(identifier, name, bits) MakeRow(name, bits),
inline constexpr std::array<Row, kRowCount> kRows = {
#include "guest/isa/a64/base.inc"
#include "guest/isa/a64/crypto.inc"
#include "guest/isa/a64/float.inc"
#include "guest/isa/a64/memory.inc"
#include "guest/isa/a64/vector.inc"
#include "guest/isa/a64/vector_arithmetic.inc"
#include "guest/isa/a64/vector_float.inc"
};
#undef DD_A64

#define DD_A64(identifier, name, bits) static_assert(sizeof(bits) == 33, name ": 32 bits");
#include "guest/isa/a64/base.inc"
#include "guest/isa/a64/crypto.inc"
#include "guest/isa/a64/float.inc"
#include "guest/isa/a64/memory.inc"
#include "guest/isa/a64/vector.inc"
#include "guest/isa/a64/vector_arithmetic.inc"
#include "guest/isa/a64/vector_float.inc"
#undef DD_A64

}  // namespace dd::isa::a64
