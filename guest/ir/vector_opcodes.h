// The vector and floating-point rows of opcodes.h. Elements are of Op::width; kHalf and kScalar say
// how many of them there are.
#pragma once

#define DD_IR_VECTOR_OPS(X)                                                                       \
  X(VMov, Vector) /* dst = a */                                                                   \
  X(VZero, Vector)                                                                                \
  X(VConst, Vector)      /* every 64-bit half = imm */                                            \
  X(VDup, Vector)        /* every element = general register a */                                 \
  X(VDupLane, Vector)    /* every element = element `lane` of a */                                \
  X(VInsert, Vector)     /* a with element `lane` = general register b */                         \
  X(VInsertLane, Vector) /* a with element `lane` = element `extra` of b */                       \
  X(VExtract, Vector)    /* general dst = element `lane` of a; kSigned: extended to 64 bits, else \
                            zero-extended */                                                      \
  X(VAdd, Vector)                                                                                 \
  X(VSub, Vector)                                                                                 \
  X(VMul, Vector)                                                                                 \
  X(VAnd, Vector)                                                                                 \
  X(VOr, Vector)                                                                                  \
  X(VXor, Vector)                                                                                 \
  X(VAndNot, Vector) /* a & ~b */                                                                 \
  X(VOrNot, Vector)                                                                               \
  X(VNot, Vector)                                                                                 \
  X(VSelect, Vector) /* bits of a where c's bit is 1, else of b */                                \
  X(FAdd, Float)     /* FP: NaNs, rounding and flags as FPCR says */                              \
  X(FSub, Float)                                                                                  \
  X(FMul, Float)                                                                                  \
  X(FDiv, Float)                                                                                  \
  X(FSqrt, Float)                                                                                 \
  X(FMulAdd, Float)  /* c + a * b, rounded once */                                                \
  X(FCompare, Flags) /* flags of a ? b (imm: b is 0.0); kSigned: quiet NaNs signal too */
