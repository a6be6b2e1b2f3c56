// What a translated guest thread's registers are, whichever instruction set they belong to.
// Generated code finds it through one host register; lowering, the interpreter, selection, signal
// frames and the system-call path agree on nothing else.
#pragma once

#include <cstddef>
#include <cstdint>

namespace dd::ir {

// A vector register, little endian: byte 0 is the lowest.
union alignas(16) V128 {
  uint8_t b[16];
  uint16_t h[8];
  uint32_t s[4];
  uint64_t d[2];
};

// Values that live no longer than a block; see Ref.
constexpr uint32_t kTempLimit = 256;

struct alignas(64) State {
  uint64_t g[32];  // general registers; of an arm64 guest x0..x30 and, as g[31], SP
  V128 v[32];
  uint64_t pc;  // of the instruction to go on with; true only outside of generated code
  // N, Z, C and V at the bits below; other bits mean nothing. The places are where x86-64's lahf
  // and seto leave them.
  uint32_t flags;
  // FPCR and FPSR as the guest reads them. The host's own modes follow fpcr; exceptions that the
  // host has recorded are added when fpsr is read.
  uint32_t fpcr;
  uint32_t fpsr;
  // Not 0: leave generated code at the next safe point (a loop's edge or a region's entry). Set by
  // signal handlers.
  uint32_t interrupt;
  uint64_t tls;  // TPIDR_EL0
  // The exclusive monitor: address (~0: none) and the value loaded.
  uint64_t exclusive_addr;
  V128 exclusive_value;
  // For what runs in generated code's place; see Execute.
  V128 temps[kTempLimit];
  // What selection and the runtime keep here for themselves.
  uint64_t scratch[32];
};

constexpr uint32_t kFlagN = 1u << 15;
constexpr uint32_t kFlagZ = 1u << 14;
constexpr uint32_t kFlagC = 1u << 8;
constexpr uint32_t kFlagV = 1u << 0;
// FPCR: what floating-point operations obey. FPSR: what they leave behind.
constexpr uint32_t kFpcrAlternativeHalf = 1u << 26;
constexpr uint32_t kFpcrDefaultNan = 1u << 25;
constexpr uint32_t kFpcrFlushToZero = 1u << 24;
constexpr uint32_t kFpcrRoundingShift = 22;  // 0 nearest even, 1 up, 2 down, 3 to zero
constexpr uint32_t kFpcrFlushHalfToZero = 1u << 19;
constexpr uint32_t kFpcrMask = kFpcrAlternativeHalf | kFpcrDefaultNan | kFpcrFlushToZero |
                               3u << kFpcrRoundingShift | kFpcrFlushHalfToZero;
constexpr uint32_t kFpsrInvalid = 1u << 0;
constexpr uint32_t kFpsrDivideByZero = 1u << 1;
constexpr uint32_t kFpsrOverflow = 1u << 2;
constexpr uint32_t kFpsrUnderflow = 1u << 3;
constexpr uint32_t kFpsrInexact = 1u << 4;
constexpr uint32_t kFpsrInputDenormal = 1u << 7;
constexpr uint32_t kFpsrSaturated = 1u << 27;
constexpr uint32_t kFpsrMask = kFpsrSaturated | kFpsrInputDenormal | 0x1f;
constexpr uint64_t kNoExclusive = ~uint64_t{0};
// Of an address in memory; what is above it is a tag that accesses ignore.
constexpr uint64_t kAddressMask = ~uint64_t{0} >> 8;

// NZCV of bits 3..0.
constexpr uint32_t FlagsOf(uint32_t nzcv) {
  return (nzcv & 8 ? kFlagN : 0) | (nzcv & 4 ? kFlagZ : 0) | (nzcv & 2 ? kFlagC : 0) |
         (nzcv & 1 ? kFlagV : 0);
}

}  // namespace dd::ir
