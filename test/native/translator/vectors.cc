// Makes test vectors and compares what came of them: see differential.h.
#include <cstdio>
#include <cstring>

#include "guest/ir/ir.h"
#include "guest/isa/a64/decode.h"
#include "guest/lower/a64/lower.h"
#include "test/native/translator/differential.h"

namespace dd::test {

using isa::a64::Id;
using isa::a64::kRows;
using isa::a64::Row;

namespace {

constexpr uint64_t kStart = DD_CODE_ADDRESS + DD_CODE_START;
constexpr uint64_t kWindow = DD_MEMORY_ADDRESS + DD_WINDOW_START;
// The most that one instruction transfers: four vectors.
constexpr uint32_t kReach = 64;
// The register by which sequences address the window, and where in it that points to.
constexpr ir::Ref kSequenceBase = ir::Ref::G(28);
constexpr int64_t kSequenceOffset = 96;

const Row& RowOf(Id id) { return kRows[static_cast<uint32_t>(id)]; }

bool IsMemory(const ir::Op& op) {
  switch (op.code) {
#define DD_CASE(name, kind) case ir::OpCode::k##name:
    DD_IR_MEMORY_OPS(DD_CASE)
#undef DD_CASE
    case ir::OpCode::kZeroBlock:
    case ir::OpCode::kInvalidateCode:
      return op.code != ir::OpCode::kFence && op.code != ir::OpCode::kClearExclusive;
    default:
      return false;
  }
}

bool HasIndex(const ir::Op& op) {
  switch (op.code) {
    case ir::OpCode::kLoad:
    case ir::OpCode::kStore:
    case ir::OpCode::kLoadVector:
    case ir::OpCode::kStoreVector:
      return !op.b.none();
    default:
      return false;
  }
}

bool LowerOne(uint32_t word, ir::Arena* arena, ir::Block* block) {
  uint8_t bytes[4];
  memcpy(bytes, &word, sizeof bytes);
  arena->Reset();
  return lower::a64::LowerBlock(bytes, sizeof bytes, kStart, arena, block) == 4;
}

bool IsBranch(Id id) {
  switch (id) {
    case Id::B_cond:
    case Id::B:
    case Id::BL:
    case Id::CBZ:
    case Id::CBNZ:
    case Id::TBZ:
    case Id::TBNZ:
    case Id::BR:
    case Id::BLR:
    case Id::RET:
      return true;
    default:
      return false;
  }
}

struct Fields {
  uint32_t word, t, n, t2, s;
};

// Vectors that say nothing about what is right, and why.
struct Incomparable {
  Id id;
  bool (*is)(const Fields& f, const dd_vector& vector);
  const char* reason;
};

constexpr const char* kUnpredictable = "unpredictable by the manual: registers are named twice";

bool TwiceWhenWritingBack(const Fields& f, const dd_vector&) {
  return (f.word >> 10 & 1) != 0 && f.t == f.n;
}
bool PairTwice(const Fields& f, const dd_vector&) {
  return f.t == f.t2 || ((f.word >> 23 & 1) != 0 && (f.t == f.n || f.t2 == f.n));
}

constexpr Incomparable kIncomparable[] = {
    {Id::STXR, [](const Fields& f, const dd_vector&) { return f.s == f.t || f.s == f.n; },
     kUnpredictable},
    {Id::STXP,
     [](const Fields& f, const dd_vector&) { return f.s == f.t || f.s == f.n || f.s == f.t2; },
     kUnpredictable},
    {Id::LDXP, [](const Fields& f, const dd_vector&) { return f.t == f.t2; }, kUnpredictable},
    {Id::LDP, PairTwice, kUnpredictable},
    {Id::LDPSW, PairTwice, kUnpredictable},
    {Id::STP,
     [](const Fields& f, const dd_vector&) {
       return (f.word >> 23 & 1) != 0 && (f.t == f.n || f.t2 == f.n);
     },
     kUnpredictable},
    {Id::LDP_v, [](const Fields& f, const dd_vector&) { return f.t == f.t2; }, kUnpredictable},
    {Id::STR_imm9, TwiceWhenWritingBack, kUnpredictable},
    {Id::LDR_imm9, TwiceWhenWritingBack, kUnpredictable},
    {Id::LDRS_64_imm9, TwiceWhenWritingBack, kUnpredictable},
    {Id::LDRS_32_imm9, TwiceWhenWritingBack, kUnpredictable},
    {Id::FCVT, [](const Fields& f, const dd_vector&) { return (f.word >> 15 & 3) == 2; },
     "BFCVT, of a later architecture"},
    {Id::FCVT, [](const Fields& f, const dd_vector&) { return (f.word >> 22 & 3) == 2; },
     "qemu 7.2 ends itself on the format that does not exist"},
    {Id::FCVTZS_is, [](const Fields& f, const dd_vector&) { return f.word >> 20 == 0x5f1; },
     "qemu 7.2 extends the sign of a half's integer beyond its 16 bits"},
    {Id::FJCVTZS,
     [](const Fields& f, const dd_vector& vector) {
       return (vector.fpcr & ir::kFpcrFlushToZero) != 0 && vector.v[f.n][0] << 1 >> 53 == 0;
     },
     "qemu 7.2 takes a number that is flushed to zero for a zero"},
};

bool Comparable(Id id, const dd_vector& vector) {
  const uint32_t word = vector.words[0];
  const Fields fields{word, word & 31, word >> 5 & 31, word >> 10 & 31, word >> 16 & 31};
  for (const Incomparable& row : kIncomparable) {
    if (row.id == id && row.is(fields, vector)) return false;
  }
  return true;
}

bool HasIncomparable(Id id) {
  for (const Incomparable& row : kIncomparable) {
    if (row.id == id) return true;
  }
  return false;
}

}  // namespace

bool Testable(Id id) {
  switch (id) {
    case Id::SVC:   // calls the kernel
    case Id::HINT:  // some wait
    case Id::MRS:   // registers differ between processors: tested by name
    case Id::MSR:
    case Id::DC_ZVA:   // the oracle's blocks are longer
    case Id::DC_CVAP:  // qemu has it for systems only
      return false;
    default:
      return true;
  }
}

uint64_t VectorMaker::General() {
  constexpr uint64_t kSome[] = {0,
                                1,
                                2,
                                ~uint64_t{0},
                                uint64_t{1} << 63,
                                (uint64_t{1} << 63) - 1,
                                uint64_t{1} << 31,
                                (uint64_t{1} << 31) - 1,
                                0xffffffff,
                                uint64_t{1} << 32};
  switch (random_.Below(4)) {
    case 0:
      return kSome[random_.Below(sizeof kSome / sizeof *kSome)];
    case 1:
      return random_.Below(256);
    case 2:
      return random_.Next() >> random_.Below(64);
    default:
      return random_.Next();
  }
}

uint64_t VectorMaker::Float() {
  // Elements of 16 bits that are, or begin, numbers of every kind in every format.
  constexpr uint16_t kTop[] = {0x0000, 0x8000, 0x0001, 0x7c00, 0xfc00, 0x7e00, 0x7c01, 0x3c00,
                               0x3f80, 0x7f80, 0xff80, 0x7fc0, 0x7f81, 0x0080, 0x3ff0, 0x7ff0,
                               0x7ff8, 0x7ff4, 0xfff0, 0x0010, 0x000f, 0x4000, 0x4040, 0x7bff,
                               0x7f7f, 0x7fef, 0x4330, 0x4b00, 0x41e0, 0x43e0, 0x5f00, 0x4f00};
  const auto top = [&] { return uint64_t{kTop[random_.Below(sizeof kTop / sizeof *kTop)]}; };
  const uint64_t noise = random_.Below(2) == 0 ? 0 : random_.Next() >> random_.Below(64);
  // Products and quotients of these are next to the smallest normal number, on either side.
  constexpr uint64_t kExponents[] = {0, 1, 2, 0x380, 0x381, 0x3fe, 0x3ff, 0x400};
  constexpr uint64_t kExponentsSingle[] = {0, 1, 2, 126, 127, 128};
  const auto edge = [&](uint32_t bits) {
    const uint64_t ones = (uint64_t{1} << bits) - 1;
    const uint64_t distance = random_.Below(3);
    return random_.Below(2) == 0 ? distance : ones - distance;
  };
  const auto single = [&] {
    return uint64_t{random_.Below(2)} << 31 |
           kExponentsSingle[random_.Below(sizeof kExponentsSingle / 8)] << 23 | edge(23);
  };
  switch (random_.Below(8)) {
    case 0:
      return top() << 48 | (noise & 0xffffffffffff);
    case 6:
      return uint64_t{random_.Below(2)} << 63 |
             kExponents[random_.Below(sizeof kExponents / 8)] << 52 | edge(52);
    case 7:
      return single() << 32 | single();
    case 1:
      return top() << 48 | top() << 16 | (noise & 0xffff0000ffff);
    case 2:
      return top() << 48 | top() << 32 | top() << 16 | top();
    case 3:  // doubles, then singles, near 1
      return (uint64_t{0x3fd} + random_.Below(6)) << 52 | (random_.Next() >> 12) |
             uint64_t{random_.Below(2)} << 63;
    case 4: {
      const uint64_t low = (uint64_t{125} + random_.Below(6)) << 23 | random_.Next() % (1 << 23);
      const uint64_t high = (uint64_t{125} + random_.Below(6)) << 23 | random_.Next() % (1 << 23);
      return high << 32 | low;
    }
    default:
      return random_.Next();
  }
}

void VectorMaker::FillState(dd_vector* to) {
  memset(to, 0, sizeof *to);
  for (uint64_t& g : to->g) g = General();
  // Never a place in the oracle's signal stack, which would be gone on from there.
  to->g[31] |= uint64_t{1} << 44;
  const bool numbers = random_.Below(4) != 0;
  for (auto& v : to->v) {
    for (uint64_t& half : v) half = numbers ? Float() : random_.Next();
  }
  to->nzcv = static_cast<uint32_t>(random_.Next()) & 0xf0000000;
  if (random_.Below(2) == 0) {
    const uint64_t bits = random_.Next();
    to->fpcr = static_cast<uint32_t>(bits) & (3u << ir::kFpcrRoundingShift);
    if (bits >> 40 & 1) to->fpcr |= ir::kFpcrFlushToZero;
    if (bits >> 41 & 1) to->fpcr |= ir::kFpcrDefaultNan;
    if (bits >> 42 & 1) to->fpcr |= ir::kFpcrFlushHalfToZero;
    if ((bits >> 43 & 3) == 0) to->fpcr |= ir::kFpcrAlternativeHalf;
  }
  if (random_.Below(8) == 0) to->fpsr = static_cast<uint32_t>(random_.Next()) & ir::kFpsrMask;
  for (uint8_t& byte : to->window) byte = static_cast<uint8_t>(random_.Next());
}

// Changes the base register so that the first access is in the window.
bool VectorMaker::AimAtWindow(dd_vector* to) {
  alignas(16) static uint8_t memory[1 << 16];
  ir::Arena arena(memory, sizeof memory);
  ir::Block block{};
  Expect(LowerOne(to->words[0], &arena, &block), "an instruction can be lowered");
  for (uint32_t i = 0; i < block.op_count; i++) {
    const ir::Op& op = block.ops[i];
    if (!IsMemory(op)) continue;
    if (!op.a.guest()) return false;
    uint64_t index = 0;
    if (HasIndex(op)) {
      if (op.b == op.a) return false;
      index = to->g[op.b.index()];
      if (ir::IndexExtend(op) == ir::Extend::kUxtw) index &= 0xffffffff;
      if (ir::IndexExtend(op) == ir::Extend::kSxtw) {
        index = static_cast<uint64_t>(int64_t{static_cast<int32_t>(index)});
      }
      index <<= op.lane;
    }
    const bool plain = op.code == ir::OpCode::kLoad || op.code == ir::OpCode::kStore ||
                       op.code == ir::OpCode::kLoadVector || op.code == ir::OpCode::kStoreVector;
    uint64_t target = kWindow + random_.Below(DD_WINDOW_BYTES - kReach);
    // Ordered accesses must be aligned; of the others most are.
    if (!plain || (op.bits & (ir::kAcquire | ir::kRelease)) != 0 || random_.Below(4) != 0) {
      target &= ~uint64_t{15};
    }
    to->g[op.a.index()] = target - index - static_cast<uint64_t>(op.imm);
    return true;
  }
  return true;
}

bool VectorMaker::One(Id id, dd_vector* to) {
  FillState(to);
  to->count = 1;
  const Row& row = RowOf(id);
  uint32_t word = row.value | (static_cast<uint32_t>(random_.Next()) & ~row.mask);
  // Branches end in the page of breakpoints, literals are read from it.
  const auto field = [&](uint32_t lowest, uint32_t bits) {
    const uint32_t mask = ((1u << bits) - 1) << lowest;
    const uint32_t words = 1 + random_.Below(200);
    const uint32_t offset = random_.Below(2) == 0 ? words : 0u - words;
    word = (word & ~mask) | (offset << lowest & mask);
  };
  switch (id) {
    case Id::B:
    case Id::BL:
      field(0, 26);
      break;
    case Id::TBZ:
    case Id::TBNZ:
      field(5, 14);
      break;
    case Id::B_cond:
    case Id::CBZ:
    case Id::CBNZ:
    case Id::LDR_lit:
    case Id::LDRSW_lit:
    case Id::LDR_lit_v:
      field(5, 19);
      break;
    case Id::BR:
    case Id::BLR:
    case Id::RET:
      to->g[word >> 5 & 31] = DD_CODE_ADDRESS + 4 * random_.Below(DD_CODE_START / 4);
      if ((word >> 5 & 31) == 31) return false;
      break;
    default:
      break;
  }
  to->words[0] = word;
  if (isa::a64::Decode(word) != id || !Comparable(id, *to)) return false;
  const bool literal = id == Id::LDR_lit || id == Id::LDRSW_lit || id == Id::LDR_lit_v;
  return literal || AimAtWindow(to);
}

// Whether every access of the block is a constant away from the register of sequences and stays in
// the window, and nothing changes that register.
bool VectorMaker::StaysInWindow(const ir::Block& block) {
  for (uint32_t i = 0; i < block.op_count; i++) {
    const ir::Op& op = block.ops[i];
    if (op.dst == kSequenceBase || op.b == kSequenceBase) return false;
    if (!IsMemory(op)) continue;
    if (op.a != kSequenceBase || HasIndex(op)) return false;
    const int64_t offset = kSequenceOffset + op.imm;
    if (offset < 0 || offset > DD_WINDOW_BYTES - kReach) return false;
  }
  return true;
}

bool VectorMaker::Sequence(dd_vector* to) {
  FillState(to);
  to->count = 0;
  to->g[kSequenceBase.index()] = kWindow + kSequenceOffset;
  alignas(16) static uint8_t memory[1 << 16];
  ir::Arena arena(memory, sizeof memory);
  const uint32_t count = 2 + random_.Below(DD_WORDS_MAX - 2);
  for (uint32_t attempts = 0; to->count < count && attempts < 200; attempts++) {
    const uint32_t index = random_.Below(isa::a64::kRowCount);
    const Id id = static_cast<Id>(index);
    if (!Testable(id) || IsBranch(id) || HasIncomparable(id)) continue;
    uint32_t word =
        kRows[index].value | (static_cast<uint32_t>(random_.Next()) & ~kRows[index].mask);
    ir::Block block{};
    if (isa::a64::Decode(word) != id || !LowerOne(word, &arena, &block)) continue;
    bool touches = false;
    for (uint32_t i = 0; i < block.op_count; i++) touches = touches || IsMemory(block.ops[i]);
    if (touches) {
      word = (word & ~(31u << 5)) | kSequenceBase.index() << 5;
      const bool long_offset = (word >> 24 & 0x3b) == 0x39;
      if (long_offset) word &= ~(0xff8u << 10);
      if (isa::a64::Decode(word) != id || !LowerOne(word, &arena, &block)) continue;
    }
    const bool goes_on = block.ops[block.op_count - 1].code == ir::OpCode::kJump;
    if (goes_on && StaysInWindow(block)) to->words[to->count++] = word;
  }
  return to->count == count;
}

namespace {

// Short programs of instructions that mean something together; x1 is in the window.
constexpr uint32_t kPrograms[][DD_WORDS_MAX] = {
    {0xc85f7c20, 0xc8027c23},              // ldxr x0, [x1]; stxr w2, x3, [x1]
    {0x085ffc20, 0x0802fc23},              // ldaxrb w0, [x1]; stlxrb w2, w3, [x1]
    {0x485f7c20, 0x48027c23},              // ldxrh w0, [x1]; stxrh w2, w3, [x1]
    {0x885ffc20, 0x8802fc23},              // ldaxr w0, [x1]; stlxr w2, w3, [x1]
    {0xc87f1020, 0xc8221423},              // ldxp x0, x4, [x1]; stxp w2, x3, x5, [x1]
    {0x887f9020, 0x88229423},              // ldaxp w0, w4, [x1]; stlxp w2, w3, w5, [x1]
    {0xc85f7c20, 0xd5033f5f, 0xc8027c23},  // with clrex between
    {0xc85f7c20, 0xf9000028, 0xc8027c23},  // with a store of x8 between
    {0xc85f7c20, 0xc8027c23, 0xc8067c27},  // and a second store
    {0xd53b4202, 0xd51b4203},              // mrs x2, nzcv; msr nzcv, x3
    {0xd53b4404, 0xd53b4426},              // mrs x4, fpcr; mrs x6, fpsr
    {0x1e621820, 0xd53b4426},              // fdiv d0, d1, d2; mrs x6, fpsr
    {0xd51b4405, 0x1e621820, 0xd53b4404},  // msr fpcr, x5; fdiv d0, d1, d2; mrs x4, fpcr
    {0xd51b4427, 0x1e621820, 0xd53b4426},  // msr fpsr, x7; fdiv d0, d1, d2; mrs x6, fpsr
    {0xd51bd043, 0xd53bd042},              // msr tpidr_el0, x3; mrs x2, tpidr_el0
    {0x54000040, 0xd2800020, 0xd2800041},  // b.eq over mov x0, #1; mov x1, #2
    {0xa9410422},                          // ldp x2, x1, [x1, #16]
    {0xa9400821},                          // ldp x1, x2, [x1]
};

}  // namespace

void VectorMaker::Program(dd_vector* to) {
  FillState(to);
  const uint32_t(&words)[DD_WORDS_MAX] =
      kPrograms[random_.Below(sizeof kPrograms / sizeof *kPrograms)];
  for (uint32_t i = 0; i < DD_WORDS_MAX && words[i] != 0; i++) to->words[to->count++] = words[i];
  to->g[1] = kWindow + 16 * random_.Below((DD_WINDOW_BYTES - kReach) / 16);
  to->g[5] &= ir::kFpcrMask;
  to->g[7] &= ir::kFpsrMask;
}

std::string Describe(const dd_vector& vector) {
  std::string text;
  for (uint32_t i = 0; i < vector.count; i++) {
    char line[160];
    const Id id = isa::a64::Decode(vector.words[i]);
    snprintf(line, sizeof line, "  %08x %s\n", vector.words[i],
             id == Id::kUndefined ? "undefined" : RowOf(id).name);
    text += line;
  }
  char control[64];
  snprintf(control, sizeof control, "  with fpcr %08x fpsr %08x nzcv %08x\n", vector.fpcr,
           vector.fpsr, vector.nzcv);
  return text + control;
}

std::string Difference(const dd_vector& vector, const dd_outcome& expected,
                       const dd_outcome& actual) {
  std::string text;
  char line[256];
  const auto number = [&](const char* what, uint64_t before, uint64_t wanted, uint64_t got) {
    if (wanted == got) return;
    snprintf(line, sizeof line, "  %s: was %llx, expected %llx, is %llx\n", what,
             static_cast<unsigned long long>(before), static_cast<unsigned long long>(wanted),
             static_cast<unsigned long long>(got));
    text += line;
  };
  number("signal", 0, expected.signal, actual.signal);
  number("pc", kStart, expected.pc, actual.pc);
  for (uint32_t i = 0; i < 32; i++) {
    char name[16];
    snprintf(name, sizeof name, "x%u", i);
    number(name, vector.g[i], expected.g[i], actual.g[i]);
  }
  for (uint32_t i = 0; i < 32; i++) {
    if (memcmp(expected.v[i], actual.v[i], 16) == 0) continue;
    const auto wide = [](uint64_t value) { return static_cast<unsigned long long>(value); };
    snprintf(line, sizeof line,
             "  v%u: was %016llx%016llx, expected %016llx%016llx, is %016llx%016llx\n", i,
             wide(vector.v[i][1]), wide(vector.v[i][0]), wide(expected.v[i][1]),
             wide(expected.v[i][0]), wide(actual.v[i][1]), wide(actual.v[i][0]));
    text += line;
  }
  number("nzcv", vector.nzcv, expected.nzcv, actual.nzcv);
  number("fpcr", vector.fpcr, expected.fpcr, actual.fpcr);
  number("fpsr", vector.fpsr, expected.fpsr, actual.fpsr);
  for (uint32_t i = 0; i < DD_WINDOW_BYTES; i++) {
    char name[24];
    snprintf(name, sizeof name, "memory[%u]", i);
    number(name, vector.window[i], expected.window[i], actual.window[i]);
  }
  return text;
}

dd_vector Shrink(const dd_vector& vector, Machine& expected, Machine& actual) {
  dd_vector best = vector;
  for (uint32_t drop = 0; drop < best.count;) {
    dd_vector shorter = best;
    for (uint32_t i = drop; i + 1 < shorter.count; i++) shorter.words[i] = shorter.words[i + 1];
    shorter.count--;
    dd_outcome wanted{};
    dd_outcome got{};
    expected.Run(&shorter, &wanted, 1);
    actual.Run(&shorter, &got, 1);
    if (shorter.count > 0 && !Difference(shorter, wanted, got).empty()) {
      best = shorter;
    } else {
      drop++;
    }
  }
  return best;
}

}  // namespace dd::test
