// What wc and grep do: lines, words, and the places of a string.
#include "workload.h"

int main(int argc, char** argv) {
  long rounds = size_of_run(argc, argv, 70);
  enum { kBytes = 4 << 20 };
  char* text = malloc(kBytes + 1);
  uint64_t seed = 88172645463325252u;
  for (int i = 0; i < kBytes; i++) {
    unsigned value = (unsigned)(next_random(&seed) >> 33) % 40;
    text[i] = value == 0 ? '\n' : value < 7 ? ' ' : (char)('a' + value % 26);
  }
  text[kBytes] = 0;
  uint64_t sum = 0;
  for (long round = 0; round < rounds; round++) {
    uint64_t lines = 0;
    uint64_t words = 0;
    int inside = 0;
    for (const char* c = text; *c; c++) {
      if (*c == '\n') lines++;
      int blank = *c == ' ' || *c == '\n';
      words += (uint64_t)(inside && blank);
      inside = !blank;
    }
    uint64_t found = 0;
    for (const char* at = text; (at = strstr(at, "dan")) != NULL; at++) found++;
    for (const char* at = text; (at = memchr(at, 'q', (size_t)(text + kBytes - at))) != NULL; at++)
      found++;
    sum = mix(sum, lines * 3 + words * 5 + found + strlen(text));
    text[round * 1000] = 'x';
  }
  return report(sum);
}
