// Every operation of the intermediate representation, one row each. A row's comment and its
// function in the interpreter are the specification; what a host has no selection for is executed
// by that function.
//
// DD_IR_OPS(X) calls X(name, kind): `kind` is Integer, Flags, Memory, Atomic, System, Vector,
// Float, Terminator. Integer results of width 32 and less are zero-extended to 64 bits. Operand b
// may be Imm().
#pragma once

#include <cstdint>

#define DD_IR_INTEGER_OPS(X)                                                                     \
  X(Mov, Integer) /* dst = a (or imm) */                                                         \
  X(Add, Integer) /* a + b */                                                                    \
  X(Sub, Integer) /* a - b; C is "no borrow" */                                                  \
  X(Adc, Integer) /* a + b + C */                                                                \
  X(Sbc, Integer) /* a + ~b + C */                                                               \
  X(And, Integer) /* flags: N, Z; C and V become 0 */                                            \
  X(Or, Integer)                                                                                 \
  X(Xor, Integer)                                                                                \
  X(AndNot, Integer) /* a & ~b; flags as And */                                                  \
  X(OrNot, Integer)  /* a | ~b */                                                                \
  X(XorNot, Integer) /* a ^ ~b */                                                                \
  X(Neg, Integer)    /* -a; flags: of 0 - a */                                                   \
  X(Not, Integer)    /* ~a */                                                                    \
  X(Mul, Integer)                                                                                \
  X(MulHigh, Integer) /* upper 64 bits of 64 x 64; kSigned */                                    \
  X(MulWide, Integer) /* 32 x 32 -> 64; kSigned */                                               \
  X(Div, Integer)     /* by 0: 0; the smallest by -1: itself; kSigned */                         \
  X(Shl, Integer)     /* shifts: the amount modulo the width */                                  \
  X(Shr, Integer)                                                                                \
  X(Sar, Integer)                                                                                \
  X(Ror, Integer)                                                                                \
  X(ExtractPair, Integer) /* (a:b) >> lane, lower half */                                        \
  X(BitExtract, Integer)  /* `extra` bits of a from `lane` on; kSigned */                        \
  X(BitPlace, Integer)    /* the lower `extra` bits of a at `lane`, else 0; kSigned: extended */ \
  X(BitInsert, Integer)   /* a with the lower `extra` bits of b at `lane` */                     \
  X(Zext, Integer)        /* the lower `extra` (a Width) of a */                                 \
  X(Sext, Integer)        /* same, sign-extended to `width` */                                   \
  X(Clz, Integer)                                                                                \
  X(Cls, Integer) /* leading bits equal to the sign, without it */                               \
  X(BitReverse, Integer)                                                                         \
  X(ByteSwap, Integer) /* within units of `extra` (a Width) */                                   \
  X(Crc32, Integer)    /* a: 32-bit sum, b: data of `extra` (a Width) */                         \
  X(Crc32c, Integer)                                                                             \
  X(Select, Integer)    /* cond ? a : b */                                                       \
  X(SetCond, Integer)   /* cond ? 1 : 0 */                                                       \
  X(CondCompare, Flags) /* cond ? flags(a - b) : NZCV of `lane`, bits 3..0; kSigned: a + b */    \
  X(ReadFlags, Flags)   /* dst = NZCV at bits 31..28 */                                          \
  X(WriteFlags, Flags)  /* from bits 31..28 of a */

#define DD_IR_MEMORY_OPS(X)                                                                     \
  X(Load, Memory)  /* dst = `width`, extended to LoadTo, else with zeros to 64 bits; kSigned */ \
  X(Store, Memory) /* the lower `width` of c */                                                 \
  X(LoadVector, Memory) /* `width` (k8..k128) into a vector register, the rest 0 */             \
  X(StoreVector, Memory)                                                                        \
  X(AtomicAdd, Atomic) /* atomics: address a + imm, value b, dst = what was there (or none) */  \
  X(AtomicAndNot, Atomic)                                                                       \
  X(AtomicOr, Atomic)                                                                           \
  X(AtomicXor, Atomic)                                                                          \
  X(AtomicMax, Atomic) /* kSigned */                                                            \
  X(AtomicMin, Atomic) /* kSigned */                                                            \
  X(AtomicSwap, Atomic)                                                                         \
  X(CompareSwap, Atomic)        /* if *a == b then *a = c; dst = what was there */              \
  X(CompareSwapPair, Atomic)    /* registers b, b+1; c, c+1; dst, dst+1; two of `width` */      \
  X(LoadExclusive, Atomic)      /* dst = *a, and the monitor is set */                          \
  X(LoadExclusivePair, Atomic)  /* dst and b, of `width` each */                                \
  X(StoreExclusive, Atomic)     /* dst = 0 and *a = b, or dst = 1 */                            \
  X(StoreExclusivePair, Atomic) /* b and c */                                                   \
  X(ClearExclusive, Atomic)                                                                     \
  X(Fence, Atomic) /* imm: 1 loads, 2 stores, 3 everything */

#define DD_IR_SYSTEM_OPS(X)                                                              \
  X(ReadSystem, System)  /* dst = system register imm (SystemRegister) */                \
  X(WriteSystem, System) /* = a */                                                       \
  X(InvalidateCode,                                                                      \
    System) /* the guest says that code at address a has changed (a line of 64 bytes) */ \
  X(ZeroBlock, System) /* 64 bytes at a, aligned down, become 0 */                       \
  X(Pause, System)     /* a spinning guest */

// The last operation of a block. Targets are guest addresses in imm.
#define DD_IR_TERMINATORS(X)                                                                      \
  X(Jump, Terminator)                                                                             \
  X(Branch, Terminator)     /* cond ? imm : next_pc */                                            \
  X(BranchZero, Terminator) /* a (of `width`) == 0 ? imm : next_pc */                             \
  X(BranchNotZero, Terminator)                                                                    \
  X(BranchBitClear, Terminator) /* bit `lane` of a is 0 ? imm : next_pc */                        \
  X(BranchBitSet, Terminator)                                                                     \
  X(Call,                                                                                         \
    Terminator) /* to imm; will likely return to next_pc (the link register is written before) */ \
  X(CallIndirect, Terminator) /* to a */                                                          \
  X(JumpIndirect, Terminator)                                                                     \
  X(Return, Terminator)  /* to a, likely where the last call came from */                         \
  X(Syscall, Terminator) /* goes on at next_pc */                                                 \
  X(Trap, Terminator)    /* imm: a TrapKind; pc is the instruction's own */

#include "guest/ir/vector_opcodes.h"

#define DD_IR_OPS(X)   \
  DD_IR_INTEGER_OPS(X) \
  DD_IR_MEMORY_OPS(X)  \
  DD_IR_SYSTEM_OPS(X)  \
  DD_IR_VECTOR_OPS(X)  \
  DD_IR_TERMINATORS(X)

namespace dd::ir {

#define DD_IR_NAME(name, kind) k##name,
enum class OpCode : uint16_t { DD_IR_OPS(DD_IR_NAME) };
#undef DD_IR_NAME

enum class TrapKind : uint8_t { kUndefined, kBreakpoint, kIllegalMemory };

// How a Float row rounds to an integer; kControl: as FPCR says.
enum class Rounding : uint8_t { kNearestEven, kUp, kDown, kZero, kNearestAway, kControl };

// FMulAdd: what is negated before.
enum FusedSign : uint8_t { kNegateProduct = 1, kNegateAddend = 2 };

// What ReadSystem and WriteSystem reach, by what it does rather than by one guest's encoding.
enum class SystemRegister : uint8_t {
  kThreadPointer,
  kFloatControl,    // FPCR
  kFloatStatus,     // FPSR
  kVirtualCount,    // CNTVCT_EL0
  kCountFrequency,  // CNTFRQ_EL0
  kClock,           // nanoseconds of clock `lane`, for our own vDSO
};

}  // namespace dd::ir
