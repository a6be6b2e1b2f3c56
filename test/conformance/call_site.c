// One system call instruction that many threads execute for the first time at once: each call has
// its own result, whatever the instruction's place. clone(2), syscall(2).
#include <pthread.h>

#define HAS_ROLES
#include "case.h"

#define THREADS 8
#define CALLS 200
#define RUNS 6

typedef ssize_t (*site)(int fd, void* buffer, size_t length);

#ifdef __x86_64__
// As a C library writes them, at each of eight places within a word.
#define SITE(n)                                                              \
  ssize_t site_##n(int fd, void* buffer, size_t length);                     \
  asm(".text\n.balign 64\n.rept " #n "\nnop\n.endr\nsite_" #n                \
      ":\n"                                                                  \
      "xor %eax, %eax\nsyscall\ncmp $-4096, %rax\nja 1f\nret\n1: neg %rax\n" \
      "mov $-1, %rax\nret\n")
SITE(0);
SITE(1);
SITE(2);
SITE(3);
SITE(4);
SITE(5);
SITE(6);
SITE(7);
static const site sites[] = {site_0, site_1, site_2, site_3, site_4, site_5, site_6, site_7};
#else
static const site sites[] = {read};
#endif
#define SITES (sizeof sites / sizeof *sites)

static pthread_barrier_t together;
static int zeroes;

static void* caller(void* argument) {
  long wrong = 0;
  const size_t length = 1 + (size_t)(uintptr_t)argument;
  for (size_t i = 0; i < SITES; i++) {
    pthread_barrier_wait(&together);
    for (int call = 0; call < CALLS; call++) {
      unsigned char bytes[THREADS + 1];
      memset(bytes, 0xff, sizeof bytes);
      const ssize_t got = sites[i](zeroes, bytes, length);
      const size_t expected = got == (ssize_t)length ? length : 0;
      for (size_t at = 0; at < expected; at++) wrong += bytes[at] != 0;
      wrong += expected == 0 || bytes[length] != 0xff;
    }
    wrong += sites[i](-1, NULL, 0) != -1;
  }
  return (void*)(uintptr_t)wrong;
}

static void play_role(void) {
  if (!is_role("threads")) return;
  pthread_t threads[THREADS];
  pthread_barrier_init(&together, NULL, THREADS);
  zeroes = must(open("/dev/zero", O_RDONLY));
  for (uintptr_t i = 0; i < THREADS; i++) {
    pthread_create(&threads[i], NULL, caller, (void*)i);
  }
  uintptr_t wrong = 0;
  for (int i = 0; i < THREADS; i++) {
    void* result;
    pthread_join(threads[i], &result);
    wrong += (uintptr_t)result;
  }
  _exit(wrong == 0 ? 0 : 1);
}

static void run(void) {
  for (int i = 0; i < RUNS; i++) {
    pid_t pid = must(fork());
    if (pid == 0) {
      execl("/proc/self/exe", program_arguments[0], "threads", NULL);
      _exit(127);
    }
    equals("a fresh program's threads", 0, status_of(pid));
  }
}
