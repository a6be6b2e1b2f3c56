// Vector and floating-point instructions in their VEX forms. `Operand` is Xmm or Mem.
#pragma once

#include "guest/emit/x64/assembler.h"

namespace dd::emit::x64 {

// An instruction of the shape dst = op(a, b): its map, prefix, W bit and opcode.
struct VexOp {
  Map map;
  Prefix prefix;
  uint8_t opcode;
  bool w = false;
};

// Named after their instructions, without the v.
namespace vex {
#define DD_VEX_66(name, opcode) \
  constexpr VexOp name { Map::k0f, Prefix::k66, opcode }
#define DD_VEX_66_38(name, opcode) \
  constexpr VexOp name { Map::k0f38, Prefix::k66, opcode }
DD_VEX_66(kPaddb, 0xfc);
DD_VEX_66(kPaddw, 0xfd);
DD_VEX_66(kPaddd, 0xfe);
DD_VEX_66(kPaddq, 0xd4);
DD_VEX_66(kPsubb, 0xf8);
DD_VEX_66(kPsubw, 0xf9);
DD_VEX_66(kPsubd, 0xfa);
DD_VEX_66(kPsubq, 0xfb);
DD_VEX_66(kPmullw, 0xd5);
DD_VEX_66(kPmulhw, 0xe5);
DD_VEX_66(kPmulhuw, 0xe4);
DD_VEX_66(kPmuludq, 0xf4);
DD_VEX_66(kPmaddwd, 0xf5);
DD_VEX_66_38(kPmulld, 0x40);
DD_VEX_66_38(kPmuldq, 0x28);
DD_VEX_66(kPand, 0xdb);
DD_VEX_66(kPandn, 0xdf);
DD_VEX_66(kPor, 0xeb);
DD_VEX_66(kPxor, 0xef);
DD_VEX_66(kPcmpeqb, 0x74);
DD_VEX_66(kPcmpeqw, 0x75);
DD_VEX_66(kPcmpeqd, 0x76);
DD_VEX_66_38(kPcmpeqq, 0x29);
DD_VEX_66(kPcmpgtb, 0x64);
DD_VEX_66(kPcmpgtw, 0x65);
DD_VEX_66(kPcmpgtd, 0x66);
DD_VEX_66_38(kPcmpgtq, 0x37);
DD_VEX_66(kPminub, 0xda);
DD_VEX_66(kPmaxub, 0xde);
DD_VEX_66(kPminsw, 0xea);
DD_VEX_66(kPmaxsw, 0xee);
DD_VEX_66_38(kPminsb, 0x38);
DD_VEX_66_38(kPminsd, 0x39);
DD_VEX_66_38(kPminuw, 0x3a);
DD_VEX_66_38(kPminud, 0x3b);
DD_VEX_66_38(kPmaxsb, 0x3c);
DD_VEX_66_38(kPmaxsd, 0x3d);
DD_VEX_66_38(kPmaxuw, 0x3e);
DD_VEX_66_38(kPmaxud, 0x3f);
DD_VEX_66(kPavgb, 0xe0);
DD_VEX_66(kPavgw, 0xe3);
DD_VEX_66(kPaddusb, 0xdc);
DD_VEX_66(kPaddusw, 0xdd);
DD_VEX_66(kPaddsb, 0xec);
DD_VEX_66(kPaddsw, 0xed);
DD_VEX_66(kPsubusb, 0xd8);
DD_VEX_66(kPsubusw, 0xd9);
DD_VEX_66(kPsubsb, 0xe8);
DD_VEX_66(kPsubsw, 0xe9);
DD_VEX_66_38(kPshufb, 0x00);
DD_VEX_66(kPunpcklbw, 0x60);
DD_VEX_66(kPunpcklwd, 0x61);
DD_VEX_66(kPunpckldq, 0x62);
DD_VEX_66(kPunpcklqdq, 0x6c);
DD_VEX_66(kPunpckhbw, 0x68);
DD_VEX_66(kPunpckhwd, 0x69);
DD_VEX_66(kPunpckhdq, 0x6a);
DD_VEX_66(kPunpckhqdq, 0x6d);
DD_VEX_66(kPacksswb, 0x63);
DD_VEX_66(kPackuswb, 0x67);
DD_VEX_66(kPackssdw, 0x6b);
DD_VEX_66_38(kPackusdw, 0x2b);
DD_VEX_66_38(kPhaddw, 0x01);
DD_VEX_66_38(kPhaddd, 0x02);
DD_VEX_66_38(kPmaddubsw, 0x04);
DD_VEX_66_38(kPmulhrsw, 0x0b);
DD_VEX_66(kPsadbw, 0xf6);
DD_VEX_66_38(kPabsb, 0x1c);
DD_VEX_66_38(kPabsw, 0x1d);
DD_VEX_66_38(kPabsd, 0x1e);
DD_VEX_66_38(kPmovsxbw, 0x20);
DD_VEX_66_38(kPmovsxwd, 0x23);
DD_VEX_66_38(kPmovsxdq, 0x25);
DD_VEX_66_38(kPmovzxbw, 0x30);
DD_VEX_66_38(kPmovzxwd, 0x33);
DD_VEX_66_38(kPmovzxdq, 0x35);
DD_VEX_66_38(kPbroadcastb, 0x78);
DD_VEX_66_38(kPbroadcastw, 0x79);
DD_VEX_66_38(kPbroadcastd, 0x58);
DD_VEX_66_38(kPbroadcastq, 0x59);
DD_VEX_66_38(kPsrlvd, 0x45);
DD_VEX_66_38(kPsravd, 0x46);
DD_VEX_66_38(kPsllvd, 0x47);
constexpr VexOp kCvtdq2ps{Map::k0f, Prefix::kNone, 0x5b};
constexpr VexOp kCvttps2dq{Map::k0f, Prefix::kF3, 0x5b};
constexpr VexOp kPsrlvq{Map::k0f38, Prefix::k66, 0x45, true};
constexpr VexOp kPsllvq{Map::k0f38, Prefix::k66, 0x47, true};
DD_VEX_66_38(kAesenc, 0xdc);
DD_VEX_66_38(kAesenclast, 0xdd);
DD_VEX_66_38(kAesdec, 0xde);
DD_VEX_66_38(kAesdeclast, 0xdf);
DD_VEX_66_38(kAesimc, 0xdb);
#undef DD_VEX_66_38
#undef DD_VEX_66
}  // namespace vex

// Opcodes of the map 0f that come as ss, sd, ps and pd.
enum class FloatOp : uint8_t {
  kSqrt = 0x51,
  kAnd = 0x54,
  kAndn = 0x55,
  kOr = 0x56,
  kXor = 0x57,
  kAdd = 0x58,
  kMul = 0x59,
  kSub = 0x5c,
  kMin = 0x5d,
  kDiv = 0x5e,
  kMax = 0x5f,
};

class Assembler : public GeneralAssembler {
 public:
  template <typename Operand>
  void V(const VexOp& op, Xmm dst, Xmm a, const Operand& b) {
    Vex(op.map, op.prefix, op.w, false, op.opcode, Number(dst), Number(a), b);
  }
  // With one source.
  template <typename Operand>
  void V(const VexOp& op, Xmm dst, const Operand& src) {
    Vex(op.map, op.prefix, op.w, false, op.opcode, Number(dst), 0, src);
  }
  template <typename Operand>
  void Scalar(FloatOp op, bool is_double, Xmm dst, Xmm a, const Operand& b) {
    Vex(Map::k0f, is_double ? Prefix::kF2 : Prefix::kF3, false, false, static_cast<uint8_t>(op),
        Number(dst), Number(a), b);
  }
  template <typename Operand>
  void Packed(FloatOp op, bool is_double, Xmm dst, Xmm a, const Operand& b) {
    Vex(Map::k0f, is_double ? Prefix::k66 : Prefix::kNone, false, false, static_cast<uint8_t>(op),
        Number(dst), Number(a), b);
  }
  // Fused multiply-add, the 231 forms: dst = +-(a * b) +- dst. `opcode`: 0xb8 packed, 0xb9 scalar;
  // + 2 subtracts dst, + 4 negates the product.
  template <typename Operand>
  void Fma231(uint8_t opcode, bool is_double, Xmm dst, Xmm a, const Operand& b) {
    Vex(Map::k0f38, Prefix::k66, is_double, false, opcode, Number(dst), Number(a), b);
  }
  template <typename Operand>
  void Ucomis(bool is_double, Xmm a, const Operand& b) {
    Vex(Map::k0f, is_double ? Prefix::k66 : Prefix::kNone, false, false, 0x2e, Number(a), 0, b);
  }
  template <typename Operand>
  void Comis(bool is_double, Xmm a, const Operand& b) {
    Vex(Map::k0f, is_double ? Prefix::k66 : Prefix::kNone, false, false, 0x2f, Number(a), 0, b);
  }
  // predicate: as cmpps has them (0 equal, 1 less, 2 less or equal, 3 unordered...).
  template <typename Operand>
  void CmpPacked(bool is_double, Xmm dst, Xmm a, const Operand& b, uint8_t predicate) {
    Vex(Map::k0f, is_double ? Prefix::k66 : Prefix::kNone, false, false, 0xc2, Number(dst),
        Number(a), b, 1);
    Byte(predicate);
  }
  template <typename Operand>
  void Ptest(Xmm a, const Operand& b) {
    Vex(Map::k0f38, Prefix::k66, false, false, 0x17, Number(a), 0, b);
  }

  // SHA. They have no VEX forms; the words of SHA-256's rounds are in xmm0. `function`: 0 chooses,
  // 1 is a parity, 2 a majority.
  void Sha1Rounds(Xmm dst, Xmm src, uint8_t function) {
    Legacy(Size::k32, 0x0f3acc, Number(dst), src, 1);
    Byte(function);
  }
  void Sha256Rounds(Xmm dst, Xmm src) { Legacy(Size::k32, 0x0f38cb, Number(dst), src, 0); }
  void Sha256Message1(Xmm dst, Xmm src) { Legacy(Size::k32, 0x0f38cc, Number(dst), src, 0); }
  void Sha256Message2(Xmm dst, Xmm src) { Legacy(Size::k32, 0x0f38cd, Number(dst), src, 0); }

  // Whole registers. Memory need not be aligned.
  void Movaps(Xmm dst, Xmm src) {
    Vex(Map::k0f, Prefix::kNone, false, false, 0x28, Number(dst), 0, src);
  }
  void Movups(Xmm dst, const Mem& src) {
    Vex(Map::k0f, Prefix::kNone, false, false, 0x10, Number(dst), 0, src);
  }
  void Movups(const Mem& dst, Xmm src) {
    Vex(Map::k0f, Prefix::kNone, false, false, 0x11, Number(src), 0, dst);
  }
  // The lower 64 (movq) or 32 bits (movd); loads and copies clear the rest.
  template <typename Operand>
  void Movq(Xmm dst, const Operand& src) {
    Vex(Map::k0f, Prefix::kF3, false, false, 0x7e, Number(dst), 0, src);
  }
  void Movq(const Mem& dst, Xmm src) {
    Vex(Map::k0f, Prefix::k66, false, false, 0xd6, Number(src), 0, dst);
  }
  void Movd(Xmm dst, const Mem& src) {
    Vex(Map::k0f, Prefix::k66, false, false, 0x6e, Number(dst), 0, src);
  }
  void Movd(const Mem& dst, Xmm src) {
    Vex(Map::k0f, Prefix::k66, false, false, 0x7e, Number(src), 0, dst);
  }
  void MovFromGpr(Size size, Xmm dst, Gpr src) {
    Vex(Map::k0f, Prefix::k66, size == Size::k64, false, 0x6e, Number(dst), 0, src);
  }
  void MovToGpr(Size size, Gpr dst, Xmm src) {
    Vex(Map::k0f, Prefix::k66, size == Size::k64, false, 0x7e, Number(src), 0, dst);
  }
  // Elements.
  template <typename Operand>
  void Pinsr(Size size, Xmm dst, Xmm a, const Operand& b, uint8_t lane) {
    if (size == Size::k16) {
      Vex(Map::k0f, Prefix::k66, false, false, 0xc4, Number(dst), Number(a), b, 1);
    } else {
      Vex(Map::k0f3a, Prefix::k66, size == Size::k64, false, size == Size::k8 ? 0x20 : 0x22,
          Number(dst), Number(a), b, 1);
    }
    Byte(lane);
  }
  template <typename Operand>
  void Pextr(Size size, const Operand& dst, Xmm src, uint8_t lane) {
    constexpr uint8_t kOpcode[] = {0x14, 0x15, 0x16, 0x16};
    Vex(Map::k0f3a, Prefix::k66, size == Size::k64, false, kOpcode[static_cast<uint8_t>(size)],
        Number(src), 0, dst, 1);
    Byte(lane);
  }
  template <typename Operand>
  void Insertps(Xmm dst, Xmm a, const Operand& b, uint8_t imm) {
    Vex(Map::k0f3a, Prefix::k66, false, false, 0x21, Number(dst), Number(a), b, 1);
    Byte(imm);
  }
  template <typename Operand>
  void Pshufd(Xmm dst, const Operand& src, uint8_t order) {
    Vex(Map::k0f, Prefix::k66, false, false, 0x70, Number(dst), 0, src, 1);
    Byte(order);
  }
  template <typename Operand>
  void Shufps(Xmm dst, Xmm a, const Operand& b, uint8_t order) {
    Vex(Map::k0f, Prefix::kNone, false, false, 0xc6, Number(dst), Number(a), b, 1);
    Byte(order);
  }
  // Bytes of (a:b) from `bytes` on.
  template <typename Operand>
  void Palignr(Xmm dst, Xmm a, const Operand& b, uint8_t bytes) {
    Vex(Map::k0f3a, Prefix::k66, false, false, 0x0f, Number(dst), Number(a), b, 1);
    Byte(bytes);
  }
  template <typename Operand>
  void Pblendw(Xmm dst, Xmm a, const Operand& b, uint8_t mask) {
    Vex(Map::k0f3a, Prefix::k66, false, false, 0x0e, Number(dst), Number(a), b, 1);
    Byte(mask);
  }
  // Shifts by a constant. `kind`: 2 logical right, 4 arithmetic right, 6 left; elements of 16, 32,
  // 64 bits (no arithmetic shift of 64).
  void PshiftImm(Size size, uint8_t kind, Xmm dst, Xmm src, uint8_t count) {
    const uint8_t opcode = static_cast<uint8_t>(0x70 + static_cast<uint8_t>(size));
    Vex(Map::k0f, Prefix::k66, false, false, opcode, kind, Number(dst), src, 1);
    Byte(count);
  }
  void PshiftBytes(bool left, Xmm dst, Xmm src, uint8_t bytes) {
    Vex(Map::k0f, Prefix::k66, false, false, 0x73, left ? 7 : 3, Number(dst), src, 1);
    Byte(bytes);
  }
  template <typename Operand>
  void Pclmulqdq(Xmm dst, Xmm a, const Operand& b, uint8_t halves) {
    Vex(Map::k0f3a, Prefix::k66, false, false, 0x44, Number(dst), Number(a), b, 1);
    Byte(halves);
  }

  // Conversions.
  template <typename Operand>
  void CvtFromInt(bool is_double, Size size, Xmm dst, Xmm merge, const Operand& src) {
    Vex(Map::k0f, is_double ? Prefix::kF2 : Prefix::kF3, size == Size::k64, false, 0x2a,
        Number(dst), Number(merge), src);
  }
  // Truncates; out of range: only the sign bit is set.
  template <typename Operand>
  void CvttToInt(bool is_double, Size size, Gpr dst, const Operand& src) {
    Vex(Map::k0f, is_double ? Prefix::kF2 : Prefix::kF3, size == Size::k64, false, 0x2c,
        Number(dst), 0, src);
  }
  // To the other precision; `is_double`: of the source.
  template <typename Operand>
  void CvtScalar(bool is_double, Xmm dst, Xmm merge, const Operand& src) {
    Vex(Map::k0f, is_double ? Prefix::kF2 : Prefix::kF3, false, false, 0x5a, Number(dst),
        Number(merge), src);
  }
  // `mode`: 0 nearest even, 1 down, 2 up, 3 to zero, 4 as MXCSR says; + 8: inexact is not recorded.
  template <typename Operand>
  void RoundScalar(bool is_double, Xmm dst, Xmm merge, const Operand& src, uint8_t mode) {
    Vex(Map::k0f3a, Prefix::k66, false, false, is_double ? 0x0b : 0x0a, Number(dst), Number(merge),
        src, 1);
    Byte(mode);
  }
  template <typename Operand>
  void RoundPacked(bool is_double, Xmm dst, const Operand& src, uint8_t mode) {
    Vex(Map::k0f3a, Prefix::k66, false, false, is_double ? 0x09 : 0x08, Number(dst), 0, src, 1);
    Byte(mode);
  }
};

}  // namespace dd::emit::x64
