// Looks past a region's end: whether flags are read there before they are set again. Compiled code
// sets flags for the next few instructions, so the answer is near and mostly no.
#include "guest/exec/cache.h"
#include "guest/ir/op_traits.h"

namespace dd::exec {
namespace {

constexpr uint32_t kPeekBlocks = 4;  // one after another
constexpr size_t kPeekBytes = 64;    // of a block

// That what is found relies on this page. False: there are too many already.
bool RelyOn(Translator* t, uint64_t page) {
  for (uint32_t i = 0; i < t->peeked_count; i++) {
    if (t->peeked_pages[i] == page) return true;
  }
  if (t->peeked_count == kPeekedPages) return false;
  t->peeked_pages[t->peeked_count++] = page;
  return true;
}

class Peek {
 public:
  Peek(Translator* t, uint64_t pc) : t_(t), page_(pc >> kPageBits) {}

  // The answer relies on nothing but its own page, and may be kept.
  bool stayed() const { return stayed_; }

  bool Wanted(uint64_t pc, uint32_t blocks) {
    if (blocks == 0) return true;
    const uint64_t page = pc >> kPageBits;
    if (page != page_) stayed_ = false;
    if (!RelyOn(t_, page)) return true;
    const Entry* entry = FindEntry(t_, pc);
    if (entry != nullptr && t_->flags_known[entry - t_->entries] != FlagsKnown::kNo) {
      return t_->flags_known[entry - t_->entries] == FlagsKnown::kWanted;
    }
    const size_t room = kPageBytes - (pc & (kPageBytes - 1));
    uint8_t bytes[kPeekBytes];
    const size_t size = t_->host.fetch(bytes, pc, room < kPeekBytes ? room : kPeekBytes);
    ir::Arena arena(t_->peek_arena, kPeekArenaBytes);
    ir::Block block;
    if (size == 0 || t_->lower(bytes, size, pc, &arena, &block) == 0) return true;
    for (uint32_t i = 0; i < block.op_count; i++) {
      if (ReadsFlags(block.ops[i])) return true;
      if (WritesFlags(block.ops[i])) return false;
    }
    const ir::Op last = block.ops[block.op_count - 1];
    const uint64_t next_pc = block.next_pc;  // the arena is used again
    const auto target = static_cast<uint64_t>(last.imm);
    if (last.code == ir::OpCode::kJump || last.code == ir::OpCode::kCall) {
      return Wanted(target, blocks - 1);
    }
    if (!ir::IsConditional(last.code)) return true;
    return Wanted(next_pc, blocks - 1) || Wanted(target, blocks - 1);
  }

 private:
  Translator* t_;
  uint64_t page_;
  bool stayed_ = true;
};

}  // namespace

bool FlagsWanted(void* context, uint64_t pc) {
  auto* t = static_cast<Translator*>(context);
  Peek peek(t, pc);
  const bool wanted = peek.Wanted(pc, kPeekBlocks);
  // Code leaves for here: there will be an entry in any case.
  const Entry* entry = peek.stayed() ? EntryOf(t, pc) : nullptr;
  if (entry != nullptr) {
    t->flags_known[entry - t->entries] = wanted ? FlagsKnown::kWanted : FlagsKnown::kUnwanted;
    t->any_flags_known = true;
  }
  return wanted;
}

void ForgetFlags(Translator* t) {
  if (!t->any_flags_known) return;
  for (uint32_t i = 0; i < t->entry_count; i++) t->flags_known[i] = FlagsKnown::kNo;
  t->any_flags_known = false;
}

}  // namespace dd::exec
