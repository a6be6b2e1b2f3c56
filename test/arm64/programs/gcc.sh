mkdir /tmp/p && cd /tmp/p
cat >main.c <<'C'
#include <math.h>
#include <pthread.h>
#include <stdio.h>
static double sums[4];
static void* work(void* at) {
  for (int i = 1; i < 200000; i++) *(double*)at += sin(i) / i;
  return 0;
}
int main(void) {
  pthread_t threads[4];
  for (int i = 0; i < 4; i++) pthread_create(&threads[i], 0, work, &sums[i]);
  for (int i = 0; i < 4; i++) pthread_join(threads[i], 0);
  printf("%.9f %d\n", sums[0], sums[0] == sums[3]);
}
C
printf 'main: main.c\n\tgcc -O2 -o main main.c -lm -pthread\n' >Makefile
make -s && ./main && gcc -dumpmachine
