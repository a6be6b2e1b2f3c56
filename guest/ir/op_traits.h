// What can be said of every operation without executing it: which registers and flags it touches.
#pragma once

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

constexpr bool ReadsFlags(const Op& op) {
  return op.cond != Cond::kAl || op.code == OpCode::kAdc || op.code == OpCode::kSbc ||
         op.code == OpCode::kReadFlags;
}
constexpr bool WritesFlags(const Op& op) {
  return KindOf(op.code) == OpKind::kFlags
             ? op.code != OpCode::kReadFlags
             : KindOf(op.code) == OpKind::kInteger && (op.bits & kSetsFlags) != 0;
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
