// A translated guest thread's registers, and what goes with them.
#pragma once

#include "guest/exec/translator.h"
#include "guest/native/context.h"
#include "guest/translated/executable.h"

namespace dd::native {

// A fault of generated code that the thread's loop is to deliver; `signo` 0: none.
struct PendingFault {
  int signo;
  int code;
  uint64_t addr;
};

struct Context {
  ir::State state;
  PendingFault fault;
  // The call under way, by the guest's number: to make it again.
  uint64_t call_number;
};

// What the threads of a translated address space share.
struct Translated {
  exec::Translator* translator;
  translated::Executable executable;
  // Guest address of the code a handler returns to when its sigaction(2) names none.
  uint64_t sigreturn;
};

// Code of this program's own that every guest has: its vDSO. Whole pages.
struct GuestCode {
  uint64_t begin, end;
  uint64_t sigreturn;
};

}  // namespace dd::native

namespace dd::translated {

// The thread's registers, made if it has none; null when the host has no memory. They stay with the
// thread's block.
native::Context* ContextOf(native::Thread* thread);

// The thread runs guest code from now on: signal stack, kicks, and the loop. Never returns.
[[noreturn]] void RunGuest(native::Thread* thread);

// By instruction set: the x86-64 number of the guest's call `number`, or -1.
long HostNumber(uint64_t number);
// Its arguments and number, as the guest passes them.
uint64_t CallNumber(const ir::State& state);
const uint64_t* CallArguments(const ir::State& state);
extern const exec::LowerBlock kLower;
// Registers of a fresh program.
void Reset(ir::State* state, uint64_t pc, uint64_t sp);
native::GuestCode CodeForGuests();

}  // namespace dd::translated
