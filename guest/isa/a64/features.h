// What the guest is told of its processor: bits that are true because the table has their rows.
#pragma once

#include <cstdint>

namespace dd::isa::a64 {

// AT_HWCAP, bits as in Linux's arch/arm64/include/uapi/asm/hwcap.h.
constexpr uint64_t kHwcap = uint64_t{1} << 0      // FP
                            | uint64_t{1} << 1    // ASIMD
                            | uint64_t{1} << 3    // AES
                            | uint64_t{1} << 4    // PMULL
                            | uint64_t{1} << 5    // SHA1
                            | uint64_t{1} << 6    // SHA2
                            | uint64_t{1} << 7    // CRC32
                            | uint64_t{1} << 8    // ATOMICS
                            | uint64_t{1} << 9    // FPHP
                            | uint64_t{1} << 10   // ASIMDHP
                            | uint64_t{1} << 11   // CPUID: identification registers can be read
                            | uint64_t{1} << 12   // ASIMDRDM
                            | uint64_t{1} << 13   // JSCVT
                            | uint64_t{1} << 14   // FCMA
                            | uint64_t{1} << 15   // LRCPC
                            | uint64_t{1} << 16   // DCPOP
                            | uint64_t{1} << 17   // SHA3
                            | uint64_t{1} << 20   // ASIMDDP
                            | uint64_t{1} << 21   // SHA512
                            | uint64_t{1} << 23   // ASIMDFHM
                            | uint64_t{1} << 27;  // FLAGM
constexpr uint64_t kHwcap2 = 0;

// CTR_EL0: lines of 64 bytes, physically tagged; instruction fetches need the guest's IC IVAU.
constexpr uint64_t kCtr = 0x8444c004;
// DCZID_EL0: DC ZVA zeroes 2^4 words.
constexpr uint64_t kDczid = 4;
// MIDR_EL1: as a Neoverse N1 (implementer 0x41, part 0xd0c, r3p1) has it. C libraries choose their
// routines by it; those for this one move memory through vector registers.
constexpr uint64_t kMidr = 0x413fd0c1;
constexpr uint64_t kMpidr = 0x80000000;

// ID_AA64PFR0_EL1: EL0 and EL1 in 64-bit state only, FP and Advanced SIMD with half precision.
constexpr uint64_t kIdAa64pfr0 = 0x11 | 1 << 16 | 1 << 20;
// ID_AA64ISAR0_EL1: AES with PMULL, SHA1, SHA2 with 512, CRC32, atomics, RDM, SHA3, dot product,
// FHM, FlagM.
constexpr uint64_t kIdAa64isar0 = uint64_t{2} << 4 | uint64_t{1} << 8 | uint64_t{2} << 12 |
                                  uint64_t{1} << 16 | uint64_t{2} << 20 | uint64_t{1} << 28 |
                                  uint64_t{1} << 32 | uint64_t{1} << 44 | uint64_t{1} << 48 |
                                  uint64_t{1} << 52;
// ID_AA64ISAR1_EL1: DC CVAP, JSCVT, FCMA, LRCPC.
constexpr uint64_t kIdAa64isar1 = 1 | 1 << 12 | 1 << 16 | 1 << 20;

}  // namespace dd::isa::a64
