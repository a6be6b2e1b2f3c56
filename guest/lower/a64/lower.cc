#include "guest/lower/a64/lower.h"

#include "guest/isa/a64/decode.h"
#include "guest/lower/a64/lowering.h"

namespace dd::lower::a64 {

namespace {

#define DD_A64(identifier, name, bits) row::identifier,
constexpr Lower* kLower[isa::a64::kRowCount] = {
#include "guest/isa/a64/base.inc"
#include "guest/isa/a64/crypto.inc"
#include "guest/isa/a64/float.inc"
#include "guest/isa/a64/memory.inc"
#include "guest/isa/a64/vector.inc"
#include "guest/isa/a64/vector_arithmetic.inc"
#include "guest/isa/a64/vector_float.inc"
};
#undef DD_A64

constexpr uint32_t kPageBytes = 4096;

}  // namespace

Lowered LowerBlock(Fetch* fetch, uint64_t pc, ir::Arena* arena, ir::Block* block) {
  uint32_t words[kBlockInstructionLimit];
  size_t limit = kPageBytes - (pc & (kPageBytes - 1));
  if (limit > sizeof words) limit = sizeof words;
  const uint32_t count = static_cast<uint32_t>(fetch(words, pc, limit) / sizeof *words);
  if (count == 0) return Lowered::kFetchFault;

  ir::Builder builder(arena, kBlockOpLimit);
  if (!builder.ok()) return Lowered::kNoRoom;
  uint32_t i = 0;
  bool ended = false;
  // One operation is kept for the terminator.
  while (i < count && !ended && builder.HasRoom(kInstructionOpLimit + 1, kInstructionTempLimit)) {
    const uint32_t ops = builder.count();
    const uint32_t temps = builder.temps();
    builder.At(i * 4);
    Lowering l(&builder, pc + i * 4);
    const isa::a64::Id id = isa::a64::Decode(words[i]);
    if (id == isa::a64::Id::kUndefined) {
      l.Undefined();
    } else {
      kLower[static_cast<uint32_t>(id)](l, Word{words[i]});
    }
    if (l.trapped()) {
      builder.Truncate(ops, temps);
      if (i > 0) break;
      builder.Emit(OpCode::kTrap, Width::k64).imm = static_cast<int64_t>(l.trap());
      ended = true;
    }
    ended |= l.ended();
    i++;
  }
  const uint64_t next_pc = pc + i * 4;
  if (!ended) {
    builder.At((i - 1) * 4);
    builder.Emit(OpCode::kJump, Width::k64).imm = static_cast<int64_t>(next_pc);
  }
  *block = builder.Finish(pc, next_pc);
  return Lowered::kBlock;
}

}  // namespace dd::lower::a64
