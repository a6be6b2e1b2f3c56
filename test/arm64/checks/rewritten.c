// Code that changes: made by the program, through another mapping, through a file, by another
// thread, by remapping; with the cache maintenance that arm64 asks for, and none where it asks for
// none.
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "../../conformance/case.h"

#define PAGE 4096UL
#define RET 0xd65f03c0u
#define NOP 0xd503201fu

typedef unsigned function(void);

static unsigned mov_w0(unsigned value) { return 0x52800000 | (value & 0xffff) << 5; }
static unsigned branch(const void* from, const void* to) {
  return 0x14000000 | (((uintptr_t)to - (uintptr_t)from) / 4 & 0x3ffffff);
}
static void put(void* at, unsigned value) {
  const unsigned code[] = {mov_w0(value), RET};
  memcpy(at, code, sizeof code);
}
static void flush(void* at, size_t bytes) { __builtin___clear_cache(at, (char*)at + bytes); }
static unsigned call(const void* at) { return ((function*)(uintptr_t)at)(); }

static void in_place(void) {
  char* code =
      mmap(NULL, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  int wrong = 0;
  for (unsigned i = 0; i < 500; i++) {
    put(code, i);
    flush(code, 8);
    wrong += call(code) != i;
  }
  equals("rewritten in place", 0, wrong);
  for (unsigned i = 0; i < 200; i++) {
    must(mprotect(code, PAGE, PROT_READ | PROT_WRITE));
    put(code, i);
    must(mprotect(code, PAGE, PROT_READ | PROT_EXEC));
    flush(code, 8);
    wrong += call(code) != i;
  }
  equals("between flips of its protection", 0, wrong);

  // A loop that rewrites the instruction it is about to execute.
  must(mprotect(code, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC));
  unsigned sum = 0;
  unsigned* body = (unsigned*)code;
  for (unsigned i = 0; i < 64; i++) body[i] = 0x11000400;  // add w0, w0, #1
  body[64] = RET;
  flush(code, PAGE);
  for (unsigned i = 0; i < 64; i++) {
    body[i] = NOP;
    flush(&body[i], 4);
    unsigned (*count)(unsigned) = (unsigned (*)(unsigned))(uintptr_t)code;
    sum += count(0);
  }
  equals("one instruction after the other", 63 * 64 / 2, sum);
  must(munmap(code, PAGE));
}

static void two_mappings(void) {
  int fd = must(memfd_create("code", 0));
  must(ftruncate(fd, PAGE));
  char* writable = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  char* code = mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
  int wrong = 0;
  for (unsigned i = 0; i < 300; i++) {
    put(writable, i);
    flush(writable, 8);
    flush(code, 8);
    wrong += call(code) != i;
  }
  equals("written through another mapping", 0, wrong);
  for (unsigned i = 0; i < 300; i++) {
    const unsigned words[] = {mov_w0(i), RET};
    must(pwrite(fd, words, sizeof words, 0));
    flush(code, 8);
    wrong += call(code) != i;
  }
  equals("written with pwrite", 0, wrong);
  close(fd);

  fd = must(open("code", O_RDWR | O_CREAT, 0700));
  must(ftruncate(fd, 2 * PAGE));
  const unsigned one[] = {mov_w0(1), RET}, two[] = {mov_w0(2), RET};
  must(pwrite(fd, one, sizeof one, 0));
  must(pwrite(fd, two, sizeof two, (off_t)PAGE));
  code = mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
  equals("a file's code", 1, call(code));
  check("another page of it in its place",
        mmap(code, PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED, fd, (off_t)PAGE) == code);
  equals("is what runs", 2, call(code));
  char* moved = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  moved = mremap(code, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, moved);
  equals("moved elsewhere", 2, call(moved));
  close(fd);
}

static void in_a_child(void) {
  char* code =
      mmap(NULL, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  put(code, 1);
  flush(code, 8);
  equals("before a fork", 1, call(code));
  pid_t pid = must(fork());
  if (pid == 0) {
    put(code, 2);
    flush(code, 8);
    _exit((int)call(code));
  }
  equals("a child's own copy", 2, status_of(pid));
  equals("is not its parent's", 1, call(code));
}

// A call site that another thread points to one function or the other while it is executed: each
// call sees one of the two, and the last one within bounded time.
static unsigned* site;
static atomic_int stop;
static atomic_uint seen_wrong, last_seen;

static void* execute(void* unused) {
  (void)unused;
  while (!stop) {
    unsigned got = call(site);
    if (got != 1 && got != 2) atomic_fetch_add(&seen_wrong, 1);
    last_seen = got;
  }
  return NULL;
}

static void by_another_thread(void) {
  char* code =
      mmap(NULL, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  put(code + 256, 1);
  put(code + 512, 2);
  site = (unsigned*)code;
  *site = branch(site, code + 256);
  flush(code, PAGE);
  pthread_t threads[2];
  for (int i = 0; i < 2; i++) must(pthread_create(&threads[i], NULL, execute, NULL));
  int late = 0;
  for (unsigned i = 0; i < 100; i++) {
    unsigned want = 1 + (i & 1);
    __atomic_store_n(site, branch(site, code + 256 * want), __ATOMIC_SEQ_CST);
    flush(site, 4);
    long start = now_ms();
    while (last_seen != want && now_ms() - start < 5000) sched_yield();
    late += last_seen != want;
  }
  stop = 1;
  for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
  equals("a branch patched by another thread", 0, seen_wrong);
  equals("is followed soon", 0, late);
}

static void run(void) {
  in_place();
  two_mappings();
  in_a_child();
  by_another_thread();
}
