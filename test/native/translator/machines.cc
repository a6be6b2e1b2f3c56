// The ways to run test vectors: see differential.h.
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>

#include "guest/ir/interpret.h"
#include "guest/lower/a64/lower.h"
#include "test/native/translator/differential.h"

namespace dd::test {

namespace {

constexpr uint32_t kBreakpoint = 0xd4200000;
// Vectors on their way at once: well below what a pipe holds.
constexpr size_t kBatch = 16;

uint8_t* At(uint64_t address) { return reinterpret_cast<uint8_t*>(address); }
uint8_t* Code() { return At(DD_CODE_ADDRESS + DD_CODE_START); }
uint8_t* Window() { return At(DD_MEMORY_ADDRESS + DD_WINDOW_START); }

void MapAt(uint64_t address, size_t bytes) {
  void* const at = mmap(At(address), bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  Expect(at == At(address), "the addresses of the vectors' memory are free");
}

void WriteAll(int fd, const void* data, size_t size) {
  const char* at = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t moved = write(fd, at, size);
    Expect(moved > 0, "the oracle takes vectors");
    at += moved;
    size -= static_cast<size_t>(moved);
  }
}

void ReadAll(int fd, void* data, size_t size) {
  char* at = static_cast<char*>(data);
  while (size > 0) {
    const ssize_t moved = read(fd, at, size);
    Expect(moved > 0, "the oracle gives outcomes (is qemu-aarch64 installed?)");
    at += moved;
    size -= static_cast<size_t>(moved);
  }
}

}  // namespace

void MapVectorMemory() {
  MapAt(DD_CODE_ADDRESS, DD_CODE_BYTES);
  MapAt(DD_MEMORY_ADDRESS, DD_MEMORY_BYTES);
  for (size_t i = 0; i < DD_CODE_BYTES; i += 4) {
    memcpy(At(DD_CODE_ADDRESS + i), &kBreakpoint, sizeof kBreakpoint);
  }
}

void LoadVector(const dd_vector& vector) {
  for (uint32_t i = 0; i < DD_WORDS_MAX; i++) {
    const uint32_t word = i < vector.count ? vector.words[i] : kBreakpoint;
    memcpy(Code() + 4 * i, &word, sizeof word);
  }
  memcpy(Window(), vector.window, sizeof vector.window);
}

ir::State StateOf(const dd_vector& vector) {
  ir::State state{};
  memcpy(state.g, vector.g, sizeof state.g);
  memcpy(state.v, vector.v, sizeof state.v);
  state.flags = (vector.nzcv >> 31 & 1 ? ir::kFlagN : 0) |
                (vector.nzcv >> 30 & 1 ? ir::kFlagZ : 0) |
                (vector.nzcv >> 29 & 1 ? ir::kFlagC : 0) | (vector.nzcv >> 28 & 1 ? ir::kFlagV : 0);
  state.fpcr = vector.fpcr;
  state.fpsr = vector.fpsr;
  state.exclusive_addr = ir::kNoExclusive;
  state.pc = DD_CODE_ADDRESS + DD_CODE_START;
  return state;
}

dd_outcome OutcomeOf(const ir::State& state, int signal) {
  dd_outcome outcome{};
  memcpy(outcome.g, state.g, sizeof state.g);
  memcpy(outcome.v, state.v, sizeof state.v);
  outcome.pc = state.pc;
  outcome.nzcv =
      (state.flags & ir::kFlagN ? 1u << 31 : 0) | (state.flags & ir::kFlagZ ? 1u << 30 : 0) |
      (state.flags & ir::kFlagC ? 1u << 29 : 0) | (state.flags & ir::kFlagV ? 1u << 28 : 0);
  outcome.fpcr = state.fpcr;
  outcome.fpsr = state.fpsr;
  outcome.signal = static_cast<uint32_t>(signal);
  memcpy(outcome.window, Window(), sizeof outcome.window);
  return outcome;
}

Oracle::Oracle(const char* program) {
  int to[2];
  int from[2];
  Expect(pipe2(to, O_CLOEXEC) == 0 && pipe2(from, O_CLOEXEC) == 0, "pipes");
  // Features that the guest is not told of. (With SVE vectors are elsewhere in signal frames.)
  const char* const arguments[] = {"qemu-aarch64", "-cpu", "max,pauth=off,sve=off", program,
                                   nullptr};
  pid_ = fork();
  Expect(pid_ >= 0, "fork");
  if (pid_ == 0) {
    dup2(to[0], 0);
    dup2(from[1], 1);
    execvp(arguments[0], const_cast<char* const*>(arguments));
    _exit(127);
  }
  close(to[0]);
  close(from[1]);
  to_ = to[1];
  from_ = from[0];
}

Oracle::~Oracle() {
  close(to_);
  close(from_);
  waitpid(pid_, nullptr, 0);
}

void Oracle::Run(const dd_vector* in, dd_outcome* out, size_t count) {
  for (size_t done = 0; done < count;) {
    const size_t batch = count - done < kBatch ? count - done : kBatch;
    WriteAll(to_, in + done, batch * sizeof *in);
    ReadAll(from_, out + done, batch * sizeof *out);
    done += batch;
  }
}

void Interpreter::Run(const dd_vector* in, dd_outcome* out, size_t count) {
  static uint8_t memory[1 << 16];
  ir::Arena arena(memory, sizeof memory);
  const uint64_t start = DD_CODE_ADDRESS + DD_CODE_START;
  for (size_t i = 0; i < count; i++) {
    LoadVector(in[i]);
    ir::State state = StateOf(in[i]);
    int signal = 0;
    while (signal == 0) {
      const uint64_t offset = state.pc - start;
      if (offset >= 4 * DD_WORDS_MAX) {
        // Breakpoints fill the rest of the page; beyond it there is nothing.
        const bool page = state.pc - DD_CODE_ADDRESS < DD_CODE_BYTES;
        signal = page && state.pc % 4 == 0 ? SIGTRAP : SIGSEGV;
        break;
      }
      arena.Reset();
      ir::Block block{};
      const size_t bytes = lower::a64::LowerBlock(Code() + offset, 4 * DD_WORDS_MAX - offset,
                                                  state.pc, &arena, &block);
      Expect(bytes > 0, "a block can be lowered");
      const ir::Op& end = ir::RunBlock(state, block);
      if (end.code != ir::OpCode::kTrap) continue;
      signal = static_cast<ir::TrapKind>(end.imm) == ir::TrapKind::kUndefined ? SIGILL : SIGTRAP;
    }
    out[i] = OutcomeOf(state, signal);
  }
}

}  // namespace dd::test
