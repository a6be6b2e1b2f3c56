// The same instructions on the same state, run in different ways: by qemu (the oracle), by the
// interpreter, by translated code. What they make of it must be the same to the last bit.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "guest/ir/ir.h"
#include "guest/isa/a64/rows.h"
#include "test/native/expect.h"
#include "test/native/translator/vector.h"

namespace dd::test {

// A way to run vectors. An outcome's `signal` is SIGTRAP when the instructions came to their end.
class Machine {
 public:
  virtual ~Machine() = default;
  virtual const char* name() const = 0;
  virtual void Run(const dd_vector* in, dd_outcome* out, size_t count) = 0;
};

// The program test/native/translator/oracle_arm64.c under qemu-aarch64, over pipes.
class Oracle : public Machine {
 public:
  explicit Oracle(const char* program);
  ~Oracle() override;
  Oracle(const Oracle&) = delete;
  Oracle& operator=(const Oracle&) = delete;
  const char* name() const override { return "qemu"; }
  void Run(const dd_vector* in, dd_outcome* out, size_t count) override;

 private:
  int to_ = -1;
  int from_ = -1;
  int pid_ = -1;
};

// LowerBlock and ir::RunBlock in this process.
class Interpreter : public Machine {
 public:
  const char* name() const override { return "interpreter"; }
  void Run(const dd_vector* in, dd_outcome* out, size_t count) override;
};

// Maps the code and the memory that vectors use into this process. Once, before any Machine in it
// runs.
void MapVectorMemory();
// Puts a vector's instructions (breakpoints after them) and its window there.
void LoadVector(const dd_vector& vector);
// The registers that a vector begins with, and what came of them and of the window.
ir::State StateOf(const dd_vector& vector);
dd_outcome OutcomeOf(const ir::State& state, int signal);

// Makes vectors for rows of the instruction table, the same ones for the same seed.
class VectorMaker {
 public:
  explicit VectorMaker(uint64_t seed) : random_(seed) {}

  // One instruction of a row, on a random state in which what it does to memory stays in the
  // window. False when this attempt gave an instruction that cannot be compared (its result is
  // unpredictable, or it goes where no test can follow).
  bool One(isa::a64::Id id, dd_vector* to);
  // Some instructions that do not branch; they touch the window only.
  bool Sequence(dd_vector* to);
  // A few instructions that belong together: exclusive pairs, system registers.
  void Program(dd_vector* to);

 private:
  void FillState(dd_vector* to);
  uint64_t General();
  uint64_t Float();
  bool AimAtWindow(dd_vector* to);
  static bool StaysInWindow(const ir::Block& block);

  Random random_;
};

// Whether an instruction of this row can be in a test at all.
bool Testable(isa::a64::Id id);

// What differs between two outcomes of `vector`, a line each; empty: nothing that counts.
std::string Difference(const dd_vector& vector, const dd_outcome& expected,
                       const dd_outcome& actual);

// The vector with as few instructions as still make the machines differ.
dd_vector Shrink(const dd_vector& vector, Machine& expected, Machine& actual);

// For messages: the instructions as words and row names.
std::string Describe(const dd_vector& vector);

}  // namespace dd::test
