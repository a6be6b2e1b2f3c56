// The translator as the runtime sees it: it runs a guest thread's State until something happens
// that only the runtime can answer. One translator per guest address space; its threads share the
// code. It knows no system call and no signal frame.
//
// Freestanding, like everything on guest threads: no libc, allocator, exceptions or thread-local
// storage.
#pragma once

#include <cstddef>
#include <cstdint>

#include "guest/exec/lowering.h"
#include "guest/ir/opcodes.h"
#include "guest/ir/state.h"

namespace dd::exec {

struct Translator;

// What the translator needs of the host. The functions are called on guest threads, also while
// other threads run.
struct HostServices {
  // Anonymous memory, readable and writable, kept across forks; null when there is none.
  void* (*map)(size_t bytes);
  // mprotect(2) on the code cache: readable and writable, or readable and executable.
  bool (*protect)(void* at, size_t bytes, bool executable);
  // The guest bytes at `pc` may be fetched: copies up to `limit` bytes to `to` and says how many.
  // 0: an instruction fetch there faults. The runtime knows which guest pages are executable.
  size_t (*fetch)(void* to, uint64_t pc, size_t limit);
  // The thread has nothing to do until another one has finished its work in the translator.
  void (*yield)();
  // Memory from map() is about to be written to: the host may as well have its pages come at once.
  // Null: they come one by one.
  void (*populate)(void* at, size_t bytes) = nullptr;
};

enum class ExitKind : uint8_t {
  kSyscall,     // State::pc is the instruction after it
  kTrap,        // State::pc is the instruction; see Exit::trap
  kFetchFault,  // no executable memory at State::pc
  kInterrupt,   // State::interrupt was set
};

struct Exit {
  ExitKind kind;
  ir::TrapKind trap;
};

// Makes a translator with a code cache of `cache_bytes`, of guests that `lower` understands; null
// when the host has no memory for it, or not the instructions (x86-64: AVX2, BMI2, FMA) for it.
Translator* Make(const HostServices& host, size_t cache_bytes, LowerBlock lower);

// Runs guest code from state->pc on. Returns with all of `state` true. A guest's signal handler is
// run after Run has returned: code that a signal has interrupted is left by LeaveAt first.
Exit Run(Translator* translator, ir::State* state);

// Around a fork of the process, on the forking thread, which is outside of Run: the child has the
// translated code and no other thread.
void BeforeFork(Translator* translator);
void AfterFork(Translator* translator, bool child);

// Guest memory in [begin, end) has been unmapped, remapped, or has become executable anew: what was
// translated from it is forgotten. Any thread; threads inside of such code leave it at their next
// safe point.
void Invalidate(Translator* translator, uint64_t begin, uint64_t end);

// An access of the instruction at state->pc to an address that the host's processor does not know:
// with a tag, or with more bits than it has.
struct RefusedAccess {
  enum Kind : uint8_t {
    kTagged,     // code ignores tags from now on: go on with `state`
    kUnmapped,   // no memory can be at `address`
    kUnaligned,  // the instruction does not take this address
  } kind;
  uint64_t address;  // without tag
};
RefusedAccess Refused(Translator* translator, ir::State* state);

// What a host signal has interrupted.
enum class Place : uint8_t {
  kElsewhere,  // not generated code
  kRetry,      // generated code that is being written to right now: return from the handler and try
               // again
  kGuest,  // generated code: `state` now is the guest's state before the instruction at state->pc
};

// For host signal handlers. `host_registers`: the general registers of the interrupted context in
// the order of the host's ucontext (x86-64: gregs[]), `host_vectors`: its vector registers (x86-64:
// 16 of 16 bytes). Async-signal-safe.
Place Recover(Translator* translator, const uint64_t* host_registers, const void* host_vectors,
              ir::State* state);

// Goes on with `state` as Run would, from a handler that has recovered or changed it: the values to
// be put into the interrupted context so that returning from the handler ends the Run it
// interrupted with kInterrupt.
void LeaveAt(Translator* translator, uint64_t* host_registers);

}  // namespace dd::exec
