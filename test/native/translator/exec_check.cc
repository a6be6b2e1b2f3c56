// The translator around its code: exact states at faults, code that changes, threads, interrupts, a
// cache that is full, forks.
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include <cstring>
#include <vector>

#include "guest/exec/translator.h"
#include "guest/lower/a64/lower.h"
#include "test/native/expect.h"

namespace {

using dd::exec::Exit;
using dd::exec::ExitKind;
using dd::exec::Place;
using dd::exec::Translator;
using dd::ir::State;
using dd::test::Expect;
using dd::test::Random;

constexpr size_t kCacheBytes = size_t{32} << 20;
constexpr size_t kPage = 4096;

// Instructions, as `as` encodes them.
constexpr uint32_t kAddX0 = 0x91000400;      // add x0, x0, #1
constexpr uint32_t kSubsX1 = 0xf1000421;     // subs x1, x1, #1
constexpr uint32_t kLoopBack2 = 0x54ffffc1;  // b.ne to two instructions before
constexpr uint32_t kRet = 0xd65f03c0;
constexpr uint32_t kSvc = 0xd4000001;
constexpr uint32_t kMovX0One = 0xd2800020;
constexpr uint32_t kMovX0Two = 0xd2800040;
constexpr uint32_t kBrX5 = 0xd61f00a0;
constexpr uint32_t kBlrX2 = 0xd63f0040;
constexpr uint32_t kBranchToSelf = 0x14000000;
constexpr uint32_t kStrW1 = 0xb9000041;  // str w1, [x2]
constexpr uint32_t kIcX2 = 0xd50b7522;   // ic ivau, x2
constexpr uint32_t kIsb = 0xd5033fdf;
constexpr uint32_t kLdaddX4 = 0xf8e40065;  // ldaddal x4, x5, [x3]
constexpr uint32_t kFaddD8 = 0x1e692908;   // fadd d8, d8, d9
constexpr uint32_t kCmpX1 = 0xf100143f;    // cmp x1, #5
constexpr uint32_t kCsetW6 = 0x1a9f17e6;   // cset w6, eq

struct MemoryInstruction {
  uint32_t word;
  const char* text;
};
constexpr MemoryInstruction kMemory[] = {
    {0x39400283, "ldrb w3, [x20]"},
    {0x79400683, "ldrh w3, [x20, #2]"},
    {0xb8404e83, "ldr w3, [x20, #4]!"},
    {0xf8408683, "ldr x3, [x20], #8"},
    {0xb8b56a83, "ldrsw x3, [x20, x21]"},
    {0xa9411283, "ldp x3, x4, [x20, #16]"},
    {0xa8c11283, "ldp x3, x4, [x20], #16"},
    {0xf8008e83, "str x3, [x20, #8]!"},
    {0x38354a83, "strb w3, [x20, w21, uxtw]"},
    {0xa9bf1283, "stp x3, x4, [x20, #-16]!"},
    {0xc89ffe83, "stlr x3, [x20]"},
    {0x88dffe83, "ldar w3, [x20]"},
    {0xc85f7e83, "ldxr x3, [x20]"},
    {0xc87f1283, "ldxp x3, x4, [x20]"},
    {0xf8e30284, "ldaddal x3, x4, [x20]"},
    {0xb8231284, "ldclr w3, w4, [x20]"},
    {0x38234284, "ldsmaxb w3, w4, [x20]"},
    {0xf8e38284, "swpal x3, x4, [x20]"},
    {0xc8a37e84, "cas x3, x4, [x20]"},
    {0x4862fe84, "caspal x2, x3, x4, x5, [x20]"},
    {0x3d400283, "ldr b3, [x20]"},
    {0x3dc00a83, "ldr q3, [x20, #32]"},
    {0x3c810683, "str q3, [x20], #16"},
    {0xbd000283, "str s3, [x20]"},
    {0xad401283, "ldp q3, q4, [x20]"},
    {0x6d811283, "stp d3, d4, [x20, #16]!"},
    {0x4cdfa283, "ld1 {v3.16b, v4.16b}, [x20], #32"},
    {0x0d009283, "st1 {v3.s}[1], [x20]"},
    {0xd50b7434, "dc zva, x20"},
};

void* Map(size_t bytes) {
  void* at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return at == MAP_FAILED ? nullptr : at;
}
bool Protect(void* at, size_t bytes, bool executable) {
  return mprotect(at, bytes, PROT_READ | (executable ? PROT_EXEC : PROT_WRITE)) == 0;
}
uint64_t code_begin, code_end;
size_t Fetch(void* to, uint64_t pc, size_t limit) {
  if (pc < code_begin || pc >= code_end) return 0;
  const size_t bytes = limit < code_end - pc ? limit : code_end - pc;
  memcpy(to, reinterpret_cast<const void*>(pc), bytes);
  return bytes;
}
void Yield() { sched_yield(); }
void Populate(void* at, size_t bytes) { madvise(at, bytes, MADV_POPULATE_WRITE); }

Translator* MakeTranslator(size_t cache_bytes = kCacheBytes) {
  Translator* t = dd::exec::Make({Map, Protect, Fetch, Yield, Populate}, cache_bytes,
                                 dd::lower::a64::LowerBlock);
  Expect(t != nullptr, "a translator can be made");
  return t;
}

// Guest code, in memory of its own; what was code before is so no more.
uint32_t* Code(Translator* t, size_t bytes) {
  dd::exec::Invalidate(t, code_begin, code_end);
  auto* code = static_cast<uint32_t*>(Map(bytes));
  Expect(code != nullptr, "memory for code");
  code_begin = reinterpret_cast<uint64_t>(code);
  code_end = code_begin + bytes;
  return code;
}
void Put(uint32_t* at, std::initializer_list<uint32_t> words) {
  for (const uint32_t word : words) *at++ = word;
}
uint64_t Address(const void* at) { return reinterpret_cast<uint64_t>(at); }

void Clear(State* state, const void* pc) {
  memset(state, 0, sizeof *state);
  state->exclusive_addr = dd::ir::kNoExclusive;
  state->pc = Address(pc);
}

// What the handler of SIGSEGV finds out.
Translator* faulting;
thread_local State* faulting_state;
thread_local int faults;
thread_local uint64_t retries;

void OnFault(int, siginfo_t*, void* context) {
  auto* registers = static_cast<ucontext_t*>(context);
  auto* general = reinterpret_cast<uint64_t*>(registers->uc_mcontext.gregs);
  const Place place =
      Recover(faulting, general, registers->uc_mcontext.fpregs->_xmm, faulting_state);
  if (place == Place::kRetry) {
    retries++;
    return;
  }
  if (place != Place::kGuest) {
    signal(SIGSEGV, SIG_DFL);
    return;
  }
  if (++faults > 100) signal(SIGSEGV, SIG_DFL);
  LeaveAt(faulting, general);
}

void CatchFaults(Translator* t) {
  faulting = t;
  struct sigaction action {};
  action.sa_sigaction = OnFault;
  action.sa_flags = SA_SIGINFO | SA_NODEFER;
  sigaction(SIGSEGV, &action, nullptr);
}

Exit RunToEnd(Translator* t, State* state) {
  faulting_state = state;
  for (;;) {
    const Exit exit = Run(t, state);
    if (exit.kind != ExitKind::kInterrupt) return exit;
    state->interrupt = 0;
  }
}

// Instructions before the one that faults are done, it and those after it are not, wherever
// registers have their homes; and when the memory is there, everything goes on.
void FaultsAreExact(Translator* t) {
  uint32_t* code = Code(t, kPage);
  auto* page = static_cast<uint8_t*>(Map(kPage));
  Random random(1);
  for (const MemoryInstruction& instruction : kMemory) {
    Put(code, {kAddX0, kFaddD8, kCmpX1, instruction.word, kCsetW6, kAddX0, kSubsX1, 0x54ffff21});
    code[7] = 0x54000001 | (static_cast<uint32_t>(-7) & 0x7ffff) << 5;  // b.ne to the beginning
    code[8] = kSvc;
    dd::exec::Invalidate(t, code_begin, code_end);
    State before;
    Clear(&before, code);
    for (uint64_t& g : before.g) g = random.Next();
    for (auto& v : before.v) v.d[0] = random.Next(), v.d[1] = random.Next();
    before.v[8].d[0] = before.v[9].d[0] = 0x3ff0000000000000;  // 1.0
    before.g[0] = 0;
    before.g[1] = 5;
    before.g[20] = Address(page) + 512;
    before.g[21] = 16;
    State state = before;
    faulting_state = &state;
    mprotect(page, kPage, PROT_NONE);
    faults = 0;
    const Exit exit = Run(t, &state);
    const bool faulted = faults == 1 && exit.kind == ExitKind::kInterrupt;
    Expect(faulted, instruction.text);
    Expect(state.pc == Address(code + 3), "the address is the instruction's");
    Expect((state.flags & dd::ir::kFlagZ) != 0 && (state.flags & dd::ir::kFlagC) != 0,
           "the flags are those before the instruction");
    Expect(state.g[0] == 1, "what came before it is done");
    Expect(state.v[8].d[0] == 0x4000000000000000 && state.v[8].d[1] == 0,
           "what came before it is done in vectors");
    state.g[0] = 0;
    state.v[8] = before.v[8];
    Expect(memcmp(state.g, before.g, sizeof before.g) == 0, instruction.text);
    Expect(memcmp(state.v, before.v, sizeof before.v) == 0, instruction.text);
    state.g[0] = 1;
    mprotect(page, kPage, PROT_READ | PROT_WRITE);
    // Five rounds; instructions that write the base back go on within the page.
    const Exit end = RunToEnd(t, &state);
    Expect(end.kind == ExitKind::kSyscall && state.g[0] == 10 && state.g[1] == 0,
           "the loop goes on where it was");
  }
  munmap(page, kPage);
}

void ChangedCodeIsSeen(Translator* t) {
  uint32_t* code = Code(t, kPage);
  // The function at 32 is called, rewritten by the guest, called again.
  Put(code, {kBlrX2, kStrW1, kIcX2, kIsb, 0xaa0003e7 /* mov x7, x0 */, kBlrX2, kSvc});
  Put(code + 32, {kMovX0One, kRet});
  dd::exec::Invalidate(t, code_begin, code_end);
  State state;
  for (int round = 0; round < 3; round++) {
    code[32] = kMovX0One;
    dd::exec::Invalidate(t, Address(code + 32), Address(code + 33));
    Clear(&state, code);
    state.g[1] = kMovX0Two;
    state.g[2] = Address(code + 32);
    Expect(RunToEnd(t, &state).kind == ExitKind::kSyscall, "the program ends");
    Expect(state.g[7] == 1 && state.g[0] == 2, "code that the guest has rewritten is honoured");
  }
  // Gone from under it.
  Clear(&state, code + 32);
  state.g[30] = code_end;
  Expect(RunToEnd(t, &state).kind == ExitKind::kFetchFault && state.pc == code_end,
         "where nothing can be fetched is told");
}

struct Worker {
  Translator* t;
  uint32_t* code;
  uint64_t* counter;
  uint64_t rounds;
};

void* Work(void* argument) {
  const auto* worker = static_cast<Worker*>(argument);
  State state;
  for (uint64_t round = 0; round < worker->rounds; round++) {
    Clear(&state, worker->code + 16 * (round % 64));
    state.g[1] = 100;
    state.g[3] = Address(worker->counter);
    state.g[4] = 1;
    state.g[30] = Address(worker->code + 16 * 64);
    Expect(RunToEnd(worker->t, &state).kind == ExitKind::kSyscall, "a worker's program ends");
    Expect(state.g[0] == 100, "a worker's registers are its own");
  }
  return nullptr;
}

void ThreadsShareCode(Translator* t) {
  constexpr uint64_t kThreads = 4, kRounds = 300;
  uint32_t* code = Code(t, 2 * kPage);
  for (uint32_t i = 0; i < 64; i++) {
    Put(code + 16 * i, {kAddX0, kLdaddX4, kSubsX1, 0x54ffffa1, kRet});
  }
  code[16 * 64] = kSvc;
  dd::exec::Invalidate(t, code_begin, code_end);
  uint64_t counter = 0;
  Worker worker{t, code, &counter, kRounds};
  pthread_t threads[kThreads];
  for (pthread_t& thread : threads) pthread_create(&thread, nullptr, Work, &worker);
  // Meanwhile everything is forgotten again and again.
  for (int i = 0; i < 200; i++) {
    dd::exec::Invalidate(t, code_begin + 64 * static_cast<uint64_t>(i % 64), code_end);
    sched_yield();
  }
  for (const pthread_t thread : threads) pthread_join(thread, nullptr);
  Expect(counter == kThreads * kRounds * 100, "no increment is lost");
}

void* Interrupt(void* argument) {
  auto* state = static_cast<State*>(argument);
  while (__atomic_load_n(&state->g[31], __ATOMIC_ACQUIRE) == 0) sched_yield();
  __atomic_store_n(&state->interrupt, 1, __ATOMIC_SEQ_CST);
  return nullptr;
}

void LoopsCanBeInterrupted(Translator* t) {
  uint32_t* code = Code(t, kPage);
  Put(code, {kAddX0, kBranchToSelf - 1 + (1u << 26)});
  Put(code + 8, {kAddX0, kBrX5});
  Put(code + 16, {kBranchToSelf});
  dd::exec::Invalidate(t, code_begin, code_end);
  for (const uint32_t at : {0u, 8u, 16u}) {
    State state;
    Clear(&state, code + at);
    state.g[5] = Address(code + at);
    state.g[31] = 1;
    pthread_t thread;
    pthread_create(&thread, nullptr, Interrupt, &state);
    const Exit exit = Run(t, &state);
    pthread_join(thread, nullptr);
    Expect(exit.kind == ExitKind::kInterrupt, "a loop is left");
    Expect(state.pc >= Address(code + at) && state.pc <= Address(code + at + 1), "and can go on");
  }
}

// A region that takes other registers' homes, entered by a thread that is asked out: the registers
// are those of its caller.
void InterruptedCallersKeepTheirRegisters(Translator* t) {
  uint32_t* code = Code(t, kPage);
  Put(code, {kStrW1, 0x94000002 /* bl to code + 3 */, kSvc});
  // A loop of additions, of x4 to x15 but x8: add x4, x4, x5, ... subs x16, x16, #1.
  Put(code + 3, {0x8b050084, 0x8b0600a5, 0x8b0700c6, 0x8b0900e7, 0x8b0a0129, 0x8b0b014a, 0x8b0c016b,
                 0x8b0d018c, 0x8b0e01ad, 0x8b0f01ce, 0xf1000610, 0x54fffec1, kRet});
  dd::exec::Invalidate(t, code_begin, code_end);
  Random random(3);
  State state;
  for (const uint64_t interrupt : {0, 1}) {
    Clear(&state, code);
    for (uint64_t& g : state.g) g = random.Next();
    state.g[1] = interrupt;
    state.g[2] = Address(&state.interrupt);
    state.g[16] = 3;
    uint64_t expected[32];
    memcpy(expected, state.g, sizeof expected);
    expected[30] = Address(code + 2);
    const Exit exit = Run(t, &state);
    if (interrupt == 0) {
      Expect(exit.kind == ExitKind::kSyscall, "undisturbed, the call returns");
    } else {
      Expect(exit.kind == ExitKind::kInterrupt && state.pc == Address(code + 3),
             "the called region is not begun");
      Expect(memcmp(state.g, expected, sizeof expected) == 0, "and has changed nothing");
    }
  }
}

// More code than the cache has room for.
void FullCachesStartAnew() {
  Translator* t = MakeTranslator(size_t{24} << 20);
  CatchFaults(t);
  constexpr uint32_t kFunctions = 60000;
  uint32_t* code = Code(t, size_t{kFunctions} * 64);
  for (uint32_t i = 0; i < kFunctions; i++) {
    // Leaves by an indirect branch: a region each.
    uint32_t* at = code + 16 * i;
    Put(at, {kAddX0, kFaddD8, kFaddD8, kFaddD8, kFaddD8, kFaddD8, 0x910100a5 /* add x5, x5, #64 */,
             kBrX5});
  }
  Put(code + 16 * (kFunctions - 1), {kSvc});
  State state;
  for (uint64_t round = 0; round < 2; round++) {
    Clear(&state, code);
    state.g[5] = Address(code);
    Expect(RunToEnd(t, &state).kind == ExitKind::kSyscall, "a long program ends");
    Expect(state.g[0] == kFunctions - 1, "and has done all of it");
  }
}

void ForksKeepTheCode(Translator* t) {
  uint32_t* code = Code(t, kPage);
  Put(code, {kAddX0, kSubsX1, kLoopBack2, kSvc});
  Put(code + 64, {kAddX0, kAddX0, kSvc});
  dd::exec::Invalidate(t, code_begin, code_end);
  State state;
  const auto count = [&](uint32_t* from) {
    Clear(&state, from);
    state.g[1] = 7;
    return RunToEnd(t, &state).kind == ExitKind::kSyscall ? state.g[0] : 0;
  };
  Expect(count(code) == 7, "before");
  dd::exec::BeforeFork(t);
  const pid_t child = fork();
  dd::exec::AfterFork(t, child == 0);
  if (child == 0) _exit(count(code) == 7 && count(code + 64) == 2 ? 0 : 1);
  int status = 0;
  waitpid(child, &status, 0);
  Expect(status == 0, "a fork's child goes on with the code");
  Expect(count(code + 64) == 2, "and so does its parent");
}

void NothingIsWritableAndExecutable() {
  FILE* maps = fopen("/proc/self/maps", "r");
  Expect(maps != nullptr, "the address space can be read");
  char line[512];
  while (fgets(line, sizeof line, maps) != nullptr) {
    Expect(strstr(line, " rwx") == nullptr, "no memory is writable and executable");
  }
  fclose(maps);
}

}  // namespace

int main() {
  Translator* t = MakeTranslator();
  CatchFaults(t);
  FaultsAreExact(t);
  ChangedCodeIsSeen(t);
  LoopsCanBeInterrupted(t);
  InterruptedCallersKeepTheirRegisters(t);
  ThreadsShareCode(t);
  ForksKeepTheCode(t);
  FullCachesStartAnew();
  NothingIsWritableAndExecutable();
  printf("the translator holds\n");
  return 0;
}
