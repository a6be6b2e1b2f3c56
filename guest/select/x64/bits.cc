// Bit fields, extensions, counts.
#include "guest/select/x64/codegen.h"

namespace dd::select::x64 {

using ir::Op;
using ir::OpCode;
using ir::Width;

bool Codegen::ExtractPair(const Op& op) {
  if (!Is32Or64(op.width)) return false;
  const Size size = SizeOf(op.width);
  if (op.a == op.b) {
    const Gpr from = Use(op.a, op, kRax);
    const Gpr target = Target(op.dst, kRax);
    Rorx(size, target, from, op.lane);
    Define(op.dst, target);
    return true;
  }
  ClobberFlags();
  const Gpr high = Use(op.a, op, kRcx);
  MovValue(size, kRax, Operand(op.b, op, size, kRax));
  if (op.lane != 0) Shrd(size, kRax, high, op.lane);
  CopyTo(op.dst, Size::k64, kRax);
  return true;
}

bool Codegen::BitExtract(const Op& op) {
  if (!Is32Or64(op.width)) return false;
  const Size size = SizeOf(op.width);
  const uint32_t bits = size == Size::k64 ? 64 : 32;
  const bool is_signed = (op.bits & ir::kSigned) != 0;
  const uint32_t lowest = op.lane, count = op.extra;
  const bool whole = count == 8 || count == 16 || (count == 32 && size == Size::k64);
  if (lowest == 0 && whole) {
    const Size from = count == 8 ? Size::k8 : count == 16 ? Size::k16 : Size::k32;
    const Gpr a = Use(op.a, op, kRax);
    const Gpr target = Target(op.dst, kRax);
    if (is_signed) {
      Movsx(size, from, target, a);
    } else {
      Movzx(from, target, a);
    }
    Define(op.dst, target);
    return true;
  }
  ClobberFlags();
  const Value a = Operand(op.a, op, size, kRax);
  const Gpr target = Target(op.dst, kRax);
  if (!Is(a, target)) MovValue(size, target, a);
  if (!is_signed && lowest + count < bits && count < 32) {
    if (lowest != 0) ShiftImm(Shift::kShr, size, target, static_cast<uint8_t>(lowest));
    Arith(Alu::kAnd, Size::k32, target, static_cast<int32_t>((uint32_t{1} << count) - 1));
  } else {
    const uint32_t above = bits - lowest - count;
    if (above != 0) ShiftImm(Shift::kShl, size, target, static_cast<uint8_t>(above));
    const Shift down = is_signed ? Shift::kSar : Shift::kShr;
    if (count != bits) ShiftImm(down, size, target, static_cast<uint8_t>(bits - count));
    if (count == bits && size == Size::k32) Mov(Size::k32, target, target);
  }
  Define(op.dst, target);
  return true;
}

bool Codegen::BitPlace(const Op& op) {
  if (!Is32Or64(op.width)) return false;
  const Size size = SizeOf(op.width);
  const uint32_t bits = size == Size::k64 ? 64 : 32;
  const bool is_signed = (op.bits & ir::kSigned) != 0;
  const uint32_t lowest = op.lane, count = op.extra;
  ClobberFlags();
  const Value a = Operand(op.a, op, size, kRax);
  const Gpr target = Target(op.dst, kRax);
  const bool whole = count == 8 || count == 16 || (count == 32 && size == Size::k64);
  if (whole && lowest + count < bits) {
    const Size from = count == 8 ? Size::k8 : count == 16 ? Size::k16 : Size::k32;
    const Gpr reg = Use(op.a, op, kRax);
    if (is_signed) {
      Movsx(size, from, target, reg);
    } else {
      Movzx(from, target, reg);
    }
    if (lowest != 0) ShiftImm(Shift::kShl, size, target, static_cast<uint8_t>(lowest));
    Define(op.dst, target);
    return true;
  }
  if (!Is(a, target) || size == Size::k32) MovValue(size, target, a);
  if (!is_signed && count < 32 && lowest + count < bits) {
    Arith(Alu::kAnd, Size::k32, target, static_cast<int32_t>((uint32_t{1} << count) - 1));
    if (lowest != 0) ShiftImm(Shift::kShl, size, target, static_cast<uint8_t>(lowest));
  } else {
    if (count != bits) ShiftImm(Shift::kShl, size, target, static_cast<uint8_t>(bits - count));
    const uint32_t down = bits - count - lowest;
    if (down != 0) {
      ShiftImm(is_signed ? Shift::kSar : Shift::kShr, size, target, static_cast<uint8_t>(down));
    }
  }
  Define(op.dst, target);
  return true;
}

bool Codegen::BitInsert(const Op& op) {
  if (!Is32Or64(op.width)) return false;
  const Size size = SizeOf(op.width);
  const uint32_t bits = size == Size::k64 ? 64 : 32;
  const uint32_t lowest = op.lane, count = op.extra;
  const uint64_t field = count >= 64 ? ~uint64_t{0} : (uint64_t{1} << count) - 1;
  ClobberFlags();
  // rcx: the field in its place.
  MovValue(size, kRcx, Operand(op.b, op, size, kRcx));
  if (lowest + count < bits) {
    if (count < 32) {
      if (count == 8 || count == 16) {
        Movzx(count == 8 ? Size::k8 : Size::k16, kRcx, kRcx);
      } else {
        Arith(Alu::kAnd, Size::k32, kRcx, static_cast<int32_t>(field));
      }
    } else {
      ShiftImm(Shift::kShl, size, kRcx, static_cast<uint8_t>(bits - count));
      ShiftImm(Shift::kShr, size, kRcx, static_cast<uint8_t>(bits - count));
    }
  }
  if (lowest != 0) ShiftImm(Shift::kShl, size, kRcx, static_cast<uint8_t>(lowest));
  if (op.a.none() || count == bits) {
    CopyTo(op.dst, size, kRcx);
    return true;
  }
  const uint64_t keep = ~(field << lowest);
  const Value a = Operand(op.a, op, size, kRax);
  const Gpr target = Target(op.dst, kRax);
  if (size == Size::k32 || emit::x64::FitsInt32(static_cast<int64_t>(keep))) {
    if (!Is(a, target)) MovValue(size, target, a);
    Arith(Alu::kAnd, size, target, static_cast<int32_t>(keep));
  } else {
    MovImm(kRdx, keep);
    if (!Is(a, target)) MovValue(size, target, a);
    Arith(Alu::kAnd, size, target, kRdx);
  }
  Arith(Alu::kOr, size, target, kRcx);
  Define(op.dst, target);
  return true;
}

bool Codegen::Extension(const Op& op) {
  const auto from = static_cast<Size>(op.extra);
  if (op.code == OpCode::kSext && !Is32Or64(op.width)) return false;
  const Gpr a = Use(op.a, op, kRax);
  const Gpr target = Target(op.dst, kRax);
  if (from == Size::k64) {
    Mov(SizeOf(op.width), target, a);
  } else if (op.code == OpCode::kZext) {
    Movzx(from, target, a);
  } else if (from == Size::k32 && op.width == Width::k32) {
    Mov(Size::k32, target, a);
  } else {
    Movsx(SizeOf(op.width), from, target, a);
  }
  Define(op.dst, target);
  return true;
}

bool Codegen::Clz(const Op& op) {
  if (!Is32Or64(op.width)) return false;
  ClobberFlags();
  const Gpr a = Use(op.a, op, kRax);
  const Gpr target = Target(op.dst, kRax);
  Lzcnt(SizeOf(op.width), target, a);
  Define(op.dst, target);
  return true;
}

bool Codegen::Cls(const Op& op) {
  if (!Is32Or64(op.width)) return false;
  const Size size = SizeOf(op.width);
  ClobberFlags();
  // Equal neighbours become 0; the sign's own place is not counted.
  MovValue(size, kRax, Operand(op.a, op, size, kRax));
  Mov(size, kRcx, kRax);
  ShiftImm(Shift::kSar, size, kRcx, 1);
  Arith(Alu::kXor, size, kRax, kRcx);
  Lzcnt(size, kRax, kRax);
  Arith(Alu::kSub, size, kRax, 1);
  Define(op.dst, kRax);
  return true;
}

bool Codegen::BitReverse(const Op& op) {
  if (!Is32Or64(op.width)) return false;
  const Size size = SizeOf(op.width);
  ClobberFlags();
  MovValue(size, kRax, Operand(op.a, op, size, kRax));
  Bswap(size, kRax);
  constexpr uint64_t kMasks[] = {0x0f0f0f0f0f0f0f0f, 0x3333333333333333, 0x5555555555555555};
  uint8_t distance = 4;
  for (const uint64_t mask : kMasks) {
    MovImm(kRdx, size == Size::k64 ? mask : static_cast<uint32_t>(mask));
    Mov(size, kRcx, kRax);
    ShiftImm(Shift::kShr, size, kRax, distance);
    Arith(Alu::kAnd, size, kRcx, kRdx);
    Arith(Alu::kAnd, size, kRax, kRdx);
    ShiftImm(Shift::kShl, size, kRcx, distance);
    Arith(Alu::kOr, size, kRax, kRcx);
    distance = static_cast<uint8_t>(distance / 2);
  }
  Define(op.dst, kRax);
  return true;
}

bool Codegen::ByteSwap(const Op& op) {
  if (!Is32Or64(op.width)) return false;
  const Size size = SizeOf(op.width);
  const auto unit = static_cast<Size>(op.extra);
  if (unit == Size::k8) return false;
  if (unit == size) {
    const Value a = Operand(op.a, op, size, kRax);
    const Gpr target = Target(op.dst, kRax);
    if (!Is(a, target)) MovValue(size, target, a);
    Bswap(size, target);
    Define(op.dst, target);
    return true;
  }
  if (unit != Size::k32) ClobberFlags();
  MovValue(size, kRax, Operand(op.a, op, size, kRax));
  if (unit == Size::k32) {
    Bswap(Size::k64, kRax);
    Rorx(Size::k64, kRax, kRax, 32);
  } else {
    MovImm(kRdx, size == Size::k64 ? 0x00ff00ff00ff00ff : 0x00ff00ff);
    Mov(size, kRcx, kRax);
    ShiftImm(Shift::kShr, size, kRax, 8);
    Arith(Alu::kAnd, size, kRcx, kRdx);
    Arith(Alu::kAnd, size, kRax, kRdx);
    ShiftImm(Shift::kShl, size, kRcx, 8);
    Arith(Alu::kOr, size, kRax, kRcx);
  }
  Define(op.dst, kRax);
  return true;
}

bool Codegen::Crc32c(const Op& op) {
  const auto size = static_cast<Size>(op.extra);
  const Gpr data = Use(op.b, op, kRcx);
  MovValue(Size::k32, kRax, Operand(op.a, op, Size::k32, kRax));
  Crc32(size, kRax, data);
  Define(op.dst, kRax);
  return true;
}

}  // namespace dd::select::x64
