// What every workload has: its size from the command line, and a checksum printed at the end, which
// must be the same on every instruction set.
#pragma once

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static inline uint64_t mix(uint64_t sum, uint64_t value) {
  sum ^= value + 0x9e3779b97f4a7c15u + (sum << 6) + (sum >> 2);
  return sum * 0xff51afd7ed558ccdu;
}

static inline uint64_t bits_of(double value) {
  uint64_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

// A xorshift generator: the same numbers everywhere.
static inline uint64_t next_random(uint64_t* state) {
  *state ^= *state << 13;
  *state ^= *state >> 7;
  *state ^= *state << 17;
  return *state;
}

static inline long size_of_run(int argc, char** argv, long usual) {
  return argc > 1 ? strtol(argv[1], NULL, 10) : usual;
}

// Prints the checksum and the CPU time used so far in milliseconds.
static inline int report(uint64_t sum) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  long ms = (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000 +
            (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000;
  printf("%016llx %ld\n", (unsigned long long)sum, ms);
  return 0;
}
