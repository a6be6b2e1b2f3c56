// Two machines on the same vectors: rows of the instruction table, then sequences.
#pragma once

#include "test/native/translator/differential.h"

namespace dd::test {

struct Selection {
  uint64_t per_row;
  uint64_t sequences;
  uint64_t seed;
  const char* only;  // the beginning of rows' names
};

// Changes what need not be the same in the outcome of a vector.
using Allowance = void(const dd_vector& vector, dd_outcome* outcome);

// Prints what differs and how much has been compared; a program's exit status.
int Compare(Machine& expected, Machine& actual, const Selection& selection, Allowance* allow);

}  // namespace dd::test
