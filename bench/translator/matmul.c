// The product of two square matrices of doubles, the textbook way.
#include "workload.h"

int main(int argc, char** argv) {
  int n = (int)size_of_run(argc, argv, 900);
  double* a = malloc(sizeof(double) * (size_t)(n * n));
  double* b = malloc(sizeof(double) * (size_t)(n * n));
  double* c = calloc((size_t)(n * n), sizeof(double));
  uint64_t seed = 88172645463325252u;
  for (int i = 0; i < n * n; i++) {
    a[i] = (double)(next_random(&seed) % 1000) / 8;
    b[i] = (double)(next_random(&seed) % 1000) / 16;
  }
  for (int i = 0; i < n; i++) {
    for (int k = 0; k < n; k++) {
      double factor = a[i * n + k];
      for (int j = 0; j < n; j++) c[i * n + j] += factor * b[k * n + j];
    }
  }
  uint64_t sum = 0;
  for (int i = 0; i < n * n; i += 97) sum = mix(sum, bits_of(c[i]));
  return report(sum);
}
