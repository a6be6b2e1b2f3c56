// Litmus tests of memory ordering: two to four threads, a few accesses each, started together many
// times over. The table has for each test an outcome. Where the architecture forbids it, it must
// never be seen; where it allows it, the line says how often it was, so that one knows whether the
// threads get near enough to each other for the others to prove anything.
//
// The names are those of the literature: message passing (MP), store buffering (SB), load buffering
// (LB), write-to-read causality (WRC), independent reads of independent writes (IRIW), 2+2W, R, S.
//
// Built for x86-64, it shows what that processor does: test/arm64/litmus.sh compares.
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "../../conformance/case.h"

#define ROUNDS 8000
#define CELLS 64
// How long a thread waits for the others before each round; then they are not running.
#define SPINS 2000

// A round's variables, in cache lines of their own.
struct cell {
  _Alignas(128) uint64_t x;
  _Alignas(128) uint64_t y;
  _Alignas(128) uint64_t r[4];
  _Alignas(128) atomic_int here;
};
static struct cell cells[CELLS];

#ifdef __aarch64__
// Accesses of x0 (an address) and the value: plain, and as acquire or release.
#define LDR(to, at) __asm__ volatile("ldr %0, [%1]" : "=r"(to) : "r"(at) : "memory")
#define LDAR(to, at) __asm__ volatile("ldar %0, [%1]" : "=r"(to) : "r"(at) : "memory")
#define LDAPR(to, at) \
  __asm__ volatile(".arch_extension rcpc\n ldapr %0, [%1]" : "=r"(to) : "r"(at) : "memory")
#define STR(at, value) __asm__ volatile("str %1, [%0]" ::"r"(at), "r"((uint64_t)(value)) : "memory")
#define STLR(at, value) \
  __asm__ volatile("stlr %1, [%0]" ::"r"(at), "r"((uint64_t)(value)) : "memory")
#define DMB(kind) __asm__ volatile("dmb " #kind ::: "memory")
// Stores by an atomic and by an exclusive pair, with release; loads by an atomic, with acquire.
#define SWPL(at, value)                                                                         \
  __asm__ volatile(".arch_extension lse\n swpl %1, xzr, [%0]" ::"r"(at), "r"((uint64_t)(value)) \
                   : "memory")
#define SWPAL(to, at, value)                                  \
  __asm__ volatile(".arch_extension lse\n swpal %2, %0, [%1]" \
                   : "=&r"(to)                                \
                   : "r"(at), "r"((uint64_t)(value))          \
                   : "memory")
#define LDADDA(to, at) \
  __asm__ volatile(".arch_extension lse\n ldadda xzr, %0, [%1]" : "=&r"(to) : "r"(at) : "memory")
#define STLXR(at, value)                                                     \
  ({                                                                         \
    uint64_t old_;                                                           \
    uint32_t failed_;                                                        \
    __asm__ volatile("1: ldxr %0, [%2]\n stlxr %w1, %3, [%2]\n cbnz %w1, 1b" \
                     : "=&r"(old_), "=&r"(failed_)                           \
                     : "r"(at), "r"((uint64_t)(value))                       \
                     : "memory");                                            \
  })
#define LDAXR(to, at)                                                        \
  ({                                                                         \
    uint32_t failed_;                                                        \
    __asm__ volatile("1: ldaxr %0, [%2]\n stxr %w1, %0, [%2]\n cbnz %w1, 1b" \
                     : "=&r"(to), "=&r"(failed_)                             \
                     : "r"(at)                                               \
                     : "memory");                                            \
  })
#define DSB() __asm__ volatile("dsb sy" ::: "memory")
// A load from `at`, whose address depends on `value`.
#define LDR_AFTER(to, at, value)                       \
  __asm__ volatile("eor %0, %1, %1\n ldr %0, [%2, %0]" \
                   : "=&r"(to)                         \
                   : "r"(value), "r"(at)               \
                   : "memor"                           \
                     "y")
#else
// The same of a processor that reorders nothing but a store with a later load.
#define LDR(to, at) __asm__ volatile("mov (%1), %0" : "=r"(to) : "r"(at) : "memory")
#define LDAR LDR
#define LDAPR LDR
#define STR(at, value) __asm__ volatile("mov %1, (%0)" ::"r"(at), "r"((uint64_t)(value)) : "memory")
#define DMB(kind) __asm__ volatile("mfence" ::: "memory")
#define DSB() DMB(sy)
#define SWPAL(to, at, value) \
  __asm__ volatile("xchg %0, (%1)" : "=r"(to) : "r"(at), "0"((uint64_t)(value)) : "memory")
#define SWPL(at, value)         \
  ({                            \
    uint64_t old_;              \
    SWPAL(old_, (at), (value)); \
  })
#define STLR SWPL
#define STLXR SWPL
#define LDADDA(to, at) \
  __asm__ volatile("lock xadd %0, (%1)" : "=r"(to) : "r"(at), "0"((uint64_t)0) : "memory")
#define LDAXR LDADDA
#define LDR_AFTER(to, at, value) LDR(to, (at) + ((value) ^ (value)))
#endif

typedef void thread_of(struct cell* c);
#define THREAD(name, ...) \
  static void name(struct cell* c) { __VA_ARGS__ }

// MP: r0 = 1 && r1 = 0 is forbidden when both sides are ordered.
THREAD(mp_write_release, STR(&c->x, 1); STLR(&c->y, 1);)
THREAD(mp_write_dmb, STR(&c->x, 1); DMB(ish); STR(&c->y, 1);)
THREAD(mp_write_dmbst, STR(&c->x, 1); DMB(ishst); STR(&c->y, 1);)
THREAD(mp_write_swpl, STR(&c->x, 1); SWPL(&c->y, 1);)
THREAD(mp_write_stlxr, STR(&c->x, 1); STLXR(&c->y, 1);)
THREAD(mp_write_plain, STR(&c->x, 1); STR(&c->y, 1);)
THREAD(mp_read_acquire, uint64_t a; uint64_t b; LDAR(a, &c->y); LDR(b, &c->x); c->r[0] = a;
       c->r[1] = b;)
THREAD(mp_read_acquirepc, uint64_t a; uint64_t b; LDAPR(a, &c->y); LDR(b, &c->x); c->r[0] = a;
       c->r[1] = b;)
THREAD(mp_read_dmb, uint64_t a; uint64_t b; LDR(a, &c->y); DMB(ish); LDR(b, &c->x); c->r[0] = a;
       c->r[1] = b;)
THREAD(mp_read_dmbld, uint64_t a; uint64_t b; LDR(a, &c->y); DMB(ishld); LDR(b, &c->x); c->r[0] = a;
       c->r[1] = b;)
THREAD(mp_read_ldadda, uint64_t a; uint64_t b; LDADDA(a, &c->y); LDR(b, &c->x); c->r[0] = a;
       c->r[1] = b;)
THREAD(mp_read_ldaxr, uint64_t a; uint64_t b; LDAXR(a, &c->y); LDR(b, &c->x); c->r[0] = a;
       c->r[1] = b;)
THREAD(mp_read_plain, uint64_t a; uint64_t b; LDR(a, &c->y); LDR(b, &c->x); c->r[0] = a;
       c->r[1] = b;)
// The address of the second load depends on the first.
THREAD(mp_read_address, uint64_t a; uint64_t b; LDR(a, &c->y); LDR_AFTER(b, &c->x, a); c->r[0] = a;
       c->r[1] = b;)

// SB: both read 0.
THREAD(sb_dmb_0, uint64_t a; STR(&c->x, 1); DMB(ish); LDR(a, &c->y); c->r[0] = a;)
THREAD(sb_dmb_1, uint64_t a; STR(&c->y, 1); DMB(ish); LDR(a, &c->x); c->r[1] = a;)
THREAD(sb_dsb_1, uint64_t a; STR(&c->y, 1); DSB(); LDR(a, &c->x); c->r[1] = a;)
THREAD(sb_release_0, uint64_t a; STLR(&c->x, 1); LDAR(a, &c->y); c->r[0] = a;)
THREAD(sb_release_1, uint64_t a; STLR(&c->y, 1); LDAR(a, &c->x); c->r[1] = a;)
THREAD(sb_swpal_0, uint64_t a; uint64_t b; SWPAL(b, &c->x, 1); LDR(a, &c->y); c->r[0] = a;)
THREAD(sb_swpal_1, uint64_t a; uint64_t b; SWPAL(b, &c->y, 1); LDAR(a, &c->x); c->r[1] = a;)
THREAD(sb_plain_0, uint64_t a; STR(&c->x, 1); LDR(a, &c->y); c->r[0] = a;)
THREAD(sb_plain_1, uint64_t a; STR(&c->y, 1); LDR(a, &c->x); c->r[1] = a;)

// LB: both read 1.
THREAD(lb_plain_0, uint64_t a; LDR(a, &c->x); STR(&c->y, 1); c->r[0] = a;)
THREAD(lb_plain_1, uint64_t a; LDR(a, &c->y); STR(&c->x, 1); c->r[1] = a;)
THREAD(lb_release_0, uint64_t a; LDR(a, &c->x); STLR(&c->y, 1); c->r[0] = a;)
THREAD(lb_release_1, uint64_t a; LDR(a, &c->y); STLR(&c->x, 1); c->r[1] = a;)
THREAD(lb_data_0, uint64_t a; LDR(a, &c->x); STR(&c->y, (a ^ a) + 1); c->r[0] = a;)
THREAD(lb_acquire_1, uint64_t a; LDAR(a, &c->y); STR(&c->x, 1); c->r[1] = a;)

// WRC: r0 = 1, r1 = 1, r2 = 0.
THREAD(write_x, STR(&c->x, 1);)
THREAD(write_y, STR(&c->y, 1);)
THREAD(wrc_1, uint64_t a; LDR(a, &c->x); STLR(&c->y, a); c->r[0] = a;)
THREAD(wrc_1_dmb, uint64_t a; LDR(a, &c->x); DMB(ish); STR(&c->y, a); c->r[0] = a;)
THREAD(wrc_2, uint64_t a; uint64_t b; LDAR(a, &c->y); LDR(b, &c->x); c->r[1] = a; c->r[2] = b;)

// IRIW: two readers see two writes in opposite orders.
THREAD(iriw_2, uint64_t a; uint64_t b; LDAR(a, &c->x); LDAR(b, &c->y); c->r[0] = a; c->r[1] = b;)
THREAD(iriw_3, uint64_t a; uint64_t b; LDAR(a, &c->y); LDAR(b, &c->x); c->r[2] = a; c->r[3] = b;)
THREAD(iriw_2_dmb, uint64_t a; uint64_t b; LDR(a, &c->x); DMB(ish); LDR(b, &c->y); c->r[0] = a;
       c->r[1] = b;)
THREAD(iriw_3_dmb, uint64_t a; uint64_t b; LDR(a, &c->y); DMB(ish); LDR(b, &c->x); c->r[2] = a;
       c->r[3] = b;)

THREAD(iriw_2_plain, uint64_t a; uint64_t b; LDR(a, &c->x); LDR(b, &c->y); c->r[0] = a;
       c->r[1] = b;)
THREAD(iriw_3_plain, uint64_t a; uint64_t b; LDR(a, &c->y); LDR(b, &c->x); c->r[2] = a;
       c->r[3] = b;)

// 2+2W: x = 1 and y = 1 at the end.
THREAD(w22_0, STR(&c->x, 1); STLR(&c->y, 2);)
THREAD(w22_1, STR(&c->y, 1); STLR(&c->x, 2);)
THREAD(w22_0_dmb, STR(&c->x, 1); DMB(ishst); STR(&c->y, 2);)
THREAD(w22_1_dmb, STR(&c->y, 1); DMB(ishst); STR(&c->x, 2);)
THREAD(w22_0_plain, STR(&c->x, 1); STR(&c->y, 2);)
THREAD(w22_1_plain, STR(&c->y, 1); STR(&c->x, 2);)
// R: y = 2 at the end and r0 = 0.
THREAD(r_0, STR(&c->x, 1); DMB(ish); STR(&c->y, 1);)
THREAD(r_1, uint64_t a; STR(&c->y, 2); DMB(ish); LDR(a, &c->x); c->r[0] = a;)
THREAD(r_1_release, uint64_t a; STLR(&c->y, 2); LDAR(a, &c->x); c->r[0] = a;)
THREAD(r_0_release, STLR(&c->x, 1); STLR(&c->y, 1);)
THREAD(r_0_plain, STR(&c->x, 1); STR(&c->y, 1);)
THREAD(r_1_plain, uint64_t a; STR(&c->y, 2); LDR(a, &c->x); c->r[0] = a;)
// S: x = 2 at the end and r0 = 1.
THREAD(s_0, STR(&c->x, 2); STLR(&c->y, 1);)
THREAD(s_1, uint64_t a; LDAR(a, &c->y); STR(&c->x, 1); c->r[0] = a;)
THREAD(s_1_data, uint64_t a; LDR(a, &c->y); STR(&c->x, (a ^ a) + 1); c->r[0] = a;)

THREAD(s_0_plain, STR(&c->x, 2); STR(&c->y, 1);)
THREAD(s_1_plain, uint64_t a; LDR(a, &c->y); STR(&c->x, 1); c->r[0] = a;)

typedef int outcome_of(const struct cell* c);
static int mp(const struct cell* c) { return c->r[0] == 1 && c->r[1] == 0; }
static int sb(const struct cell* c) { return c->r[0] == 0 && c->r[1] == 0; }
static int lb(const struct cell* c) { return c->r[0] == 1 && c->r[1] == 1; }
static int wrc(const struct cell* c) { return c->r[0] == 1 && c->r[1] == 1 && c->r[2] == 0; }
static int iriw(const struct cell* c) {
  return c->r[0] == 1 && c->r[1] == 0 && c->r[2] == 1 && c->r[3] == 0;
}
static int w22(const struct cell* c) { return c->x == 1 && c->y == 1; }
static int r(const struct cell* c) { return c->y == 2 && c->r[0] == 0; }
static int s(const struct cell* c) { return c->x == 2 && c->r[0] == 1; }

struct litmus {
  const char* name;
  outcome_of* outcome;
  thread_of* threads[4];
};
static const struct litmus kForbidden[] = {
    {"MP+stlr+ldar", mp, {mp_write_release, mp_read_acquire}},
    {"MP+stlr+ldapr", mp, {mp_write_release, mp_read_acquirepc}},
    {"MP+dmb+dmb", mp, {mp_write_dmb, mp_read_dmb}},
    {"MP+dmb.st+dmb.ld", mp, {mp_write_dmbst, mp_read_dmbld}},
    {"MP+dmb+addr", mp, {mp_write_dmb, mp_read_address}},
    {"MP+swpl+ldadda", mp, {mp_write_swpl, mp_read_ldadda}},
    {"MP+stlxr+ldaxr", mp, {mp_write_stlxr, mp_read_ldaxr}},
    {"SB+dmb+dmb", sb, {sb_dmb_0, sb_dmb_1}},
    {"SB+dmb+dsb", sb, {sb_dmb_0, sb_dsb_1}},
    {"SB+stlr-ldar+stlr-ldar", sb, {sb_release_0, sb_release_1}},
    {"SB+dmb+stlr-ldar", sb, {sb_dmb_0, sb_release_1}},
    {"SB+dmb+swpal-ldar", sb, {sb_dmb_0, sb_swpal_1}},
    {"LB+stlr+stlr", lb, {lb_release_0, lb_release_1}},
    {"LB+data+ldar", lb, {lb_data_0, lb_acquire_1}},
    {"WRC+stlr+ldar", wrc, {write_x, wrc_1, wrc_2}},
    {"WRC+dmb+ldar", wrc, {write_x, wrc_1_dmb, wrc_2}},
    {"IRIW+ldar", iriw, {write_x, write_y, iriw_2, iriw_3}},
    {"IRIW+dmb", iriw, {write_x, write_y, iriw_2_dmb, iriw_3_dmb}},
    {"2+2W+stlr", w22, {w22_0, w22_1}},
    {"2+2W+dmb.st", w22, {w22_0_dmb, w22_1_dmb}},
    {"R+dmb", r, {r_0, r_1}},
    {"R+stlr", r, {r_0_release, r_1_release}},
    {"S+stlr+ldar", s, {s_0, s_1}},
    {"S+stlr+data", s, {s_0, s_1_data}},
};
// What nothing orders, or not enough.
static const struct litmus kAllowed[] = {
    {"MP", mp, {mp_write_plain, mp_read_plain}},
    {"SB+swpal", sb, {sb_swpal_0, sb_swpal_1}},
    {"SB", sb, {sb_plain_0, sb_plain_1}},
    {"SB+dmb+plain", sb, {sb_dmb_0, sb_plain_1}},
    {"LB", lb, {lb_plain_0, lb_plain_1}},
    {"IRIW", iriw, {write_x, write_y, iriw_2_plain, iriw_3_plain}},
    {"2+2W", w22, {w22_0_plain, w22_1_plain}},
    {"R", r, {r_0_plain, r_1_plain}},
    {"S", s, {s_0_plain, s_1_plain}},
};

static const struct litmus* current;
static int thread_count, cpu_count, cpus[CPU_SETSIZE];
static atomic_int generation, ready, done;
static atomic_int stopping;

// All threads are here, or some do not run now. They come from an atomic, with nothing left to be
// stored, and with both variables at hand: then a store takes longer than the load that follows.
static void meet(struct cell* c) {
  uint64_t value;
  LDR(value, &c->x);
  LDR(value, &c->y);
  atomic_fetch_add(&c->here, 1);
  for (int spins = 0; c->here < thread_count && spins < SPINS; spins++) {
  }
}

// A batch of rounds begins for all threads at once; who waits lets others run, for there may be
// fewer processors than threads.
static void* play(void* argument) {
  int self = (int)(intptr_t)argument;
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpus[self % cpu_count], &set);
  sched_setaffinity(0, sizeof set, &set);
  for (int seen = 0;;) {
    for (int spins = 0; generation == seen; spins++) {
      if (spins > 200) sched_yield();
    }
    if (stopping) return NULL;
    seen++;
    atomic_fetch_add(&ready, 1);
    for (int spins = 0; ready < thread_count * seen; spins++) {
      if (spins > 2000) sched_yield();
    }
    thread_of* body = current->threads[self];
    for (int i = 0; i < CELLS; i++) {
      meet(&cells[i]);
      body(&cells[i]);
    }
    atomic_fetch_add(&done, 1);
  }
}

static void run_test(const struct litmus* test, int allowed) {
  pthread_t threads[4];
  current = test;
  generation = ready = done = stopping = 0;
  for (thread_count = 0; thread_count < 4 && test->threads[thread_count] != NULL;) thread_count++;
  for (int i = 0; i < thread_count; i++) {
    must(pthread_create(&threads[i], NULL, play, (void*)(intptr_t)i));
  }
  int seen = 0;
  for (int batch = 1; batch <= ROUNDS / CELLS; batch++) {
    memset(cells, 0, sizeof cells);
    atomic_fetch_add(&generation, 1);
    while (done < thread_count * batch) sched_yield();
    for (int i = 0; i < CELLS; i++) {
      if (test->outcome(&cells[i])) seen++;
    }
  }
  stopping = 1;
  atomic_fetch_add(&generation, 1);
  for (int i = 0; i < thread_count; i++) pthread_join(threads[i], NULL);
  if (allowed) {
    say("%s: allowed, seen %d times of %d", test->name, seen, ROUNDS / CELLS * CELLS);
  } else {
    equals(test->name, 0, seen);
  }
}

static void run(void) {
  cpu_set_t set;
  must(sched_getaffinity(0, sizeof set, &set));
  for (int i = 0; i < CPU_SETSIZE; i++) {
    if (CPU_ISSET(i, &set)) cpus[cpu_count++] = i;
  }
  for (size_t i = 0; i < sizeof kForbidden / sizeof *kForbidden; i++) run_test(&kForbidden[i], 0);
  for (size_t i = 0; i < sizeof kAllowed / sizeof *kAllowed; i++) run_test(&kAllowed[i], 1);
}
