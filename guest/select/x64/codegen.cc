#include "guest/select/x64/codegen.h"

namespace dd::select::x64 {

using ir::Op;
using ir::Ref;
using ir::RegisterSet;

namespace {

// What an operand in a loop is worth, by depth.
constexpr uint32_t kDepthWeight[] = {1, 8, 64, 256, 1024};

// Worth less than this, a register is not worth loading and storing.
constexpr uint32_t kLeastWorth = 3;
// What it costs to take a home away from its pinned register: stored, loaded, and as much again for
// the other one.
constexpr uint32_t kEvictionCost = 12;
constexpr uint32_t kLeastWorthVector = 2;

// Obeys FPCR and adds to FPSR.
bool IsFloat(ir::OpCode code) {
  return KindOf(code) == ir::OpKind::kFloat || code == ir::OpCode::kFCompare ||
         code == ir::OpCode::kFCondCompare;
}

// The register of most worth of those in `candidates`; 32: there is none.
uint32_t MostWorth(const uint32_t* worth, uint32_t candidates) {
  uint32_t best = 32;
  ir::ForEachBit(candidates, [&](uint32_t i) {
    if (best == 32 || worth[i] > worth[best]) best = i;
  });
  return best;
}

uint32_t WorthAtLeast(const uint32_t* worth, uint32_t least) {
  uint32_t set = 0;
  for (uint32_t i = 0; i < 32; i++) set |= uint32_t{worth[i] >= least} << i;
  return set;
}

}  // namespace

void Codegen::AssignHomes() {
  uint32_t worth[ir::kOperandKinds][32] = {};
  for (uint32_t b = 0; b < region_->block_count; b++) {
    const ir::Block& block = region_->blocks[b];
    const uint32_t weight = kDepthWeight[flow_.blocks[b].depth];
    for (uint32_t i = 0; i < block.op_count; i++) {
      const uint64_t operands = ir::Operands(block.ops[i]);
      for (uint64_t rest = operands; rest != 0; rest >>= 16) {
        worth[ir::OperandKind(rest, 0)][ir::OperandNumber(rest, 0) & 31] += weight;
      }
    }
  }
  const uint32_t* worth_g = worth[ir::kKindGuest];
  const uint32_t* worth_v = worth[ir::kKindVector];
  for (uint32_t i = 0; i < 32; i++) homes_.g[i] = homes_.v[i] = kNowhere;
  assigned_ = evicted_ = RegisterSet{};
  free_gprs_ = 1u << Number(kTempGpr);
  free_xmms_ = (2u << kTempXmm) - 1;
  if (env_->without(Technique::kHomes)) return;
  if (env_->without(Technique::kPinned)) {
    AssignOwnHomes(worth_g);
  } else {
    AssignPinned(worth_g);
  }
  uint32_t candidates = WorthAtLeast(worth_v, kLeastWorthVector);
  for (uint32_t home = 0; home < kVectorPool && candidates != 0; home++) {
    const uint32_t best = MostWorth(worth_v, candidates);
    homes_.v[best] = static_cast<uint8_t>(home);
    candidates &= ~(1u << best);
    assigned_.v |= 1u << best;
    free_xmms_ &= ~(1u << home);
  }
}

// All homes are this region's.
void Codegen::AssignOwnHomes(const uint32_t* worth) {
  uint32_t candidates = WorthAtLeast(worth, kLeastWorth);
  for (const Pinned& pinned : kPinned) {
    const uint32_t best = MostWorth(worth, candidates);
    if (best == 32) break;
    homes_.g[best] = Number(pinned.home);
    candidates &= ~(1u << best);
    assigned_.g |= 1u << best;
  }
}

void Codegen::AssignPinned(const uint32_t* worth_g) {
  uint32_t candidates = WorthAtLeast(worth_g, kLeastWorth);
  for (const Pinned& pinned : kPinned) {
    homes_.g[pinned.g] = Number(pinned.home);
    candidates &= ~(1u << pinned.g);
  }
  // The best of the others against the least of the pinned ones.
  for (;;) {
    const uint32_t newcomer = MostWorth(worth_g, candidates);
    if (newcomer == 32) break;
    uint32_t least = 32;
    for (const Pinned& pinned : kPinned) {
      if (homes_.g[pinned.g] == Number(pinned.home) &&
          (least == 32 || worth_g[pinned.g] < worth_g[least])) {
        least = pinned.g;
      }
    }
    if (least == 32 || worth_g[newcomer] < worth_g[least] + kEvictionCost) break;
    homes_.g[newcomer] = homes_.g[least];
    homes_.g[least] = kNowhere;
    candidates &= ~(1u << newcomer);
    assigned_.g |= 1u << newcomer;
    evicted_.g |= 1u << least;
  }
}

void Codegen::Plan() {
  ir::FindFlow(*region_, &flow_);
  if (env_->without(Technique::kDeadFlags)) {
    for (uint64_t& word : wanted_after_) word = ~uint64_t{0};
    flags_live_in_ = flags_live_outside_ = ~uint64_t{0};
  } else {
    ir::FindFlagsWanted(*region_, flow_, {env_->context, env_->flags_wanted}, wanted_after_,
                        &flags_live_in_, &flags_live_outside_);
  }
  AssignHomes();
  const uint32_t count = region_->block_count;
  for (uint32_t b = 0; b < count; b++) {
    BlockPlan& plan = blocks_[b];
    plan.written = plan.dirty_in = RegisterSet{};
    plan.entry_flags = FlagsPlace{};
    plan.inherits = false;
    plan.label = Label{};
    const ir::Block& block = region_->blocks[b];
    if ((assigned_.g | assigned_.v) == 0) continue;
    for (uint32_t i = 0; i < block.op_count; i++) {
      plan.written = plan.written | Written(block.ops[i]);
    }
    plan.written = plan.written & assigned_;
  }
  for (bool changed = true; changed;) {
    changed = false;
    for (uint32_t b = 0; b < count; b++) {
      const RegisterSet out = blocks_[b].dirty_in | blocks_[b].written;
      for (const int16_t to : {flow_.blocks[b].taken, flow_.blocks[b].next}) {
        if (to < 0) continue;
        const RegisterSet in = blocks_[to].dirty_in | out;
        changed = changed || !(in == blocks_[to].dirty_in);
        blocks_[to].dirty_in = in;
      }
    }
  }
}

void Codegen::EmitPrologue() {
  // Every home holds its register from here on, so that a fault can be told from the homes alone;
  // but for those that the first block writes before anything can look.
  const ir::Block& block = region_->blocks[0];
  RegisterSet overwritten;
  RegisterSet seen;
  if (flow_.blocks[0].predecessors == 0) {
    for (uint32_t i = 0; i < block.op_count; i++) {
      const Op& op = block.ops[i];
      if (MayFault(op) || KindOf(op.code) == ir::OpKind::kSystem ||
          KindOf(op.code) == ir::OpKind::kTerminator) {
        break;
      }
      seen = seen | Read(op);
      overwritten = overwritten | Written(op).Without(seen);
      seen = seen | Written(op);
    }
  }
  const RegisterSet load = assigned_.Without(overwritten);
  if (!flow_.blocks[0].loop_head) {
    Arith(Alu::kCmp, Size::k32, StateMem(offsetof(ir::State, interrupt)), 0);
    Stub* stub = NewStub(Stub::kTurnedAway);
    stub->pc = block.pc;
    Jcc(Cc::kNe, &stub->label);
  }
  for (const Pinned& pinned : kPinned) {
    if ((evicted_.g >> pinned.g & 1) != 0) {
      Mov(Size::k64, HomeInState(Ref::G(pinned.g)), pinned.home);
    }
  }
  ir::ForEachBit(load.g, [&](uint32_t i) {
    Mov(Size::k64, emit::x64::GprOf(homes_.g[i]), HomeInState(Ref::G(i)));
  });
  ir::ForEachBit(
      load.v, [&](uint32_t i) { Movups(emit::x64::XmmOf(homes_.v[i]), HomeInState(Ref::V(i))); });
}

void Codegen::CountTempUses(const ir::Block& block) {
  for (uint32_t i = 0; i < block.op_count; i++) {
    const Op& op = block.ops[i];
    if (!ir::HasTemp(ir::Operands(op))) continue;
    const bool pair = op.code == ir::OpCode::kCompareSwapPair;
    for (const Ref ref : {op.dst, op.a, op.b, op.c}) {
      if (!ref.temp()) continue;
      temp_last_use_[ref.index()] = static_cast<uint16_t>(i);
      if (pair) temp_last_use_[ref.index() + 1] = static_cast<uint16_t>(i);
    }
  }
  for (uint32_t i = 0; i < block.temp_count; i++) temps_[i] = TempPlace{};
}

void Codegen::MarkPoint(const Op& op, bool rbx_saved) {
  if (point_count_ == kPointLimit) {
    failed_ = true;
    return;
  }
  FaultPoint& point = points_[point_count_++];
  point.offset = offset();
  point.pc_delta =
      static_cast<int16_t>(region_->blocks[block_].pc + op.pc_offset - region_->blocks[0].pc);
  point.flags = flags_.in_state ? static_cast<uint8_t>(FaultPoint::kFlagsInState)
                                : static_cast<uint8_t>(flags_.eflags);
  point.rbx_saved = rbx_saved;
}

bool Codegen::LeftOut(const Op& op) const {
  return (IsFloat(op.code) && env_->without(Technique::kFloat)) ||
         (KindOf(op.code) == ir::OpKind::kVector && env_->without(Technique::kVector));
}

void Codegen::EmitOp(const Op& op, uint32_t index) {
  op_in_block_ = index;
  KeepRoom();
  if (KindOf(op.code) == ir::OpKind::kTerminator) {
    if (!Terminator(op)) failed_ = true;
    return;
  }
  const Selection selection = SelectionOf(op.code);
  if (selection == nullptr || LeftOut(op)) {
    CallKernel(op);
  } else if (IsFloat(op.code)) {
    EmitFloat(op, selection);
  } else if (!(this->*selection)(op)) {
    CallKernel(op);
  }
  if (env_->without(Technique::kResident)) ClobberFlags();
  ReleaseTemps(index);
}

void Codegen::EmitBlock(uint32_t index) {
  block_ = index;
  BlockPlan& plan = blocks_[index];
  const ir::Block& block = region_->blocks[index];
  Bind(&plan.label);
  if (plan.inherits) {
    flags_ = plan.entry_flags;
    upper_ = plan.upper;
  } else {
    flags_ = FlagsPlace{};
    upper_ = Uppers{};
  }
  if (flow_.blocks[index].loop_head) {
    Arith(Alu::kCmp, Size::k32, StateMem(offsetof(ir::State, interrupt)), 0);
    Stub* stub = NewStub(Stub::kInterrupt);
    stub->pc = block.pc;
    stub->dirty = plan.dirty_in;
    Jcc(Cc::kNe, &stub->label);
  }
  CountTempUses(block);
  for (uint32_t i = 0; i < block.op_count && !failed_; i++, op_number_++) EmitOp(block.ops[i], i);
}

bool Codegen::Generate(const Environment& environment, const ir::Region& region, uint64_t base,
                       Generated* out) {
  env_ = &environment;
  region_ = &region;
  point_count_ = stub_count_ = op_number_ = 0;
  failed_ = reads_status_ = floats_ = needs_sha_ = false;
  Start(code_, sizeof code_, base);
  NoteReferences(environment.references, environment.reference_limit);
  Plan();
  flags_ = FlagsPlace{};
  EmitPrologue();
  for (uint32_t i = 0; i < region.block_count && !failed_; i++) EmitBlock(i);
  if (!failed_) EmitStubs();
  if (failed_ || overflow()) return false;
  *out = {code_,  offset(),      points_, point_count_, reference_count(),
          homes_, reads_status_, floats_, needs_sha_};
  return true;
}

size_t WorkspaceBytes() { return sizeof(Workspace); }

bool Select(Workspace* workspace, const Environment& environment, const ir::Region& region,
            uint64_t base, Generated* generated) {
  return workspace->codegen.Generate(environment, region, base, generated);
}

}  // namespace dd::select::x64
