// Looks past a region's end: whether flags are read there before they are set again. Compiled code
// sets flags for the next few instructions, so the answer is near and mostly no.
#include "guest/exec/cache.h"
#include "guest/ir/op_traits.h"

namespace dd::exec {
namespace {

constexpr uint32_t kPeekBlocks = 4;  // one after another
constexpr size_t kPeekBytes = 64;    // of a block

bool Wanted(Translator* t, uint64_t pc, uint32_t blocks) {
  if (blocks == 0) return true;
  const uint64_t page = pc >> kPageBits;
  bool known = false;
  for (uint32_t i = 0; i < t->peeked_count; i++) known = known || t->peeked_pages[i] == page;
  if (!known) {
    if (t->peeked_count == kPeekedPages) return true;
    t->peeked_pages[t->peeked_count++] = page;
  }
  const size_t room = kPageBytes - (pc & (kPageBytes - 1));
  uint8_t bytes[kPeekBytes];
  const size_t size = t->host.fetch(bytes, pc, room < kPeekBytes ? room : kPeekBytes);
  ir::Arena arena(t->peek_arena, kPeekArenaBytes);
  ir::Block block;
  if (size == 0 || t->lower(bytes, size, pc, &arena, &block) == 0) return true;
  for (uint32_t i = 0; i < block.op_count; i++) {
    if (ReadsFlags(block.ops[i])) return true;
    if (WritesFlags(block.ops[i])) return false;
  }
  const ir::Op last = block.ops[block.op_count - 1];
  const uint64_t next_pc = block.next_pc;  // the arena is used again
  const auto target = static_cast<uint64_t>(last.imm);
  if (last.code == ir::OpCode::kJump || last.code == ir::OpCode::kCall) {
    return Wanted(t, target, blocks - 1);
  }
  if (!ir::IsConditional(last.code)) return true;
  return Wanted(t, next_pc, blocks - 1) || Wanted(t, target, blocks - 1);
}

}  // namespace

bool FlagsWanted(void* context, uint64_t pc) {
  return Wanted(static_cast<Translator*>(context), pc, kPeekBlocks);
}

}  // namespace dd::exec
