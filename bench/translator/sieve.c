// Prime numbers by Eratosthenes' sieve.
#include "workload.h"

int main(int argc, char** argv) {
  long limit = size_of_run(argc, argv, 70000000);
  unsigned char* composite = calloc((size_t)limit + 1, 1);
  uint64_t sum = 0;
  for (long i = 2; i <= limit; i++) {
    if (composite[i]) continue;
    sum += (uint64_t)i;
    for (long j = i * 2; j <= limit; j += i) composite[j] = 1;
  }
  return report(mix(1, sum));
}
