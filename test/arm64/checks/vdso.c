// The vDSO: found by AT_SYSINFO_EHDR as libc and Go find it, by names and versions; its clocks are
// those of the calls; and unwinding steps over what a handler returns to.
#include <elf.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unwind.h>

#include "../../conformance/case.h"

static const Elf64_Ehdr* image;
static const Elf64_Sym* symbols;
static const char* strings;
static const uint32_t* hash;
static const uint16_t* versions;
static const Elf64_Verdef* definitions;

static const void* at(uint64_t offset) { return (const char*)image + offset; }

static void find_tables(void) {
  const Elf64_Phdr* segments = at(image->e_phoff);
  const Elf64_Dyn* dynamic = NULL;
  for (int i = 0; i < image->e_phnum; i++) {
    if (segments[i].p_type == PT_DYNAMIC) dynamic = at(segments[i].p_vaddr);
  }
  for (; dynamic != NULL && dynamic->d_tag != DT_NULL; dynamic++) {
    const void* table = at(dynamic->d_un.d_ptr);
    if (dynamic->d_tag == DT_SYMTAB) symbols = table;
    if (dynamic->d_tag == DT_STRTAB) strings = table;
    if (dynamic->d_tag == DT_HASH) hash = table;
    if (dynamic->d_tag == DT_VERSYM) versions = table;
    if (dynamic->d_tag == DT_VERDEF) definitions = table;
  }
}

static const char* version_of(uint32_t symbol) {
  const Elf64_Verdef* each = definitions;
  while (each->vd_ndx != versions[symbol] && each->vd_next != 0) {
    each = (const Elf64_Verdef*)((const char*)each + each->vd_next);
  }
  const Elf64_Verdaux* name = (const Elf64_Verdaux*)((const char*)each + each->vd_aux);
  return each->vd_ndx == versions[symbol] ? strings + name->vda_name : "";
}

static const void* function(const char* name) {
  for (uint32_t i = hash[2]; i != 0; i = hash[3 + i]) {
    if (strcmp(strings + symbols[i].st_name, name) != 0) continue;
    check("its version is LINUX_2.6.39", strcmp(version_of(i), "LINUX_2.6.39") == 0);
    return at(symbols[i].st_value);
  }
  return NULL;
}

static int64_t nanoseconds(const struct timespec* time) {
  return time->tv_sec * 1000000000 + time->tv_nsec;
}

static void clocks(void) {
  int (*get)(clockid_t, struct timespec*) = function("__kernel_clock_gettime");
  int (*resolution)(clockid_t, struct timespec*) = function("__kernel_clock_getres");
  int (*day)(struct timeval*, struct timezone*) = function("__kernel_gettimeofday");
  static const clockid_t kClocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID,
                                      CLOCK_MONOTONIC_RAW, CLOCK_BOOTTIME};
  struct timespec before, told, after;
  for (size_t i = 0; i < sizeof kClocks / sizeof *kClocks; i++) {
    must(syscall(SYS_clock_gettime, kClocks[i], &before));
    equals("__kernel_clock_gettime()", 0, get(kClocks[i], &told));
    must(syscall(SYS_clock_gettime, kClocks[i], &after));
    check("tells what the call tells", nanoseconds(&before) <= nanoseconds(&told) &&
                                           nanoseconds(&told) <= nanoseconds(&after) &&
                                           told.tv_nsec < 1000000000);
  }
  equals("and of no clock the call's error", -EINVAL, get(77, &told));
  struct timeval now;
  struct timezone zone = {1, 1};
  must(clock_gettime(CLOCK_REALTIME, &before));
  equals("__kernel_gettimeofday()", 0, day(&now, &zone));
  must(clock_gettime(CLOCK_REALTIME, &after));
  const int64_t us = now.tv_sec * 1000000 + now.tv_usec;
  check("is the real time", nanoseconds(&before) / 1000 <= us && us <= nanoseconds(&after) / 1000);
  check("in no zone", zone.tz_minuteswest == 0 && zone.tz_dsttime == 0);
  equals("and can be asked for nothing", 0, day(NULL, NULL));
  equals("__kernel_clock_getres()", 0, resolution(CLOCK_MONOTONIC, &told));
  equals("is a nanosecond", 1, nanoseconds(&told));
}

static volatile int found_interrupted, found_vdso, frames;
static void* interrupted;

static _Unwind_Reason_Code look_at(struct _Unwind_Context* context, void* argument) {
  (void)argument;
  frames++;
  const uintptr_t pc = _Unwind_GetIP(context);
  if (pc - (uintptr_t)image < 4096) found_vdso = 1;
  if (_Unwind_FindEnclosingFunction((void*)pc) == interrupted) found_interrupted = 1;
  return frames < 64 ? _URC_NO_REASON : _URC_END_OF_STACK;
}

static void walk(int signo) {
  (void)signo;
  _Unwind_Backtrace(look_at, NULL);
}

static __attribute__((noinline)) void interrupt(void) {
  interrupted = (void*)interrupt;
  raise(SIGUSR1);
  __asm__ volatile("" ::: "memory");
}

static void unwinding(void) {
  check("__kernel_rt_sigreturn", function("__kernel_rt_sigreturn") != NULL);
  struct sigaction action = {.sa_handler = walk};
  must(sigaction(SIGUSR1, &action, NULL));
  interrupt();
  check("a walk from a handler passes the trampoline", found_vdso);
  check("and finds who was interrupted", found_interrupted);
}

static void maps(void) {
  char line[256], start[32];
  int found = 0;
  snprintf(start, sizeof start, "%lx-", (unsigned long)image);
  FILE* file = fopen("/proc/self/maps", "r");
  while (fgets(line, sizeof line, file) != NULL) {
    if (strstr(line, "[vdso]") != NULL && strncmp(line, start, strlen(start)) == 0) found++;
  }
  fclose(file);
  equals("/proc/self/maps has it", 1, found);
}

static void run(void) {
  image = (const Elf64_Ehdr*)getauxval(AT_SYSINFO_EHDR);
  check("there is one", image != NULL && memcmp(image->e_ident, ELFMAG, SELFMAG) == 0);
  if (image == NULL) return;
  check("for arm64", image->e_machine == EM_AARCH64);
  find_tables();
  check("with its tables", symbols != NULL && strings != NULL && hash != NULL && versions != NULL &&
                               definitions != NULL);
  clocks();
  unwinding();
  maps();
}
