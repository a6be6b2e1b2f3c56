// The ends of blocks: edges within the region, and the ways out of it.
#include "guest/select/x64/codegen.h"

namespace dd::select::x64 {

using ir::Op;
using ir::OpCode;
using ir::RegisterSet;

Stub* Codegen::NewStub(Stub::Kind kind) {
  if (stub_count_ == kStubLimit) {
    failed_ = true;
    stub_count_ = 0;
  }
  Stub* stub = &stubs_[stub_count_++];
  stub->kind = kind;
  stub->label = stub->back = Label{};
  stub->op = nullptr;
  stub->pc = 0;
  stub->dirty = RegisterSet{};
  stub->flags = FlagsPlace{};
  stub->conditional = false;
  stub->wants_flags = true;
  return stub;
}

RegisterSet Codegen::DirtyNow() const { return blocks_[block_].dirty_in | blocks_[block_].written; }

// The homes as other regions expect them.
void Codegen::StoreDirty(const RegisterSet& dirty) {
  ir::ForEachBit(dirty.g, [&](uint32_t i) {
    Mov(Size::k64, HomeInState(ir::Ref::G(i)), emit::x64::GprOf(homes_.g[i]));
  });
  ir::ForEachBit(dirty.v, [&](uint32_t i) {
    Movups(HomeInState(ir::Ref::V(i)), emit::x64::XmmOf(homes_.v[i]));
  });
  if (evicted_.g == 0) return;
  for (const Pinned& pinned : kPinned) {
    if ((evicted_.g >> pinned.g & 1) != 0) {
      Mov(Size::k64, pinned.home, HomeInState(ir::Ref::G(pinned.g)));
    }
  }
}

void Codegen::SaveFlagsOutside() {
  if ((flags_live_outside_ >> block_ & 1) != 0) SaveFlags();
}

void Codegen::ExitTo(uint64_t pc) {
  const Entry* entry = env_->entry_of(env_->context, pc);
  if (entry == nullptr) {
    failed_ = true;
    return;
  }
  Lea(Size::k64, kRax, Mem::Near(reinterpret_cast<uint64_t>(entry)));
  if (env_->without(Technique::kChaining)) {
    JmpNear(env_->translate);
  } else {
    JmpTo(Mem::At(kRax, kEntryHost));
  }
}

void Codegen::LeaveWith(Left left, uint64_t pc) {
  MovImm(kRax, pc);
  Mov(Size::k64, StateMem(offsetof(ir::State, pc)), kRax);
  MovImm(kRax, static_cast<uint32_t>(left));
  JmpNear(env_->leave);
}

// rax: where to.
void Codegen::ExitIndirect() {
  if (env_->without(Technique::kIndirect)) {
    JmpNear(env_->look_up);
    return;
  }
  // Addresses of the guest are multiples of 4 or of 1; offsets are 4 bytes.
  constexpr int32_t kOffsets = offsetof(Dispatch, offsets);
  Mov(Size::k32, kRcx, kRax);
  Arith(Alu::kAnd, Size::k32, kRcx, int32_t{Dispatch::kMask << 2});
  Lea(Size::k64, kRdx, Mem::Near(env_->dispatch));
  Mov(Size::k32, kRcx, Mem::Indexed(kRdx, kRcx, 0, kOffsets));
  Arith(Alu::kCmp, Size::k64, kRax, Mem::Indexed(kRdx, kRcx, 0, kEntryPc));
  JccNear(Cc::kNe, env_->look_up);
  Lea(Size::k64, kRax, Mem::Indexed(kRdx, kRcx, 0));
  JmpTo(Mem::Indexed(kRdx, kRcx, 0, kEntryHost));
}

// What a successor of this block alone finds as it is now.
void Codegen::Inherit(int16_t edge) {
  if (edge <= static_cast<int16_t>(block_) || flow_.blocks[edge].predecessors != 1) return;
  BlockPlan& plan = blocks_[edge];
  plan.inherits = true;
  plan.entry_flags = flags_;
  plan.upper = upper_;
}

// Flags that a successor with other predecessors too wants are in State by then.
void Codegen::PrepareEdges() {
  const ir::BlockFlow& flow = flow_.blocks[block_];
  for (const int16_t edge : {flow.taken, flow.next}) {
    if (edge < 0 || (flags_live_in_ >> edge & 1) == 0) continue;
    if (edge <= static_cast<int16_t>(block_) || flow_.blocks[edge].predecessors != 1) SaveFlags();
  }
}

void Codegen::GoOn(int16_t edge, uint64_t pc) {
  if (edge == static_cast<int16_t>(block_ + 1)) return;
  if (edge >= 0) {
    Jmp(&blocks_[edge].label);
    return;
  }
  SaveFlagsOutside();
  StoreDirty(DirtyNow());
  ExitTo(pc);
}

void Codegen::Fork(const Op& op, const Condition& test) {
  const ir::BlockFlow& flow = flow_.blocks[block_];
  const uint64_t next_pc = region_->blocks[block_].next_pc;
  Inherit(flow.taken);
  Inherit(flow.next);
  const bool taken_follows = flow.taken == static_cast<int16_t>(block_ + 1);
  if (taken_follows) {
    if (flow.next >= 0) {
      JumpUnless(test, &blocks_[flow.next].label);
      return;
    }
    Stub* stub = NewStub(Stub::kExit);
    stub->pc = next_pc;
    stub->dirty = DirtyNow();
    stub->flags = flags_;
    stub->wants_flags = (flags_live_outside_ >> block_ & 1) != 0;
    JumpUnless(test, &stub->label);
    return;
  }
  if (flow.taken >= 0) {
    JumpIf(test, &blocks_[flow.taken].label);
  } else {
    Stub* stub = NewStub(Stub::kExit);
    stub->pc = static_cast<uint64_t>(op.imm);
    stub->dirty = DirtyNow();
    stub->flags = flags_;
    stub->wants_flags = (flags_live_outside_ >> block_ & 1) != 0;
    JumpIf(test, &stub->label);
  }
  GoOn(flow.next, next_pc);
}

bool Codegen::Terminator(const Op& op) {
  const ir::Block& block = region_->blocks[block_];
  const Size size = op.width == ir::Width::k64 ? Size::k64 : Size::k32;
  switch (op.code) {
    case OpCode::kJump:
      PrepareEdges();
      Inherit(flow_.blocks[block_].taken);
      GoOn(flow_.blocks[block_].taken, static_cast<uint64_t>(op.imm));
      return true;
    case OpCode::kBranch: {
      if (op.cond == ir::Cond::kAl || op.cond == ir::Cond::kNv) {
        PrepareEdges();
        GoOn(flow_.blocks[block_].taken, static_cast<uint64_t>(op.imm));
        return true;
      }
      // The condition may have to invert the carry: first, so that what is saved and inherited
      // is as it is.
      const Condition test = TestOf(op.cond);
      PrepareEdges();
      Fork(op, test);
      return true;
    }
    case OpCode::kBranchZero:
    case OpCode::kBranchNotZero: {
      PrepareEdges();
      ClobberFlags();
      Gpr reg;
      if (InGpr(op.a, &reg)) {
        Test(size, reg, reg);
      } else if (op.a.none() || op.a.immediate()) {
        const Gpr a = Use(op.a, op, kRax);
        Test(size, a, a);
      } else {
        Arith(Alu::kCmp, size, HomeInState(op.a), 0);
      }
      Fork(op, {op.code == OpCode::kBranchZero ? Cc::kE : Cc::kNe, Condition::kNone});
      return true;
    }
    case OpCode::kBranchBitClear:
    case OpCode::kBranchBitSet: {
      PrepareEdges();
      ClobberFlags();
      const Gpr a = Use(op.a, op, kRax);
      const bool set = op.code == OpCode::kBranchBitSet;
      if (op.lane < 8) {
        TestImm(Size::k8, a, 1 << op.lane);
        Fork(op, {set ? Cc::kNe : Cc::kE, Condition::kNone});
      } else if (op.lane < 31) {
        TestImm(Size::k32, a, 1 << op.lane);
        Fork(op, {set ? Cc::kNe : Cc::kE, Condition::kNone});
      } else {
        Bt(Size::k64, a, op.lane);
        Fork(op, {set ? Cc::kB : Cc::kAe, Condition::kNone});
      }
      return true;
    }
    case OpCode::kCall:
      SaveFlagsOutside();
      StoreDirty(DirtyNow());
      ExitTo(static_cast<uint64_t>(op.imm));
      return true;
    case OpCode::kCallIndirect:
    case OpCode::kJumpIndirect:
    case OpCode::kReturn: {
      SaveFlags();
      const Gpr to = Use(op.a, op, kRax);
      if (to != kRax) Mov(Size::k64, kRax, to);
      StoreDirty(DirtyNow());
      ExitIndirect();
      return true;
    }
    case OpCode::kSyscall:
      SaveFlags();
      StoreDirty(DirtyNow());
      LeaveWith(Left::kSyscall, block.next_pc);
      return true;
    case OpCode::kTrap:
      SaveFlags();
      StoreDirty(DirtyNow());
      LeaveWith(static_cast<Left>(static_cast<uint32_t>(Left::kUndefined) +
                                  static_cast<uint32_t>(op.imm)),
                block.pc + op.pc_offset);
      return true;
    default:
      return false;
  }
}

// The instruction after the operation's.
uint64_t Codegen::NextPc(const Op& op) const {
  const ir::Block& block = region_->blocks[block_];
  for (uint32_t i = op_in_block_ + 1; i < block.op_count; i++) {
    if (block.ops[i].pc_offset != op.pc_offset) return block.pc + block.ops[i].pc_offset;
  }
  return block.next_pc;
}

// Leaves after the instruction, which is its block's last: what comes next may be new.
bool Codegen::InvalidateCode(const Op& op) {
  SaveFlags();
  const Gpr line = Use(op.a, op, kRax);
  Lea(Size::k64, kRcx, Mem::At(line, 0));
  Mov(Size::k64, StateMem(offsetof(ir::State, scratch) + 8 * kScratchLine), kRcx);
  StoreDirty(DirtyNow());
  LeaveWith(Left::kInvalidateCode, NextPc(op));
  return true;
}

// Who flushes denormals for the first time leaves: code is another one from then on.
bool Codegen::WriteSystem(const Op& op) {
  if (op.imm != static_cast<int64_t>(ir::SystemRegister::kFloatControl) || env_->flushes) {
    return false;
  }
  CallKernel(op);
  Label done;
  TestImm(Size::k32, StateMem(offsetof(ir::State, fpcr)), int32_t{ir::kFpcrFlushToZero});
  Jcc(Cc::kE, &done);
  StoreDirty(DirtyNow());
  LeaveWith(Left::kFlushes, NextPc(op));
  Bind(&done);
  return true;
}

void Codegen::EmitStubs() {
  for (uint32_t i = 0; i < stub_count_ && !failed_ && !overflow(); i++) {
    Stub* stub = &stubs_[i];
    KeepRoom();
    switch (stub->kind) {
      case Stub::kExit:
        Bind(&stub->label);
        flags_ = stub->flags;
        if (stub->wants_flags) SaveFlags();
        StoreDirty(stub->dirty);
        ExitTo(stub->pc);
        break;
      case Stub::kInterrupt:
        Bind(&stub->label);
        StoreDirty(stub->dirty);
        LeaveWith(Left::kInterrupt, stub->pc);
        break;
      case Stub::kTurnedAway:
        Bind(&stub->label);
        LeaveWith(Left::kInterrupt, stub->pc);
        break;
      case Stub::kKernel:
        EmitKernelStub(stub);
        break;
    }
  }
}

}  // namespace dd::select::x64
