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

// The clocks that the guest can read, by number (SystemRegister::kClock): nanoseconds, or kNoClock.
// `count_clock` is what it reads as its counter (kVirtualCount). Set once, before any guest runs;
// without them there are no clocks, and the counter stands still.
extern uint64_t (*read_clock)(uint32_t number);
extern uint32_t count_clock;
constexpr uint64_t kNoClock = ~uint64_t{0};
constexpr uint64_t kVirtualCountHz = 1'000'000'000;

// Whether `cond` holds of State::flags.
bool Holds(Cond cond, uint32_t flags);

// Executes a block and sets State::pc: of what comes next, of a Syscall the instruction after it,
// of a Trap its own. Returns the terminator.
const Op& RunBlock(State& state, const Block& block);

}  // namespace dd::ir
