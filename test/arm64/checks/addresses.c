// Addresses as arm64 programs use them: tags in the upper byte, mappings at the ends of 47 bits,
// page zero, guard pages.
#include <setjmp.h>
#include <sys/mman.h>

#include "../../conformance/case.h"

#define PAGE 4096UL

static sigjmp_buf out;
static siginfo_t last;

static void leave(int signo, siginfo_t* info, void* context) {
  (void)signo, (void)context;
  last = *info;
  siglongjmp(out, 1);
}

static void* tagged(void* at, unsigned char tag) {
  return (void*)((uintptr_t)at | (uintptr_t)tag << 56);
}

// Every kind of access through an address with a tag.
static void tags(void) {
  _Alignas(64) static unsigned char memory[256];
  unsigned char* at = tagged(memory, 0x5a);
  at[3] = 7;
  equals("a store through a tag", 7, memory[3]);
  equals("a load through another", 7, ((unsigned char*)tagged(memory, 0xff))[3]);
  uint64_t a = 0, b = 0;
  __asm__ volatile("stp %2, %3, [%4, #16]\n ldp %0, %1, [%5, #16]"
                   : "=&r"(a), "=&r"(b)
                   : "r"(11L), "r"(22L), "r"(at), "r"(tagged(memory, 0x80))
                   : "memory");
  check("pairs", a == 11 && b == 22);
  __asm__ volatile("str %1, [%2, %3, lsl #3]\n ldr %0, [%4, %w3, sxtw #3]"
                   : "=&r"(a)
                   : "r"(33L), "r"(at), "r"(4L), "r"(memory)
                   : "memory");
  equals("indexed", 33, a);
  __asm__ volatile("dup v3.2d, %1\n st1 {v3.16b}, [%2], #16\n ldr d4, [%2, #-8]\n fmov %0, d4"
                   : "=&r"(a)
                   : "r"(44L), "r"(tagged(memory + 64, 1))
                   : "v3", "v4", "memory");
  equals("vectors", 44, a);
  uint32_t failed = 1;
  __asm__ volatile("1: ldaxr %0, [%2]\n add %0, %0, #1\n stlxr %w1, %0, [%3]\n cbnz %w1, 2f\n 2:"
                   : "=&r"(a), "=&r"(failed)
                   : "r"(at + 16), "r"(at + 16)
                   : "memory");
  check("exclusives", failed == 0 && memory[16] == 12);
  __asm__ volatile(
      ".arch_extension lse\n ldaddal %1, %0, [%2]\n swpb %w1, %w3, [%2]\n mov x4, #5\n mov x5, "
      "xzr\n"
      " mov x6, #8\n mov x7, #9\n casp x4, x5, x6, x7, [%4]"
      : "=&r"(a)
      : "r"(5L), "r"(at + 16), "r"(0L), "r"(tagged(memory + 128, 3))
      : "x4", "x5", "x6", "x7", "memory");
  check("atomics", a == 12 && memory[16] == 5 && memory[128] == 0);
  memset(memory + 192, 'z', 64);
  __asm__ volatile("dc zva, %0" ::"r"(tagged(memory + 200, 9)) : "memory");
  equals("DC ZVA", 0, memory[192] | memory[255]);
  fails("a tag in a system call", EFAULT, write(1, at, 1));

  unsigned* code =
      mmap(NULL, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  code[0] = 0x52800540, code[1] = 0xd65f03c0;  // mov w0, #42; ret
  __builtin___clear_cache((char*)code, (char*)code + 8);
  equals("a call through a tag", 42, ((int (*)(void))tagged(code, 0x33))());
  code[0] = 0x52800560;  // mov w0, #43
  __builtin___clear_cache(tagged(code, 0x44), (char*)tagged(code, 0x44) + 8);
  equals("IC IVAU through a tag", 43, ((int (*)(void))(uintptr_t)code)());
}

static int faults_at(volatile char* at, int code) {
  if (sigsetjmp(out, 1) == 0) {
    *at = 1;
    return 0;
  }
  return last.si_signo == SIGSEGV && last.si_code == code &&
         (uintptr_t)last.si_addr == ((uintptr_t)at & ~(uintptr_t)0 >> 8);
}

static void ends(void) {
  check("page zero", faults_at((volatile char*)16, SEGV_MAPERR));
  check("one of 48 bits", faults_at((volatile char*)0x0000ffffffff0008, SEGV_MAPERR));
  check("one of 56 bits", faults_at((volatile char*)0x0070000000000008, SEGV_MAPERR));
  if (sigsetjmp(out, 1) == 0) ((void (*)(void))0x0000ffffffff0008)();
  check("a call there", last.si_addr == (void*)0x0000ffffffff0008 && last.si_code == SEGV_MAPERR);

  char* map = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  must(mprotect(map + PAGE, PAGE, PROT_NONE));
  check("a guard page", faults_at(map + PAGE, SEGV_ACCERR));
  check("with a tag", faults_at(tagged(map + PAGE, 0xc0), SEGV_ACCERR));
  map[PAGE - 4] = map[PAGE - 1] = 1;
  int caught = sigsetjmp(out, 1);
  if (caught == 0) *(volatile uint64_t*)(map + PAGE - 4) = ~0UL;
  check("half before it", caught == 1 && last.si_addr >= (void*)(map + PAGE - 4) &&
                              last.si_addr <= (void*)(map + PAGE));

  // As allocators and JITs reserve: far, by hint, without replacing.
  for (int bit = 32; bit < 47; bit++) {
    char* hint = (char*)((1UL << bit) + (1UL << 21));
    char* got = mmap(hint, PAGE, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    int free = got == hint;
    if (free) {
      *got = 1;
      munmap(got, PAGE);
    }
    if (!free && errno != EEXIST) say("a mapping at bit %d: FAILED (%s)", bit, error_name(errno));
  }
  char* high = mmap((void*)0x0000fffff0000000, PAGE, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  check("a hint beyond 47 bits is only a hint", high != MAP_FAILED && (*high = 1) == 1);
  fails("MAP_FIXED there", ENOMEM,
        mmap((void*)0x0000fffff0000000, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
             -1, 0));
  char* reserved =
      mmap(NULL, 1UL << 40, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  check("a terabyte can be reserved", reserved != MAP_FAILED);
  works("and used in part", mprotect(reserved + (1UL << 39), PAGE, PROT_READ | PROT_WRITE));
  reserved[1UL << 39] = 1;
  works("and given back", munmap(reserved, 1UL << 40));
}

static void run(void) {
  struct sigaction action = {.sa_sigaction = leave, .sa_flags = SA_SIGINFO};
  must(sigaction(SIGSEGV, &action, NULL));
  must(sigaction(SIGBUS, &action, NULL));
  tags();
  ends();
  uint64_t* pair = (uint64_t*)(((uintptr_t)malloc(64) | 15) + 9);
  uint64_t a = 0, b = 0;
  int caught = sigsetjmp(out, 1);
  if (caught == 0) {
    __asm__ volatile(
        ".arch_extension lse\n mov x4, xzr\n mov x5, xzr\n mov x6, xzr\n mov x7, xzr\n"
        " casp x4, x5, x6, x7, [%2]"
        : "+r"(a), "+r"(b)
        : "r"(pair)
        : "x4", "x5", "x6", "x7", "memory");
  }
  check("an unaligned pair is SIGBUS", caught == 1 && last.si_signo == SIGBUS &&
                                           last.si_code == BUS_ADRALN && last.si_addr == pair);
}
