// Threads that compute while they are interrupted: by timers, by signals from another thread, and
// by code that is made and rewritten beside them. What they compute must come out as if nobody had.
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/time.h>

#include "../../conformance/case.h"

#define THREADS 3
#define ROUNDS 12

static atomic_int running = 1;
static atomic_ulong signals_seen;

// Uses what a handler may: every kind of register.
static void on_signal(int signo) {
  (void)signo;
  double sum = 1;
  for (int i = 1; i < 8; i++) sum = sum * 1.5 + i;
  __asm__ volatile(
      "dup v0.2d, %0\n dup v17.2d, %0\n dup v31.2d, %0\n msr fpsr, %0\n cmp xzr, xzr\n" ::"r"(
          (long)sum)
      : "v0", "v17", "v31", "cc");
  atomic_fetch_add(&signals_seen, 1);
}

static uint64_t mix(uint64_t x) {
  x ^= x >> 33, x *= 0xff51afd7ed558ccdUL, x ^= x >> 29;
  return x;
}

// Pointers, branches and calls through pointers.
struct node {
  struct node *left, *right;
  uint64_t key;
};
static struct node* insert(struct node* at, struct node* fresh) {
  struct node** link = &at;
  struct node* root = at;
  while (*link != NULL) link = fresh->key < (*link)->key ? &(*link)->left : &(*link)->right;
  *link = fresh;
  return root == NULL ? fresh : root;
}
static uint64_t walk(const struct node* at, uint64_t depth) {
  if (at == NULL) return depth;
  return mix(walk(at->left, depth + 1) * 31 + at->key) + walk(at->right, depth + 1);
}
static uint64_t tree(void) {
  enum { kNodes = 2000 };
  struct node* nodes = calloc(kNodes, sizeof *nodes);
  struct node* root = NULL;
  for (uint64_t i = 0; i < kNodes; i++) {
    nodes[i].key = mix(i);
    root = insert(root, &nodes[i]);
  }
  uint64_t result = walk(root, 0);
  free(nodes);
  return result;
}

static int by_value(const void* a, const void* b) {
  uint64_t x = *(const uint64_t*)a, y = *(const uint64_t*)b;
  return (x > y) - (x < y);
}
static uint64_t sorted(void) {
  enum { kValues = 3000 };
  uint64_t* values = malloc(kValues * sizeof *values);
  for (uint64_t i = 0; i < kValues; i++) values[i] = mix(i * 7);
  qsort(values, kValues, sizeof *values, by_value);
  uint64_t result = 0;
  for (uint64_t i = 0; i < kValues; i++) result = result * 31 + values[i];
  free(values);
  return result;
}

// Scalar and vector floating point, with the flags it leaves behind.
static uint64_t floats(void) {
  __asm__ volatile("msr fpsr, xzr");
  double a[64], b[64], sum = 0;
  for (int i = 0; i < 64; i++) a[i] = i + 1, b[i] = 1.0 / (i + 1);
  for (int round = 0; round < 300; round++) {
    for (int i = 0; i < 64; i++) a[i] = a[i] * b[63 - i] + b[i];
    for (int i = 0; i < 64; i++) sum += a[i] < 1.5 ? a[i] : -a[i];
  }
  uint64_t bits, status;
  __asm__ volatile("mrs %0, fpsr" : "=r"(status));
  memcpy(&bits, &sum, sizeof bits);
  return bits ^ (status & 0x9f);
}

// Long dependent chains of flags and conditional instructions.
static uint64_t flags(void) {
  uint64_t low = 1, high = 0, count = 0, borrowed = 0;
  for (uint64_t i = 0; i < 20000; i++) {
    uint64_t add = mix(i);
    __asm__(
        "adds %0, %0, %4\n adcs %1, %1, %4\n cinc %2, %2, vs\n sbcs %3, %3, %4\n csinc %2, %2, %2, "
        "hi"
        : "+r"(low), "+r"(high), "+r"(count), "+r"(borrowed)
        : "r"(add)
        : "cc");
  }
  return mix(low) + mix(high) + mix(count) + mix(borrowed);
}

// A short loop over registers that are rarely used, called with values in those that often are.
uint64_t busy(uint64_t a, uint64_t b, uint64_t c, uint64_t d);
__asm__(
    "busy:\n"
    " mov x4, #1\n mov x5, #2\n mov x6, #3\n mov x7, #4\n mov x9, #5\n mov x10, #6\n"
    " mov x11, #7\n mov x12, #8\n mov x13, #9\n mov x14, #10\n mov x15, #6\n"
    "1: add x4, x4, x5\n eor x5, x5, x6\n add x6, x6, x7\n eor x7, x7, x9\n add x9, x9, x10\n"
    " eor x10, x10, x11\n add x11, x11, x12\n eor x12, x12, x13\n add x13, x13, x14\n"
    " eor x14, x14, x4\n subs x15, x15, #1\n b.ne 1b\n"
    " add x0, x0, x4\n add x1, x1, x14\n madd x0, x0, x1, x2\n eor x0, x0, x3\n ret\n");
static uint64_t registers(void) {
  uint64_t result = 1;
  for (uint64_t i = 0; i < 20000; i++) result = busy(result, i, i * 3, ~i);
  return result;
}

// A counter that all threads raise with exclusives: no increment may be lost or counted twice.
static _Alignas(16) uint64_t shared_counters[2];
enum { kRaises = 2000, RAISED = THREADS * ROUNDS * kRaises };
static uint64_t exclusives(void) {
  for (int i = 0; i < kRaises; i++) {
    uint64_t value;
    uint32_t failed;
    __asm__ volatile("1: ldxr %0, [%2]\n add %0, %0, #3\n stxr %w1, %0, [%2]\n cbnz %w1, 1b"
                     : "=&r"(value), "=&r"(failed)
                     : "r"(&shared_counters[0])
                     : "memory");
    uint64_t one = 5;
    __asm__ volatile(".arch_extension lse\n ldaddal %0, %0, [%1]"
                     : "+r"(one)
                     : "r"(&shared_counters[1])
                     : "memory");
  }
  return 0;
}

static uint64_t (*const kWork[])(void) = {tree, sorted, floats, flags, registers, exclusives};
static const char* const kNames[] = {"pointers", "sorting",   "floating point",
                                     "flags",    "registers", "exclusives"};
enum { kKinds = sizeof kWork / sizeof *kWork };
static uint64_t expected[kKinds];
static atomic_int wrong[kKinds];

static atomic_int finished;

static void* compute(void* unused) {
  (void)unused;
  for (int round = 0; round < ROUNDS; round++) {
    for (int i = 0; i < kKinds; i++) {
      if (kWork[i]() != expected[i]) atomic_fetch_add(&wrong[i], 1);
    }
  }
  atomic_fetch_add(&finished, 1);
  return NULL;
}

static pthread_t threads[THREADS];

static void* shoot(void* unused) {
  (void)unused;
  for (unsigned i = 0; running; i++) {
    pthread_kill(threads[i % THREADS], SIGUSR1);
    for (volatile int pause = 0; pause < 2000; pause++) {
    }
  }
  return NULL;
}

// Functions that return a number, rewritten in place all the time.
static void* rewrite(void* unused) {
  (void)unused;
  unsigned* code =
      mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  for (unsigned i = 0; running; i++) {
    code[0] = 0x52800000 | (i & 0xffff) << 5;  // mov w0, #i
    code[1] = 0xd65f03c0;                      // ret
    __builtin___clear_cache((char*)code, (char*)code + 8);
    if (((unsigned (*)(void))(uintptr_t)code)() != (i & 0xffff)) atomic_fetch_add(&wrong[0], 1000);
  }
  return NULL;
}

static void storm(const char* name, void* (*disturb)(void*), int timer) {
  shared_counters[0] = shared_counters[1] = 0;
  running = 1;
  finished = 0;
  for (int i = 0; i < kKinds; i++) wrong[i] = 0;
  for (int i = 0; i < THREADS; i++) must(pthread_create(&threads[i], NULL, compute, NULL));
  pthread_t disturber;
  if (disturb != NULL) must(pthread_create(&disturber, NULL, disturb, NULL));
  struct itimerval interval = {{0, 1000}, {0, 1000}}, none = {{0, 0}, {0, 0}};
  if (timer) must(setitimer(ITIMER_REAL, &interval, NULL));
  while (finished < THREADS) sleep_ms(1);
  running = 0;
  if (disturb != NULL) pthread_join(disturber, NULL);
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  if (timer) must(setitimer(ITIMER_REAL, &none, NULL));
  for (int i = 0; i < kKinds; i++) {
    char title[80];
    snprintf(title, sizeof title, "%s: %s", name, kNames[i]);
    equals(title, 0, wrong[i]);
  }
  equals("every exclusive increment", RAISED * 3, shared_counters[0]);
  equals("every atomic addition", RAISED * 5, shared_counters[1]);
}

static void run(void) {
  struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
  must(sigaction(SIGUSR1, &action, NULL));
  must(sigaction(SIGALRM, &action, NULL));
  for (int i = 0; i < kKinds; i++) expected[i] = kWork[i]();
  storm("undisturbed", NULL, 0);
  storm("code rewritten beside", rewrite, 0);
  storm("a timer", NULL, 1);
  storm("signals from a thread", shoot, 1);
  check("signals were seen", signals_seen > 0);
}
