// The C library's qsort with a comparison function.
#include "workload.h"

static int compare(const void* a, const void* b) {
  uint64_t x = *(const uint64_t*)a;
  uint64_t y = *(const uint64_t*)b;
  return x < y ? -1 : x > y;
}

int main(int argc, char** argv) {
  long count = size_of_run(argc, argv, 4000000);
  uint64_t* values = malloc(sizeof(uint64_t) * (size_t)count);
  uint64_t seed = 88172645463325252u;
  for (long i = 0; i < count; i++) values[i] = next_random(&seed);
  qsort(values, (size_t)count, sizeof *values, compare);
  uint64_t sum = 0;
  for (long i = 0; i < count; i += 1001) sum = mix(sum, values[i]);
  return report(sum);
}
