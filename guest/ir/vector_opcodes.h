// The vector, floating-point and cryptography rows of opcodes.h.
//
// Elements are of Op::width, of the operands unless a row says otherwise. kHalf: operands and
// result are 64 bits long, the upper half of dst becomes 0. kScalar: only element 0 is computed,
// the rest of dst becomes 0. An operand may be dst as well: operands are read before dst is
// written. "Sticky" rows set FPSR.QC (bit 27) when they saturate; Float rows obey FPCR and add to
// FPSR.
#pragma once

#define DD_IR_VECTOR_MOVE_OPS(X)                                                                 \
  X(VMov, Vector) /* dst = a */                                                                  \
  X(VZero, Vector)                                                                               \
  X(VConst, Vector)      /* every 64-bit half = imm */                                           \
  X(VDup, Vector)        /* every element (kScalar: element 0) = general register a */           \
  X(VDupLane, Vector)    /* every element (kScalar: element 0) = element `lane` of a */          \
  X(VInsert, Vector)     /* a with element `lane` = general register b */                        \
  X(VInsertLane, Vector) /* a with element `lane` = element `extra` of b */                      \
  X(VExtract, Vector)    /* general dst = element `lane` of a; kSigned: extended to `extra`      \
                            (a Width), else zero-extended */                                     \
  X(VSelectCond, Vector) /* cond ? a : b */                                                      \
  X(VZip, Vector)        /* a and b interleaved; lane 0: their lower halves, 1: the upper */     \
  X(VUzp, Vector)        /* even (lane 0) or odd (1) elements of a, then those of b */           \
  X(VTrn, Vector)        /* even (lane 0) or odd (1) elements of a and b in turn */              \
  X(VExt, Vector)        /* bytes of the pair b:a from byte imm on */                            \
  X(VReverse, Vector)    /* elements in reverse order within units of `extra` (a Width) */       \
  X(VTable, Vector)      /* bytes: i = b's byte - imm; i < 16 (unsigned) ? a's byte i : c's byte \
                            (c none: 0) */                                                       \
  X(VUnzip3, Vector)     /* of the elements of c:b:a every third, from `lane` on */              \
  X(VZip3, Vector)       /* vector `lane` (0..2) of a[0] b[0] c[0] a[1] b[1] ... */

#define DD_IR_VECTOR_INTEGER_OPS(X)                                                            \
  X(VAnd, Vector)                                                                              \
  X(VOr, Vector)                                                                               \
  X(VXor, Vector)                                                                              \
  X(VAndNot, Vector) /* a & ~b */                                                              \
  X(VOrNot, Vector)  /* a | ~b */                                                              \
  X(VNot, Vector)                                                                              \
  X(VSelect, Vector) /* bits of a where c's bit is 1, else of b */                             \
  X(VAdd, Vector)                                                                              \
  X(VSub, Vector)                                                                              \
  X(VMul, Vector)                                                                              \
  X(VPolyMul, Vector) /* bytes, carry-less, lower 8 bits */                                    \
  X(VNeg, Vector)                                                                              \
  X(VAbs, Vector)                                                                              \
  X(VMax, Vector)      /* kSigned */                                                           \
  X(VMin, Vector)      /* kSigned */                                                           \
  X(VAbsDiff, Vector)  /* kSigned */                                                           \
  X(VCmpEq, Vector)    /* comparisons: all bits of an element are the answer */                \
  X(VCmpGt, Vector)    /* kSigned */                                                           \
  X(VCmpGe, Vector)    /* kSigned */                                                           \
  X(VCmpTest, Vector)  /* a & b is not 0 */                                                    \
  X(VPopcount, Vector) /* bytes */                                                             \
  X(VClz, Vector)                                                                              \
  X(VCls, Vector)                                                                              \
  X(VBitReverse, Vector)     /* bytes */                                                       \
  X(VHalvingAdd, Vector)     /* (a + b) >> 1; kSigned; `extra` 1: (a + b + 1) >> 1 */          \
  X(VHalvingSub, Vector)     /* (a - b) >> 1; kSigned */                                       \
  X(VAddSat, Vector)         /* sticky; kSigned */                                             \
  X(VSubSat, Vector)         /* sticky; kSigned */                                             \
  X(VAddSatMixed, Vector)    /* sticky; kSigned: a and dst signed, b unsigned; else reverse */ \
  X(VNegSat, Vector)         /* sticky, signed */                                              \
  X(VAbsSat, Vector)         /* sticky, signed */                                              \
  X(VRecipEstimate, Vector)  /* URECPE: 32 bits */                                             \
  X(VRsqrtEstimate, Vector)  /* URSQRTE: 32 bits */                                            \
  X(VAddPair, Vector)        /* sums of neighbours of a, then of b */                          \
  X(VMaxPair, Vector)        /* kSigned */                                                     \
  X(VMinPair, Vector)        /* kSigned */                                                     \
  X(VAddWidenPair, Vector)   /* sums of neighbours of a, twice as wide; kSigned */             \
  X(VAddAcross, Vector)      /* across: element 0 = over all of a; the rest 0 */               \
  X(VMaxAcross, Vector)      /* kSigned */                                                     \
  X(VMinAcross, Vector)      /* kSigned */                                                     \
  X(VAddWidenAcross, Vector) /* element 0, twice as wide; kSigned */                           \
  X(VDot, Vector) /* 32 bits: c + the sum of four products of bytes of a and b; kSigned */

// Shifts by imm, if not said otherwise; rounding adds half of what is shifted out's range before.
// Wide rows read half of their operands (`lane`: 0 lower, 1 upper; kScalar: element 0) and make
// elements twice as wide. Narrow rows read elements twice as wide as `width`, shift them right by
// imm (`extra` 1: rounding) and write the lower half of dst (the upper becomes 0) or, with `lane`
// 1, the upper half (the lower is b's).
#define DD_IR_VECTOR_SHIFT_OPS(X)                                                                 \
  X(VShl, Vector)                                                                                 \
  X(VShr, Vector)            /* by 1 up to all bits; kSigned; `extra` 1: rounding */              \
  X(VShlInsert, Vector)      /* b << imm, and of a the bits below */                              \
  X(VShrInsert, Vector)      /* b >> imm, and of a the bits above */                              \
  X(VShlSat, Vector)         /* sticky; kSigned */                                                \
  X(VShlSatUnsigned, Vector) /* sticky; a is signed, dst is not */                                \
  X(VShiftVar, Vector)       /* left by the signed lowest byte of b's element, right when that is \
                                negative; kSigned; `extra`: 1 rounding, 2 saturating (sticky) */  \
  X(VWiden, Vector)          /* wide; kSigned */                                                  \
  X(VMulWide, Vector)        /* wide; kSigned */                                                  \
  X(VPolyMulWide, Vector)    /* wide, carry-less; 8 or 64 bits */                                 \
  X(VSatDoubleMulWide, Vector)    /* wide, sticky: 2 * a * b, signed */                           \
  X(VNarrow, Vector)              /* narrow */                                                    \
  X(VNarrowSat, Vector)           /* narrow, sticky; kSigned, else unsigned to unsigned */        \
  X(VNarrowSatUnsigned, Vector)   /* narrow, sticky: signed to unsigned */                        \
  X(VSatDoubleMulHigh, Vector)    /* sticky: (2 * a * b) >> bits; `extra` 1: rounding */          \
  X(VSatDoubleMulAddHigh, Vector) /* sticky, rounding: c + of 2 * a * b; `extra` 1: c - */

// FRound, FToInt, FToGeneral: `lane` is a Rounding.
#define DD_IR_FLOAT_OPS(X)                                                                        \
  X(FAdd, Float)                                                                                  \
  X(FSub, Float)                                                                                  \
  X(FMul, Float)                                                                                  \
  X(FMulExtended, Float) /* 0 * infinity is 2 */                                                  \
  X(FDiv, Float)                                                                                  \
  X(FSqrt, Float)                                                                                 \
  X(FMulAdd, Float) /* c + a * b, rounded once; `extra`: FusedSign */                             \
  X(FMax, Float)                                                                                  \
  X(FMin, Float)                                                                                  \
  X(FMaxNum, Float) /* a quiet NaN is the lesser choice */                                        \
  X(FMinNum, Float)                                                                               \
  X(FAbs, Vector) /* of the sign's bit, also of NaNs */                                           \
  X(FNeg, Vector)                                                                                 \
  X(FCmpEq, Float) /* masks, as VCmpEq */                                                         \
  X(FCmpGt, Float)                                                                                \
  X(FCmpGe, Float)                                                                                \
  X(FRecipEstimate, Float)                                                                        \
  X(FRsqrtEstimate, Float)                                                                        \
  X(FRecipExponent, Float) /* FRECPX */                                                           \
  X(FRecipStep, Float)     /* 2 - a * b, rounded once */                                          \
  X(FRsqrtStep, Float)     /* (3 - a * b) / 2, rounded once */                                    \
  X(FRound, Float)         /* to an integer; `extra` 1: inexact is an exception */                \
  X(FToInt, Float)       /* integers of the same width, saturated; imm: fraction bits; kSigned */ \
  X(FFromInt, Float)     /* from integers of the same width; imm: fraction bits; kSigned */       \
  X(FToGeneral, Float)   /* general dst of `extra` (a Width), else as FToInt */                   \
  X(FFromGeneral, Float) /* element 0 = general a of `extra` (a Width); rest 0; as FFromInt */    \
  X(FConvert, Float)     /* element 0 in another format: dst is of `extra` (a Width); rest 0 */   \
  X(FWiden, Float)       /* a's lower (lane 0) or upper half of elements in the next format */    \
  X(FNarrow, Float)      /* dst of `width` from twice that, placed as narrow rows do; `extra` 1:  \
                            rounded to odd */                                                     \
  X(FToIntJs, Flags)     /* FJCVTZS: general dst and flags */                                     \
  X(FCompare, Flags)     /* flags of a ? b (b Imm(): 0.0); kSigned: quiet NaNs signal too */      \
  X(FCondCompare, Flags) /* cond ? as FCompare : NZCV of imm */                                   \
  X(FMulAddWide, Float)  /* width 32: c + a * b, a and b of 16 bits, of lower half or `lane` 1:   \
                            upper; `extra` 1: c - */                                              \
  X(FComplexAdd, Float)  /* pairs; a + b turned by 90 (`extra` 1) or 270 (3) degrees */           \
  X(FComplexMulAdd, Float) /* pairs; c + a * b turned by `extra` times 90 degrees */

#define DD_IR_CRYPTO_OPS(X)                                                          \
  X(AesEncrypt, Vector) /* AESE: a state, b key */                                   \
  X(AesDecrypt, Vector)                                                              \
  X(AesMixColumns, Vector)                                                           \
  X(AesInverseMixColumns, Vector)                                                    \
  X(Sha1Hash, Vector)      /* lane 0: SHA1C, 1: SHA1P, 2: SHA1M; a Qd, b Sn, c Vm */ \
  X(Sha1Rotate, Vector)    /* SHA1H */                                               \
  X(Sha1Schedule0, Vector) /* a Vd, b Vn, c Vm, here and below */                    \
  X(Sha1Schedule1, Vector)                                                           \
  X(Sha256Hash, Vector) /* lane 0: SHA256H, 1: SHA256H2 */                           \
  X(Sha256Schedule0, Vector)                                                         \
  X(Sha256Schedule1, Vector)                                                         \
  X(Sha512Hash, Vector) /* lane 0: SHA512H, 1: SHA512H2 */                           \
  X(Sha512Schedule0, Vector)                                                         \
  X(Sha512Schedule1, Vector)

#define DD_IR_VECTOR_OPS(X)   \
  DD_IR_VECTOR_MOVE_OPS(X)    \
  DD_IR_VECTOR_INTEGER_OPS(X) \
  DD_IR_VECTOR_SHIFT_OPS(X)   \
  DD_IR_FLOAT_OPS(X)          \
  DD_IR_CRYPTO_OPS(X)
