#include "guest/ir/passes/flow.h"

#include "guest/ir/op_traits.h"

namespace dd::ir {
namespace {

void AddEdge(Flow* flow, uint32_t from, int16_t to) {
  if (to < 0) return;
  BlockFlow& target = flow->blocks[to];
  if (target.predecessors < UINT8_MAX) target.predecessors++;
  if (static_cast<uint32_t>(to) <= from) target.loop_head = true;
}

void Deepen(Flow* flow, uint32_t from, int16_t to) {
  if (to < 0 || static_cast<uint32_t>(to) > from) return;
  for (uint32_t i = static_cast<uint32_t>(to); i <= from; i++) {
    if (flow->blocks[i].depth < 4) flow->blocks[i].depth++;
  }
}

}  // namespace

int16_t BlockAt(const Block* blocks, uint32_t count, uint64_t pc) {
  const uint64_t entry = blocks[0].pc;
  uint32_t low = 0;
  uint32_t high = count;
  while (high - low > 1) {
    const uint32_t middle = low + (high - low) / 2;
    (blocks[middle].pc - entry <= pc - entry ? low : high) = middle;
  }
  return blocks[low].pc == pc ? static_cast<int16_t>(low) : kOutside;
}

void FindFlow(const Region& region, Flow* flow) {
  for (uint32_t i = 0; i < region.block_count; i++) flow->blocks[i] = BlockFlow{};
  for (uint32_t i = 0; i < region.block_count; i++) {
    const Block& block = region.blocks[i];
    const Op& last = block.ops[block.op_count - 1];
    BlockFlow& own = flow->blocks[i];
    if (last.code == OpCode::kJump || IsConditional(last.code)) {
      own.taken = BlockAt(region.blocks, region.block_count, static_cast<uint64_t>(last.imm));
    }
    if (IsConditional(last.code)) {
      // Mostly what comes next lies next.
      const bool follows = i + 1 < region.block_count && region.blocks[i + 1].pc == block.next_pc;
      own.next = follows ? static_cast<int16_t>(i + 1)
                         : BlockAt(region.blocks, region.block_count, block.next_pc);
    }
    AddEdge(flow, i, own.taken);
    AddEdge(flow, i, own.next);
  }
  for (uint32_t i = 0; i < region.block_count; i++) {
    Deepen(flow, i, flow->blocks[i].taken);
    Deepen(flow, i, flow->blocks[i].next);
  }
}

}  // namespace dd::ir
