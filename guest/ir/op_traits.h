// What can be said of every operation without executing it: which registers and flags it touches.
#pragma once

#include <cstddef>

#include "guest/ir/ir.h"

namespace dd::ir {

enum class OpKind : uint8_t {
  kInteger,
  kFlags,
  kMemory,
  kAtomic,
  kSystem,
  kVector,
  kFloat,
  kTerminator
};

#define DD_IR_KIND(name, kind) OpKind::k##kind,
inline constexpr OpKind kOpKinds[] = {DD_IR_OPS(DD_IR_KIND)};
#undef DD_IR_KIND

constexpr OpKind KindOf(OpCode code) { return kOpKinds[static_cast<uint16_t>(code)]; }

// What an operation has to do with the flags; all of them read them for a condition.
enum FlagUse : uint8_t { kFlagsRead = 1, kFlagsWritten = 2, kFlagsWrittenIfSet = 4 };

constexpr uint8_t FlagUseOf(OpCode code) {
  switch (code) {
    case OpCode::kAdc:
    case OpCode::kSbc:
      return kFlagsRead | kFlagsWrittenIfSet;
    case OpCode::kReadFlags:
      return kFlagsRead;
    default:
      break;
  }
  if (KindOf(code) == OpKind::kFlags) return kFlagsWritten;
  return KindOf(code) == OpKind::kInteger ? kFlagsWrittenIfSet : 0;
}
#define DD_IR_FLAG_USE(name, kind) FlagUseOf(OpCode::k##name),
inline constexpr uint8_t kFlagUses[] = {DD_IR_OPS(DD_IR_FLAG_USE)};
#undef DD_IR_FLAG_USE

constexpr bool ReadsFlags(const Op& op) {
  return op.cond != Cond::kAl || (kFlagUses[static_cast<uint16_t>(op.code)] & kFlagsRead) != 0;
}
constexpr bool WritesFlags(const Op& op) {
  static_assert(kSetsFlags == 1);
  const uint32_t use = kFlagUses[static_cast<uint16_t>(op.code)];
  return ((use >> 1 | (use >> 2 & op.bits)) & 1) != 0;
}
// May raise a fault at its own address.
constexpr bool MayFault(const Op& op) {
  return KindOf(op.code) == OpKind::kMemory || KindOf(op.code) == OpKind::kAtomic ||
         op.code == OpCode::kZeroBlock;
}

// Sets of guest registers, a bit each.
struct RegisterSet {
  uint32_t g = 0;
  uint32_t v = 0;

  constexpr void Add(Ref ref) {
    if (ref.guest()) g |= 1u << (ref.index() & 31);
    if (ref.vector()) v |= 1u << (ref.index() & 31);
  }
  constexpr RegisterSet operator|(const RegisterSet& o) const { return {g | o.g, v | o.v}; }
  constexpr RegisterSet operator&(const RegisterSet& o) const { return {g & o.g, v & o.v}; }
  constexpr RegisterSet Without(const RegisterSet& o) const { return {g & ~o.g, v & ~o.v}; }
  constexpr bool operator==(const RegisterSet&) const = default;
};

// Calls f with the number of each bit that is set, from the lowest on.
template <typename F>
constexpr void ForEachBit(uint64_t set, const F& f) {
  for (; set != 0; set &= set - 1) f(static_cast<uint32_t>(__builtin_ctzll(set)));
}

// All four operands of an operation at once, for passes that look at each operation: 16 bits an
// operand, its kind in the upper four, its number below.
inline uint64_t Operands(const Op& op) {
  static_assert(offsetof(Op, c) == offsetof(Op, dst) + 6 && sizeof(Ref) == 2);
  uint64_t operands;
  __builtin_memcpy(&operands, &op.dst, sizeof operands);
  return operands;
}
constexpr uint32_t kOperandKinds = 8;
constexpr uint32_t OperandKind(uint64_t operands, uint32_t i) {
  return static_cast<uint32_t>(operands >> (16 * i + 12)) & (kOperandKinds - 1);
}
constexpr uint32_t OperandNumber(uint64_t operands, uint32_t i) {
  return static_cast<uint32_t>(operands >> (16 * i)) & 0xfff;
}
constexpr uint32_t kKindGuest = 1, kKindVector = 2, kKindTemp = 3;
// Some operand is a temporary, whose kind alone has its two lowest bits set.
constexpr bool HasTemp(uint64_t operands) {
  return (operands & operands >> 1 & 0x1000100010001000) != 0;
}

constexpr Ref Next(Ref ref) {
  if (ref.guest()) return Ref::G((ref.index() + 1) & 31);
  if (ref.vector()) return Ref::V((ref.index() + 1) & 31);
  if (ref.temp()) return Ref::T(ref.index() + 1);
  return ref;
}

constexpr RegisterSet Written(const Op& op) {
  RegisterSet set;
  set.Add(op.dst);
  if (op.code == OpCode::kCompareSwapPair) set.Add(Next(op.dst));
  if (op.code == OpCode::kLoadExclusivePair) set.Add(op.b);
  return set;
}
constexpr RegisterSet Read(const Op& op) {
  RegisterSet set;
  set.Add(op.a);
  if (op.code != OpCode::kLoadExclusivePair) set.Add(op.b);
  set.Add(op.c);
  if (op.code == OpCode::kCompareSwapPair) {
    set.Add(Next(op.b));
    set.Add(Next(op.c));
  }
  return set;
}

constexpr bool IsConditional(OpCode code) {
  return code >= OpCode::kBranch && code <= OpCode::kBranchBitSet;
}

}  // namespace dd::ir
