// A guest program that knows where its ring is and abuses it. It runs in a container:
//
//   hostile-guest SCENARIO [NUMBER]
//
// A scenario that is a violation of the protocol never returns; the program says so if it does.
#include <cstdint>

#include "guest/native/thread.h"
#include "ring/ring.h"

namespace dd::test {
namespace {

using native::Thread;

constexpr long kWrite = 1;
constexpr uint32_t kPause = 34;
constexpr long kVforkCall = 58;
constexpr long kExitGroupCall = 231;
constexpr long kFutexWake = 1;
constexpr uint32_t kRandomCalls = 400;
constexpr uint32_t kCallLimit = 462;
// Turns a call of another's choosing may take until it counts as blocked.
constexpr int kPatience = 2000;

long Call(long nr, uint64_t a = 0, uint64_t b = 0, uint64_t c = 0) {
  long result;
  register uint64_t r10 asm("r10") = 0;
  register uint64_t r8 asm("r8") = 0;
  register uint64_t r9 asm("r9") = 0;
  asm volatile("syscall"
               : "=a"(result)
               : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
               : "rcx", "r11", "memory");
  return result;
}

[[noreturn]] void Exit(int status) {
  for (;;) Call(kExitGroupCall, static_cast<uint64_t>(status));
}

uint64_t g_random = 1;

uint64_t Random() {
  uint64_t z = (g_random += 0x9e3779b97f4a7c15U);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
  return z ^ (z >> 27);
}

// The process's own end of the ring.
struct Own {
  Thread* thread = native::Current();
  ring::Slot* slot = thread->slot;
  ring::Ring ring{thread->space->ring_base};
  ring::Doorbell* doorbell = thread->space->doorbell;

  void Announce() const {
    ring::Announce(doorbell, thread->space->ring_index);
    Call(native::kFutex, reinterpret_cast<uint64_t>(&doorbell->sequence), kFutexWake, 1);
  }
  void Push(uint32_t index) const {
    ring::Push(ring, index);
    Announce();
  }
  void Write(uint32_t index, uint32_t nr, uint64_t a = 0, uint64_t b = 0) const {
    ring::Slot* one = ring.slot(index);
    one->nr = nr;
    one->staged_mask = 0;
    one->staged_length = 0;
    one->args[0] = a;
    one->args[1] = b;
    std::atomic_ref(one->done).store(0);
  }
  // Whether the reply came.
  bool Await(uint32_t index) const {
    for (int i = 0; i < kPatience; i++) {
      if (std::atomic_ref(ring.slot(index)->done).load() != 0) return true;
      Call(native::kSchedYield);
    }
    return false;
  }
  void Runtime(ring::RuntimeCall call, uint64_t a = 0, uint64_t b = 0) const {
    Write(thread->slot_index, static_cast<uint32_t>(call), a, b);
    Push(thread->slot_index);
  }
};

void BadSlot(const Own& own, uint64_t) { own.Push(ring::kSlotCount + 5); }

void IdleSlot(const Own& own, uint64_t) {
  own.Write(77, native::kGetpid);
  own.Push(77);
}

void Twice(const Own& own, uint64_t) {
  own.Write(own.thread->slot_index, kPause);
  ring::Push(own.ring, own.thread->slot_index);
  own.Push(own.thread->slot_index);
}

void HugeLength(const Own& own, uint64_t) {
  own.Write(own.thread->slot_index, kWrite, 1);
  own.slot->staged_length = 0xfffffff0;
  own.Push(own.thread->slot_index);
}

void BadTicket(const Own& own, uint64_t) {
  const uint32_t tail = own.ring.header()->tail;
  own.ring.entry(tail)->value = static_cast<uint64_t>(tail + 99) << 32;
  own.Announce();
}

void GuessedToken(const Own& own, uint64_t victim) {
  own.Runtime(ring::RuntimeCall::kAttached, Random(), victim);
}

// A vfork child that is never made attaches in the name of another process.
void ForgedPid(const Own& own, uint64_t victim) {
  own.Write(own.thread->slot_index, kVforkCall);
  own.Push(own.thread->slot_index);
  if (!own.Await(own.thread->slot_index)) return;
  const auto child = static_cast<uint32_t>(own.slot->operands[0]);
  if (own.slot->verb != static_cast<uint32_t>(ring::Verb::kVfork) || child >= ring::kSlotCount)
    return;
  own.Write(child, static_cast<uint32_t>(ring::RuntimeCall::kAttached), own.slot->operands[5],
            victim);
  own.Push(child);
}

void OddFault(const Own& own, uint64_t signo) { own.Runtime(ring::RuntimeCall::kFault, signo, 1); }

// The tids of everybody who may be cloning just now.
void OthersClone(const Own& own, uint64_t tid) {
  own.Runtime(ring::RuntimeCall::kCloneFailed, tid, native::kEnomem);
}

void SecondStart(const Own& own, uint64_t) { own.Runtime(ring::RuntimeCall::kStart); }

void Scribble(const Own& own, uint64_t) {
  for (;;) {
    for (int i = 0; i < 256; i++) {
      auto* words = reinterpret_cast<volatile uint64_t*>(own.ring.base());
      words[Random() % (ring::kStagingOffset / 8)] = Random();
    }
    own.Announce();
  }
}

// Keeps everybody's doorbell silent until it is killed.
void Silence(const Own& own, uint64_t) {
  for (;;) {
    for (uint64_t& word : own.doorbell->pending) std::atomic_ref(word).store(0);
    std::atomic_ref(own.doorbell->sleeping).store(0);
  }
}

// Kills, ends and stops nobody.
bool Harmless(uint32_t nr) {
  for (const uint32_t other : {60U, 62U, 129U, 200U, 231U, 234U, 297U, 424U}) {
    if (nr == other) return false;
  }
  return true;
}

// Calls whose registers and staged bytes are random: none is a violation, each has an answer.
void RandomCalls(const Own& own, uint64_t seed) {
  g_random = seed;
  const uint32_t index = own.thread->slot_index;
  for (uint32_t i = 0; i < kRandomCalls; i++) {
    const auto nr = static_cast<uint32_t>(Random() % kCallLimit);
    if (!Harmless(nr)) continue;
    own.Write(index, nr);
    for (uint64_t& arg : own.slot->args) {
      const uint64_t value = Random();
      const uint64_t choices[] = {value,           value % 8, value % ring::kStagingSize,
                                  0 - value % 200, 0,         0x400000 + value % 8192};
      arg = choices[Random() % 6];
    }
    own.slot->staged_mask = static_cast<uint32_t>(Random() & Random());
    own.slot->staged_length = static_cast<uint32_t>(Random() % 600);
    for (int k = 0; k < 64; k++)
      own.thread->staging[Random() % 600] = static_cast<uint8_t>(Random());
    own.Push(index);
    // It blocks: what an honest thread can do, too.
    if (!own.Await(index)) Exit(0);
  }
  Exit(0);
}

struct Scenario {
  const char* name;
  void (*run)(const Own& own, uint64_t number);
};

constexpr Scenario kScenarios[] = {
    {"bad-slot", BadSlot},         {"idle-slot", IdleSlot},   {"twice", Twice},
    {"huge-length", HugeLength},   {"bad-ticket", BadTicket}, {"guessed-token", GuessedToken},
    {"forged-pid", ForgedPid},     {"odd-fault", OddFault},   {"others-clone", OthersClone},
    {"second-start", SecondStart}, {"scribble", Scribble},    {"silence", Silence},
    {"random-calls", RandomCalls},
};

bool Equal(const char* a, const char* b) {
  while (*a != 0 && *a == *b) a++, b++;
  return *a == *b;
}

[[noreturn]] void Main(const uint64_t* stack) {
  const auto argc = stack[0];
  const auto* argv = reinterpret_cast<const char* const*>(stack + 1);
  uint64_t number = 0;
  for (const char* digit = argc > 2 ? argv[2] : ""; *digit != 0; digit++) {
    number = number * 10 + static_cast<uint64_t>(*digit - '0');
  }
  for (const Scenario& scenario : kScenarios) {
    if (argc < 2 || !Equal(argv[1], scenario.name)) continue;
    scenario.run(Own(), number);
    // The sentry needs a moment.
    for (;;) Call(native::kSchedYield);
  }
  Exit(64);
}

}  // namespace
}  // namespace dd::test

extern "C" [[noreturn]] void hostile_main(const uint64_t* stack) { dd::test::Main(stack); }

asm(R"(
  .globl _start
_start:
  mov %rsp, %rdi
  and $-16, %rsp
  call hostile_main
)");
