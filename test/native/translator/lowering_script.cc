#include "test/native/translator/lowering_script.h"

#include <bitset>

#include "guest/ir/print.h"
#include "guest/lower/a64/lower.h"
#include "test/native/expect.h"

namespace dd::test {

namespace {

constexpr uint64_t kPc = 0x400000;

bool IsTerminator(ir::OpCode code) {
  switch (code) {
#define DD_CASE(name, kind) case ir::OpCode::k##name:
    DD_IR_TERMINATORS(DD_CASE)
#undef DD_CASE
    return true;
    default:
      return false;
  }
}

// Whether operand b is written, too.
bool WritesPair(ir::OpCode code) { return code == ir::OpCode::kLoadExclusivePair; }
// Whether its temporaries are two that follow each other.
bool IsPair(ir::OpCode code) { return code == ir::OpCode::kCompareSwapPair; }

class BlockCheck {
 public:
  explicit BlockCheck(const ir::Block& block) : block_(block) {}

  void Run(size_t bytes) {
    Expect(block_.op_count > 0, "a block has operations");
    Expect(block_.op_count <= lower::a64::kBlockOpLimit, "not more than the limit");
    Expect(block_.temp_count <= ir::kTempLimit, "temporaries have numbers below the limit");
    Expect(block_.next_pc == kPc + bytes, "a block says where its instructions end");
    uint32_t last_offset = 0;
    for (uint32_t i = 0; i < block_.op_count; i++) {
      const ir::Op& op = block_.ops[i];
      Expect(IsTerminator(op.code) == (i + 1 == block_.op_count), "the last operation terminates");
      Expect(op.pc_offset % 4 == 0 && op.pc_offset < bytes, "operations belong to instructions");
      Expect(op.pc_offset >= last_offset, "in their order");
      if (op.pc_offset != last_offset) defined_.reset();
      last_offset = op.pc_offset;
      Check(op);
    }
  }

 private:
  void Check(const ir::Op& op) {
    Read(op, op.a);
    if (!WritesPair(op.code)) Read(op, op.b);
    Read(op, op.c);
    Expect(!op.dst.immediate(), "constants are not written");
    Define(op, op.dst);
    if (WritesPair(op.code)) Define(op, op.b);
    char text[256];
    Expect(ir::Print(op, text, sizeof text) > 0, "operations can be printed");
  }

  void Read(const ir::Op& op, ir::Ref ref) {
    if (!ref.temp()) return;
    for (uint32_t i = 0; i < (IsPair(op.code) && ref != op.a ? 2u : 1u); i++) {
      Expect(defined_[ref.index() + i], "temporaries are read after they were written");
    }
  }

  void Define(const ir::Op& op, ir::Ref ref) {
    if (!ref.temp()) return;
    for (uint32_t i = 0; i < (IsPair(op.code) ? 2u : 1u); i++) {
      Expect(ref.index() + i < block_.temp_count, "temporaries are counted");
      Expect(!defined_[ref.index() + i], "temporaries are written once");
      defined_[ref.index() + i] = true;
    }
  }

  const ir::Block& block_;
  std::bitset<ir::kTempLimit> defined_;
};

}  // namespace

void LowerScript(const uint8_t* data, size_t size) {
  if (size == 0) return;
  alignas(16) static uint8_t memory[64 << 10];
  // From none, over one that a block does not fit in, to one for two of them.
  ir::Arena arena(memory, data[0] * (sizeof memory / 255));
  const uint8_t* code = data + 1;
  size_t left = size - 1;
  while (left > 0) {
    ir::Block block{};
    const size_t bytes = lower::a64::LowerBlock(code, left, kPc, &arena, &block);
    if (bytes == 0) break;
    Expect(bytes % 4 == 0 && bytes <= left, "whole instructions are lowered");
    BlockCheck(block).Run(bytes);
    code += bytes;
    left -= bytes;
  }
}

}  // namespace dd::test
