// The interpreter: what every operation means, in plain C++. It is the reference for tests, and
// generated code calls it for operations that a host has no selection for.
#pragma once

#include "guest/ir/ir.h"
#include "guest/ir/state.h"

namespace dd::ir {

// Executes an operation that is not a terminator. Operands are read from and written to State::g, v
// and temps (a general temporary is its d[0]). Guest addresses are host addresses; a fault is the
// host's.
using Kernel = void(State& state, const Op& op);
void Execute(State& state, const Op& op);

// The function behind Execute for one operation; null for terminators.
Kernel* KernelOf(OpCode code);

// Where an operation that may fault (MayFault) accesses memory, with the address's tag.
uint64_t AccessedAddress(const State& state, const Op& op);

// What the guest reads as its counter (SystemRegister::kVirtualCount): nanoseconds of a clock that
// all its threads share. Set once, before any guest runs; without it the counter stands still.
extern uint64_t (*virtual_count)();
constexpr uint64_t kVirtualCountHz = 1'000'000'000;

// Whether `cond` holds of State::flags.
bool Holds(Cond cond, uint32_t flags);

// Executes a block and sets State::pc: of what comes next, of a Syscall the instruction after it,
// of a Trap its own. Returns the terminator.
const Op& RunBlock(State& state, const Block& block);

}  // namespace dd::ir
