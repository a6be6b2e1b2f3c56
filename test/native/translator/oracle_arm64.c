// Runs test vectors on an arm64 processor (here: qemu-aarch64): reads them from standard input,
// writes what came of each to standard output.
//
// There is no assembly: every vector is entered by returning from a signal handler, and left by the
// next signal, whose frame has all registers. What is not a test's instruction is a breakpoint.
#define _GNU_SOURCE
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "vector.h"

#define BREAKPOINT 0xd4200000u

static struct dd_vector vector;
static int running;

static void must(int condition) {
  if (!condition) _exit(99);
}

static void transfer(int fd, void* data, size_t size) {
  char* at = data;
  while (size > 0) {
    ssize_t moved = fd == 0 ? read(fd, at, size) : write(fd, at, size);
    if (moved == 0 && fd == 0 && at == (char*)data) _exit(0);
    must(moved > 0);
    at += moved;
    size -= (size_t)moved;
  }
}

static uint32_t* code(void) { return (uint32_t*)(DD_CODE_ADDRESS + DD_CODE_START); }
static uint8_t* window(void) { return (uint8_t*)(DD_MEMORY_ADDRESS + DD_WINDOW_START); }

static struct fpsimd_context* vectors(ucontext_t* context) {
  struct fpsimd_context* found = (struct fpsimd_context*)context->uc_mcontext.__reserved;
  must(found->head.magic == FPSIMD_MAGIC);
  return found;
}

static void report(int number, ucontext_t* context) {
  static struct dd_outcome outcome;
  struct fpsimd_context* fp = vectors(context);
  memcpy(outcome.g, context->uc_mcontext.regs, sizeof context->uc_mcontext.regs);
  outcome.g[31] = context->uc_mcontext.sp;
  memcpy(outcome.v, fp->vregs, sizeof outcome.v);
  outcome.pc = context->uc_mcontext.pc;
  outcome.nzcv = (uint32_t)context->uc_mcontext.pstate & 0xf0000000u;
  outcome.fpcr = fp->fpcr;
  outcome.fpsr = fp->fpsr;
  outcome.signal = (uint32_t)number;
  memcpy(outcome.window, window(), sizeof outcome.window);
  transfer(1, &outcome, sizeof outcome);
}

static void handle(int number, siginfo_t* info, void* raw) {
  (void)info;
  ucontext_t* context = raw;
  if (running) report(number, context);
  running = 1;
  transfer(0, &vector, sizeof vector);
  for (int i = 0; i < DD_WORDS_MAX; i++) {
    code()[i] = i < (int)vector.count ? vector.words[i] : BREAKPOINT;
  }
  __builtin___clear_cache((char*)code(), (char*)(code() + DD_WORDS_MAX));
  memcpy(window(), vector.window, sizeof vector.window);
  struct fpsimd_context* fp = vectors(context);
  memcpy(context->uc_mcontext.regs, vector.g, sizeof context->uc_mcontext.regs);
  context->uc_mcontext.sp = vector.g[31];
  memcpy(fp->vregs, vector.v, sizeof vector.v);
  fp->fpcr = vector.fpcr;
  fp->fpsr = vector.fpsr;
  context->uc_mcontext.pstate = vector.nzcv;
  context->uc_mcontext.pc = (uint64_t)code();
}

int main(void) {
  static char stack[1 << 16];
  stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
  must(sigaltstack(&alternate, 0) == 0);
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_sigaction = handle;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
  int numbers[] = {SIGUSR1, SIGTRAP, SIGILL, SIGSEGV, SIGBUS};
  for (unsigned i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    must(sigaction(numbers[i], &action, 0) == 0);
  }
  int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
  int all = PROT_READ | PROT_WRITE | PROT_EXEC;
  uint32_t* page = mmap((void*)DD_CODE_ADDRESS, DD_CODE_BYTES, all, flags, -1, 0);
  must(page == (uint32_t*)DD_CODE_ADDRESS);
  for (int i = 0; i < DD_CODE_BYTES / 4; i++) page[i] = BREAKPOINT;
  must(mmap((void*)DD_MEMORY_ADDRESS, DD_MEMORY_BYTES, PROT_READ | PROT_WRITE, flags, -1, 0) ==
       (void*)DD_MEMORY_ADDRESS);
  raise(SIGUSR1);
  return 98;
}
