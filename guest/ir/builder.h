// Makes the operations of one block, one after another, in an arena.
#pragma once

#include <cstdint>

#include "guest/ir/arena.h"
#include "guest/ir/ir.h"

namespace dd::ir {

class Builder {
 public:
  // Takes room for `limit` operations; ok() says whether there was any.
  Builder(Arena* arena, uint32_t limit) : arena_(arena), limit_(limit) {
    ops_ = arena->Take<Op>(limit);
  }
  Builder(const Builder&) = delete;
  Builder& operator=(const Builder&) = delete;

  bool ok() const { return ops_ != nullptr; }
  uint32_t count() const { return count_; }
  uint32_t temps() const { return temps_; }
  // Whether so many more operations and temporaries fit.
  bool HasRoom(uint32_t ops, uint32_t temps) const {
    return count_ + ops <= limit_ && temps_ + temps <= kTempLimit;
  }

  // Operations from now on come from the instruction so many bytes into the block.
  void At(uint32_t pc_offset) { pc_offset_ = static_cast<uint16_t>(pc_offset); }

  // A temporary that nothing has been assigned to yet.
  Ref Temp() { return Ref::T(temps_++); }

  // Appends an operation and returns it, for fields that its maker has to set. The reference is
  // good until Finish.
  Op& Emit(OpCode code, Width width, Ref dst = {}, Ref a = {}, Ref b = {}, Ref c = {}) {
    Op& op = ops_[count_++];
    op = Op{};
    op.code = code;
    op.width = width;
    op.dst = dst;
    op.a = a;
    op.b = b;
    op.c = c;
    op.pc_offset = pc_offset_;
    return op;
  }

  // Takes back everything from operation `count` on.
  void Truncate(uint32_t count, uint32_t temps) {
    count_ = count;
    temps_ = temps;
  }

  // The block, with the room that it does not need given back. Its last operation is a terminator.
  Block Finish(uint64_t pc, uint64_t next_pc) {
    arena_->Keep(ops_ + count_);
    return {pc, next_pc, ops_, count_, temps_};
  }

 private:
  Arena* arena_;
  Op* ops_ = nullptr;
  uint32_t limit_;
  uint32_t count_ = 0;
  uint32_t temps_ = 0;
  uint16_t pc_offset_ = 0;
};

}  // namespace dd::ir
