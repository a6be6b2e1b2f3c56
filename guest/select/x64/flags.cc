// The guest's flags in EFLAGS: what conditions are there, and moving them to State and back.
#include "guest/select/x64/codegen.h"

namespace dd::select::x64 {

using ir::Cond;

bool Codegen::FlagsBusy() const {
  return flags_.eflags != InEflags::kNo && !flags_.in_state &&
         (wanted_after_[op_number_ >> 6] >> (op_number_ & 63) & 1) != 0;
}

void Codegen::ClobberFlags() {
  if (FlagsBusy()) SaveFlags();
  flags_.eflags = InEflags::kNo;
}

// Leaves EFLAGS as they are.
void Codegen::SaveFlags() {
  if (flags_.in_state || flags_.eflags == InEflags::kNo) return;
  const Mem flags = StateMem(offsetof(ir::State, flags));
  Lahf();
  if (flags_.eflags == InEflags::kSub || flags_.eflags == InEflags::kAdd) {
    Setcc(Cc::kO, kRax);
    // Inverts bit 8 without touching EFLAGS; what is carried ends in bits that mean nothing.
    if (flags_.eflags == InEflags::kSub) Lea(Size::k32, kRax, Mem::At(kRax, 0x100));
    Mov(Size::k32, flags, kRax);
  } else {
    const size_t table = flags_.eflags == InEflags::kFloatSwapped ? 1 : 0;
    // movzx eax, ah has no encoding with REX; by a shift that keeps EFLAGS.
    Rorx(Size::k32, kRax, kRax, 8);
    Movzx(Size::k8, kRax, kRax);
    Lea(Size::k64, kRdx, Constant(offsetof(ConstantPool, flags_of_compare) + table * 80 * 4));
    Mov(Size::k32, kRax, Mem::Indexed(kRdx, kRax, 2));
    Mov(Size::k32, flags, kRax);
  }
  flags_.in_state = true;
}

void Codegen::ReloadFlags() {
  Mov(Size::k32, kRax, StateMem(offsetof(ir::State, flags)));
  Arith(Alu::kAdd, Size::k8, kRax, 0x7f);
  Sahf();
  Cmc();
  flags_ = {InEflags::kSub, true};
}

Condition Codegen::TestOf(Cond cond) {
  if (flags_.eflags == InEflags::kNo) ReloadFlags();
  const bool negate = (static_cast<uint8_t>(cond) & 1) != 0;
  const auto make = [&](Cc cc) { return Condition{negate ? Negate(cc) : cc, Condition::kNone}; };
  const auto base = static_cast<Cond>(static_cast<uint8_t>(cond) & ~1);
  if (flags_.eflags == InEflags::kFloat || flags_.eflags == InEflags::kFloatSwapped) {
    const bool swapped = flags_.eflags == InEflags::kFloatSwapped;
    switch (base) {
      case Cond::kEq:
        return negate ? Condition{Cc::kNe, Condition::kOr} : Condition{Cc::kE, Condition::kAndNot};
      case Cond::kVs:
        return make(Cc::kP);
      case Cond::kMi:  // less
        return swapped ? make(Cc::kA)
                       : Condition{negate ? Cc::kAe : Cc::kB,
                                   negate ? Condition::kOr : Condition::kAndNot};
      case Cond::kHi:  // not (less or equal)
        return swapped ? make(Cc::kB)
                       : Condition{negate ? Cc::kBe : Cc::kA,
                                   negate ? Condition::kAndNot : Condition::kOr};
      case Cond::kCs:  // not less
        return swapped ? make(Cc::kBe)
                       : Condition{negate ? Cc::kB : Cc::kAe,
                                   negate ? Condition::kAndNot : Condition::kOr};
      case Cond::kGe:
        return !swapped ? make(Cc::kAe)
                        : Condition{negate ? Cc::kA : Cc::kBe,
                                    negate ? Condition::kOr : Condition::kAndNot};
      default:  // kGt
        return !swapped ? make(Cc::kA)
                        : Condition{negate ? Cc::kAe : Cc::kB,
                                    negate ? Condition::kOr : Condition::kAndNot};
    }
  }
  if (flags_.eflags == InEflags::kAdd && base == Cond::kHi) {
    Cmc();
    flags_.eflags = InEflags::kSub;
  }
  const bool inverted = flags_.eflags == InEflags::kSub;
  switch (base) {
    case Cond::kEq:
      return make(Cc::kE);
    case Cond::kCs:
      return make(inverted ? Cc::kAe : Cc::kB);
    case Cond::kMi:
      return make(Cc::kS);
    case Cond::kVs:
      return make(Cc::kO);
    case Cond::kHi:
      return make(Cc::kA);
    case Cond::kGe:
      return make(Cc::kGe);
    default:
      return make(Cc::kG);
  }
}

void Codegen::JumpIf(const Condition& test, Label* label) {
  if (test.parity == Condition::kAndNot) {
    Label no;
    Jcc(Cc::kP, &no);
    Jcc(test.cc, label);
    Bind(&no);
    return;
  }
  if (test.parity == Condition::kOr) Jcc(Cc::kP, label);
  Jcc(test.cc, label);
}

void Codegen::JumpUnless(const Condition& test, Label* label) {
  const Condition::Parity parity = test.parity == Condition::kNone     ? Condition::kNone
                                   : test.parity == Condition::kAndNot ? Condition::kOr
                                                                       : Condition::kAndNot;
  JumpIf({Negate(test.cc), parity}, label);
}

void Codegen::SetFlagsConstant(uint8_t nzcv) {
  const uint32_t n = nzcv >> 3 & 1, z = nzcv >> 2 & 1, c = nzcv >> 1 & 1, v = nzcv & 1;
  MovImm(kRax, n << 15 | z << 14 | (c ^ 1) << 8 | v);
  Arith(Alu::kAdd, Size::k8, kRax, 0x7f);
  Sahf();
}

}  // namespace dd::select::x64
