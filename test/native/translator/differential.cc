// Compares the interpreter with qemu-aarch64: each row of the instruction table on random operands,
// then random sequences.
//
//   translator-differential ORACLE [VECTORS PER ROW] [SEQUENCES] [SEED] [ROW NAME'S BEGINNING]
#include "test/native/translator/differential.h"

#include "test/native/translator/comparison.h"

int main(int argc, char** argv) {
  using namespace dd::test;
  Expect(argc >= 2, "the oracle's program is an argument");
  const Selection selection{Argument(argc, argv, 2, 16), Argument(argc, argv, 3, 1000),
                            Argument(argc, argv, 4, 1), argc > 5 ? argv[5] : ""};
  MapVectorMemory();
  Oracle oracle(argv[1]);
  Interpreter interpreter;
  return Compare(oracle, interpreter, selection, nullptr);
}
