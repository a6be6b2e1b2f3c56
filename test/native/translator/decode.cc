// Lists encodings and what the decoder and lowering make of them, for comparison with another
// decoder.
//
//   translator-decode WORDS LISTING SAMPLES SEED
//
// WORDS is a file that the encodings are written to, little endian. For each of them, in order, a
// line on standard output: the row's identifier, or "-" when it is undefined. SAMPLES are taken of
// each row's free bits (all combinations when there are not more of them), and as many of all
// words.
#include "guest/isa/a64/decode.h"

#include <cstdio>
#include <cstring>
#include <vector>

#include "guest/lower/a64/lower.h"
#include "test/native/expect.h"

namespace {

using dd::isa::a64::Id;
using dd::isa::a64::kRowCount;
using dd::isa::a64::kRows;
using dd::test::Expect;

constexpr uint64_t kPc = 0x400000;

#define DD_A64(identifier, name, bits) #identifier,
constexpr const char* kIdentifiers[] = {
#include "guest/isa/a64/base.inc"
#include "guest/isa/a64/crypto.inc"
#include "guest/isa/a64/float.inc"
#include "guest/isa/a64/memory.inc"
#include "guest/isa/a64/vector.inc"
#include "guest/isa/a64/vector_arithmetic.inc"
#include "guest/isa/a64/vector_float.inc"
};
#undef DD_A64

bool Undefined(uint32_t word) {
  alignas(16) static uint8_t memory[1 << 16];
  dd::ir::Arena arena(memory, sizeof memory);
  uint8_t bytes[4];
  memcpy(bytes, &word, sizeof bytes);
  dd::ir::Block block{};
  Expect(dd::lower::a64::LowerBlock(bytes, sizeof bytes, kPc, &arena, &block) == 4,
         "every word can be lowered");
  const dd::ir::Op& end = block.ops[block.op_count - 1];
  return end.code == dd::ir::OpCode::kTrap &&
         static_cast<dd::ir::TrapKind>(end.imm) == dd::ir::TrapKind::kUndefined;
}

// `bits` distributed over the ones of `mask`.
uint32_t Scatter(uint64_t bits, uint32_t mask) {
  uint32_t word = 0;
  for (; mask != 0; mask &= mask - 1, bits >>= 1) {
    if (bits & 1) word |= mask & (0u - mask);
  }
  return word;
}

FILE* Create(const char* path) {
  FILE* const file = fopen(path, "wb");
  Expect(file != nullptr, "the file can be written");
  return file;
}

}  // namespace

int main(int argc, char** argv) {
  Expect(argc == 5, "two files, the number of samples and a seed are arguments");
  const uint64_t samples = dd::test::Argument(argc, argv, 3, 0);
  dd::test::Random random(dd::test::Argument(argc, argv, 4, 0));
  std::vector<uint32_t> words;
  for (const dd::isa::a64::Row& row : kRows) {
    const uint64_t all = uint64_t{1} << std::popcount(~row.mask);
    for (uint64_t i = 0; i < all && i < samples; i++) {
      words.push_back(row.value | Scatter(all <= samples ? i : random.Next(), ~row.mask));
    }
  }
  // What lies beside a row, and anything at all.
  for (const dd::isa::a64::Row& row : kRows) {
    for (uint64_t i = 0; i < samples / 8; i++) {
      const uint32_t flipped = Scatter(random.Next() & random.Next() & random.Next(), row.mask);
      words.push_back((row.value ^ flipped) | Scatter(random.Next(), ~row.mask));
    }
  }
  for (uint64_t i = 0; i < samples; i++) words.push_back(static_cast<uint32_t>(random.Next()));
  FILE* const file = Create(argv[1]);
  Expect(fwrite(words.data(), sizeof words[0], words.size(), file) == words.size(), "words");
  Expect(fclose(file) == 0, "the words' end");
  FILE* const listing = Create(argv[2]);
  for (const uint32_t word : words) {
    const Id id = dd::isa::a64::Decode(word);
    const bool undefined = id == Id::kUndefined || Undefined(word);
    fprintf(listing, "%s\n", undefined ? "-" : kIdentifiers[static_cast<uint32_t>(id)]);
  }
  Expect(fclose(listing) == 0, "the listing's end");
  return 0;
}
