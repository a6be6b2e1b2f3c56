// Litmus tests of memory ordering: two to four threads, a few accesses each, started together many
// times over. The table has for each test the outcome that the architecture forbids; it must never
// be seen. With none, all outcomes are allowed, and the test shows that threads do run together.
//
// The names are those of the literature: message passing (MP), store buffering (SB), load buffering
// (LB), write-to-read causality (WRC), independent reads of independent writes (IRIW), 2+2W, R, S.
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "../../conformance/case.h"

#define ROUNDS 4000
#define CELLS 64

// A round's variables, in cache lines of their own.
struct cell {
  _Alignas(128) uint64_t x;
  _Alignas(128) uint64_t y;
  uint64_t r[4];
};
static struct cell cells[CELLS];

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
THREAD(mp_read_address, uint64_t a; uint64_t b; LDR(a, &c->y);
       __asm__ volatile("eor %0, %1, %1\n ldr %0, [%2, %0]"
                        : "=&r"(b)
                        : "r"(a), "r"(&c->x)
                        : "memory");
       c->r[0] = a; c->r[1] = b;)

// SB: both read 0.
THREAD(sb_dmb_0, uint64_t a; STR(&c->x, 1); DMB(ish); LDR(a, &c->y); c->r[0] = a;)
THREAD(sb_dmb_1, uint64_t a; STR(&c->y, 1); DMB(ish); LDR(a, &c->x); c->r[1] = a;)
THREAD(sb_dsb_1, uint64_t a; STR(&c->y, 1); __asm__ volatile("dsb sy" ::
                                                                 : "memory");
       LDR(a, &c->x); c->r[1] = a;)
THREAD(sb_release_0, uint64_t a; STLR(&c->x, 1); LDAR(a, &c->y); c->r[0] = a;)
THREAD(sb_release_1, uint64_t a; STLR(&c->y, 1); LDAR(a, &c->x); c->r[1] = a;)
THREAD(sb_swpal_0, uint64_t a; uint64_t b; SWPAL(b, &c->x, 1); LDR(a, &c->y); c->r[0] = a;)
THREAD(sb_swpal_1, uint64_t a; uint64_t b; SWPAL(b, &c->y, 1); LDAR(a, &c->x); c->r[1] = a;)
THREAD(sb_plain_0, uint64_t a; STR(&c->x, 1); LDR(a, &c->y); c->r[0] = a;)
THREAD(sb_plain_1, uint64_t a; STR(&c->y, 1); LDR(a, &c->x); c->r[1] = a;)

// LB: both read 1.
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

// 2+2W: x = 1 and y = 1 at the end.
THREAD(w22_0, STR(&c->x, 1); STLR(&c->y, 2);)
THREAD(w22_1, STR(&c->y, 1); STLR(&c->x, 2);)
THREAD(w22_0_dmb, STR(&c->x, 1); DMB(ishst); STR(&c->y, 2);)
THREAD(w22_1_dmb, STR(&c->y, 1); DMB(ishst); STR(&c->x, 2);)
// R: y = 2 at the end and r0 = 0.
THREAD(r_0, STR(&c->x, 1); DMB(ish); STR(&c->y, 1);)
THREAD(r_1, uint64_t a; STR(&c->y, 2); DMB(ish); LDR(a, &c->x); c->r[0] = a;)
THREAD(r_1_release, uint64_t a; STLR(&c->y, 2); LDAR(a, &c->x); c->r[0] = a;)
THREAD(r_0_release, STLR(&c->x, 1); STLR(&c->y, 1);)
// S: x = 2 at the end and r0 = 1.
THREAD(s_0, STR(&c->x, 2); STLR(&c->y, 1);)
THREAD(s_1, uint64_t a; LDAR(a, &c->y); STR(&c->x, 1); c->r[0] = a;)
THREAD(s_1_data, uint64_t a; LDR(a, &c->y); STR(&c->x, (a ^ a) + 1); c->r[0] = a;)

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
  outcome_of* forbidden;  // null: nothing is
  thread_of* threads[4];
};
static const struct litmus kTests[] = {
    {"MP+stlr+ldar", mp, {mp_write_release, mp_read_acquire}},
    {"MP+stlr+ldapr", mp, {mp_write_release, mp_read_acquirepc}},
    {"MP+dmb+dmb", mp, {mp_write_dmb, mp_read_dmb}},
    {"MP+dmb.st+dmb.ld", mp, {mp_write_dmbst, mp_read_dmbld}},
    {"MP+dmb+addr", mp, {mp_write_dmb, mp_read_address}},
    {"MP+swpl+ldadda", mp, {mp_write_swpl, mp_read_ldadda}},
    {"MP+stlxr+ldaxr", mp, {mp_write_stlxr, mp_read_ldaxr}},
    {"MP", NULL, {mp_write_plain, mp_read_plain}},
    {"SB+dmb+dmb", sb, {sb_dmb_0, sb_dmb_1}},
    {"SB+dmb+dsb", sb, {sb_dmb_0, sb_dsb_1}},
    {"SB+stlr-ldar+stlr-ldar", sb, {sb_release_0, sb_release_1}},
    {"SB+dmb+stlr-ldar", sb, {sb_dmb_0, sb_release_1}},
    {"SB+dmb+swpal-ldar", sb, {sb_dmb_0, sb_swpal_1}},
    {"SB+swpal", NULL, {sb_swpal_0, sb_swpal_1}},
    {"SB", NULL, {sb_plain_0, sb_plain_1}},
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

static const struct litmus* current;
static int thread_count;
static atomic_int generation, ready, done;
static atomic_int stopping;

// A batch of rounds begins for all threads at once; who waits lets others run, for there may be
// fewer processors than threads.
static void* play(void* argument) {
  int self = (int)(intptr_t)argument;
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
    for (int i = 0; i < CELLS; i++) body(&cells[i]);
    atomic_fetch_add(&done, 1);
  }
}

static void run_test(const struct litmus* test) {
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
      if (test->forbidden != NULL && test->forbidden(&cells[i])) seen++;
    }
  }
  stopping = 1;
  atomic_fetch_add(&generation, 1);
  for (int i = 0; i < thread_count; i++) pthread_join(threads[i], NULL);
  equals(test->name, 0, seen);
}

static void run(void) {
  for (size_t i = 0; i < sizeof kTests / sizeof *kTests; i++) run_test(&kTests[i]);
}
