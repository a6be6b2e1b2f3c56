// Little but calls and returns: a recursive function.
#include "workload.h"

__attribute__((noinline)) static uint64_t fibonacci(unsigned n) {
  return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

__attribute__((noinline)) static unsigned ackermann(unsigned m, unsigned n) {
  if (m == 0) return n + 1;
  return ackermann(m - 1, n == 0 ? 1 : ackermann(m, n - 1));
}

int main(int argc, char** argv) {
  long n = size_of_run(argc, argv, 41);
  return report(mix(fibonacci((unsigned)n), ackermann(3, 8)));
}
