// Faults as signals: si_code and si_addr, changing the context, alternate stacks, preserved
// registers.
#include <setjmp.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <ucontext.h>

#include "case.h"

static volatile siginfo_t last;
static volatile int faults;
static char* page;
static sigjmp_buf out;

static void repair(int signo, siginfo_t* info, void* context) {
  (void)signo, (void)context;
  *(siginfo_t*)&last = *info;
  faults++;
  mprotect(page, 4096, PROT_READ | PROT_WRITE);
}

static void leave(int signo, siginfo_t* info, void* context) {
  (void)context;
  *(siginfo_t*)&last = *info;
  siglongjmp(out, signo);
}

static void handle(int signo, void (*handler)(int, siginfo_t*, void*), int flags) {
  struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags};
  must(sigaction(signo, &action, NULL));
}

#ifdef __x86_64__
static void skip(int signo, siginfo_t* info, void* context) {
  (void)signo;
  *(siginfo_t*)&last = *info;
  ucontext_t* saved = context;
  saved->uc_mcontext.gregs[REG_RIP] += 2;  // ud2
  saved->uc_mcontext.gregs[REG_RBX] = 4321;
}

static void clobber(int signo) {
  (void)signo;
  __asm__ volatile("pcmpeqd %%xmm0, %%xmm0\n pcmpeqd %%xmm7, %%xmm7\n fninit\n fldz\n" ::
                       : "xmm0", "xmm7", "memory");
  __asm__ volatile("mov $-1, %%r12\n mov $-1, %%r10\n std\n cld\n" ::
                       : "r12", "r10", "memory", "cc");
}

static void registers(void) {
  handle(SIGILL, skip, 0);
  long rbx = 0;
  __asm__ volatile("xor %%ebx, %%ebx\n ud2\n mov %%rbx, %0" : "=r"(rbx)::"rbx", "cc");
  equals("a handler changes the context", 4321, rbx);
  equals("SIGILL: si_code", ILL_ILLOPN, last.si_code);

  struct sigaction action = {.sa_handler = clobber};
  must(sigaction(SIGUSR1, &action, NULL));
  double one = 1.5, kept = 0;
  long r10 = 0, carry = 0;
  pid_t pid = getpid();
  // kill(pid, SIGUSR1) by hand: everything but rax, rcx and r11 must come back as it was.
  __asm__ volatile(
      "movsd %3, %%xmm0\n"
      "mov $77, %%r10\n"
      "mov $62, %%eax\n"
      "syscall\n"
      "movsd %%xmm0, %0\n"
      "mov %%r10, %1\n"
      : "=m"(kept), "=r"(r10), "=r"(carry)
      : "m"(one), "D"((long)pid), "S"((long)SIGUSR1)
      : "rax", "rcx", "r11", "r10", "r12", "xmm0", "xmm7", "memory", "cc");
  check("vector registers are kept over a handler", kept == 1.5);
  equals("general registers are kept", 77, r10);
  long double sum = 1.0L;
  for (int i = 0; i < 10; i++) {
    raise(SIGUSR1);
    sum += 0.5L;
  }
  check("the x87 state is kept", sum == 6.0L);
  unsigned control = 0, expected = 0x3f80;
  __asm__ volatile("ldmxcsr %0" ::"m"(expected));
  raise(SIGUSR1);
  __asm__ volatile("stmxcsr %0" : "=m"(control));
  equals("MXCSR is kept", 0x3f80, control & 0xffc0);
  expected = 0x1f80;
  __asm__ volatile("ldmxcsr %0" ::"m"(expected));
}
#elif defined(__aarch64__)
static void skip(int signo, siginfo_t* info, void* context) {
  (void)signo;
  *(siginfo_t*)&last = *info;
  ucontext_t* saved = context;
  saved->uc_mcontext.pc += 4;
  saved->uc_mcontext.regs[19] = 4321;
}

static void clobber(int signo) {
  (void)signo;
  __asm__ volatile(
      "movi v0.16b, #255\n movi v31.16b, #255\n mov x19, #-1\n mov x9, #-1\n"
      "msr fpcr, xzr\n cmp xzr, xzr\n" ::
          : "v0", "v31", "x19", "x9", "memory", "cc");
}

static void registers(void) {
  handle(SIGILL, skip, 0);
  long x19 = 0, at = 0;
  __asm__ volatile("mov x19, #0\n adr %1, 1f\n 1: udf #0\n mov %0, x19"
                   : "=r"(x19), "=&r"(at)::"x19");
  equals("a handler changes the context", 4321, x19);
  equals("SIGILL: si_code", ILL_ILLOPC, last.si_code);
  check("and si_addr", last.si_addr == (void*)at);

  struct sigaction action = {.sa_handler = clobber};
  must(sigaction(SIGUSR1, &action, NULL));
  double low = 0, high = 0;
  long x9 = 0, flags = 0, control = 0;
  // kill(getpid(), SIGUSR1) by hand: everything but x0 must come back as it was.
  __asm__ volatile(
      "mov x9, #0x1c00000\n msr fpcr, x9\n"
      "fmov d0, #1.5\n fmov d31, #2.5\n mov x9, #77\n mov x8, #172\n svc #0\n"
      "mov x1, #10\n mov x8, #129\n cmp x1, #11\n svc #0\n"
      "mrs %3, nzcv\n mrs %4, fpcr\n msr fpcr, xzr\n"
      "fmov %d0, d0\n fmov %d1, d31\n mov %2, x9\n"
      : "=&w"(low), "=&w"(high), "=&r"(x9), "=&r"(flags), "=&r"(control)::"x0", "x1", "x8", "x9",
        "x19", "v0", "v31", "memory", "cc");
  check("vector registers are kept over a handler", low == 1.5 && high == 2.5);
  equals("general registers are kept", 77, x9);
  equals("the flags are kept", 0x80000000L, flags);
  equals("FPCR is kept", 0x1c00000, control);
}
#endif

static char* stack_low;
static volatile int on_alternate;
static void where(int signo, siginfo_t* info, void* context) {
  (void)info, (void)context;
  char here;
  on_alternate = &here >= stack_low && &here < stack_low + 65536;
  stack_t now;
  sigaltstack(NULL, &now);
  if (on_alternate && !(now.ss_flags & SS_ONSTACK)) on_alternate = -1;
  if (signo == SIGSEGV) siglongjmp(out, 1);
}

static int overflow(volatile char* above) {
  volatile char here[4096];
  here[0] = above[0];
  return overflow(here) + here[0];
}

static void stacks(void) {
  stack_low = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  stack_t stack = {.ss_sp = stack_low, .ss_size = 65536}, old;
  works("sigaltstack", sigaltstack(&stack, NULL));
  must(sigaltstack(NULL, &old));
  check("it is known and not in use", old.ss_sp == stack_low && old.ss_flags == 0);
  stack.ss_size = 100;
  fails("a tiny one", ENOMEM, sigaltstack(&stack, NULL));
  handle(SIGUSR1, where, SA_ONSTACK);
  raise(SIGUSR1);
  equals("SA_ONSTACK", 1, on_alternate);
  handle(SIGUSR1, where, 0);
  raise(SIGUSR1);
  equals("without it", 0, on_alternate);
  pid_t pid = must(fork());
  if (pid == 0) {
    struct rlimit limit = {1 << 20, 1 << 20};
    setrlimit(RLIMIT_STACK, &limit);
    handle(SIGSEGV, where, SA_ONSTACK);
    char start = 1;
    if (sigsetjmp(out, 1) == 0) overflow(&start);
    _exit(on_alternate == 1 ? 0 : 1);
  }
  equals("a stack overflow is handled on it", 0, status_of(pid));
  pid = must(fork());
  if (pid == 0) {
    char start = 1;
    struct rlimit limit = {1 << 20, 1 << 20};
    setrlimit(RLIMIT_STACK, &limit);
    handle(SIGSEGV, leave, 0);
    overflow(&start);
    _exit(0);
  }
  equals("and without it, it ends", 128 + SIGSEGV, status_of(pid));
}

static void run(void) {
  page = mmap(NULL, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  must(munmap(page + 4096, 4096));
  handle(SIGSEGV, repair, 0);
  page[123] = 'x';
  equals("one fault", 1, faults);
  equals("the store was repeated", 'x', page[123]);
  equals("SEGV_ACCERR", SEGV_ACCERR, last.si_code);
  check("si_addr", last.si_addr == page + 123);

  handle(SIGSEGV, leave, 0);
  if (sigsetjmp(out, 1) == 0) *(volatile char*)(page + 4096) = 1;
  equals("SEGV_MAPERR", SEGV_MAPERR, last.si_code);
  check("its address", last.si_addr == page + 4096);
  if (sigsetjmp(out, 1) == 0) *(volatile char*)NULL = 1;
  check("a null pointer", last.si_addr == NULL && last.si_code == SEGV_MAPERR);
  if (sigsetjmp(out, 1) == 0) ((void (*)(void))(uintptr_t)page)();
  check("running data", last.si_addr == page && last.si_code == SEGV_ACCERR);
#ifdef __x86_64__
  if (sigsetjmp(out, 1) == 0) *(volatile char*)0x8000000000000000UL = 1;
  equals("a non-canonical address", SI_KERNEL, last.si_code);
  check("has no si_addr", last.si_addr == NULL);
  if (sigsetjmp(out, 1) == 0) __asm__ volatile("hlt");
  equals("a privileged instruction", SI_KERNEL, last.si_code);
  handle(SIGFPE, leave, 0);
  if (sigsetjmp(out, 1) == 0) {
    __asm__ volatile("xor %%ecx, %%ecx\n mov $1, %%eax\n cltd\n idiv %%ecx" ::
                         : "eax", "ecx", "edx");
  }
  equals("division by zero", FPE_INTDIV, last.si_code);
  equals("is SIGFPE", SIGFPE, last.si_signo);
  handle(SIGTRAP, leave, 0);
  if (sigsetjmp(out, 1) == 0) __asm__ volatile("int3");
  equals("a breakpoint is SIGTRAP", SIGTRAP, last.si_signo);
  equals("from the kernel", SI_KERNEL, last.si_code);
#elif defined(__aarch64__)
  if (sigsetjmp(out, 1) == 0) *(volatile char*)0x0001000000000123UL = 1;
  equals("an address of 49 bits", SEGV_MAPERR, last.si_code);
  check("has its si_addr", last.si_addr == (void*)0x0001000000000123UL);
  if (sigsetjmp(out, 1) == 0) *(volatile char*)0x5a00000000000008UL = 1;
  check("a fault's address has no tag", last.si_addr == (void*)8 && last.si_code == SEGV_MAPERR);
  handle(SIGILL, leave, 0);
  if (sigsetjmp(out, 1) == 0) __asm__ volatile("msr daifset, #2");
  equals("a privileged instruction", ILL_ILLOPC, last.si_code);
  equals("is SIGILL", SIGILL, last.si_signo);
  handle(SIGTRAP, leave, 0);
  if (sigsetjmp(out, 1) == 0) __asm__ volatile("brk #0");
  equals("a breakpoint is SIGTRAP", SIGTRAP, last.si_signo);
  equals("TRAP_BRKPT", TRAP_BRKPT, last.si_code);
#endif
  handle(SIGBUS, leave, 0);
  int fd = must(open("file", O_RDWR | O_CREAT, 0600));
  char* map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
  if (sigsetjmp(out, 1) == 0) (void)*(volatile char*)(map + 7);
  check("beyond a file",
        last.si_signo == SIGBUS && last.si_code == BUS_ADRERR && last.si_addr == map + 7);
  registers();
  stacks();
}
