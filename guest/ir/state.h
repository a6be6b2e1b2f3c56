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
constexpr uint64_t kNoExclusive = ~uint64_t{0};

}  // namespace dd::ir
