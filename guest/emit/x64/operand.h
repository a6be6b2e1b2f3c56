// x86-64's registers, sizes, conditions and memory operands, typed so that they cannot be mixed up.
#pragma once

#include <cstdint>

namespace dd::emit::x64 {

// Numbered as instructions encode them.
enum class Gpr : uint8_t {
  kRax,
  kRcx,
  kRdx,
  kRbx,
  kRsp,
  kRbp,
  kRsi,
  kRdi,
  kR8,
  kR9,
  kR10,
  kR11,
  kR12,
  kR13,
  kR14,
  kR15
};

// kX0 + n.
enum class Xmm : uint8_t { kX0 = 0, kX13 = 13, kX14 = 14, kX15 = 15 };

enum class Size : uint8_t { k8, k16, k32, k64 };

// Condition codes; odd ones negate their predecessor.
enum class Cc : uint8_t { kO, kNo, kB, kAe, kE, kNe, kBe, kA, kS, kNs, kP, kNp, kL, kGe, kLe, kG };
constexpr Cc Negate(Cc cc) { return static_cast<Cc>(static_cast<uint8_t>(cc) ^ 1); }

// A place in the code; branches may be emitted before it is bound.
struct Label {
  // Offset of the place once bound; before, of the last branch's displacement, which holds the
  // offset of the one before. Offsets are from the buffer's start.
  int32_t at = -1;
  bool bound = false;
};

// [base + index * scale + disp], or an absolute address within 2 GiB of the code.
struct Mem {
  Gpr base = Gpr::kRax;
  Gpr index = Gpr::kRsp;  // kRsp: none
  uint8_t shift = 0;      // of the index: 0..3
  int32_t disp = 0;
  uint64_t absolute = 0;  // not 0: rip-relative to here, and nothing else counts

  static constexpr Mem At(Gpr base, int32_t disp = 0) { return Mem{base, Gpr::kRsp, 0, disp, 0}; }
  static constexpr Mem Indexed(Gpr base, Gpr index, unsigned shift, int32_t disp = 0) {
    return Mem{base, index, static_cast<uint8_t>(shift), disp, 0};
  }
  static constexpr Mem Near(uint64_t address) { return Mem{Gpr::kRax, Gpr::kRsp, 0, 0, address}; }
};

constexpr uint8_t Number(Gpr r) { return static_cast<uint8_t>(r); }
constexpr uint8_t Number(Xmm r) { return static_cast<uint8_t>(r); }
constexpr Xmm XmmOf(unsigned n) { return static_cast<Xmm>(n); }
constexpr Gpr GprOf(unsigned n) { return static_cast<Gpr>(n); }

}  // namespace dd::emit::x64
