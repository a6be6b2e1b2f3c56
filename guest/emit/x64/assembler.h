// General-purpose instructions, by their manual names.
#pragma once

#include "guest/emit/x64/encoder.h"

namespace dd::emit::x64 {

enum class Alu : uint8_t { kAdd, kOr, kAdc, kSbb, kAnd, kSub, kXor, kCmp };
enum class Shift : uint8_t { kRol = 0, kRor = 1, kShl = 4, kShr = 5, kSar = 7 };

constexpr bool FitsInt8(int64_t v) { return v >= -128 && v <= 127; }
constexpr bool FitsInt32(int64_t v) { return v >= INT32_MIN && v <= INT32_MAX; }

class GeneralAssembler : public Encoder {
 public:
  // dst op= src.
  void Arith(Alu op, Size size, Gpr dst, Gpr src) {
    Legacy(size, Code(op, size, 2), Number(dst), src, 0, 0, size == Size::k8);
  }
  void Arith(Alu op, Size size, Gpr dst, const Mem& src) {
    Legacy(size, Code(op, size, 2), Number(dst), src, 0, 0, size == Size::k8);
  }
  void Arith(Alu op, Size size, const Mem& dst, Gpr src) {
    Legacy(size, Code(op, size, 0), Number(src), dst, 0, 0, size == Size::k8);
  }
  template <typename Operand>
  void Arith(Alu op, Size size, const Operand& dst, int32_t imm) {
    const uint8_t code = static_cast<uint8_t>(op);
    if (size == Size::k8) {
      Legacy(size, 0x80, code, dst, 1, 0, true);
      Byte(static_cast<uint32_t>(imm));
    } else if (FitsInt8(imm)) {
      Legacy(size, 0x83, code, dst, 1);
      Byte(static_cast<uint32_t>(imm));
    } else if (size == Size::k16) {
      Legacy(size, 0x81, code, dst, 2);
      Put16(static_cast<uint32_t>(imm));
    } else {
      Legacy(size, 0x81, code, dst, 4);
      Put32(static_cast<uint32_t>(imm));
    }
  }

  void Mov(Size size, Gpr dst, Gpr src) {
    Legacy(size, size == Size::k8 ? 0x8a : 0x8b, Number(dst), src, 0, 0, size == Size::k8);
  }
  void Mov(Size size, Gpr dst, const Mem& src) {
    Legacy(size, size == Size::k8 ? 0x8a : 0x8b, Number(dst), src, 0, 0, size == Size::k8);
  }
  void Mov(Size size, const Mem& dst, Gpr src) {
    Legacy(size, size == Size::k8 ? 0x88 : 0x89, Number(src), dst, 0, 0, size == Size::k8);
  }
  // imm is sign-extended.
  void MovImm(Size size, const Mem& dst, int32_t imm) {
    const uint8_t bytes = size == Size::k8 ? 1 : size == Size::k16 ? 2 : 4;
    Legacy(size, size == Size::k8 ? 0xc6 : 0xc7, 0, dst, bytes);
    for (uint8_t i = 0; i < bytes; i++) Byte(static_cast<uint32_t>(imm) >> (8 * i));
  }
  // Any constant by the shortest instruction that leaves the flags alone.
  void MovImm(Gpr dst, uint64_t imm) {
    if (imm <= UINT32_MAX) {
      if (Number(dst) >= 8) Byte(0x41);
      Byte(0xb8u | (Number(dst) & 7u));
      Put32(static_cast<uint32_t>(imm));
    } else if (FitsInt32(static_cast<int64_t>(imm))) {
      Legacy(Size::k64, 0xc7, 0, dst, 4);
      Put32(static_cast<uint32_t>(imm));
    } else {
      Byte(Number(dst) >= 8 ? 0x49 : 0x48);
      Byte(0xb8u | (Number(dst) & 7u));
      Note(buffer() + offset(), true, imm);
      Data64(imm);
    }
  }

  // dst (of `to`) = src (of `from`: 8, 16), zero- or sign-extended; 32 -> 64 as well.
  template <typename Operand>
  void Movzx(Size from, Gpr dst, const Operand& src) {
    if (from == Size::k32) {
      Mov(Size::k32, dst, src);
    } else {
      Legacy(Size::k32, from == Size::k8 ? 0x0fb6 : 0x0fb7, Number(dst), src, 0, 0,
             from == Size::k8);
    }
  }
  template <typename Operand>
  void Movsx(Size to, Size from, Gpr dst, const Operand& src) {
    if (from == Size::k32) {
      Legacy(to, 0x63, Number(dst), src, 0);
    } else {
      Legacy(to, from == Size::k8 ? 0x0fbe : 0x0fbf, Number(dst), src, 0, 0, from == Size::k8);
    }
  }

  void Lea(Size size, Gpr dst, const Mem& src) { Legacy(size, 0x8d, Number(dst), src, 0); }

  template <typename Operand>
  void ShiftImm(Shift op, Size size, const Operand& dst, uint8_t count) {
    Legacy(size, size == Size::k8 ? 0xc0 : 0xc1, static_cast<uint8_t>(op), dst, 1, 0,
           size == Size::k8);
    Byte(count);
  }
  void ShiftCl(Shift op, Size size, Gpr dst) {
    Legacy(size, size == Size::k8 ? 0xd2 : 0xd3, static_cast<uint8_t>(op), dst, 0, 0,
           size == Size::k8);
  }
  // BMI2: the flags stay.
  template <typename Operand>
  void Shlx(Size size, Gpr dst, const Operand& src, Gpr count) {
    Vex(Map::k0f38, Prefix::k66, size == Size::k64, false, 0xf7, Number(dst), Number(count), src);
  }
  template <typename Operand>
  void Shrx(Size size, Gpr dst, const Operand& src, Gpr count) {
    Vex(Map::k0f38, Prefix::kF2, size == Size::k64, false, 0xf7, Number(dst), Number(count), src);
  }
  template <typename Operand>
  void Sarx(Size size, Gpr dst, const Operand& src, Gpr count) {
    Vex(Map::k0f38, Prefix::kF3, size == Size::k64, false, 0xf7, Number(dst), Number(count), src);
  }
  // BMI2: the bits of src that mask names, moved together.
  template <typename Operand>
  void Pext(Size size, Gpr dst, Gpr src, const Operand& mask) {
    Vex(Map::k0f38, Prefix::kF3, size == Size::k64, false, 0xf5, Number(dst), Number(src), mask);
  }
  template <typename Operand>
  void Rorx(Size size, Gpr dst, const Operand& src, uint8_t count) {
    Vex(Map::k0f3a, Prefix::kF2, size == Size::k64, false, 0xf0, Number(dst), 0, src, 1);
    Byte(count);
  }
  // dst = ~a & b.
  template <typename Operand>
  void Andn(Size size, Gpr dst, Gpr a, const Operand& b) {
    Vex(Map::k0f38, Prefix::kNone, size == Size::k64, false, 0xf2, Number(dst), Number(a), b);
  }
  // high:low = rdx * src.
  template <typename Operand>
  void Mulx(Size size, Gpr high, Gpr low, const Operand& src) {
    Vex(Map::k0f38, Prefix::kF2, size == Size::k64, false, 0xf6, Number(high), Number(low), src);
  }
  // (high:dst) << or >> count, into dst.
  void Shrd(Size size, Gpr dst, Gpr high, uint8_t count) {
    Legacy(size, 0x0fac, Number(high), dst, 1);
    Byte(count);
  }

  template <typename Operand>
  void Imul(Size size, Gpr dst, const Operand& src) {
    Legacy(size, 0x0faf, Number(dst), src, 0);
  }
  template <typename Operand>
  void ImulImm(Size size, Gpr dst, const Operand& src, int32_t imm) {
    Legacy(size, 0x69, Number(dst), src, 4);
    Put32(static_cast<uint32_t>(imm));
  }
  // One-operand forms on rdx:rax.
  template <typename Operand>
  void Imul1(Size size, const Operand& src) {
    Legacy(size, 0xf7, 5, src, 0);
  }
  template <typename Operand>
  void Div(Size size, const Operand& src) {
    Legacy(size, 0xf7, 6, src, 0);
  }
  template <typename Operand>
  void Idiv(Size size, const Operand& src) {
    Legacy(size, 0xf7, 7, src, 0);
  }
  template <typename Operand>
  void Neg(Size size, const Operand& dst) {
    Legacy(size, 0xf7, 3, dst, 0);
  }
  template <typename Operand>
  void Not(Size size, const Operand& dst) {
    Legacy(size, 0xf7, 2, dst, 0);
  }
  template <typename Operand>
  void Test(Size size, const Operand& a, Gpr b) {
    Legacy(size, size == Size::k8 ? 0x84 : 0x85, Number(b), a, 0, 0, size == Size::k8);
  }
  template <typename Operand>
  void TestImm(Size size, const Operand& a, int32_t imm) {
    if (size == Size::k8) {
      Legacy(size, 0xf6, 0, a, 1, 0, true);
      Byte(static_cast<uint32_t>(imm));
    } else {
      Legacy(size, 0xf7, 0, a, 4);
      Put32(static_cast<uint32_t>(imm));
    }
  }
  template <typename Operand>
  void Bt(Size size, const Operand& a, uint8_t bit) {
    Legacy(size, 0x0fba, 4, a, 1);
    Byte(bit);
  }
  template <typename Operand>
  void Cmov(Cc cc, Size size, Gpr dst, const Operand& src) {
    Legacy(size, 0x0f40u | static_cast<uint8_t>(cc), Number(dst), src, 0);
  }
  template <typename Operand>
  void Setcc(Cc cc, const Operand& dst) {
    Legacy(Size::k8, 0x0f90u | static_cast<uint8_t>(cc), 0, dst, 0, 0, true);
  }
  template <typename Operand>
  void Lzcnt(Size size, Gpr dst, const Operand& src) {
    Legacy(size, 0x0fbd, Number(dst), src, 0, 0xf3);
  }
  template <typename Operand>
  void Crc32(Size size, Gpr dst, const Operand& src) {  // Castagnoli's polynomial
    if (size == Size::k16) Byte(0x66);
    Legacy(size == Size::k64 ? Size::k64 : Size::k32, size == Size::k8 ? 0x0f38f0 : 0x0f38f1,
           Number(dst), src, 0, 0xf2, size == Size::k8);
  }
  void Bswap(Size size, Gpr r) {
    const uint32_t rex = (size == Size::k64 ? 8u : 0u) | (Number(r) >= 8 ? 1u : 0u);
    if (rex != 0) Byte(0x40 | rex);
    Byte(0x0f);
    Byte(0xc8u | (Number(r) & 7u));
  }

  // An xchg with memory is always locked.
  void Xchg(Size size, const Mem& m, Gpr r) {
    Legacy(size, size == Size::k8 ? 0x86 : 0x87, Number(r), m, 0, 0, size == Size::k8);
  }
  void LockXadd(Size size, const Mem& m, Gpr r) {
    Byte(0xf0);
    Legacy(size, size == Size::k8 ? 0x0fc0 : 0x0fc1, Number(r), m, 0, 0, size == Size::k8);
  }
  void LockOp(Alu op, Size size, const Mem& m, Gpr r) {
    Byte(0xf0);
    Arith(op, size, m, r);
  }
  // if (m == rax) m = r; else rax = m.
  void LockCmpxchg(Size size, const Mem& m, Gpr r) {
    Byte(0xf0);
    Legacy(size, size == Size::k8 ? 0x0fb0 : 0x0fb1, Number(r), m, 0, 0, size == Size::k8);
  }
  // The same of rdx:rax, rcx:rbx and twice `half` (k32, k64).
  void LockCmpxchgPair(Size half, const Mem& m) {
    Byte(0xf0);
    Legacy(half, 0x0fc7, 1, m, 0);
  }

  void Push(Gpr r) {
    if (Number(r) >= 8) Byte(0x41);
    Byte(0x50u | (Number(r) & 7u));
  }
  void Pop(Gpr r) {
    if (Number(r) >= 8) Byte(0x41);
    Byte(0x58u | (Number(r) & 7u));
  }
  template <typename Operand>
  void JmpTo(const Operand& target) {
    Legacy(Size::k32, 0xff, 4, target, 0);
  }
  template <typename Operand>
  void CallTo(const Operand& target) {
    Legacy(Size::k32, 0xff, 2, target, 0);
  }
  void Ret() { Byte(0xc3); }
  void Lahf() { Byte(0x9f); }
  void Sahf() { Byte(0x9e); }
  void Cmc() { Byte(0xf5); }
  void Cdq(Size size) {  // rdx = sign of rax
    if (size == Size::k64) Byte(0x48);
    Byte(0x99);
  }
  void Mfence() { Bytes3(0x0f, 0xae, 0xf0); }
  void Pause() {
    Byte(0xf3);
    Byte(0x90);
  }
  void Ldmxcsr(const Mem& m) { Legacy(Size::k32, 0x0fae, 2, m, 0); }
  void Stmxcsr(const Mem& m) { Legacy(Size::k32, 0x0fae, 3, m, 0); }

 private:
  static uint32_t Code(Alu op, Size size, uint32_t direction) {
    return static_cast<uint32_t>(op) << 3 | direction | (size == Size::k8 ? 0 : 1);
  }
  void Bytes3(uint32_t a, uint32_t b, uint32_t c) {
    Byte(a);
    Byte(b);
    Byte(c);
  }
};

}  // namespace dd::emit::x64
