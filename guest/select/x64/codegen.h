// The state of one translation: where registers are, where the flags are, what is still to be
// emitted behind the region's last block.
#pragma once

#include <initializer_list>

#include "guest/emit/x64/vector_assembler.h"
#include "guest/ir/op_traits.h"
#include "guest/ir/passes/flow.h"
#include "guest/select/x64/environment.h"
#include "guest/select/x64/select.h"

namespace dd::select::x64 {

using emit::x64::Alu;
using emit::x64::Cc;
using emit::x64::FloatOp;
using emit::x64::Gpr;
using emit::x64::Label;
using emit::x64::Mem;
using emit::x64::Shift;
using emit::x64::Size;
using emit::x64::Xmm;

constexpr Gpr kState = Gpr::kR15;
// Free within an operation.
constexpr Gpr kRax = Gpr::kRax;
constexpr Gpr kRcx = Gpr::kRcx;
constexpr Gpr kRdx = Gpr::kRdx;
constexpr Xmm kX13 = Xmm::kX13;
constexpr Xmm kX14 = Xmm::kX14;
constexpr Xmm kX15 = Xmm::kX15;

constexpr Gpr kTempGpr = Gpr::kRsi;
constexpr uint32_t kVectorPool = 12;  // xmm0..xmm11
constexpr uint32_t kTempXmm = 12;

constexpr uint32_t kPointLimit = 8192;
constexpr uint32_t kStubLimit = 4096;
constexpr size_t kCodeLimit = size_t{1} << 20;

// Where N, Z, C, V are in EFLAGS. Sub: C is inverted. Float: as ucomis leaves them.
enum class InEflags : uint8_t { kNo, kSub, kAdd, kFloat, kFloatSwapped };

// A condition as EFLAGS have it. With a parity, both must hold (kAndNot: and not parity) or one
// (kOr).
struct Condition {
  enum Parity : uint8_t { kNone, kAndNot, kOr };
  Cc cc;
  Parity parity;
};

struct FlagsPlace {
  InEflags eflags = InEflags::kNo;
  bool in_state = true;
};

// A second operand: what instructions take as one.
struct Value {
  enum Kind : uint8_t { kReg, kMem, kImm };
  Kind kind;
  Gpr reg;
  Mem mem;
  int32_t imm;
};

// What is known of a vector register in a host register: its bits from 32 (or 64) on are 0.
enum class Upper : uint8_t { kUnknown, kZeroFrom64, kZeroFrom32 };

// That of all vector registers, two bits each.
class Uppers {
 public:
  Upper Of(uint32_t i) const { return static_cast<Upper>(bits_ >> (2 * i) & 3); }
  void Set(uint32_t i, Upper upper) {
    bits_ = (bits_ & ~(uint64_t{3} << (2 * i))) | uint64_t{static_cast<uint8_t>(upper)} << (2 * i);
  }

 private:
  static_assert(static_cast<uint8_t>(Upper::kUnknown) == 0);
  uint64_t bits_ = 0;
};

struct TempPlace {
  enum Kind : uint8_t { kState, kGpr, kXmm };
  Kind kind;
  uint8_t reg;
  Upper upper;
};

// Cold code of an operation.
struct Stub {
  // kTurnedAway: an interrupt before the region has taken its homes.
  enum Kind : uint8_t { kExit, kInterrupt, kTurnedAway, kKernel };
  Kind kind;
  Label label;
  Label back;        // kKernel
  const ir::Op* op;  // kKernel
  uint64_t pc;       // but for kKernel
  ir::RegisterSet dirty;
  FlagsPlace flags;
  bool wants_flags;   // kExit
  bool conditional;   // kKernel
  uint8_t places[4];  // kKernel: host registers of dst, a, b, c, or kNowhere
};

struct BlockPlan {
  ir::RegisterSet written;
  ir::RegisterSet dirty_in;
  FlagsPlace entry_flags;
  bool inherits;  // entry_flags and upper are those of its only predecessor
  Uppers upper;
  Label label;
};

class Codegen : private emit::x64::Assembler {
 public:
  bool Generate(const Environment& environment, const ir::Region& region, uint64_t base,
                Generated* out);

  // Selections: emit the operation, or say (before anything is emitted) that there is no code for
  // it.
  using Selection = bool (Codegen::*)(const ir::Op& op);

  using Assembler::Div;
  using Assembler::Mov;

  // integer.cc
  bool Mov(const ir::Op& op);
  bool Add(const ir::Op& op);
  bool Sub(const ir::Op& op);
  bool WithCarry(const ir::Op& op);
  bool Logic(const ir::Op& op);
  bool LogicNot(const ir::Op& op);
  bool NegOrNot(const ir::Op& op);
  bool Mul(const ir::Op& op);
  bool MulHigh(const ir::Op& op);
  bool MulWide(const ir::Op& op);
  bool Div(const ir::Op& op);
  bool ShiftOp(const ir::Op& op);
  // bits.cc
  bool ExtractPair(const ir::Op& op);
  bool BitExtract(const ir::Op& op);
  bool BitPlace(const ir::Op& op);
  bool BitInsert(const ir::Op& op);
  bool Extension(const ir::Op& op);
  bool Clz(const ir::Op& op);
  bool Cls(const ir::Op& op);
  bool BitReverse(const ir::Op& op);
  bool ByteSwap(const ir::Op& op);
  bool Crc32c(const ir::Op& op);
  // conditions.cc
  bool Select(const ir::Op& op);
  bool SetCond(const ir::Op& op);
  bool CondCompare(const ir::Op& op);
  // memory.cc
  bool Load(const ir::Op& op);
  bool Store(const ir::Op& op);
  bool LoadVector(const ir::Op& op);
  bool StoreVector(const ir::Op& op);
  bool ZeroBlock(const ir::Op& op);
  // atomic.cc
  bool AtomicAdd(const ir::Op& op);
  bool AtomicLoop(const ir::Op& op);
  bool AtomicSwap(const ir::Op& op);
  bool CompareSwap(const ir::Op& op);
  bool CompareSwapPair(const ir::Op& op);
  bool LoadExclusive(const ir::Op& op);
  bool LoadExclusivePair(const ir::Op& op);
  bool StoreExclusive(const ir::Op& op);
  bool StoreExclusivePair(const ir::Op& op);
  bool ClearExclusive(const ir::Op& op);
  bool Fence(const ir::Op& op);
  bool ReadSystem(const ir::Op& op);
  bool WriteSystem(const ir::Op& op);
  bool PauseOp(const ir::Op& op);
  bool InvalidateCode(const ir::Op& op);
  // vector.cc
  bool VMov(const ir::Op& op);
  bool VConst(const ir::Op& op);
  bool VDup(const ir::Op& op);
  bool VDupLane(const ir::Op& op);
  bool VInsert(const ir::Op& op);
  bool VInsertLane(const ir::Op& op);
  bool VExtract(const ir::Op& op);
  bool VBinary(const ir::Op& op);
  bool VNot(const ir::Op& op);
  bool VSelect(const ir::Op& op);
  bool VSelectCond(const ir::Op& op);
  bool VCompare(const ir::Op& op);
  bool VNegAbs(const ir::Op& op);
  bool VShift(const ir::Op& op);
  // permute.cc
  bool VZip(const ir::Op& op);
  bool VUzp(const ir::Op& op);
  bool VTrn(const ir::Op& op);
  bool VExt(const ir::Op& op);
  bool VReverse(const ir::Op& op);
  bool VTable(const ir::Op& op);
  bool VPopcount(const ir::Op& op);
  bool VWiden(const ir::Op& op);
  bool VMulWide(const ir::Op& op);
  bool VNarrow(const ir::Op& op);
  bool VPair(const ir::Op& op);
  bool VAddWidenPair(const ir::Op& op);
  bool VAcross(const ir::Op& op);
  bool VPolyMulWide(const ir::Op& op);
  bool Aes(const ir::Op& op);
  // saturate.cc
  bool VSaturating(const ir::Op& op);
  bool VShiftVar(const ir::Op& op);
  bool VNarrowSaturating(const ir::Op& op);
  bool VSatDoubleMulHigh(const ir::Op& op);
  // sha.cc
  bool Sha1Hash(const ir::Op& op);
  bool Sha1Rotate(const ir::Op& op);
  bool Sha1Schedule0(const ir::Op& op);
  bool Sha1Schedule1(const ir::Op& op);
  bool Sha256Hash(const ir::Op& op);
  bool Sha256Schedule0(const ir::Op& op);
  bool Sha256Schedule1(const ir::Op& op);
  // float.cc
  bool FBinary(const ir::Op& op);
  bool FSqrt(const ir::Op& op);
  bool FMulAdd(const ir::Op& op);
  bool FSign(const ir::Op& op);
  bool FCompare(const ir::Op& op);
  bool FCondCompare(const ir::Op& op);
  bool FMinMax(const ir::Op& op);
  bool FCompareMask(const ir::Op& op);
  bool FRound(const ir::Op& op);
  bool FToGeneral(const ir::Op& op);
  bool FFromGeneral(const ir::Op& op);
  bool FFromInt(const ir::Op& op);
  bool FToInt(const ir::Op& op);
  bool FConvert(const ir::Op& op);

 private:
  // codegen.cc
  void Plan();
  void AssignHomes();
  void AssignPinned(const uint32_t* worth);
  void AssignOwnHomes(const uint32_t* worth);
  void EmitPrologue();
  void EmitBlock(uint32_t index);
  bool LeftOut(const ir::Op& op) const;
  void EmitFloat(const ir::Op& op, Selection selection);
  void EmitOp(const ir::Op& op, uint32_t index);
  void CountTempUses(const ir::Block& block);
  void MarkPoint(const ir::Op& op, bool rbx_saved = false);

  // operands.cc
  static Size SizeOf(ir::Width width) { return static_cast<Size>(width); }
  static bool Is32Or64(ir::Width w) { return w == ir::Width::k32 || w == ir::Width::k64; }
  Mem StateMem(size_t offset) const {
    return Mem::At(kState, static_cast<int32_t>(offset) - kStateBias);
  }
  Mem HomeInState(ir::Ref ref) const;
  bool InGpr(ir::Ref ref, Gpr* reg) const;
  bool InXmm(ir::Ref ref, Xmm* reg) const;
  // The value of `ref` in a register: its own, or `scratch`.
  Gpr Use(ir::Ref ref, const ir::Op& op, Gpr scratch);
  Value Operand(ir::Ref ref, const ir::Op& op, Size size, Gpr scratch);
  // The register to compute a general result in; Define afterwards.
  Gpr Target(ir::Ref dst, Gpr scratch);
  void Define(ir::Ref dst, Gpr reg);
  void CopyTo(ir::Ref dst, Size size, Gpr from);  // Target, mov, Define
  void Apply(Alu alu, Size size, Gpr dst, const Value& value);
  bool Is(const Value& value, Gpr reg) const {
    return value.kind == Value::kReg && value.reg == reg;
  }
  void MovValue(Size size, Gpr dst, const Value& value);
  // The same of vector registers.
  Xmm UseV(ir::Ref ref, Xmm scratch);
  Xmm TargetV(ir::Ref dst, Xmm scratch);
  // `upper`: what holds of the register now.
  void DefineV(ir::Ref dst, Xmm reg, Upper upper);
  Upper UpperOf(ir::Ref ref) const;
  // dst = from, with everything from 32 or 64 bits on cleared.
  void CopyScalar(bool is_double, Xmm dst, Xmm from);
  template <typename Emit>
  void WithV(ir::Ref ref, const Emit& emit) {
    Xmm reg;
    if (InXmm(ref, &reg)) {
      emit(reg);
    } else {
      emit(HomeInState(ref));
    }
  }
  TempPlace& TakeTemp(uint32_t index, bool vector);
  void ReleaseTemps(uint32_t op_index);

  // flags.cc
  bool FlagsBusy() const;
  // Before EFLAGS are changed by something that has nothing to do with the guest's.
  void ClobberFlags();
  void SaveFlags();
  // Where the block leaves the region.
  void SaveFlagsOutside();
  void ReloadFlags();
  void FlagsAre(InEflags place) { flags_ = {place, false}; }
  Condition TestOf(ir::Cond cond);
  void JumpIf(const Condition& test, Label* label);
  void JumpUnless(const Condition& test, Label* label);
  // EFLAGS = the constant NZCV (bits 3..0), as `Sub` has them.
  void SetFlagsConstant(uint8_t nzcv);

  // memory.cc
  Mem Address(const ir::Op& op, Gpr base_scratch, Gpr index_scratch);
  Mem TaggedAddress(const ir::Op& op, Gpr base_scratch, Gpr index_scratch);
  void Untag(Gpr address);

  // atomic.cc
  void ExchangePair(const ir::Op& op, ir::Ref low, ir::Ref high);

  // kernel.cc
  void CallKernel(const ir::Op& op);
  // Jumps to a call of the kernel, which comes back behind what follows, if `cc`.
  Stub* KernelIf(Cc cc, const ir::Op& op);
  void EndKernelIf(Stub* stub);
  void EmitStubs();
  void EmitKernelStub(Stub* stub);
  void SpillForKernel(const ir::Op& op);

  // exits.cc
  bool Terminator(const ir::Op& op);
  // The two ways on from a conditional terminator.
  void Fork(const ir::Op& op, const Condition& test);
  void GoOn(int16_t edge, uint64_t pc);
  void StoreDirty(const ir::RegisterSet& dirty);
  void ExitTo(uint64_t pc);
  void ExitIndirect();
  void LeaveWith(Left left, uint64_t pc);
  uint64_t NextPc(const ir::Op& op) const;
  void PrepareEdges();
  void Inherit(int16_t edge);
  Stub* NewStub(Stub::Kind kind);
  ir::RegisterSet DirtyNow() const;

  // vector.cc
  void FinishV(const ir::Op& op, Xmm reg);
  // Where an operation's last instruction may write to, before FinishV.
  Xmm Last(const ir::Op& op);
  bool VMulBytes(const ir::Op& op);
  void ShiftRounding(Size size, bool is_signed, Xmm dst, Xmm from, uint8_t count);
  // sha.cc
  void RotateByOne(Xmm dst, Xmm from, Xmm scratch);
  // saturate.cc
  void FinishNarrow(const ir::Op& op, Xmm narrow);
  // permute.cc
  void Deinterleave(const ir::Op& op, bool odd, Xmm target);
  void Widen(const ir::Op& op, ir::Ref ref, Xmm target);
  // float.cc
  Stub* KernelIfNan(const ir::Op& op, Xmm reg);
  Stub* KernelIfTiny(const ir::Op& op, Xmm reg, bool is_double);
  Stub* KernelIfFlushing(const ir::Op& op);
  Xmm UseFloat(const ir::Op& op, ir::Ref ref, Xmm scratch);
  void FinishFloat(const ir::Op& op, Xmm reg, Upper upper);

  Mem Constant(size_t offset) const { return Mem::Near(env_->constants + offset); }

  const Environment* env_ = nullptr;
  const ir::Region* region_ = nullptr;
  Homes homes_;
  ir::RegisterSet assigned_;  // with homes that were not theirs before
  ir::RegisterSet evicted_;   // pinned registers without a home in this region
  uint32_t free_gprs_ = 0;    // for temporaries
  uint32_t free_xmms_ = 0;
  ir::Flow flow_;
  BlockPlan blocks_[ir::kBlocksPerRegion];
  uint64_t wanted_after_[ir::kOpsPerRegion / 64];
  uint64_t flags_live_in_ = 0;
  uint64_t flags_live_outside_ = 0;
  uint32_t block_ = 0;
  uint32_t op_number_ = 0;  // in the region
  uint32_t op_in_block_ = 0;
  FlagsPlace flags_;
  Uppers upper_;
  TempPlace temps_[ir::kTempLimit];
  uint16_t temp_last_use_[ir::kTempLimit];
  FaultPoint points_[kPointLimit];
  uint32_t point_count_ = 0;
  Stub stubs_[kStubLimit];
  uint32_t stub_count_ = 0;
  bool failed_ = false;
  bool reads_status_ = false;
  bool floats_ = false;
  bool needs_sha_ = false;
  uint8_t code_[kCodeLimit];
};

// Null: executed by its kernel.
Codegen::Selection SelectionOf(ir::OpCode code);

struct Workspace {
  Codegen codegen;
};

}  // namespace dd::select::x64
