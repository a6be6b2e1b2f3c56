// What programs are told of the processor, in the four ways they ask: AT_HWCAP, identification
// registers, /proc/cpuinfo, uname. All must agree.
#include <setjmp.h>
#include <sys/auxv.h>
#include <sys/utsname.h>

#include "../../conformance/case.h"

#define READ(name)                                    \
  ({                                                  \
    uint64_t value_;                                  \
    __asm__ volatile("mrs %0, " name : "=r"(value_)); \
    value_;                                           \
  })

static sigjmp_buf out;
static siginfo_t last;

static void leave(int signo, siginfo_t* info, void* context) {
  (void)signo, (void)context;
  last = *info;
  siglongjmp(out, 1);
}

static const struct {
  const char* name;  // as in /proc/cpuinfo
  int bit;           // of AT_HWCAP
  int in_isar1;      // else in ID_AA64ISAR0_EL1
  int shift;         // of the field there
  unsigned least;
} kFeatures[] = {
    {"aes", 3, 0, 4, 1},        {"pmull", 4, 0, 4, 2},      {"sha1", 5, 0, 8, 1},
    {"sha2", 6, 0, 12, 1},      {"crc32", 7, 0, 16, 1},     {"atomics", 8, 0, 20, 2},
    {"asimdrdm", 12, 0, 28, 1}, {"jscvt", 13, 1, 12, 1},    {"fcma", 14, 1, 16, 1},
    {"lrcpc", 15, 1, 20, 1},    {"dcpop", 16, 1, 0, 1},     {"sha3", 17, 0, 32, 1},
    {"sm3", 18, 0, 36, 1},      {"sm4", 19, 0, 40, 1},      {"asimddp", 20, 0, 44, 1},
    {"sha512", 21, 0, 12, 2},   {"asimdfhm", 23, 0, 48, 1}, {"flagm", 27, 0, 52, 1},
};

static int has_word(const char* text, const char* word) {
  size_t length = strlen(word);
  for (const char* at = text; (at = strstr(at, word)) != NULL; at += length) {
    if (at[-1] == ' ' && (at[length] == ' ' || at[length] == '\n')) return 1;
  }
  return 0;
}

static void run(void) {
  uint64_t hwcap = getauxval(AT_HWCAP);
  uint64_t isar[] = {READ("id_aa64isar0_el1"), READ("id_aa64isar1_el1")};
  const char* features = strstr(read_file("/proc/cpuinfo"), "Features\t:");
  check("/proc/cpuinfo has features", features != NULL);
  for (size_t i = 0; features != NULL && i < sizeof kFeatures / sizeof *kFeatures; i++) {
    int told = (hwcap >> kFeatures[i].bit & 1) != 0;
    int registered = (isar[kFeatures[i].in_isar1] >> kFeatures[i].shift & 15) >= kFeatures[i].least;
    char line[1024] = "";
    sscanf(features, "%1023[^\n]", line);
    strcat(line, "\n");
    check(kFeatures[i].name, told == registered && told == has_word(line, kFeatures[i].name));
  }
  check("identification registers can be read", (hwcap >> 11 & 1) != 0);
  char part[32];
  snprintf(part, sizeof part, "CPU part\t: 0x%03x", (unsigned)(READ("midr_el1") >> 4 & 0xfff));
  check("the processor's part", strstr(read_file("/proc/cpuinfo"), part) != NULL);

  long start = now_ms();
  uint64_t frequency = READ("cntfrq_el0"), begin = READ("cntvct_el0");
  sleep_ms(20);
  uint64_t ticks = READ("cntvct_el0") - begin;
  long passed = now_ms() - start;
  check("the counter runs at its frequency",
        ticks >= frequency / 1000 * 20 && ticks / (frequency / 1000) <= (uint64_t)passed + 1);
  uint64_t zero_bytes = 4UL << (READ("dczid_el0") & 15);
  check("DC ZVA is allowed", (READ("dczid_el0") & 16) == 0 && zero_bytes >= 16);
  equals("lines are of 64 bytes", 64, 4L << (READ("ctr_el0") >> 16 & 15));

  struct utsname names;
  must(uname(&names));
  same_text("uname", "aarch64", names.machine);
  same_text("AT_PLATFORM", "aarch64", (const char*)getauxval(AT_PLATFORM));
  equals("the page size", 4096, getauxval(AT_PAGESZ));

  struct sigaction action = {.sa_sigaction = leave, .sa_flags = SA_SIGINFO};
  must(sigaction(SIGILL, &action, NULL));
  volatile int raised = sigsetjmp(out, 1);
  if (raised == 0) (void)READ("s3_0_c0_c1_0");
  check("a register that is not emulated is SIGILL", raised && last.si_code == ILL_ILLOPC);
  raised = sigsetjmp(out, 1);
  if (raised == 0) (void)READ("s3_0_c1_c0_0");
  check("so is one of the system's", raised && last.si_code == ILL_ILLOPC);
  raised = sigsetjmp(out, 1);
  if (raised == 0) __asm__ volatile(".inst 0x04a0c000");  // CNTB: SVE
  check("so is an extension that is not told of", raised && (hwcap >> 22 & 1) == 0);
}
