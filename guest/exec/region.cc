#include "guest/exec/region.h"

#include <new>

#include "guest/ir/op_traits.h"
#include "guest/ir/passes/flow.h"

namespace dd::exec {
namespace {

using ir::Block;
using ir::kBlocksPerRegion;
using ir::Op;
using ir::OpCode;

// Branches over a longer distance are calls that return elsewhere, or leave for good.
constexpr uint64_t kReach = 8192;
constexpr uint32_t kOpsEnough = ir::kOpsPerRegion - 1024;

class Former {
 public:
  Former(Translator* t, uint32_t limit) : t_(t), limit_(limit), arena_(t->arena, t->arena_bytes) {}

  bool Form(uint64_t pc, FormedRegion* formed) {
    entry_ = pc;
    t_->window_bytes = 0;
    if (!AddBlock(pc)) return false;
    for (uint32_t i = 0; i < queued_; i++) AddTarget(queue_[i]);
    Sort();
    KeepOneNest();
    formed->region = {blocks_, count_};
    formed->low = formed->high = pc;
    for (uint32_t i = 0; i < count_; i++) {
      if (blocks_[i].pc < formed->low) formed->low = blocks_[i].pc;
      if (ends_[i] > formed->high) formed->high = ends_[i];
    }
    return true;
  }

 private:
  // The guest's bytes at `pc`, up to the end of its page.
  size_t Bytes(uint64_t pc, const uint8_t** bytes) {
    const uint64_t page = pc & ~(kPageBytes - 1);
    if (t_->window_bytes == 0 || t_->window_page != page || pc < first_byte_) {
      t_->window_page = page;
      first_byte_ = pc;
      t_->window_bytes = t_->host.fetch(t_->window, pc, page + kPageBytes - pc);
    }
    const uint64_t offset = pc - first_byte_;
    if (offset >= t_->window_bytes) return 0;
    *bytes = t_->window + offset;
    return t_->window_bytes - offset;
  }

  bool Lower(uint64_t pc, uint64_t end, Block* block, uint64_t* block_end) {
    const uint8_t* bytes;
    size_t size = Bytes(pc, &bytes);
    if (end > pc && size > end - pc) size = end - pc;
    if (size == 0) return false;
    const size_t used = t_->lower(bytes, size, pc, &arena_, block);
    *block_end = pc + used;
    return used != 0;
  }

  bool AddBlock(uint64_t pc) {
    uint64_t end = ~uint64_t{0};
    for (uint32_t i = 0; i < count_; i++) {
      if (blocks_[i].pc > pc && blocks_[i].pc < end) end = blocks_[i].pc;
    }
    Block block;
    uint64_t block_end;
    if (!Lower(pc, end, &block, &block_end)) return false;
    if (ops_ + block.op_count > ir::kOpsPerRegion) return false;
    ops_ += block.op_count;
    blocks_[count_] = block;
    ends_[count_++] = block_end;
    Enqueue(block);
    return true;
  }

  void Enqueue(const Block& block) {
    const Op& last = block.ops[block.op_count - 1];
    const bool conditional = ir::IsConditional(last.code);
    // The way that is not taken first: it is the next in the queue and near.
    if (conditional) Enqueue(block.next_pc);
    if (conditional || last.code == OpCode::kJump) Enqueue(static_cast<uint64_t>(last.imm));
  }
  void Enqueue(uint64_t pc) {
    if (queued_ < kQueue && pc - entry_ + kReach < 2 * kReach) queue_[queued_++] = pc;
  }

  void AddTarget(uint64_t pc) {
    for (uint32_t i = 0; i < count_; i++) {
      if (blocks_[i].pc == pc) return;
    }
    if (count_ >= limit_ || ops_ >= kOpsEnough || IsTranslated(t_, pc)) return;
    for (uint32_t i = 0; i < count_; i++) {
      if (pc <= blocks_[i].pc || pc >= ends_[i]) continue;
      // Into the middle of a block: the first part anew, up to here, then the second.
      Block first;
      uint64_t end;
      if (!Lower(blocks_[i].pc, pc, &first, &end) || end != pc) return;
      if (ops_ + first.op_count > ir::kOpsPerRegion) return;
      const Block whole = blocks_[i];
      const uint64_t whole_end = ends_[i];
      blocks_[i] = first;
      ends_[i] = pc;
      ops_ += first.op_count;
      if (!AddBlock(pc)) {
        blocks_[i] = whole;
        ends_[i] = whole_end;
      } else {
        ops_ -= whole.op_count < ops_ ? whole.op_count : 0;
      }
      return;
    }
    AddBlock(pc);
  }

  // The entry first, then by address, then what lies before the entry.
  void Sort() {
    for (uint32_t i = 1; i < count_; i++) {
      const Block block = blocks_[i];
      const uint64_t end = ends_[i];
      uint32_t at = i;
      for (; at > 0 && blocks_[at - 1].pc - entry_ > block.pc - entry_; at--) {
        blocks_[at] = blocks_[at - 1];
        ends_[at] = ends_[at - 1];
      }
      blocks_[at] = block;
      ends_[at] = end;
    }
  }

  // Where a loop that ends with this block begins.
  uint32_t LoopBegin(uint32_t end) const {
    const Op& last = blocks_[end].ops[blocks_[end].op_count - 1];
    const bool conditional = ir::IsConditional(last.code);
    if (!conditional && last.code != OpCode::kJump) return kNoLoop;
    for (uint32_t to = 0; to <= end; to++) {
      if (blocks_[to].pc == static_cast<uint64_t>(last.imm) ||
          (conditional && blocks_[to].pc == blocks_[end].next_pc)) {
        return to;
      }
    }
    return kNoLoop;
  }

  // Loops that do not lie in each other would compete for homes, and it cannot be told which one is
  // hot: what begins with the second one is left to regions of its own.
  void KeepOneNest() {
    uint32_t begin[kBlocksPerRegion];
    uint32_t first = kNoLoop;
    for (uint32_t i = 0; i < count_; i++) {
      begin[i] = LoopBegin(i);
      if (begin[i] < first) first = begin[i];
    }
    if (first == kNoLoop) return;
    uint32_t nest_end = first;
    for (bool grows = true; grows;) {
      grows = false;
      for (uint32_t i = nest_end + 1; i < count_; i++) {
        if (begin[i] > nest_end) continue;
        nest_end = i;
        grows = true;
      }
    }
    uint32_t second = kNoLoop;
    for (uint32_t i = nest_end + 1; i < count_; i++) {
      if (begin[i] < second) second = begin[i];
    }
    if (second != kNoLoop) count_ = second;
  }

  static constexpr uint32_t kNoLoop = ~0u;
  static constexpr uint32_t kQueue = 4 * kBlocksPerRegion;

  Translator* t_;
  uint32_t limit_;
  ir::Arena arena_;
  uint64_t entry_ = 0;
  uint64_t first_byte_ = 0;
  uint32_t count_ = 0;
  uint32_t ops_ = 0;
  uint32_t queued_ = 0;
  Block blocks_[kBlocksPerRegion];
  uint64_t ends_[kBlocksPerRegion];
  uint64_t queue_[kQueue];
};

}  // namespace

bool FormRegion(Translator* t, uint64_t pc, uint32_t block_limit, FormedRegion* formed) {
  static_assert(sizeof(Former) <= kFormerBytes);
  auto* former = new (t->former) Former(t, block_limit);
  return former->Form(pc, formed);
}

}  // namespace dd::exec
