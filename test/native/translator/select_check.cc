// Compares generated code with the interpreter: each row of the instruction table on random
// operands, then random sequences.
//
//   select-check [VECTORS PER ROW] [SEQUENCES] [SEED] [ROW NAME'S BEGINNING]
#include "test/native/translator/comparison.h"
#include "test/native/translator/translated.h"

namespace {

// Exceptions that nobody asks for: see docs/translator.md.
void Allow(const dd_vector& vector, dd_outcome* outcome) {
  outcome->fpsr &= ~dd::ir::kFpsrUnderflow;
  if ((vector.fpcr & dd::ir::kFpcrFlushToZero) != 0) {
    outcome->fpsr &= ~(dd::ir::kFpsrInputDenormal | dd::ir::kFpsrInexact);
  }
}
void AllowNothing(const dd_vector&, dd_outcome*) {}

}  // namespace

int main(int argc, char** argv) {
  using namespace dd::test;
  const Selection selection{Argument(argc, argv, 1, 16), Argument(argc, argv, 2, 1000),
                            Argument(argc, argv, 3, 1), argc > 4 ? argv[4] : ""};
  MapVectorMemory();
  Interpreter interpreter;
  Translated translated(false);
  Translated watching(true);
  const int status = Compare(interpreter, translated, selection, Allow);
  return Compare(interpreter, watching, selection, AllowNothing) == 0 ? status : 1;
}
