#include "test/native/translator/comparison.h"

#include <cstdio>
#include <cstring>

namespace dd::test {

using isa::a64::Id;
using isa::a64::kRowCount;
using isa::a64::kRows;

namespace {

// Attempts at a vector of a row, when most of its encodings cannot be compared.
constexpr uint32_t kAttempts = 20;
constexpr uint32_t kReports = 3;
constexpr uint64_t kSequencesPerProgram = 10;

class Comparison {
 public:
  Comparison(Machine& expected, Machine& actual, Allowance* allow)
      : expected_(expected), actual_(actual), allow_(allow) {}

  // Compares what both make of the vectors; prints the first ones that differ.
  void Run(const std::vector<dd_vector>& vectors, const char* what) {
    std::vector<dd_outcome> wanted(vectors.size());
    std::vector<dd_outcome> got(vectors.size());
    expected_.Run(vectors.data(), wanted.data(), vectors.size());
    actual_.Run(vectors.data(), got.data(), vectors.size());
    uint32_t differ = 0;
    for (size_t i = 0; i < vectors.size(); i++) {
      compared_++;
      if (allow_ != nullptr) {
        allow_(vectors[i], &wanted[i]);
        allow_(vectors[i], &got[i]);
      }
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
  Allowance* allow_;
  uint32_t compared_ = 0;
  uint32_t failed_ = 0;
};

}  // namespace

int Compare(Machine& expected, Machine& actual, const Selection& selection, Allowance* allow) {
  Comparison comparison(expected, actual, allow);
  VectorMaker maker(selection.seed);
  for (uint32_t row = 0; row < kRowCount; row++) {
    const Id id = static_cast<Id>(row);
    if (!Testable(id) || strncmp(kRows[row].name, selection.only, strlen(selection.only)) != 0)
      continue;
    std::vector<dd_vector> vectors;
    for (uint64_t i = 0; i < selection.per_row * kAttempts && vectors.size() < selection.per_row;
         i++) {
      dd_vector vector{};
      if (maker.One(id, &vector)) vectors.push_back(vector);
    }
    comparison.Run(vectors, kRows[row].name);
  }
  std::vector<dd_vector> vectors;
  for (uint64_t i = 0; i < selection.sequences * kAttempts && vectors.size() < selection.sequences;
       i++) {
    dd_vector vector{};
    if (maker.Sequence(&vector)) vectors.push_back(vector);
  }
  comparison.Run(vectors, "sequences");
  std::vector<dd_vector> programs(selection.sequences / kSequencesPerProgram);
  for (dd_vector& program : programs) maker.Program(&program);
  comparison.Run(programs, "programs");
  printf("%u vectors compared, %u differ\n", comparison.compared(), comparison.failed());
  return comparison.failed() == 0 && comparison.compared() > 0 ? 0 : 1;
}

}  // namespace dd::test
