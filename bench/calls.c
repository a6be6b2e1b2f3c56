// Times operations from inside: prints "NAME NANOSECONDS", the median of batches, for each one
// named.
//
//   calls OPERATION...
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { BATCHES = 101 };

static int file;
static char page[4096];

static long now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000000000L + time.tv_nsec;
}

// The least there is to do for a call that only the kernel can answer: the sentry in a container.
static void op_ring(void) { syscall(SYS_getppid); }
// A call that the executor answers by itself.
static void op_local(void) { syscall(SYS_gettid); }
static void op_read_4k(void) { (void)!pread(file, page, sizeof page, 0); }
static void op_write_4k(void) { (void)!pwrite(file, page, sizeof page, 0); }
static void op_compute(void) {
  static volatile unsigned long sink;
  unsigned long x = 88172645463325252UL;
  for (int i = 0; i < 20000; i++) {
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    page[x & 4095] ^= (char)x;
  }
  sink = x;
}

static const struct {
  const char* name;
  void (*run)(void);
  int batch;
} OPERATIONS[] = {
    {"ring", op_ring, 200},         {"local", op_local, 2000},   {"read_4k", op_read_4k, 500},
    {"write_4k", op_write_4k, 500}, {"compute", op_compute, 50},
};

static int ascending(const void* a, const void* b) {
  long x = *(const long*)a, y = *(const long*)b;
  return (x > y) - (x < y);
}

int main(int argc, char** argv) {
  char path[] = "/tmp/calls-XXXXXX";
  file = mkstemp(path);
  unlink(path);
  (void)!write(file, page, sizeof page);
  for (int a = 1; a < argc; a++) {
    for (size_t i = 0; i < sizeof OPERATIONS / sizeof *OPERATIONS; i++) {
      if (strcmp(argv[a], OPERATIONS[i].name) != 0) continue;
      long times[BATCHES];
      for (int batch = 0; batch < BATCHES; batch++) {
        long start = now();
        for (int n = 0; n < OPERATIONS[i].batch; n++) OPERATIONS[i].run();
        times[batch] = (now() - start) / OPERATIONS[i].batch;
      }
      qsort(times, BATCHES, sizeof *times, ascending);
      printf("%s %ld\n", argv[a], times[BATCHES / 2]);
    }
  }
  return 0;
}
