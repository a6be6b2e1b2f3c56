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
static_assert(2 * kReach <= INT16_MAX);  // FaultPoint::pc_delta
constexpr uint64_t kWindowBytes = 1024;  // fetched at once
constexpr uint64_t kBlockBytes = 256;    // that most blocks do not exceed
constexpr uint32_t kOpsEnough = ir::kOpsPerRegion - 1024;

// What blocks are found and ordered by: their distance from the entry, all within kReach of it.
using Key = uint16_t;
static_assert(2 * kReach - 1 <= UINT16_MAX);

class Former {
 public:
  Former(Translator* t, uint32_t limit) : t_(t), limit_(limit), arena_(t->arena, t->arena_bytes) {}

  bool Form(uint64_t pc, FormedRegion* formed) {
    entry_ = pc;
    if (!AddBlock(pc, 0)) return false;
    for (uint32_t i = 0; i < queued_; i++) AddTarget(queue_[i]);
    Order();
    KeepOneNest();
    formed->region = {ordered_, count_};
    formed->low = formed->high = pc;
    for (uint32_t i = 0; i < count_; i++) {
      if (ordered_[i].pc < formed->low) formed->low = ordered_[i].pc;
      if (ordered_[i].next_pc > formed->high) formed->high = ordered_[i].next_pc;
    }
    return true;
  }

 private:
  // The guest's bytes at `pc`, up to the end of its page or as many as a block may have.
  size_t Bytes(uint64_t pc, const uint8_t** bytes) {
    const uint64_t in_page = kPageBytes - (pc & (kPageBytes - 1));
    const uint64_t wanted = in_page < kBlockBytes ? in_page : kBlockBytes;
    if (pc < window_pc_ || pc - window_pc_ + wanted > window_bytes_) {
      window_pc_ = pc;
      window_bytes_ =
          t_->host.fetch(t_->window, pc, in_page < kWindowBytes ? in_page : kWindowBytes);
      if (window_bytes_ == 0) return 0;
    }
    *bytes = t_->window + (pc - window_pc_);
    return window_bytes_ - (pc - window_pc_);
  }

  // A new block at `pc`, as number `at` of those in order.
  bool AddBlock(uint64_t pc, uint32_t at) {
    const uint8_t* bytes;
    size_t size = Bytes(pc, &bytes);
    if (at < count_) {
      const uint64_t room = blocks_[order_[at]].pc - pc;
      if (size > room) size = room;
    }
    if (size == 0) return false;
    Block* block = &blocks_[count_];
    const size_t used = t_->lower(bytes, size, pc, &arena_, block);
    if (used == 0 || ops_ + block->op_count > ir::kOpsPerRegion) return false;
    Insert(at);
    Enqueue(*block);
    return true;
  }

  // Block number count_ becomes number `at` in order.
  void Insert(uint32_t at) {
    for (uint32_t i = count_; i > at; i--) {
      order_[i] = order_[i - 1];
      keys_[i] = keys_[i - 1];
    }
    order_[at] = static_cast<uint8_t>(count_);
    keys_[at] = KeyOf(blocks_[count_].pc);
    ops_ += blocks_[count_++].op_count;
  }

  Key KeyOf(uint64_t pc) const { return static_cast<Key>(pc - entry_ + kReach); }

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
    const Key key = KeyOf(pc);
    uint32_t after = 0;  // how many blocks begin at or before pc
    for (uint32_t high = count_; after < high;) {
      const uint32_t middle = after + (high - after) / 2;
      if (keys_[middle] <= key) {
        after = middle + 1;
      } else {
        high = middle;
      }
    }
    Block* before = after == 0 ? nullptr : &blocks_[order_[after - 1]];
    if (before != nullptr && before->pc == pc) return;
    if (count_ >= limit_ || ops_ >= kOpsEnough || IsTranslated(t_, pc)) return;
    if (before != nullptr && pc < before->next_pc) {
      if (Split(before, pc)) Insert(after);
    } else {
      AddBlock(pc, after);
    }
  }

  // Into the middle of a block: its operations from `pc` on are block number count_; those before
  // get a jump to them. Temporaries live within an instruction.
  bool Split(Block* whole, uint64_t pc) {
    const uint64_t offset = pc - whole->pc;
    uint32_t first = 0;
    while (whole->ops[first].pc_offset < offset) first++;
    Op* ops = arena_.Take<Op>(first + 1);
    if (ops == nullptr) return false;
    for (uint32_t i = 0; i < first; i++) ops[i] = whole->ops[i];
    ops[first] = Op{};
    ops[first].code = OpCode::kJump;
    ops[first].pc_offset = first == 0 ? uint16_t{0} : ops[first - 1].pc_offset;
    ops[first].imm = static_cast<int64_t>(pc);
    Block* second = &blocks_[count_];
    *second = {pc, whole->next_pc, whole->ops + first, whole->op_count - first, whole->temp_count};
    for (uint32_t i = 0; i < second->op_count; i++) {
      second->ops[i].pc_offset = static_cast<uint16_t>(second->ops[i].pc_offset - offset);
    }
    ops_ -= second->op_count - 1;  // which are counted again as the second's
    *whole = {whole->pc, pc, ops, first + 1, whole->temp_count};
    return true;
  }

  // The entry first, then by address, then what lies before the entry.
  void Order() {
    uint32_t entry = 0;
    while (order_[entry] != 0) entry++;
    for (uint32_t i = 0; i < count_; i++) {
      const uint32_t from = entry + i;
      ordered_[i] = blocks_[order_[from < count_ ? from : from - count_]];
    }
  }

  // Where a loop that ends with this block begins.
  uint32_t LoopBegin(uint32_t end) const {
    const Block& block = ordered_[end];
    const Op& last = block.ops[block.op_count - 1];
    const bool conditional = ir::IsConditional(last.code);
    uint32_t begin = kNoLoop;
    const auto look_at = [&](uint64_t pc) {
      if (pc - entry_ > block.pc - entry_) return;  // forward
      const auto to = static_cast<uint32_t>(ir::BlockAt(ordered_, count_, pc));
      if (to <= end && to < begin) begin = to;
    };
    if (conditional) look_at(block.next_pc);
    if (conditional || last.code == OpCode::kJump) look_at(static_cast<uint64_t>(last.imm));
    return begin;
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
  uint64_t window_pc_ = 0;
  uint64_t window_bytes_ = 0;
  uint32_t count_ = 0;
  uint32_t ops_ = 0;
  uint32_t queued_ = 0;
  Block blocks_[kBlocksPerRegion];   // as they were found
  uint8_t order_[kBlocksPerRegion];  // by address
  Key keys_[kBlocksPerRegion];       // in that order
  Block ordered_[kBlocksPerRegion];
  uint64_t queue_[kQueue];
};

}  // namespace

bool FormRegion(Translator* t, uint64_t pc, uint32_t block_limit, FormedRegion* formed) {
  static_assert(sizeof(Former) <= kFormerBytes);
  auto* former = new (t->former) Former(t, block_limit);
  return former->Form(pc, formed);
}

}  // namespace dd::exec
