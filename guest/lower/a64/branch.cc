// Branches, exceptions, barriers, system registers.
#include "guest/isa/a64/features.h"
#include "guest/lower/a64/lowering.h"

namespace dd::lower::a64 {

using enum ir::OpCode;
using ir::SystemRegister;

namespace {

int64_t Target(const Lowering& l, Word w, uint32_t lowest, uint32_t count) {
  return static_cast<int64_t>(l.pc() + static_cast<uint64_t>(w.Signed(lowest, count) * 4));
}

// BL and BLR: where the callee returns to.
void Link(Lowering& l) {
  l.Emit(kMov, Width::k64, Ref::G(30), Ref::Imm()).imm = static_cast<int64_t>(l.next_pc());
}

void BranchIf(Lowering& l, Word w) {
  const Cond cond = static_cast<Cond>(w.At(0, 4));
  const int64_t target = Target(l, w, 5, 19);
  if (cond >= Cond::kAl) {
    l.End(kJump).imm = target;
    return;
  }
  Op& op = l.End(kBranch);
  op.cond = cond;
  op.imm = target;
}

void BranchCompare(Lowering& l, Word w, OpCode code) {
  const Ref t = l.X(w.rt());
  l.End(code, w.sf(), t).imm = Target(l, w, 5, 19);
}

void BranchBit(Lowering& l, Word w, OpCode code) {
  const Ref t = l.X(w.rt());
  Op& op = l.End(code, Width::k64, t);
  op.lane = static_cast<uint8_t>(w.At(19, 5) | (w.Bit(31) ? 32u : 0u));
  op.imm = Target(l, w, 5, 14);
}

void BranchLink(Lowering& l, Word w) {
  Link(l);
  l.End(kCall).imm = Target(l, w, 0, 26);
}

void BranchLinkRegister(Lowering& l, Word w) {
  Ref n = l.X(w.rn());
  if (w.rn() == 30) {
    const Ref copy = l.Temp();
    l.Emit(kMov, Width::k64, copy, n);
    n = copy;
  }
  Link(l);
  l.End(kCallIndirect, Width::k64, n);
}

void BranchRegister(Lowering& l, Word w, OpCode code) {
  const Ref n = l.X(w.rn());
  l.End(code, Width::k64, n);
}

void Hint(Lowering& l, Word w) {
  constexpr uint32_t kYield = 1;
  constexpr uint32_t kWfe = 2;
  constexpr uint32_t kWfi = 3;
  const uint32_t hint = w.At(5, 7);
  if (hint == kYield || hint == kWfe || hint == kWfi) l.Emit(kPause, Width::k64);
}

// The domain in bits 9..8: loads, stores or everything.
void Barrier(Lowering& l, Word w) {
  const uint32_t kind = w.At(8, 2);
  l.Emit(kFence, Width::k64).imm = kind == 0 ? 3 : kind;
}

// Code that has been rewritten is read anew after it: in a new block.
void InstructionBarrier(Lowering& l) { l.End(kJump).imm = static_cast<int64_t>(l.next_pc()); }

// What MSR and MRS name: op0, op1, CRn, CRm, op2.
constexpr uint32_t Encoding(uint32_t op0, uint32_t op1, uint32_t crn, uint32_t crm, uint32_t op2) {
  return (op0 & 1) << 14 | op1 << 11 | crn << 7 | crm << 3 | op2;
}
constexpr uint32_t kNzcv = Encoding(3, 3, 4, 2, 0);
// Registers of the implementation's own: clocks 0 to 7.
constexpr uint32_t kClocks = Encoding(3, 3, 15, 0, 0);
constexpr uint32_t kClockMask = 7;

struct Readable {
  uint32_t encoding;
  SystemRegister what;
  bool writable;
};
constexpr Readable kRegisters[] = {
    {Encoding(3, 3, 4, 4, 0), SystemRegister::kFloatControl, true},      // FPCR
    {Encoding(3, 3, 4, 4, 1), SystemRegister::kFloatStatus, true},       // FPSR
    {Encoding(3, 3, 13, 0, 2), SystemRegister::kThreadPointer, true},    // TPIDR_EL0
    {Encoding(3, 3, 14, 0, 0), SystemRegister::kCountFrequency, false},  // CNTFRQ_EL0
    {Encoding(3, 3, 14, 0, 2), SystemRegister::kVirtualCount, false},    // CNTVCT_EL0
};

// Registers that never change. Those of op1 0 are EL1's: Linux emulates their reading.
struct Constant {
  uint32_t encoding;
  uint64_t value;
};
constexpr Constant kConstants[] = {
    {Encoding(3, 3, 0, 0, 1), isa::a64::kCtr},         // CTR_EL0
    {Encoding(3, 3, 0, 0, 7), isa::a64::kDczid},       // DCZID_EL0
    {Encoding(3, 3, 13, 0, 3), 0},                     // TPIDRRO_EL0
    {Encoding(3, 0, 0, 0, 0), isa::a64::kMidr},        // MIDR_EL1
    {Encoding(3, 0, 0, 0, 5), isa::a64::kMpidr},       // MPIDR_EL1
    {Encoding(3, 0, 0, 0, 6), 0},                      // REVIDR_EL1
    {Encoding(3, 0, 0, 4, 0), isa::a64::kIdAa64pfr0},  // ID_AA64PFR0_EL1
    {Encoding(3, 0, 0, 6, 0), isa::a64::kIdAa64isar0},
    {Encoding(3, 0, 0, 6, 1), isa::a64::kIdAa64isar1},
};

void Set(Lowering& l, uint32_t rd, uint64_t value) {
  if (rd == kThirtyOne) return;
  l.Emit(kMov, Width::k64, Ref::G(rd), Ref::Imm()).imm = static_cast<int64_t>(value);
}

void ReadRegister(Lowering& l, Word w) {
  const uint32_t encoding = w.At(5, 15);
  if (encoding == kNzcv) {
    l.Emit(kReadFlags, Width::k64, l.ToXOrTemp(w.rt()));
    return;
  }
  if ((encoding & ~kClockMask) == kClocks) {
    Op& op = l.Emit(kReadSystem, Width::k64, l.ToXOrTemp(w.rt()));
    op.imm = static_cast<int64_t>(SystemRegister::kClock);
    op.lane = static_cast<uint8_t>(encoding & kClockMask);
    return;
  }
  for (const Readable& row : kRegisters) {
    if (row.encoding != encoding) continue;
    l.Emit(kReadSystem, Width::k64, l.ToXOrTemp(w.rt())).imm = static_cast<int64_t>(row.what);
    return;
  }
  for (const Constant& row : kConstants) {
    if (row.encoding == encoding) return Set(l, w.rt(), row.value);
  }
  // The rest of the identification registers (op0 3, op1 0, CRn 0, CRm 2 to 7) reads as 0.
  const uint32_t crm = encoding >> 3 & 15;
  if ((encoding & Encoding(3, 7, 15, 0, 0)) == Encoding(3, 0, 0, 0, 0) && crm >= 2 && crm <= 7) {
    return Set(l, w.rt(), 0);
  }
  l.Undefined();
}

void WriteRegister(Lowering& l, Word w) {
  const uint32_t encoding = w.At(5, 15);
  const Ref t = l.X(w.rt());
  if (encoding == kNzcv) {
    l.Emit(kWriteFlags, Width::k64, {}, t);
    return;
  }
  for (const Readable& row : kRegisters) {
    if (row.encoding != encoding || !row.writable) continue;
    l.Emit(kWriteSystem, Width::k64, {}, t).imm = static_cast<int64_t>(row.what);
    return;
  }
  l.Undefined();
}

// Flags as ReadFlags and WriteFlags have them: N, Z, C, V from bit 31 down.
constexpr uint32_t kFlagsLowest = 28;
constexpr int64_t kCarry = 1 << 29;

void InvertCarry(Lowering& l) {
  const Ref flags = l.Temp();
  l.Emit(kReadFlags, Width::k64, flags);
  const Ref inverted = l.Temp();
  l.EmitImm(kXor, Width::k64, inverted, flags, kCarry);
  l.Emit(kWriteFlags, Width::k64, {}, inverted);
}

// The flags that `mask` names (3: N), from the lowest bits of the register when it is rotated.
void RotateIntoFlags(Lowering& l, Word w) {
  const int64_t mask = int64_t{w.At(0, 4)} << kFlagsLowest;
  const Ref rotated = l.Temp();
  l.EmitImm(kRor, Width::k64, rotated, l.X(w.rn()), w.At(15, 6));
  const Ref placed = l.Temp();
  l.EmitImm(kShl, Width::k64, placed, rotated, kFlagsLowest);
  const Ref taken = l.Temp();
  l.EmitImm(kAnd, Width::k64, taken, placed, mask);
  const Ref flags = l.Temp();
  l.Emit(kReadFlags, Width::k64, flags);
  const Ref kept = l.Temp();
  l.EmitImm(kAnd, Width::k64, kept, flags, ~mask);
  const Ref result = l.Temp();
  l.Emit(kOr, Width::k64, result, kept, taken);
  l.Emit(kWriteFlags, Width::k64, {}, result);
}

// N, Z and V of a number of `bits` bits that was computed in a wider register; C stays.
void SetFlagsOfNarrow(Lowering& l, Word w, uint32_t bits) {
  const Ref n = l.X(w.rn());
  const auto shifted = [&](OpCode code, Ref from, int64_t by) {
    const Ref to = l.Temp();
    l.EmitImm(code, Width::k64, to, from, by);
    return to;
  };
  const auto either = [&](Ref a, Ref b) {
    const Ref to = l.Temp();
    l.Emit(kOr, Width::k64, to, a, b);
    return to;
  };
  // The number in the highest bits, 1 less than which borrows only of 0.
  const Ref high = shifted(kShl, n, 64 - bits);
  const Ref number = shifted(kShr, high, 64 - bits);
  const Ref zero = shifted(kShr, shifted(kSub, number, 1), 63);
  const Ref sign = shifted(kShr, high, 63);
  const Ref next = shifted(kShr, shifted(kShl, n, 63 - bits), 63);
  const Ref overflow = l.Temp();
  l.Emit(kXor, Width::k64, overflow, sign, next);
  const Ref flags = l.Temp();
  l.Emit(kReadFlags, Width::k64, flags);
  const Ref carry = l.Temp();
  l.EmitImm(kAnd, Width::k64, carry, flags, kCarry);
  const Ref nz = either(shifted(kShl, sign, 31), shifted(kShl, zero, 30));
  l.Emit(kWriteFlags, Width::k64, {}, either(either(nz, carry), shifted(kShl, overflow, 28)));
}

void OnAddress(Lowering& l, Word w, OpCode code) {
  const Ref t = l.X(w.rt());
  l.Emit(code, Width::k64, {}, t);
}

}  // namespace

DD_LOWER(B_cond, BranchIf(l, w))
DD_LOWER(B, l.End(kJump).imm = Target(l, w, 0, 26))
DD_LOWER(BL, BranchLink(l, w))
DD_LOWER(CBZ, BranchCompare(l, w, kBranchZero))
DD_LOWER(CBNZ, BranchCompare(l, w, kBranchNotZero))
DD_LOWER(TBZ, BranchBit(l, w, kBranchBitClear))
DD_LOWER(TBNZ, BranchBit(l, w, kBranchBitSet))
DD_LOWER(BR, BranchRegister(l, w, kJumpIndirect))
DD_LOWER(BLR, BranchLinkRegister(l, w))
DD_LOWER(RET, BranchRegister(l, w, kReturn))
DD_LOWER(SVC, l.End(kSyscall))
DD_LOWER(BRK, l.Trap(ir::TrapKind::kBreakpoint))

DD_LOWER(HINT, Hint(l, w))
DD_LOWER(CLREX, l.Emit(kClearExclusive, Width::k64))
DD_LOWER(DSB, Barrier(l, w))
DD_LOWER(DMB, Barrier(l, w))
DD_LOWER(ISB, InstructionBarrier(l))
DD_LOWER(CFINV, InvertCarry(l))
DD_LOWER(RMIF, RotateIntoFlags(l, w))
DD_LOWER(SETF8, SetFlagsOfNarrow(l, w, 8))
DD_LOWER(SETF16, SetFlagsOfNarrow(l, w, 16))
DD_LOWER(MSR, WriteRegister(l, w))
DD_LOWER(MRS, ReadRegister(l, w))
DD_LOWER(DC_ZVA, OnAddress(l, w, kZeroBlock))
DD_LOWER(IC_IVAU, OnAddress(l, w, kInvalidateCode))
// Memory is coherent for the guest: cleaning needs nothing.
DD_LOWER(DC_CVAC, )
DD_LOWER(DC_CVAU, )
DD_LOWER(DC_CVAP, )
DD_LOWER(DC_CIVAC, )

}  // namespace dd::lower::a64
