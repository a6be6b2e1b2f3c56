// Copies of many sizes, aligned and not.
#include "workload.h"

int main(int argc, char** argv) {
  long rounds = size_of_run(argc, argv, 6000);
  enum { kBytes = 1 << 20 };
  char* from = malloc(kBytes);
  char* to = calloc(1, kBytes);
  for (int i = 0; i < kBytes; i++) from[i] = (char)(i * 7);
  uint64_t sum = 0;
  for (long round = 0; round < rounds; round++) {
    for (size_t size = 16; size <= kBytes / 2; size *= 4) {
      size_t step = size < 4096 ? 4096 : size;
      for (size_t at = (size_t)round % 13; at + size <= kBytes; at += step)
        memcpy(to + at, from + at, size);
    }
    memmove(to + 5, to, kBytes / 2);
    sum = mix(sum, (unsigned char)to[(size_t)round * 977 % kBytes]);
  }
  return report(sum);
}
