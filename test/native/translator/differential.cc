// Compares the interpreter with qemu-aarch64: each row of the instruction table on random operands,
// then random sequences.
//
//   translator-differential ORACLE [VECTORS PER ROW] [SEQUENCES] [SEED] [ROW NAME'S BEGINNING]
#include "test/native/translator/differential.h"

#include <cstdio>
#include <cstring>

namespace {

using namespace dd::test;
using dd::isa::a64::Id;
using dd::isa::a64::kRowCount;
using dd::isa::a64::kRows;

// Attempts at a vector of a row, when most of its encodings cannot be compared.
constexpr uint32_t kAttempts = 20;
constexpr uint32_t kReports = 3;

class Comparison {
 public:
  Comparison(Machine& expected, Machine& actual) : expected_(expected), actual_(actual) {}

  // Compares what both make of the vectors; prints the first ones that differ.
  void Run(const std::vector<dd_vector>& vectors, const char* what) {
    std::vector<dd_outcome> wanted(vectors.size());
    std::vector<dd_outcome> got(vectors.size());
    expected_.Run(vectors.data(), wanted.data(), vectors.size());
    actual_.Run(vectors.data(), got.data(), vectors.size());
    uint32_t differ = 0;
    for (size_t i = 0; i < vectors.size(); i++) {
      compared_++;
      if (Difference(vectors[i], wanted[i], got[i]).empty()) continue;
      if (differ++ < kReports) Report(vectors[i]);
    }
    if (differ > 0) printf("%s: %u of %zu vectors differ\n", what, differ, vectors.size());
    failed_ += differ;
  }

  uint32_t compared() const { return compared_; }
  uint32_t failed() const { return failed_; }

 private:
  void Report(const dd_vector& vector) {
    const dd_vector least = Shrink(vector, expected_, actual_);
    dd_outcome wanted{};
    dd_outcome got{};
    expected_.Run(&least, &wanted, 1);
    actual_.Run(&least, &got, 1);
    printf("%s", Describe(least).c_str());
    const uint32_t n = least.words[0] >> 5 & 31;
    const uint32_t m = least.words[0] >> 16 & 31;
    printf("  n: %016llx %016llx%016llx m: %016llx %016llx%016llx\n", 0ull + least.g[n],
           0ull + least.v[n][1], 0ull + least.v[n][0], 0ull + least.g[m], 0ull + least.v[m][1],
           0ull + least.v[m][0]);
    printf("%s", Difference(least, wanted, got).c_str());
  }

  Machine& expected_;
  Machine& actual_;
  uint32_t compared_ = 0;
  uint32_t failed_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  Expect(argc >= 2, "the oracle's program is an argument");
  const uint64_t per_row = Argument(argc, argv, 2, 16);
  const uint64_t sequences = Argument(argc, argv, 3, 1000);
  const uint64_t seed = Argument(argc, argv, 4, 1);
  const char* const only = argc > 5 ? argv[5] : "";
  MapVectorMemory();
  Oracle oracle(argv[1]);
  Interpreter interpreter;
  Comparison comparison(oracle, interpreter);
  VectorMaker maker(seed);
  for (uint32_t row = 0; row < kRowCount; row++) {
    const Id id = static_cast<Id>(row);
    if (!Testable(id) || strncmp(kRows[row].name, only, strlen(only)) != 0) continue;
    std::vector<dd_vector> vectors;
    for (uint64_t i = 0; i < per_row * kAttempts && vectors.size() < per_row; i++) {
      dd_vector vector{};
      if (maker.One(id, &vector)) vectors.push_back(vector);
    }
    comparison.Run(vectors, kRows[row].name);
  }
  std::vector<dd_vector> vectors;
  for (uint64_t i = 0; i < sequences * kAttempts && vectors.size() < sequences; i++) {
    dd_vector vector{};
    if (maker.Sequence(&vector)) vectors.push_back(vector);
  }
  comparison.Run(vectors, "sequences");
  printf("%u vectors compared, %u differ\n", comparison.compared(), comparison.failed());
  return comparison.failed() == 0 && comparison.compared() > 0 ? 0 : 1;
}
