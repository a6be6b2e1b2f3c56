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

Word WordAt(const uint8_t* bytes) {
  uint32_t word = 0;
  __builtin_memcpy(&word, bytes, sizeof word);
  return {word};
}

}  // namespace

size_t LowerBlock(const uint8_t* bytes, size_t size, uint64_t pc, ir::Arena* arena,
                  ir::Block* block) {
  if ((pc & 3) != 0) return 0;  // as if nothing could be fetched there
  const size_t whole = size / 4;
  const uint32_t count =
      whole < kBlockInstructionLimit ? static_cast<uint32_t>(whole) : kBlockInstructionLimit;
  if (count == 0) return 0;
  ir::Builder builder(arena, kBlockOpLimit);
  if (!builder.ok()) return 0;
  uint32_t i = 0;
  bool ended = false;
  // One operation is kept for the terminator.
  while (i < count && !ended && builder.HasRoom(kInstructionOpLimit + 1, kInstructionTempLimit)) {
    const uint32_t ops = builder.count();
    const uint32_t temps = builder.temps();
    builder.At(i * 4);
    Lowering l(&builder, pc + i * 4);
    const Word word = WordAt(bytes + i * 4);
    const isa::a64::Id id = isa::a64::Decode(word.bits);
    if (id == isa::a64::Id::kUndefined) {
      l.Undefined();
    } else {
      kLower[static_cast<uint32_t>(id)](l, word);
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
  return i * 4;
}

}  // namespace dd::lower::a64
