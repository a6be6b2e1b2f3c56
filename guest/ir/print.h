// Operations as text, for test failures and for whoever looks at a translation.
#pragma once

#include <cstddef>

#include "guest/ir/ir.h"

namespace dd::ir {

// The name of an operation's row.
const char* NameOf(OpCode code);

// Writes at most `room` bytes of `op` as text, the last one a 0; returns the length written without
// it. `sub.64.f x0, x1, #16`: width, f for flags set, operands as dst, a, b, c; fields that are not
// 0 follow.
size_t Print(const Op& op, char* to, size_t room);

}  // namespace dd::ir
